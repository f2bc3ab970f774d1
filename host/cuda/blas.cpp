// See blas.h. The library is not linked: its functions are looked up by name. Against the
// emulator, whose cuBLAS is part of the program, they are taken as they are.
#include "host/cuda/blas.h"

#include <dlfcn.h>

#include <filesystem>

#include "host/cuda/libraries.h"
#include "host/errors.h"

#if __has_include(<cublas_v2.h>)
#include <cublas_v2.h>
#define LS_HAVE_CUBLAS 1
#endif

namespace lockstep::cuda {
namespace {

[[noreturn]] void throw_unavailable(const std::string& reason) {
  throw DeviceUnavailable("the dense path on --device cuda needs cuBLAS: " + reason);
}

}  // namespace

void* load_library(std::initializer_list<const char*> names, const char* in_python) {
  std::string reason;
  for (const char* name : names) {
    if (void* library = dlopen(name, RTLD_NOW | RTLD_LOCAL)) return library;
    reason = dlerror();
  }
  for (const std::filesystem::path& path : python_libraries(in_python)) {
    // what it needs is beside it (libcublasLt), where the loader looks only if it was built so;
    // one that is loaded already is not looked for
    std::string needed = in_python;
    if (const std::size_t dot = needed.find(".so"); dot != std::string::npos) {
      needed.insert(dot, "Lt");
      static_cast<void>(dlopen((path.parent_path() / needed).c_str(), RTLD_NOW | RTLD_LOCAL));
    }
    if (void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL)) return library;
    reason = dlerror();
  }
  throw_unavailable(reason);
}

#ifdef LS_HAVE_CUBLAS
namespace {

// what NVIDIA recommends for Hopper; a smaller one could exclude algorithms
constexpr std::int64_t kWorkspace = std::int64_t{32} << 20;

struct Functions {
  decltype(&cublasCreate) create;
  decltype(&cublasDestroy) destroy;
  decltype(&cublasGetVersion) get_version;
  decltype(&cublasSetStream) set_stream;
  decltype(&cublasSetWorkspace) set_workspace;
  decltype(&cublasSetMathMode) set_math_mode;
  decltype(&cublasSetAtomicsMode) set_atomics_mode;
  decltype(&cublasSgemm) sgemm;
};

#ifdef CUEMU_SHARED  // the emulator's headers

constexpr const char* kKind = " (emulated)";

const Functions& functions() {
  static const Functions table = {cublasCreate,         cublasDestroy,      cublasGetVersion,
                                  cublasSetStream,      cublasSetWorkspace, cublasSetMathMode,
                                  cublasSetAtomicsMode, cublasSgemm};
  return table;
}

#else

constexpr const char* kKind = "";

#define LS_TEXT_OF(word) #word
#define LS_NAME_OF(macro) LS_TEXT_OF(macro)  // cublasCreate is a macro for cublasCreate_v2
#define LS_LIBRARY "libcublas.so." LS_NAME_OF(CUBLAS_VER_MAJOR)

template <class Function>
void find(void* library, const char* name, Function& function) {
  void* symbol = dlsym(library, name);
  if (symbol == nullptr) throw_unavailable(std::string("it has no ") + name);
  function = reinterpret_cast<Function>(symbol);
}

const Functions& functions() {
  static const Functions table = [] {
    void* library = load_library({LS_LIBRARY, "/usr/local/cuda/lib64/" LS_LIBRARY}, LS_LIBRARY);
    Functions f{};
    find(library, LS_NAME_OF(cublasCreate), f.create);
    find(library, LS_NAME_OF(cublasDestroy), f.destroy);
    find(library, LS_NAME_OF(cublasGetVersion), f.get_version);
    find(library, LS_NAME_OF(cublasSetStream), f.set_stream);
    find(library, LS_NAME_OF(cublasSetWorkspace), f.set_workspace);
    find(library, LS_NAME_OF(cublasSetMathMode), f.set_math_mode);
    find(library, LS_NAME_OF(cublasSetAtomicsMode), f.set_atomics_mode);
    find(library, LS_NAME_OF(cublasSgemm), f.sgemm);
    return f;
  }();
  return table;
}

#endif

void blas_check(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  // an error of the runtime, if there is one, says more than cuBLAS's
  cuda_check(cudaGetLastError(), what);
  const std::string message = std::string("cuBLAS: ") + what + ": status " + std::to_string(status);
  if (status == CUBLAS_STATUS_ALLOC_FAILED) throw OutOfMemory(message);
  if (status == CUBLAS_STATUS_NOT_INITIALIZED || status == CUBLAS_STATUS_ARCH_MISMATCH) {
    throw DeviceUnavailable(message);
  }
  throw DeviceLost(message);
}

cublasHandle_t handle_of(void* handle) { return static_cast<cublasHandle_t>(handle); }

}  // namespace

CudaBlas::CudaBlas(const Stream& stream) {
  const Functions& f = functions();
  workspace_ = device_memory(kWorkspace, "the dense path needs it as workspace of cuBLAS");
  cublasHandle_t handle = nullptr;
  blas_check(f.create(&handle), "starting the library");
  handle_ = handle;
  try {
    blas_check(f.set_stream(handle, stream.get()), "choosing a stream");  // forgets the workspace
    blas_check(f.set_workspace(handle, workspace_.data(), static_cast<std::size_t>(kWorkspace)),
               "choosing the workspace");
    blas_check(f.set_math_mode(handle, CUBLAS_PEDANTIC_MATH), "choosing the arithmetic");
    blas_check(f.set_atomics_mode(handle, CUBLAS_ATOMICS_NOT_ALLOWED), "forbidding atomics");
    int version = 0;
    blas_check(f.get_version(handle, &version), "asking for the version");
    name_ = "cuBLAS " + std::to_string(version / 10000) + "." +
            std::to_string(version / 100 % 100) + "." + std::to_string(version % 100) + kKind;
  } catch (...) {
    static_cast<void>(f.destroy(handle));
    throw;
  }
}

CudaBlas::~CudaBlas() { static_cast<void>(functions().destroy(handle_of(handle_))); }

// row-major A B^T is column-major B^T' A': B as stored is its transpose's columns
void CudaBlas::multiply_transposed(int m, int n, int k, const float* a, const float* b, float* c) {
  constexpr float kOne = 1.0f, kZero = 0.0f;
  blas_check(functions().sgemm(handle_of(handle_), CUBLAS_OP_T, CUBLAS_OP_N, n, m, k, &kOne, b, k,
                               a, k, &kZero, c, n),
             "multiplying");
}

#else  // a toolkit without cuBLAS's header

CudaBlas::CudaBlas(const Stream&) {
  throw_unavailable("the CUDA toolkit of this build had no cublas_v2.h");
}
CudaBlas::~CudaBlas() = default;
void CudaBlas::multiply_transposed(int, int, int, const float*, const float*, float*) {}

#endif

}  // namespace lockstep::cuda
