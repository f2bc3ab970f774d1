// OpenBLAS, loaded when the first matrix product is wanted: the program does not link it and starts
// no slower for it. Decided here: which library, that a product runs on the thread that asks for
// it, and the message where there is none.
#pragma once

#include <cstdint>
#include <string>

namespace lockstep {

/// The part of OpenBLAS the dense path uses.
class Blas {
 public:
  /// Loads a library by its file name.
  /// Errors: DeviceUnavailable with the reason and the Debian package.
  explicit Blas(const char* file);
  /// The process's OpenBLAS, loaded at the first call and kept. Errors: as above.
  static const Blas& get();

  /// C = A B^T, row-major: A [m, k], B [n, k], C [m, n].
  ///
  /// Result: run_to_run for one shape on one processor; the order of summation is the library's,
  /// and
  ///         it may be another for another shape.
  void multiply_transposed(int m, int n, int k, const float* a, const float* b, float* c) const;

  /// Such as "OpenBLAS 0.3.21, kernels SkylakeX".
  const std::string& name() const { return name_; }

 private:
  using Sgemm = void (*)(int order, int transpose_a, int transpose_b, int m, int n, int k,
                         float alpha, const float* a, int lda, const float* b, int ldb, float beta,
                         float* c, int ldc);
  Sgemm sgemm_ = nullptr;
  std::string name_;
};

}  // namespace lockstep
