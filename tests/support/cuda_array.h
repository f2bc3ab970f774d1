// Memory of the device for tests: owned, and copied to and from the host by value.
#pragma once

#include <cuda_runtime.h>

#include <stdexcept>
#include <vector>

namespace lockstep::test {

inline void require_cuda(cudaError_t status) {
  if (status != cudaSuccess) throw std::runtime_error(cudaGetErrorName(status));
}

/// Waits for the device; errors of kernels appear here.
inline void wait_for_device() { require_cuda(cudaDeviceSynchronize()); }

template <class T>
class CudaArray {
 public:
  CudaArray() = default;
  explicit CudaArray(const std::vector<T>& values) : count_(values.size()) {
    if (count_ == 0) return;
    void* address = nullptr;
    require_cuda(cudaMalloc(&address, count_ * sizeof(T)));
    data_ = static_cast<T*>(address);
    upload(values);
  }
  ~CudaArray() {
    if (data_ != nullptr) static_cast<void>(cudaFree(data_));
  }
  CudaArray(CudaArray&& other) noexcept { *this = std::move(other); }
  CudaArray& operator=(CudaArray&& other) noexcept {
    std::swap(data_, other.data_);
    std::swap(count_, other.count_);
    return *this;
  }

  T* data() const { return data_; }
  void upload(const std::vector<T>& values) {
    require_cuda(cudaMemcpy(data_, values.data(), count_ * sizeof(T), cudaMemcpyHostToDevice));
  }
  std::vector<T> download() const {
    std::vector<T> values(count_);
    if (count_ > 0) {
      require_cuda(cudaMemcpy(values.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost));
    }
    return values;
  }

 private:
  T* data_ = nullptr;
  std::size_t count_ = 0;
};

}  // namespace lockstep::test
