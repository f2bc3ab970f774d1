// See blas.h. The library stays loaded to the end of the process: its threads and buffers are its
// own.
#include "host/cpu/blas.h"

#include <dlfcn.h>

#include "host/errors.h"

namespace lockstep {
namespace {

constexpr const char* kLibrary = "libopenblas.so.0";

// CBLAS's constants; its header would be one more thing to install
constexpr int kRowMajor = 101, kNoTranspose = 111, kTranspose = 112;

[[noreturn]] void throw_unavailable(const std::string& reason) {
  throw DeviceUnavailable("the dense path needs OpenBLAS (Debian: libopenblas0): " + reason);
}

template <class Function>
Function find(void* library, const char* file, const char* name) {
  void* symbol = dlsym(library, name);
  if (symbol == nullptr) throw_unavailable(std::string(file) + " has no " + name);
  return reinterpret_cast<Function>(symbol);
}

}  // namespace

Blas::Blas(const char* file) {
  void* library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw_unavailable(dlerror());
  sgemm_ = find<Sgemm>(library, file, "cblas_sgemm");
  // the batch is split over our own threads, in tiles of one shape; a product is one thread's
  find<void (*)(int)>(library, file, "openblas_set_num_threads")(1);
  const std::string config = find<const char* (*)()>(library, file, "openblas_get_config")();
  const auto words = config.find(' ', config.find(' ') + 1);  // "OpenBLAS 0.3.21 NO_LAPACKE ..."
  name_ = config.substr(0, words) + ", kernels " +
          find<const char* (*)()>(library, file, "openblas_get_corename")();
}

const Blas& Blas::get() {
  static const Blas blas(kLibrary);
  return blas;
}

void Blas::multiply_transposed(int m, int n, int k, const float* a, const float* b,
                               float* c) const {
  sgemm_(kRowMajor, kNoTranspose, kTranspose, m, n, k, 1.0f, a, k, b, k, 0.0f, c, n);
}

}  // namespace lockstep
