// How the program finds the CUDA backend. It is in a plug-in, a module built of the same sources,
// so that the core needs no CUDA library and starts no slower for it: nothing is loaded with
// --device cpu or where there is no plug-in.
//
// liblockstep_cuda.so is looked for beside the executable and in ../lib/lockstep, or in the folder
// LS_PLUGIN_DIR alone. With LS_CUDA_EMULATOR=1 it is liblockstep_cuda_emulated.so, which runs the
// kernels on the CPU, for tests.
// Decided here: which device a --device asks for, and every reason for having none.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "host/backend/backend.h"

namespace lockstep {

struct CudaDevice {
  std::string name;
  std::int64_t memory = 0;   // bytes
  int major = 0, minor = 0;  // compute capability
};

/// The devices of this machine; with none, the reason in a few words ("no driver").
struct CudaProbe {
  std::vector<CudaDevice> devices;
  std::string reason;
};

/// What the function that a plug-in exports as kCudaPluginSymbol returns.
struct CudaPlugin {
  const char* build;  // must equal the program's cuda_plugin_build()
  /// Starts no context and throws nothing.
  CudaProbe (*probe)();
  /// Why device number `device` cannot run the kernels of environment `name`; empty if it can.
  std::string (*obstacle)(int device, const char* name);
  /// Errors: DeviceUnavailable, OutOfMemory, DeviceLost.
  std::unique_ptr<Backend> (*make_backend)(const Config&, const EnvironmentEntry&, int device);
};
using CudaPluginEntry = const CudaPlugin*();
inline constexpr const char* kCudaPluginSymbol = "lockstep_cuda_plugin";

/// What program and plug-in must have been built from alike.
std::string cuda_plugin_build();

/// The plug-in of this process and what it found, loaded and asked once.
struct CudaSupport {
  bool built = false;                  // there is a plug-in
  bool emulated = false;               // it is the emulated one, or would be
  const CudaPlugin* plugin = nullptr;  // null if it could not be loaded
  CudaProbe probe;
};
const CudaSupport& cuda_support();

/// Where a --device computes.
struct DeviceChoice {
  int cuda = -1;     // number of the CUDA device; -1: the CPU
  std::string note;  // auto: why a plug-in that is there, or asked for, is of no use, else empty
};

/// Decides for --device auto, cpu, cuda or cuda:N and the environment `name`.
/// Errors: DeviceUnavailable if a CUDA device is asked for and cannot be had, with the reason
DeviceChoice choose_device(const std::string& device, const char* name);
/// What a configuration asks for: a critic of an environment of objects is learned on the CPU.
DeviceChoice choose_device(const Config& config, const char* name);
DeviceChoice choose_device(const Config& config);

}  // namespace lockstep
