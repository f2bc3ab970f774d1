// Owners of what the CUDA runtime hands out, and the one place where its errors become exceptions.
// Everything is move-only; destructors never throw and report nothing: a device that fails has told
// so before, at a call that was checked.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "host/errors.h"

namespace lockstep::cuda {

/// A call that this program made wrongly, or an error it has no better name for.
class CudaError : public RunFailure {
 public:
  CudaError(cudaError_t status, const std::string& message)
      : RunFailure(message), status_(status) {}
  cudaError_t status() const noexcept { return status_; }

 private:
  cudaError_t status_;
};

/// Returns if `status` is cudaSuccess; `what` says what was being done. Clears the runtime's last
/// error.
/// Errors: OutOfMemory; DeviceUnavailable if no device can be had; CudaError for wrong calls;
/// DeviceLost for all that ends a context: nothing works in this process after it
void cuda_check(cudaError_t status, const char* what, const char* file = __builtin_FILE(),
                int line = __builtin_LINE());

/// Why a device cannot be had, in a few words; empty for errors of another kind.
std::string unavailable_reason(cudaError_t status);

/// A handle with the function that gives it back.
template <class Handle, auto kGiveBack>
class Owner {
 public:
  Owner() = default;
  explicit Owner(Handle handle) : handle_(handle) {}
  ~Owner() {
    if (handle_ != Handle{} && kGiveBack(handle_) != cudaSuccess) {
      static_cast<void>(cudaGetLastError());
    }
  }
  Owner(Owner&& other) noexcept : handle_(std::exchange(other.handle_, Handle{})) {}
  Owner& operator=(Owner&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }

  Handle get() const { return handle_; }
  explicit operator bool() const { return handle_ != Handle{}; }

 private:
  Handle handle_{};
};

using Stream = Owner<cudaStream_t, cudaStreamDestroy>;
using Event = Owner<cudaEvent_t, cudaEventDestroy>;

/// Errors: as cuda_check().
Stream make_stream();  // not ordered with the null stream
Event make_event();    // with time

/// Uninitialised bytes of the device, or of the host where the device can copy without a detour.
template <auto kFree>
class Memory {
 public:
  Memory() = default;
  Memory(void* memory, std::int64_t bytes) : memory_(memory), bytes_(bytes) {}

  std::byte* data() const { return static_cast<std::byte*>(memory_.get()); }
  std::int64_t bytes() const { return bytes_; }

 private:
  Owner<void*, kFree> memory_;
  std::int64_t bytes_ = 0;
};
using DeviceMemory = Memory<cudaFree>;
using PinnedMemory = Memory<cudaFreeHost>;

/// Errors: OutOfMemory with the bytes wanted, the bytes free, and `advice` on what to ask less of.
DeviceMemory device_memory(std::int64_t bytes, const char* advice);
/// Zeros, in the order of the stream: for what is copied back as a whole, with gaps between arrays
/// and lanes that nobody writes.
/// Errors: as device_memory() and cuda_check()
DeviceMemory cleared_memory(std::int64_t bytes, const char* advice, const Stream& stream);
/// Errors: as cuda_check()
void clear(void* memory, std::int64_t bytes, const Stream& stream);
/// Errors: OutOfMemory with the bytes wanted.
PinnedMemory pinned_memory(std::int64_t bytes);

/// Memory that has room for `bytes`: the same if it has, else new, half as large again.
template <class Kind, class Make>
void grow(Kind& memory, std::int64_t bytes, Make&& make) {
  if (memory.bytes() < bytes) memory = Kind{};  // the old one goes before the new one comes
  if (memory.bytes() < bytes) memory = make(bytes + bytes / 2);
}

}  // namespace lockstep::cuda
