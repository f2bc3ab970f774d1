// Calls, errors, planted failures, devices and launches.
#include "tests/emulator/runtime.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "tests/emulator/scheduler.h"

namespace cuemu {
namespace {

constexpr int kRuntimeVersion = 13000;
constexpr int kMaxThreads = 1024;

thread_local cudaError_t last_error = cudaSuccess;

// What every call but the version queries answers on a machine that cannot run the kernels.
cudaError_t machine_error() {
  if (settings().driver_version < kRuntimeVersion) return cudaErrorInsufficientDriver;
  return settings().devices == 0 ? cudaErrorNoDevice : cudaSuccess;
}

cudaError_t planted_error(CallKind kind) {
  if (runtime().fail_error >= 0) return static_cast<cudaError_t>(runtime().fail_error);
  switch (kind) {
    case CallKind::kAllocate:
      return cudaErrorMemoryAllocation;
    case CallKind::kLaunch:
      return cudaErrorLaunchFailure;
    case CallKind::kWork:
      return cudaErrorIllegalAddress;
    default:
      return cudaErrorUnknown;
  }
}

// A fault of the device stays until the process ends; other errors concern one call alone.
bool stays(cudaError_t error) {
  return error == cudaErrorECCUncorrectable ||
         (error >= cudaErrorIllegalAddress && error <= cudaErrorLaunchFailure &&
          error != cudaErrorLaunchOutOfResources);
}

void lose_device(cudaError_t error) {
  runtime().sticky = error;
  for (const auto& stream : runtime().streams) {
    stream->completed += stream->queue.size();
    stream->queue.clear();
  }
}

bool valid_device(int device) { return device >= 0 && device < settings().devices; }

// What nvcc made of a kernel, as far as is known.
Compiled compiled(const void* kernel) {
  const auto& known = settings().compiled;
  Dl_info module{};
  if (known.empty() || dladdr(kernel, &module) == 0) return {};
  const auto place = static_cast<std::uintptr_t>(static_cast<const char*>(kernel) -
                                                 static_cast<const char*>(module.dli_fbase));
  const auto at = known.find(place);
  if (at == known.end()) stop("LS_EMULATOR_REGISTERS: no registers for a kernel that is named");
  return at->second;
}

// Each quarter of a multiprocessor has its share of the registers, and a warp gets 256 at a time.
int warps_with(int registers) {
  return 4 * (kRegisters / 4 / (std::max(1, (registers + 7) / 8) * 256));
}

int warps_of(int threads) { return (threads + 31) / 32; }

cudaError_t check_launch(const Kernel& kernel) {
  const dim3 grid = kernel.grid;
  const dim3 block = kernel.block;
  const bool empty =
      grid.x == 0 || grid.y == 0 || grid.z == 0 || block.x == 0 || block.y == 0 || block.z == 0;
  if (empty || grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535 || block.x > kMaxThreads ||
      block.y > kMaxThreads || block.z > 64 ||
      std::uint64_t{block.x} * block.y * block.z > kMaxThreads) {
    return cudaErrorInvalidConfiguration;
  }
  const Compiled code = compiled(kernel.address);
  const int threads = static_cast<int>(block.x * block.y * block.z);
  if (threads > code.threads || warps_of(threads) > warps_with(code.registers)) {
    return cudaErrorLaunchOutOfResources;
  }
  const auto limit = runtime().dynamic_shared_limits.find(kernel.address);
  const std::size_t allowed = limit == runtime().dynamic_shared_limits.end()
                                  ? kPlainShared
                                  : static_cast<std::size_t>(limit->second);
  return kernel.shared_bytes > allowed ? cudaErrorInvalidValue : cudaSuccess;
}

// A kernel is loaded when a call first names it. That may wait for the device: not in a capture.
cudaError_t load_kernel(const void* kernel) {
  if (runtime().loaded_kernels.contains(kernel)) return cudaSuccess;
  if (const cudaError_t error = refuse_while_capturing()) return error;
  runtime().loaded_kernels.insert(kernel);
  return cudaSuccess;
}

}  // namespace

Runtime& runtime() {
  static auto* const one = new Runtime;  // outlives whatever static objects release at exit
  return *one;
}

int& current_device() {
  thread_local int device = 0;
  return device;
}

const void* this_thread() { return &last_error; }

cudaError_t begin_call(CallKind kind) {
  if (const cudaError_t error = machine_error()) return error;
  Runtime& r = runtime();
  if (r.sticky != cudaSuccess) return r.sticky;
  if (kind == CallKind::kRelease || ++r.fallible_calls != r.fail_call) return cudaSuccess;
  const cudaError_t error = planted_error(kind);
  if (stays(error)) lose_device(error);
  return error;
}

cudaError_t end_call(CallKind kind, cudaError_t begun, cudaError_t result) {
  if (kind == CallKind::kRelease && begun != cudaSuccess) result = begun;
  if (result != cudaSuccess && result != cudaErrorNotReady) last_error = result;
  return result;
}

cudaError_t launch_kernel(Kernel kernel, cudaStream_t handle) {
  return api(CallKind::kLaunch, [&] {
    if (const cudaError_t error = check_launch(kernel)) return error;
    const auto stream = find_stream(handle);
    if (stream == nullptr || stream->device != current_device()) {
      return cudaErrorInvalidResourceHandle;
    }
    if (const cudaError_t error = load_kernel(kernel.address)) return error;
    ++runtime().counters.launches;
    auto shared = std::make_shared<const Kernel>(std::move(kernel));
    return submit(stream, [shared] {
      scheduler().run(*shared, static_cast<std::uint64_t>(runtime().counters.kernels++));
    });
  });
}

}  // namespace cuemu

using namespace cuemu;

extern "C" {

cudaError_t cudaDriverGetVersion(int* version) {
  if (version == nullptr) return last_error = cudaErrorInvalidValue;
  *version = settings().driver_version;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  if (version == nullptr) return last_error = cudaErrorInvalidValue;
  *version = kRuntimeVersion;
  return cudaSuccess;
}

cudaError_t cudaPeekAtLastError() {
  if (const cudaError_t error = machine_error()) return error;
  const std::lock_guard guard(runtime().lock);
  return runtime().sticky != cudaSuccess ? runtime().sticky : last_error;
}

cudaError_t cudaGetLastError() {
  const cudaError_t error = cudaPeekAtLastError();
  last_error = cudaSuccess;
  return error;
}

cudaError_t cudaGetDeviceCount(int* count) {
  return api(CallKind::kCreate, [&] {
    if (count == nullptr) return cudaErrorInvalidValue;
    *count = settings().devices;
    return cudaSuccess;
  });
}

cudaError_t cudaSetDevice(int device) {
  return api(CallKind::kCreate, [&] {
    if (!valid_device(device)) return cudaErrorInvalidDevice;
    current_device() = device;
    return cudaSuccess;
  });
}

cudaError_t cudaGetDevice(int* device) {
  return api(CallKind::kCreate, [&] {
    if (device == nullptr) return cudaErrorInvalidValue;
    *device = current_device();
    return cudaSuccess;
  });
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  return api(CallKind::kCreate, [&] {
    if (properties == nullptr) return cudaErrorInvalidValue;
    if (!valid_device(device)) return cudaErrorInvalidDevice;
    cudaDeviceProp& p = *properties;
    p = {};
    std::snprintf(p.name, sizeof p.name, "CUDA emulator %d", device);
    p.totalGlobalMem = settings().memory_bytes;
    p.sharedMemPerBlock = kPlainShared;
    const Device& d = runtime().device;
    p.sharedMemPerBlockOptin = d.shared_block;
    p.major = d.major;
    p.minor = d.minor;
    p.multiProcessorCount = d.multiprocessors;
    p.maxThreadsPerBlock = kMaxThreads;
    p.warpSize = 32;
    p.l2CacheSize = 50 << 20;
    p.memoryBusWidth = 5120;
    return cudaSuccess;
  });
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  return api(CallKind::kCreate, [&] {
    if (value == nullptr) return cudaErrorInvalidValue;
    if (!valid_device(device)) return cudaErrorInvalidDevice;
    const Device& d = runtime().device;
    const std::unordered_map<int, int> values = {
        {cudaDevAttrMaxThreadsPerBlock, kMaxThreads},
        {cudaDevAttrMaxSharedMemoryPerBlock, static_cast<int>(kPlainShared)},
        {cudaDevAttrWarpSize, 32},
        {cudaDevAttrMaxRegistersPerBlock, 65536},
        {cudaDevAttrClockRate, 1'980'000},
        {cudaDevAttrMultiProcessorCount, d.multiprocessors},
        {cudaDevAttrMemoryClockRate, 2'619'000},
        {cudaDevAttrGlobalMemoryBusWidth, 5120},
        {cudaDevAttrL2CacheSize, 50 << 20},
        {cudaDevAttrMaxThreadsPerMultiProcessor, d.threads},
        {cudaDevAttrComputeCapabilityMajor, d.major},
        {cudaDevAttrComputeCapabilityMinor, d.minor},
        {cudaDevAttrMaxSharedMemoryPerMultiprocessor, static_cast<int>(d.shared)},
        {cudaDevAttrMaxSharedMemoryPerBlockOptin, static_cast<int>(d.shared_block)}};
    const auto at = values.find(attribute);
    if (at == values.end()) return cudaErrorInvalidValue;
    *value = at->second;
    return cudaSuccess;
  });
}

cudaError_t cudaFuncSetAttribute(const void* kernel, cudaFuncAttribute attribute, int value) {
  return api(CallKind::kCreate, [&] {
    if (kernel == nullptr) return cudaErrorInvalidDeviceFunction;
    if (const cudaError_t error = load_kernel(kernel)) return error;
    if (attribute == cudaFuncAttributePreferredSharedMemoryCarveout) return cudaSuccess;
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || value < 0 ||
        static_cast<std::size_t>(value) > runtime().device.shared_block) {
      return cudaErrorInvalidValue;
    }
    runtime().dynamic_shared_limits[kernel] = value;
    return cudaSuccess;
  });
}

cudaError_t cudaFuncGetAttributes(cudaFuncAttributes* attributes, const void* kernel) {
  return api(CallKind::kCreate, [&] {
    if (attributes == nullptr) return cudaErrorInvalidValue;
    if (kernel == nullptr) return cudaErrorInvalidDeviceFunction;
    if (const cudaError_t error = load_kernel(kernel)) return error;
    *attributes = {};
    attributes->maxThreadsPerBlock = compiled(kernel).threads;
    attributes->numRegs = compiled(kernel).registers;
    attributes->binaryVersion = 10 * runtime().device.major + runtime().device.minor;
    attributes->ptxVersion = runtime().kernels_from_ptx ? 70 : attributes->binaryVersion;
    const auto limit = runtime().dynamic_shared_limits.find(kernel);
    attributes->maxDynamicSharedSizeBytes = limit == runtime().dynamic_shared_limits.end()
                                                ? static_cast<int>(kPlainShared)
                                                : limit->second;
    return cudaSuccess;
  });
}

cudaError_t cudaOccupancyMaxActiveBlocksPerMultiprocessor(int* blocks, const void* kernel,
                                                          int block_size, std::size_t shared) {
  return api(CallKind::kCreate, [&] {
    if (blocks == nullptr || block_size <= 0) return cudaErrorInvalidValue;
    if (kernel == nullptr) return cudaErrorInvalidDeviceFunction;
    if (const cudaError_t error = load_kernel(kernel)) return error;
    int result = block_size > kMaxThreads ? 0 : std::min(32, runtime().device.threads / block_size);
    const std::size_t each = shared + 1024;  // the device keeps 1 KiB of each block for itself
    result = std::min(result, static_cast<int>(runtime().device.shared / each));
    result = std::min(result, warps_with(compiled(kernel).registers) / warps_of(block_size));
    *blocks = shared > runtime().device.shared_block ? 0 : result;
    return cudaSuccess;
  });
}

long cuemu_fallible_calls() {
  const std::lock_guard guard(runtime().lock);
  return runtime().fallible_calls;
}

void cuemu_set_fail(long n) {
  const std::lock_guard guard(runtime().lock);
  runtime().fallible_calls = 0;
  runtime().fail_call = n;
  runtime().sticky = cudaSuccess;
  last_error = cudaSuccess;
}

void cuemu_set_fail_error(int error) {
  const std::lock_guard guard(runtime().lock);
  runtime().fail_error = error;
}

void cuemu_set_ptx(int on) {
  const std::lock_guard guard(runtime().lock);
  runtime().kernels_from_ptx = on != 0;
}

bool cuemu_set_device(const char* name) {
  const Device* const device = find_device(name);
  if (device == nullptr) return false;
  const std::lock_guard guard(runtime().lock);
  runtime().device = *device;
  return true;
}

long cuemu_live_objects() {
  const std::lock_guard guard(runtime().lock);
  const Runtime& r = runtime();
  return static_cast<long>(r.allocations.size() + r.stream_handles.size() + r.events.size()) +
         r.other_objects;
}

}  // extern "C"

cuemu::Counters cuemu_counters() {
  const std::lock_guard guard(runtime().lock);
  return runtime().counters;
}
