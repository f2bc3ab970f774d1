// Names and texts of the error codes.
#include "cuda_runtime.h"

namespace {

struct Entry {
  cudaError_t error;
  const char* name;
  const char* text;
};

#define CUEMU_ENTRY(error, text) \
  { error, #error, text }
constexpr Entry kEntries[] = {
    CUEMU_ENTRY(cudaSuccess, "no error"),
    CUEMU_ENTRY(cudaErrorInvalidValue, "invalid argument"),
    CUEMU_ENTRY(cudaErrorMemoryAllocation, "out of memory"),
    CUEMU_ENTRY(cudaErrorInitializationError, "initialization error"),
    CUEMU_ENTRY(cudaErrorInvalidConfiguration, "invalid configuration argument"),
    CUEMU_ENTRY(cudaErrorInvalidSymbol, "invalid device symbol"),
    CUEMU_ENTRY(cudaErrorInvalidMemcpyDirection, "invalid copy direction for memcpy"),
    CUEMU_ENTRY(cudaErrorInsufficientDriver,
                "CUDA driver version is insufficient for CUDA runtime version"),
    CUEMU_ENTRY(cudaErrorInvalidDeviceFunction, "invalid device function"),
    CUEMU_ENTRY(cudaErrorNoDevice, "no CUDA-capable device is detected"),
    CUEMU_ENTRY(cudaErrorInvalidDevice, "invalid device ordinal"),
    CUEMU_ENTRY(cudaErrorNoKernelImageForDevice,
                "no kernel image is available for execution on the device"),
    CUEMU_ENTRY(cudaErrorECCUncorrectable, "uncorrectable ECC error encountered"),
    CUEMU_ENTRY(cudaErrorUnsupportedPtxVersion,
                "the provided PTX was compiled with an unsupported toolchain."),
    CUEMU_ENTRY(cudaErrorInvalidResourceHandle, "invalid resource handle"),
    CUEMU_ENTRY(cudaErrorIllegalState, "the operation cannot be performed in the present state"),
    CUEMU_ENTRY(cudaErrorNotReady, "device not ready"),
    CUEMU_ENTRY(cudaErrorIllegalAddress, "an illegal memory access was encountered"),
    CUEMU_ENTRY(cudaErrorLaunchOutOfResources, "too many resources requested for launch"),
    CUEMU_ENTRY(cudaErrorLaunchTimeout, "the launch timed out and was terminated"),
    CUEMU_ENTRY(cudaErrorAssert, "device-side assert triggered"),
    CUEMU_ENTRY(cudaErrorIllegalInstruction, "an illegal instruction was encountered"),
    CUEMU_ENTRY(cudaErrorMisalignedAddress, "misaligned address"),
    CUEMU_ENTRY(cudaErrorLaunchFailure, "unspecified launch failure"),
    CUEMU_ENTRY(cudaErrorNotPermitted, "operation not permitted"),
    CUEMU_ENTRY(cudaErrorNotSupported, "operation not supported"),
    CUEMU_ENTRY(cudaErrorSystemNotReady, "system not yet initialized"),
    CUEMU_ENTRY(cudaErrorStreamCaptureUnsupported,
                "operation not permitted when stream is capturing"),
    CUEMU_ENTRY(cudaErrorStreamCaptureInvalidated,
                "operation failed due to a previous error during capture"),
    CUEMU_ENTRY(cudaErrorStreamCaptureMerge,
                "operation would result in a merge of separate capture sequences"),
    CUEMU_ENTRY(cudaErrorStreamCaptureUnmatched,
                "capture was not ended in the same stream as it began"),
    CUEMU_ENTRY(cudaErrorStreamCaptureUnjoined, "capturing stream has unjoined work"),
    CUEMU_ENTRY(cudaErrorStreamCaptureIsolation,
                "dependency created on uncaptured work in another stream"),
    CUEMU_ENTRY(cudaErrorStreamCaptureImplicit,
                "operation would make the legacy stream depend on a capturing blocking stream"),
    CUEMU_ENTRY(cudaErrorCapturedEvent,
                "operation not permitted on an event last recorded in a capturing stream"),
    CUEMU_ENTRY(cudaErrorStreamCaptureWrongThread,
                "attempt to terminate a thread-local capture sequence from another thread"),
    CUEMU_ENTRY(cudaErrorUnknown, "unknown error"),
};
#undef CUEMU_ENTRY

const Entry* find(cudaError_t error) {
  for (const Entry& entry : kEntries) {
    if (entry.error == error) return &entry;
  }
  return nullptr;
}

}  // namespace

extern "C" const char* cudaGetErrorName(cudaError_t error) {
  const Entry* const entry = find(error);
  return entry == nullptr ? "unrecognized error code" : entry->name;
}

extern "C" const char* cudaGetErrorString(cudaError_t error) {
  const Entry* const entry = find(error);
  return entry == nullptr ? "unrecognized error code" : entry->text;
}
