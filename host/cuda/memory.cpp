// See memory.h.
#include "host/cuda/memory.h"

#include <cstring>

namespace lockstep::cuda {
namespace {

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

/// Calls that are wrong in this program; a device survives them.
bool is_wrong_call(cudaError_t status) {
  switch (status) {
    case cudaErrorInvalidValue:
    case cudaErrorInvalidConfiguration:
    case cudaErrorInvalidSymbol:
    case cudaErrorInvalidMemcpyDirection:
    case cudaErrorInvalidResourceHandle:
    case cudaErrorIllegalState:
    case cudaErrorNotReady:
    case cudaErrorLaunchOutOfResources:
    case cudaErrorNotPermitted:
    case cudaErrorNotSupported:
      return true;
    default:
      // the errors of stream capture
      return status >= cudaErrorStreamCaptureUnsupported &&
             status <= cudaErrorStreamCaptureWrongThread;
  }
}

const char* base_name(const char* file) {
  const char* slash = std::strrchr(file, '/');
  return slash == nullptr ? file : slash + 1;
}

}  // namespace

std::string unavailable_reason(cudaError_t status) {
  switch (status) {
    case cudaErrorInsufficientDriver: {
      int driver = 0, runtime = 0;
      if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) return "no driver";
      static_cast<void>(cudaRuntimeGetVersion(&runtime));
      return "the driver is too old: it is for CUDA " + version_text(driver) +
             ", this build needs " + version_text(runtime);
    }
    case cudaErrorNoDevice:
    case cudaErrorInvalidDevice:
      return "no device";
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorInvalidDeviceFunction:
    case cudaErrorUnsupportedPtxVersion:
      return "this build has no code for its architecture";
    case cudaErrorInitializationError:
    case cudaErrorSystemNotReady:
      return std::string("the driver does not start: ") + cudaGetErrorString(status);
    default:
      return "";
  }
}

void cuda_check(cudaError_t status, const char* what, const char* file, int line) {
  if (status == cudaSuccess) return;
  static_cast<void>(cudaGetLastError());
  const std::string message = std::string("CUDA: ") + what + ": " + cudaGetErrorString(status) +
                              " (" + cudaGetErrorName(status) + ", " + base_name(file) + ":" +
                              std::to_string(line) + ")";
  if (status == cudaErrorMemoryAllocation) throw OutOfMemory(message);
  if (const std::string reason = unavailable_reason(status); !reason.empty()) {
    throw DeviceUnavailable("CUDA: " + reason);
  }
  if (is_wrong_call(status)) throw CudaError(status, message);
  throw DeviceLost(message);
}

Stream make_stream() {
  cudaStream_t stream = nullptr;
  cuda_check(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "making a stream");
  return Stream(stream);
}

Event make_event() {
  cudaEvent_t event = nullptr;
  cuda_check(cudaEventCreate(&event), "making an event");
  return Event(event);
}

DeviceMemory device_memory(std::int64_t bytes, const char* advice) {
  void* memory = nullptr;
  const cudaError_t status = cudaMalloc(&memory, static_cast<std::size_t>(bytes));
  if (status == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    std::size_t free = 0, total = 0;
    const bool known = cudaMemGetInfo(&free, &total) == cudaSuccess;
    throw OutOfMemory(
        "out of device memory: wanted " + std::to_string(bytes) + " bytes" +
        (known ? ", " + std::to_string(free) + " of " + std::to_string(total) + " free" : "") +
        "; " + advice);
  }
  cuda_check(status, "allocating device memory");
  return {memory, bytes};
}

void clear(void* memory, std::int64_t bytes, const Stream& stream) {
  cuda_check(cudaMemsetAsync(memory, 0, static_cast<std::size_t>(bytes), stream.get()),
             "clearing memory");
}

DeviceMemory cleared_memory(std::int64_t bytes, const char* advice, const Stream& stream) {
  DeviceMemory memory = device_memory(bytes, advice);
  clear(memory.data(), bytes, stream);
  return memory;
}

PinnedMemory pinned_memory(std::int64_t bytes) {
  void* memory = nullptr;
  const cudaError_t status = cudaMallocHost(&memory, static_cast<std::size_t>(bytes));
  if (status == cudaErrorMemoryAllocation) {
    static_cast<void>(cudaGetLastError());
    throw OutOfMemory("out of memory: " + std::to_string(bytes) + " bytes of pinned host memory");
  }
  cuda_check(status, "allocating pinned memory");
  return {memory, bytes};
}

}  // namespace lockstep::cuda
