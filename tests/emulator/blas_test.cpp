#include "tests/emulator/device_test.h"

#include <cublas_v2.h>

namespace cuemu_test {
namespace blas_test {

class BlasTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(cublasCreate(&handle_), CUBLAS_STATUS_SUCCESS); }
  void TearDown() override { EXPECT_EQ(cublasDestroy(handle_), CUBLAS_STATUS_SUCCESS); }

  // Device memory with `n` small whole numbers, so that sums are exact in any order.
  struct Floats {
    explicit Floats(std::size_t n, int step) : host(n) {
      for (std::size_t i = 0; i < n; ++i) {
        host[i] = static_cast<float>(static_cast<int>(i) * step % 13 - 6);
      }
      EXPECT_OK(cudaMalloc(&device, n * sizeof(float)));
      EXPECT_OK(cudaMemcpy(device, host.data(), n * sizeof(float), cudaMemcpyHostToDevice));
    }
    ~Floats() { EXPECT_OK(cudaFree(device)); }
    Floats(const Floats&) = delete;
    Floats& operator=(const Floats&) = delete;
    std::vector<float> now() const {
      std::vector<float> result(host.size());
      EXPECT_OK(
          cudaMemcpy(result.data(), device, host.size() * sizeof(float), cudaMemcpyDeviceToHost));
      return result;
    }
    std::vector<float> host;
    float* device = nullptr;
  };

  cublasHandle_t handle_ = nullptr;
};

// Column-major: element (r, c) of a matrix is [c * leading + r].
TEST_F(BlasTest, AgreesWithTheDefinitionForEveryTransposition) {
  constexpr int m = 3, n = 4, k = 5, lda = 7, ldb = 8, ldc = 6;
  const float alpha = 2;
  const float beta = -1;
  for (const cublasOperation_t ta : {CUBLAS_OP_N, CUBLAS_OP_T}) {
    for (const cublasOperation_t tb : {CUBLAS_OP_N, CUBLAS_OP_T}) {
      const Floats a(lda * 5, 5);
      const Floats b(ldb * 5, 7);
      const Floats c(ldc * n, 3);
      ASSERT_EQ(cublasSgemm(handle_, ta, tb, m, n, k, &alpha, a.device, lda, b.device, ldb, &beta,
                            c.device, ldc),
                CUBLAS_STATUS_SUCCESS);
      ASSERT_OK(cudaDeviceSynchronize());
      std::vector<float> expected = c.host;
      for (int row = 0; row < m; ++row) {
        for (int column = 0; column < n; ++column) {
          float sum = 0;
          for (int i = 0; i < k; ++i) {
            const int at_a = ta == CUBLAS_OP_N ? i * lda + row : row * lda + i;
            const int at_b = tb == CUBLAS_OP_N ? column * ldb + i : i * ldb + column;
            sum += a.host[static_cast<std::size_t>(at_a)] * b.host[static_cast<std::size_t>(at_b)];
          }
          float& cell = expected[static_cast<std::size_t>(column * ldc + row)];
          cell = alpha * sum + beta * cell;
        }
      }
      EXPECT_EQ(c.now(), expected) << ta << tb;
    }
  }
}

TEST_F(BlasTest, BetaZeroReadsNothingFromC) {
  const Floats a(4, 1);
  const Floats b(4, 1);
  const Floats c(4, 1);
  const float one = 1;
  const float zero = 0;
  ASSERT_OK(cudaMemset(c.device, 0xFF, 16));  // NaN
  ASSERT_EQ(cublasGemmEx(handle_, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, &one, a.device, CUDA_R_32F, 2,
                         b.device, CUDA_R_32F, 2, &zero, c.device, CUDA_R_32F, 2,
                         CUBLAS_COMPUTE_32F_FAST_TF32, CUBLAS_GEMM_DEFAULT),
            CUBLAS_STATUS_SUCCESS);
  // ((-6, -4), (-5, -3)) squared
  EXPECT_EQ(c.now(), (std::vector<float>{56, 45, 36, 29}));
}

TEST_F(BlasTest, IsQueuedOnItsStreamAndCaptured) {
  const Stream stream;
  const Floats a(1, 1);
  const Floats c(1, 0);
  const float one = 1;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  ASSERT_EQ(cublasSetStream(handle_, stream), CUBLAS_STATUS_SUCCESS);
  ASSERT_OK(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal));
  ASSERT_EQ(cublasSgemm(handle_, CUBLAS_OP_N, CUBLAS_OP_N, 1, 1, 1, &one, a.device, 1, a.device, 1,
                        &one, c.device, 1),
            CUBLAS_STATUS_SUCCESS);
  ASSERT_OK(cudaStreamEndCapture(stream, &graph));
  ASSERT_OK(cudaGraphInstantiate(&exec, graph));
  EXPECT_EQ(c.now(), (std::vector<float>{-6}));
  for (int i = 0; i < 2; ++i) ASSERT_OK(cudaGraphLaunch(exec, stream));
  ASSERT_OK(cudaStreamSynchronize(stream));
  EXPECT_EQ(c.now(), (std::vector<float>{-6 + 2 * 36}));
  ASSERT_OK(cudaGraphExecDestroy(exec));
  ASSERT_OK(cudaGraphDestroy(graph));
  ASSERT_EQ(cublasSetStream(handle_, nullptr), CUBLAS_STATUS_SUCCESS);
}

TEST_F(BlasTest, RefusesBadArguments) {
  const Floats a(4, 1);
  const float one = 1;
  const auto sgemm = [&](cublasHandle_t handle, int m, int lda) {
    return cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, m, 2, 2, &one, a.device, lda, a.device, 2,
                       &one, a.device, 2);
  };
  EXPECT_EQ(sgemm(nullptr, 2, 2), CUBLAS_STATUS_NOT_INITIALIZED);
  EXPECT_EQ(sgemm(handle_, -1, 2), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(sgemm(handle_, 2, 1), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(sgemm(handle_, 0, 2), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(cublasSetPointerMode(handle_, CUBLAS_POINTER_MODE_DEVICE), CUBLAS_STATUS_NOT_SUPPORTED);
  EXPECT_STREQ(cublasGetStatusName(CUBLAS_STATUS_INVALID_VALUE), "CUBLAS_STATUS_INVALID_VALUE");
}

TEST_F(BlasTest, MatrixPastItsAllocationStopsTheProcess) {
  const Floats a(4, 1);
  const float one = 1;
  EXPECT_EXIT(static_cast<void>(cublasSgemm(handle_, CUBLAS_OP_N, CUBLAS_OP_N, 2, 3, 2, &one,
                                            a.device, 2, a.device, 2, &one, a.device, 2)),
              testing::ExitedWithCode(86), "matrix B does not lie in one device allocation");
}

TEST_F(BlasTest, PlantedFailureComesOutAsAStatus) {
  const Floats a(4, 1);
  const float one = 1;
  cuemu_set_fail(1);
  EXPECT_EQ(cublasSgemm(handle_, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, &one, a.device, 2, a.device, 2,
                        &one, a.device, 2),
            CUBLAS_STATUS_EXECUTION_FAILED);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorLaunchFailure);
  cuemu_set_fail(0);
}

}  // namespace blas_test
}  // namespace cuemu_test
