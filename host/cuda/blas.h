// cuBLAS, loaded when the first matrix product is wanted: a machine with a driver alone runs
// everything else. What makes its results repeat is pinned here: float32 throughout, no atomics,
// one stream, a workspace of its own.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>

#include "host/cuda/memory.h"

namespace lockstep::cuda {

/// A handle of cuBLAS on one stream.
class CudaBlas {
 public:
  /// Errors: DeviceUnavailable without the library, with the reason; OutOfMemory; DeviceLost.
  explicit CudaBlas(const Stream& stream);
  ~CudaBlas();
  CudaBlas(const CudaBlas&) = delete;
  CudaBlas& operator=(const CudaBlas&) = delete;

  /// C = A B^T, row-major: A [m, k], B [n, k], C [m, n], memory of the device.
  ///
  /// Stream:   asynchronous
  /// Result:   run_to_run for one shape on one device and version of the library: pedantic math (no
  ///           TF32), no atomics, and a workspace of one size, on which its choice of algorithm
  ///           depends
  /// Errors:   DeviceLost
  void multiply_transposed(int m, int n, int k, const float* a, const float* b, float* c);

  /// Such as "cuBLAS 13.0.0".
  const std::string& name() const { return name_; }

 private:
  void* handle_ = nullptr;  // cublasHandle_t
  DeviceMemory workspace_;
  std::string name_;
};

/// The first library of these names that can be loaded, else one called `in_python` of a Python's
/// packages (libraries.h), with the library of the same folder whose name ends in Lt.
/// Errors: DeviceUnavailable if there is none, with the last reason.
void* load_library(std::initializer_list<const char*> names, const char* in_python);

}  // namespace lockstep::cuda
