// For tests that use the emulated device: a check of return codes, a few kernels, memory with an
// owner.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "cuemu/control.h"
#include "kernels/cuda/launch.cuh"

#define ASSERT_OK(call) ASSERT_EQ(call, cudaSuccess)
#define EXPECT_OK(call) EXPECT_EQ(call, cudaSuccess)

namespace cuemu_test {

using lockstep::cuda::launch;

/// out[i] = in[i] + add
static LS_KERNEL(1024) add_kernel(const int* in, int* out, int add, int n) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < n) out[i] = in[i] + add;
}

static LS_KERNEL(1024) set_kernel(int* out, int value) { *out = value; }

inline cudaError_t set_on(cudaStream_t stream, int* out, int value) {
  return launch("set", set_kernel, dim3(1), dim3(1), 0, stream, out, value);
}
inline cudaError_t add_on(cudaStream_t stream, const int* in, int* out, int add, int n = 1) {
  return launch("add", add_kernel, dim3(static_cast<unsigned>(n + 127) / 128), dim3(128), 0, stream,
                in, out, add, n);
}

/// Integers of the device or pinned ones of the host.
class Integers {
 public:
  explicit Integers(std::size_t n, bool pinned = false) : pinned_(pinned) {
    const std::size_t bytes = n * sizeof(int);
    EXPECT_OK(pinned ? cudaMallocHost(&data_, bytes) : cudaMalloc(&data_, bytes));
  }
  ~Integers() { EXPECT_OK(pinned_ ? cudaFreeHost(data_) : cudaFree(data_)); }
  Integers(const Integers&) = delete;
  Integers& operator=(const Integers&) = delete;
  operator int*() const { return data_; }

  /// The first number, of device memory, after everything queued on the null stream.
  int value() const {
    int result = 0;
    EXPECT_OK(cudaMemcpy(&result, data_, sizeof result, cudaMemcpyDeviceToHost));
    return result;
  }

 private:
  int* data_ = nullptr;
  bool pinned_;
};

class Stream {
 public:
  explicit Stream(unsigned flags = cudaStreamNonBlocking) {
    EXPECT_OK(cudaStreamCreateWithFlags(&stream_, flags));
  }
  ~Stream() { EXPECT_OK(cudaStreamDestroy(stream_)); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  operator cudaStream_t() const { return stream_; }

 private:
  cudaStream_t stream_ = nullptr;
};

class Event {
 public:
  explicit Event(unsigned flags = cudaEventDefault) {
    EXPECT_OK(cudaEventCreateWithFlags(&event_, flags));
  }
  ~Event() { EXPECT_OK(cudaEventDestroy(event_)); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  operator cudaEvent_t() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

}  // namespace cuemu_test
