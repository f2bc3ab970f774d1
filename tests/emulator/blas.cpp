// cuBLAS as plain loops: test sizes need no more, and a BLAS library would bring its threads.
#include <algorithm>

#include "cublas_v2.h"
#include "tests/emulator/runtime.h"

struct cublasContext {
  cudaStream_t stream = nullptr;
};

namespace cuemu {
namespace {

std::set<cublasHandle_t>& handles() {
  static auto* const all = new std::set<cublasHandle_t>;
  return *all;
}

// Runs `body` as an API call; what stops the call itself becomes `failed`.
template <class Body>
cublasStatus_t blas_call(CallKind kind, cublasStatus_t failed, Body body) {
  cublasStatus_t status = failed;
  const cudaError_t error = api(kind, [&] {
    status = body();
    return cudaSuccess;
  });
  return error == cudaSuccess ? status : failed;
}

// A setting of a handle that changes nothing here.
cublasStatus_t accept(cublasHandle_t handle) {
  return blas_call(CallKind::kCreate, CUBLAS_STATUS_INTERNAL_ERROR, [&] {
    return handles().contains(handle) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_INITIALIZED;
  });
}

struct Matrix {
  const float* data;
  int leading;
  int rows, columns;  ///< as stored
};

// A matrix past the end of its allocation shows in every build, not under the address sanitizer
// alone.
void require_inside(const char* name, const Matrix& matrix) {
  if (matrix.rows == 0 || matrix.columns == 0) return;
  const std::size_t floats =
      static_cast<std::size_t>(matrix.columns - 1) * static_cast<std::size_t>(matrix.leading) +
      static_cast<std::size_t>(matrix.rows);
  if (!is_device_range(matrix.data, floats * sizeof(float))) {
    stop(std::string("cublasSgemm: matrix ") + name + " does not lie in one device allocation");
  }
}

cublasStatus_t gemm(cublasHandle_t handle, cublasOperation_t transa, cublasOperation_t transb,
                    int m, int n, int k, float alpha, const float* a, int lda, const float* b,
                    int ldb, float beta, float* c, int ldc) {
  if (!handles().contains(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
  const bool ta = transa != CUBLAS_OP_N;
  const bool tb = transb != CUBLAS_OP_N;
  const Matrix ma{a, lda, ta ? k : m, ta ? m : k};
  const Matrix mb{b, ldb, tb ? n : k, tb ? k : n};
  const Matrix mc{c, ldc, m, n};
  if (m < 0 || n < 0 || k < 0) return CUBLAS_STATUS_INVALID_VALUE;
  for (const Matrix& matrix : {ma, mb, mc}) {
    if (matrix.leading < std::max(1, matrix.rows)) return CUBLAS_STATUS_INVALID_VALUE;
  }
  if (m == 0 || n == 0) return CUBLAS_STATUS_SUCCESS;
  require_inside("A", ma);
  require_inside("B", mb);
  require_inside("C", mc);
  const auto stream = find_stream(handle->stream);
  if (stream == nullptr) return CUBLAS_STATUS_EXECUTION_FAILED;
  ++runtime().counters.launches;
  const cudaError_t error = submit(stream, [=] {
    for (std::int64_t column = 0; column < n; ++column) {
      for (std::int64_t row = 0; row < m; ++row) {
        float sum = 0;
        for (std::int64_t i = 0; i < k; ++i) {
          sum +=
              a[ta ? row * lda + i : i * lda + row] * b[tb ? i * ldb + column : column * ldb + i];
        }
        float& cell = c[column * ldc + row];
        cell = beta == 0 ? alpha * sum : alpha * sum + beta * cell;  // 0 also overwrites NaN
      }
    }
  });
  return error == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

struct StatusName {
  cublasStatus_t status;
  const char* name;
  const char* text;
};

#define CUEMU_STATUS(status, text) \
  { status, #status, text }
constexpr StatusName kStatusNames[] = {
    CUEMU_STATUS(CUBLAS_STATUS_SUCCESS, "success"),
    CUEMU_STATUS(CUBLAS_STATUS_NOT_INITIALIZED, "the library was not initialized"),
    CUEMU_STATUS(CUBLAS_STATUS_ALLOC_FAILED, "the resource allocation failed"),
    CUEMU_STATUS(CUBLAS_STATUS_INVALID_VALUE, "an unsupported value or parameter was passed"),
    CUEMU_STATUS(CUBLAS_STATUS_ARCH_MISMATCH, "the device lacks a feature that is needed"),
    CUEMU_STATUS(CUBLAS_STATUS_MAPPING_ERROR, "an access to GPU memory space failed"),
    CUEMU_STATUS(CUBLAS_STATUS_EXECUTION_FAILED, "the function failed to launch on the GPU"),
    CUEMU_STATUS(CUBLAS_STATUS_INTERNAL_ERROR, "an internal operation failed"),
    CUEMU_STATUS(CUBLAS_STATUS_NOT_SUPPORTED, "the functionality is not supported"),
};
#undef CUEMU_STATUS

const StatusName& find_status(cublasStatus_t status) {
  static constexpr StatusName kUnknown = {CUBLAS_STATUS_SUCCESS, "unknown", "unknown status"};
  for (const StatusName& entry : kStatusNames) {
    if (entry.status == status) return entry;
  }
  return kUnknown;
}

}  // namespace
}  // namespace cuemu

using namespace cuemu;

extern "C" {

cublasStatus_t cublasCreate(cublasHandle_t* handle) {
  return blas_call(CallKind::kCreate, CUBLAS_STATUS_NOT_INITIALIZED, [&] {
    if (handle == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
    if (refuse_while_capturing() != cudaSuccess) return CUBLAS_STATUS_ALLOC_FAILED;
    *handle = new cublasContext;
    handles().insert(*handle);
    ++runtime().other_objects;
    return CUBLAS_STATUS_SUCCESS;
  });
}

cublasStatus_t cublasDestroy(cublasHandle_t handle) {
  return blas_call(CallKind::kRelease, CUBLAS_STATUS_NOT_INITIALIZED, [&] {
    if (handles().erase(handle) == 0) return CUBLAS_STATUS_NOT_INITIALIZED;
    delete handle;
    --runtime().other_objects;
    return CUBLAS_STATUS_SUCCESS;
  });
}

cublasStatus_t cublasGetVersion(cublasHandle_t, int* version) {
  if (version == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  *version = 130100;
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasSetStream(cublasHandle_t handle, cudaStream_t stream) {
  return blas_call(CallKind::kCreate, CUBLAS_STATUS_INTERNAL_ERROR, [&] {
    if (!handles().contains(handle)) return CUBLAS_STATUS_NOT_INITIALIZED;
    if (find_stream(stream) == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
    handle->stream = stream;
    return CUBLAS_STATUS_SUCCESS;
  });
}

cublasStatus_t cublasSetWorkspace(cublasHandle_t handle, void* workspace, std::size_t bytes) {
  if (bytes > 0 && workspace == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
  return accept(handle);
}
cublasStatus_t cublasSetMathMode(cublasHandle_t handle, cublasMath_t) { return accept(handle); }
cublasStatus_t cublasSetAtomicsMode(cublasHandle_t handle, cublasAtomicsMode_t) {
  return accept(handle);
}
cublasStatus_t cublasSetPointerMode(cublasHandle_t handle, cublasPointerMode_t mode) {
  return mode == CUBLAS_POINTER_MODE_HOST ? accept(handle) : CUBLAS_STATUS_NOT_SUPPORTED;
}

const char* cublasGetStatusName(cublasStatus_t status) { return find_status(status).name; }
const char* cublasGetStatusString(cublasStatus_t status) { return find_status(status).text; }

cublasStatus_t cublasSgemm(cublasHandle_t handle, cublasOperation_t transa,
                           cublasOperation_t transb, int m, int n, int k, const float* alpha,
                           const float* a, int lda, const float* b, int ldb, const float* beta,
                           float* c, int ldc) {
  return blas_call(CallKind::kLaunch, CUBLAS_STATUS_EXECUTION_FAILED, [&] {
    if (alpha == nullptr || beta == nullptr) return CUBLAS_STATUS_INVALID_VALUE;
    return gemm(handle, transa, transb, m, n, k, *alpha, a, lda, b, ldb, *beta, c, ldc);
  });
}

cublasStatus_t cublasGemmEx(cublasHandle_t handle, cublasOperation_t transa,
                            cublasOperation_t transb, int m, int n, int k, const void* alpha,
                            const void* a, cudaDataType a_type, int lda, const void* b,
                            cudaDataType b_type, int ldb, const void* beta, void* c,
                            cudaDataType c_type, int ldc, cublasComputeType_t, cublasGemmAlgo_t) {
  if (a_type != CUDA_R_32F || b_type != CUDA_R_32F || c_type != CUDA_R_32F) {
    return CUBLAS_STATUS_NOT_SUPPORTED;
  }
  return cublasSgemm(handle, transa, transb, m, n, k, static_cast<const float*>(alpha),
                     static_cast<const float*>(a), lda, static_cast<const float*>(b), ldb,
                     static_cast<const float*>(beta), static_cast<float*>(c), ldc);
}

}  // extern "C"
