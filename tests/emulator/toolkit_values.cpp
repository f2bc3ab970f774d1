// Prints what a program can see of the constants and types it uses: one line each, "name = value".
// Built twice, with the emulator's headers and with the toolkit's; toolkit_test.cpp compares the
// two.
#include <cublas_v2.h>
#include <cuda_runtime.h>

#include <cstdio>

#define VALUE(name) std::printf(#name " = %lld\n", static_cast<long long>(name))
#define TYPE(name) std::printf(#name " = %zu bytes, %zu\n", sizeof(name), alignof(name))
#define ERROR(name)                                                                            \
  std::printf(#name " = %lld, %s: %s\n", static_cast<long long>(name), cudaGetErrorName(name), \
              cudaGetErrorString(name))

static void print_errors() {
  ERROR(cudaSuccess);
  ERROR(cudaErrorInvalidValue);
  ERROR(cudaErrorMemoryAllocation);
  ERROR(cudaErrorInitializationError);
  ERROR(cudaErrorInvalidConfiguration);
  ERROR(cudaErrorInvalidSymbol);
  ERROR(cudaErrorInvalidMemcpyDirection);
  ERROR(cudaErrorInsufficientDriver);
  ERROR(cudaErrorInvalidDeviceFunction);
  ERROR(cudaErrorNoDevice);
  ERROR(cudaErrorInvalidDevice);
  ERROR(cudaErrorNoKernelImageForDevice);
  ERROR(cudaErrorECCUncorrectable);
  ERROR(cudaErrorUnsupportedPtxVersion);
  ERROR(cudaErrorInvalidResourceHandle);
  ERROR(cudaErrorIllegalState);
  ERROR(cudaErrorNotReady);
  ERROR(cudaErrorIllegalAddress);
  ERROR(cudaErrorLaunchOutOfResources);
  ERROR(cudaErrorLaunchTimeout);
  ERROR(cudaErrorAssert);
  ERROR(cudaErrorIllegalInstruction);
  ERROR(cudaErrorMisalignedAddress);
  ERROR(cudaErrorLaunchFailure);
  ERROR(cudaErrorNotPermitted);
  ERROR(cudaErrorNotSupported);
  ERROR(cudaErrorSystemNotReady);
  ERROR(cudaErrorStreamCaptureUnsupported);
  ERROR(cudaErrorStreamCaptureInvalidated);
  ERROR(cudaErrorStreamCaptureMerge);
  ERROR(cudaErrorStreamCaptureUnmatched);
  ERROR(cudaErrorStreamCaptureUnjoined);
  ERROR(cudaErrorStreamCaptureIsolation);
  ERROR(cudaErrorStreamCaptureImplicit);
  ERROR(cudaErrorCapturedEvent);
  ERROR(cudaErrorStreamCaptureWrongThread);
  ERROR(cudaErrorUnknown);
  ERROR(static_cast<cudaError_t>(1000));
}

static void print_constants() {
  VALUE(CUDART_VERSION);
  VALUE(cudaMemcpyHostToHost);
  VALUE(cudaMemcpyHostToDevice);
  VALUE(cudaMemcpyDeviceToHost);
  VALUE(cudaMemcpyDeviceToDevice);
  VALUE(cudaMemcpyDefault);
  VALUE(cudaStreamCaptureStatusNone);
  VALUE(cudaStreamCaptureStatusActive);
  VALUE(cudaStreamCaptureStatusInvalidated);
  VALUE(cudaStreamCaptureModeGlobal);
  VALUE(cudaStreamCaptureModeThreadLocal);
  VALUE(cudaStreamCaptureModeRelaxed);
  VALUE(cudaFuncAttributeMaxDynamicSharedMemorySize);
  VALUE(cudaFuncAttributePreferredSharedMemoryCarveout);
  VALUE(cudaDevAttrMaxThreadsPerBlock);
  VALUE(cudaDevAttrMaxSharedMemoryPerBlock);
  VALUE(cudaDevAttrWarpSize);
  VALUE(cudaDevAttrMaxRegistersPerBlock);
  VALUE(cudaDevAttrClockRate);
  VALUE(cudaDevAttrMultiProcessorCount);
  VALUE(cudaDevAttrMemoryClockRate);
  VALUE(cudaDevAttrGlobalMemoryBusWidth);
  VALUE(cudaDevAttrL2CacheSize);
  VALUE(cudaDevAttrMaxThreadsPerMultiProcessor);
  VALUE(cudaDevAttrComputeCapabilityMajor);
  VALUE(cudaDevAttrComputeCapabilityMinor);
  VALUE(cudaDevAttrMaxSharedMemoryPerMultiprocessor);
  VALUE(cudaDevAttrMaxSharedMemoryPerBlockOptin);
  VALUE(cudaStreamDefault);
  VALUE(cudaStreamNonBlocking);
  VALUE(cudaEventDefault);
  VALUE(cudaEventBlockingSync);
  VALUE(cudaEventDisableTiming);
  VALUE(cudaEventWaitDefault);
  VALUE(cudaHostAllocDefault);
  VALUE(cudaHostAllocPortable);
  VALUE(CUBLAS_STATUS_SUCCESS);
  VALUE(CUBLAS_STATUS_NOT_INITIALIZED);
  VALUE(CUBLAS_STATUS_ALLOC_FAILED);
  VALUE(CUBLAS_STATUS_INVALID_VALUE);
  VALUE(CUBLAS_STATUS_ARCH_MISMATCH);
  VALUE(CUBLAS_STATUS_MAPPING_ERROR);
  VALUE(CUBLAS_STATUS_EXECUTION_FAILED);
  VALUE(CUBLAS_STATUS_INTERNAL_ERROR);
  VALUE(CUBLAS_STATUS_NOT_SUPPORTED);
  VALUE(CUBLAS_OP_N);
  VALUE(CUBLAS_OP_T);
  VALUE(CUBLAS_OP_C);
  VALUE(CUBLAS_POINTER_MODE_HOST);
  VALUE(CUBLAS_POINTER_MODE_DEVICE);
  VALUE(CUBLAS_ATOMICS_NOT_ALLOWED);
  VALUE(CUBLAS_ATOMICS_ALLOWED);
  VALUE(CUBLAS_DEFAULT_MATH);
  VALUE(CUBLAS_TENSOR_OP_MATH);
  VALUE(CUBLAS_PEDANTIC_MATH);
  VALUE(CUBLAS_TF32_TENSOR_OP_MATH);
  VALUE(CUBLAS_COMPUTE_32F);
  VALUE(CUBLAS_COMPUTE_32F_PEDANTIC);
  VALUE(CUBLAS_COMPUTE_32F_FAST_TF32);
  VALUE(CUBLAS_GEMM_DEFAULT);
  VALUE(CUBLAS_GEMM_DEFAULT_TENSOR_OP);
  VALUE(CUDA_R_32F);
}

static void print_types() {
  TYPE(dim3);
  TYPE(uint3);
  TYPE(int2);
  TYPE(uint2);
  TYPE(float2);
  TYPE(double2);
  TYPE(int3);
  TYPE(float3);
  TYPE(int4);
  TYPE(uint4);
  TYPE(float4);
  TYPE(longlong2);
  TYPE(ulonglong2);
  TYPE(cudaStream_t);
}

// What a machine without a driver says, whichever runtime asks.
static void print_calls() {
  int number = -1;
  void* memory = nullptr;
  cudaStream_t stream = nullptr;
  VALUE(cudaDriverGetVersion(&number));
  VALUE(number);
  VALUE(cudaRuntimeGetVersion(&number));
  VALUE(number);
  VALUE(cudaGetDeviceCount(&number));
  VALUE(number);
  VALUE(cudaMalloc(&memory, 4));
  VALUE(cudaStreamCreate(&stream));
  VALUE(cudaDeviceSynchronize());
  VALUE(cudaPeekAtLastError());
  VALUE(cudaGetLastError());
  VALUE(cudaGetLastError());
}

int main(int count, char**) {
  print_errors();
  print_constants();
  print_types();
  if (count > 1) print_calls();
}
