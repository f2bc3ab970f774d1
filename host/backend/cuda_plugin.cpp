// Finds, loads and asks the plug-in; see cuda_plugin.h.
#include "host/backend/cuda_plugin.h"

#include <dlfcn.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "host/backend/elf_check.h"
#include "host/build_stamp.h"
#include "host/errors.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

bool emulated() {
  const char* value = std::getenv("LS_CUDA_EMULATOR");
  return value != nullptr && std::strcmp(value, "1") == 0;
}

std::string plugin_name() {
  return emulated() ? "liblockstep_cuda_emulated.so" : "liblockstep_cuda.so";
}

/// The plug-in's path; empty if there is none.
fs::path find_plugin() {
  std::vector<fs::path> folders;
  const char* only = std::getenv("LS_PLUGIN_DIR");
  if (only != nullptr && *only != '\0') {
    folders.emplace_back(only);
  } else {
    std::error_code error;
    const fs::path here = fs::read_symlink("/proc/self/exe", error).parent_path();
    if (error) return {};
    folders = {here, here / "../lib/lockstep"};
  }
  for (const fs::path& folder : folders) {
    // an absolute or dotted path: a bare name would be searched for in the system's folders
    const fs::path path = folder / plugin_name();
    if (access(path.c_str(), R_OK) == 0) return fs::absolute(path);
  }
  return {};
}

/// Loads and keeps it for the life of the process: code of it may be running at any time.
CudaSupport load() {
  CudaSupport support;
  support.emulated = emulated();
  const fs::path path = find_plugin();
  if (path.empty()) {
    support.probe.reason =
        "no plug-in " + plugin_name() +
        (support.emulated
             ? ": LS_CUDA_EMULATOR=1 ./lockstep.sh builds it, or CMake's -DLS_CUDA_EMULATOR=ON"
             : ": this build has no CUDA part");
    return support;
  }
  support.built = true;
  if (const std::string fault = elf_fault(path); !fault.empty()) {
    support.probe.reason = "cannot load the plug-in: " + path.string() + ": " + fault;
    return support;
  }
  void* const module = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  void* const symbol = module == nullptr ? nullptr : dlsym(module, kCudaPluginSymbol);
  if (symbol == nullptr) {
    const char* why = dlerror();
    support.probe.reason = std::string("cannot load the plug-in: ") + (why ? why : "no symbol");
    return support;
  }
  const CudaPlugin* const plugin = reinterpret_cast<CudaPluginEntry*>(symbol)();
  if (plugin->build != cuda_plugin_build()) {
    support.probe.reason = "the plug-in " + path.string() +
                           " is of another build: " + plugin->build + ", not " +
                           cuda_plugin_build();
    return support;
  }
  support.plugin = plugin;
  support.probe = plugin->probe();
  return support;
}

/// N of "cuda:N"; 0 for "cuda".
int number_of(const std::string& device) {
  const std::size_t colon = device.find(':');
  return colon == std::string::npos ? 0 : std::atoi(device.c_str() + colon + 1);
}

/// Why the device cannot be had; empty if it can.
std::string obstacle(const CudaSupport& support, int number, const char* name) {
  const std::size_t count = support.probe.devices.size();
  if (count == 0) return support.probe.reason;
  if (static_cast<std::size_t>(number) >= count) {
    return "there " + (count == 1 ? std::string("is 1 device, cuda:0")
                                  : "are " + std::to_string(count) +
                                        " devices, cuda:0 to cuda:" + std::to_string(count - 1));
  }
  return support.plugin->obstacle(number, name);
}

}  // namespace

std::string cuda_plugin_build() {
  using namespace build_stamp;
  return std::string(kVersion) + " " + kCommit + ", " + kCompiler + ", " + kBuildType;
}

const CudaSupport& cuda_support() {
  static const CudaSupport support = load();
  return support;
}

DeviceChoice choose_device(const std::string& device, const char* name) {
  if (device == "cpu") return {};
  const CudaSupport& support = cuda_support();
  const int number = number_of(device);
  const std::string reason = obstacle(support, number, name);
  if (reason.empty()) return {number, ""};
  if (device != "auto") throw DeviceUnavailable("--device " + device + ": " + reason);
  // a build without a CUDA part is no news, but the emulator was asked for by name
  if (!support.built && !support.emulated) return {};
  return {-1, "no usable GPU (" + reason + "); using the CPU"};
}

DeviceChoice choose_device(const Config& config, const char* name) {
  if (config.critic == Critic::kNone || config.device == "cpu" ||
      !find_environment(name).has_objects()) {
    return choose_device(config.device, name);
  }
  const std::string reason =
      "a critic of " + std::string(name) + " is learned on the CPU alone so far";
  if (config.device != "auto") {
    throw DeviceUnavailable("--device " + config.device + ": " + reason + "; use --device cpu");
  }
  // who has no GPU misses none
  if (choose_device(config.device, name).cuda < 0) return {};
  return {-1, reason + "; using the CPU"};
}
DeviceChoice choose_device(const Config& config) {
  return choose_device(config, config.env.c_str());
}

}  // namespace lockstep
