// What the CUDA plug-in exports; see cuda_plugin.h.
#include "host/backend/cuda_plugin.h"
#include "host/cuda/actor_critic.h"
#include "host/cuda/number_backend.h"
#include "host/cuda/table_backend.h"
#include "kernels/cuda/common.h"

namespace lockstep {
namespace {

CudaProbe probe() {
  CudaProbe found;
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) {
    static_cast<void>(cudaGetLastError());
    found.reason = cuda::unavailable_reason(status);
    if (found.reason.empty()) found.reason = cudaGetErrorString(status);
    return found;
  }
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp properties{};
    if (cudaGetDeviceProperties(&properties, i) != cudaSuccess) {
      static_cast<void>(cudaGetLastError());
      break;  // the devices before it still have their numbers
    }
    found.devices.push_back({properties.name, static_cast<std::int64_t>(properties.totalGlobalMem),
                             properties.major, properties.minor});
  }
  if (found.devices.empty()) found.reason = "no device";
  return found;
}

std::string obstacle(int device, const char* name) {
  const auto* const objects = cuda::find_table_operations(name);
  if (cuda::find_operations(name) == nullptr && objects == nullptr) {
    return std::string("the plug-in has no environment '") + name + "'";
  }
  int offered = 0;
  cudaError_t status = cudaSetDevice(device);
  if (status == cudaSuccess) status = cuda::check_architecture();
  if (status == cudaSuccess) {
    status = cudaDeviceGetAttribute(&offered, cudaDevAttrMaxSharedMemoryPerBlockOptin, device);
  }
  // kernels of numbers need no more than every device has
  if (status == cudaSuccess && objects != nullptr && offered < objects->least_shared) {
    return std::string("the kernels of ") + name + " need " +
           std::to_string(objects->least_shared) +
           " bytes of shared memory a block, the device offers " + std::to_string(offered);
  }
  if (status == cudaSuccess) return "";
  static_cast<void>(cudaGetLastError());
  const std::string reason = cuda::unavailable_reason(status);
  return reason.empty() ? cudaGetErrorString(status) : reason;
}

std::unique_ptr<Backend> make_cuda_backend(const Config& config,
                                           const EnvironmentEntry& environment, int device) {
  const char* const name = environment.facts->name;
  const CudaTuning tuning{.device = device};
  if (const auto* const numbers = cuda::find_operations(name)) {
    if (config.critic != Critic::kNone) {
      return std::make_unique<CudaActorCritic>(config, environment, *numbers, tuning);
    }
    return std::make_unique<CudaBackend>(config, environment, *numbers, tuning);
  }
  if (const auto* const objects = cuda::find_table_operations(name)) {
    return std::make_unique<CudaTableBackend>(config, environment, *objects, tuning);
  }
  throw DeviceUnavailable(obstacle(device, name));
}

}  // namespace
}  // namespace lockstep

// its name is lockstep::kCudaPluginSymbol
extern "C" __attribute__((visibility("default"))) const lockstep::CudaPlugin*
lockstep_cuda_plugin() {
  static const std::string build = lockstep::cuda_plugin_build();
  static const lockstep::CudaPlugin plugin = {build.c_str(), lockstep::probe, lockstep::obstacle,
                                              lockstep::make_cuda_backend};
  return &plugin;
}
