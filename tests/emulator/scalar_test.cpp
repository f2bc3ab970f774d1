// Atomics, bit operations and conversions. The values are those of the CUDA Math API's
// documentation.
#include "tests/emulator/device_test.h"

#include <cmath>
#include <limits>

namespace cuemu_test {
namespace scalar_test {

TEST(AtomicTest, ReturnsTheOldValueAndStoresTheNew) {
  int i = 5;
  EXPECT_EQ(atomicAdd(&i, 3), 5);
  EXPECT_EQ(atomicSub(&i, 1), 8);
  EXPECT_EQ(atomicMax(&i, -2), 7);
  EXPECT_EQ(atomicMax(&i, 9), 7);
  EXPECT_EQ(atomicMin(&i, 12), 9);
  EXPECT_EQ(atomicMin(&i, -4), 9);
  EXPECT_EQ(atomicExch(&i, 2), -4);
  EXPECT_EQ(atomicCAS(&i, 1, 50), 2);
  EXPECT_EQ(atomicCAS(&i, 2, 50), 2);
  EXPECT_EQ(i, 50);
  unsigned u = 0x0fu;
  EXPECT_EQ(atomicAnd(&u, 0x3cu), 0x0fu);
  EXPECT_EQ(atomicOr(&u, 0x30u), 0x0cu);
  EXPECT_EQ(atomicXor(&u, 0xffu), 0x3cu);
  EXPECT_EQ(atomicMax(&u, 0xffffffffu), 0xc3u);
  EXPECT_EQ(atomicAdd(&u, 2), 0xffffffffu);
  EXPECT_EQ(u, 1u);
  unsigned long long w = 1ull << 63;
  EXPECT_EQ(atomicMin(&w, 1ull << 40), 1ull << 63);
  EXPECT_EQ(atomicAdd(&w, ~0ull), 1ull << 40);
  EXPECT_EQ(w, (1ull << 40) - 1);
  float f = 1.5f;
  EXPECT_EQ(atomicAdd(&f, 0.25f), 1.5f);
  EXPECT_EQ(atomicExch(&f, 8.0f), 1.75f);
  double d = 1.5;
  EXPECT_EQ(atomicAdd(&d, -2.0), 1.5);
  EXPECT_EQ(d, -0.5);
}

template <int kUnused>
LS_KERNEL(128)
add_atomically(int* integers, float* floats) {
  atomicAdd(integers, 1);
  atomicAdd(floats, 0.5f);
  atomicMax(integers + 1, static_cast<int>(threadIdx.x * 7 % 128));
}

TEST(AtomicTest, NoUpdateIsLost) {
  const Integers integers(2);
  float* floats = nullptr;
  ASSERT_OK(cudaMalloc(&floats, sizeof(float)));
  ASSERT_OK(cudaMemset(integers, 0, 2 * sizeof(int)));
  ASSERT_OK(cudaMemset(floats, 0, sizeof(float)));
  ASSERT_OK(launch("add", add_atomically<0>, dim3(4), dim3(128), 0, nullptr, integers, floats));
  int counts[2] = {};
  float sum = 0;
  ASSERT_OK(cudaMemcpy(counts, integers, sizeof counts, cudaMemcpyDeviceToHost));
  ASSERT_OK(cudaMemcpy(&sum, floats, sizeof sum, cudaMemcpyDeviceToHost));
  ASSERT_OK(cudaFree(floats));
  EXPECT_EQ(counts[0], 512);
  EXPECT_EQ(counts[1], 127);
  EXPECT_EQ(sum, 256.0f);
}

TEST(BitsTest, CountsAndFinds) {
  EXPECT_EQ(__popc(0xf00fu), 8);
  EXPECT_EQ(__popcll(~0ull), 64);
  EXPECT_EQ(__clz(0), 32);
  EXPECT_EQ(__clz(1), 31);
  EXPECT_EQ(__clz(-1), 0);
  EXPECT_EQ(__clzll(1), 63);
  EXPECT_EQ(__ffs(0), 0);
  EXPECT_EQ(__ffs(8), 4);
  EXPECT_EQ(__ffsll(1ll << 40), 41);
  EXPECT_EQ(__umulhi(0xffffffffu, 0xffffffffu), 0xfffffffeu);
  EXPECT_EQ(__mulhi(-1, 1), -1);
  EXPECT_EQ(__funnelshift_l(0x80000000u, 1u, 1), 3u);
  EXPECT_EQ(__funnelshift_r(0x80000000u, 1u, 31), 3u);
  EXPECT_EQ(__float_as_uint(1.0f), 0x3f800000u);
  EXPECT_EQ(__int_as_float(__float_as_int(-2.5f)), -2.5f);
  EXPECT_EQ(__longlong_as_double(__double_as_longlong(0.1)), 0.1);
}

TEST(ConversionTest, RoundsToEvenAndSaturates) {
  constexpr int kMost = std::numeric_limits<int>::max();
  constexpr int kLeast = std::numeric_limits<int>::min();
  EXPECT_EQ(__float2int_rn(2.5f), 2);
  EXPECT_EQ(__float2int_rn(3.5f), 4);
  EXPECT_EQ(__float2int_rn(-2.5f), -2);
  EXPECT_EQ(__float2int_rn(3e9f), kMost);
  EXPECT_EQ(__float2int_rn(2147483648.0f), kMost);
  EXPECT_EQ(__float2int_rn(-3e9f), kLeast);
  EXPECT_EQ(__float2int_rn(std::nanf("")), 0);
  EXPECT_EQ(__float2int_rz(-2.9f), -2);
  EXPECT_EQ(__float2int_rd(-2.1f), -3);
  EXPECT_EQ(__double2int_rn(2147483647.4), kMost);
  EXPECT_EQ(__double2int_rn(2147483647.6), kMost);
  EXPECT_EQ(__double2int_rn(-2147483648.4), kLeast);
  EXPECT_EQ(__float2ll_rn(1e19f), std::numeric_limits<long long>::max());
  EXPECT_EQ(__double2ll_rn(-0.5), 0);
  EXPECT_EQ(__int2float_rn(16777217), 16777216.0f);
}

}  // namespace scalar_test
}  // namespace cuemu_test
