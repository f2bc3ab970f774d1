// Tests for envs/math.h. A part of all floats is tried here, all of them in math_domain_test.cpp
// and math_exhaustive_test.cpp.
#include "envs/math.h"

#include <gtest/gtest.h>

#include "tests/envs/math_errors.h"
#include "tests/support/math_packs.h"

namespace lockstep {
namespace math_test {

using namespace test;  // NOLINT: vocabulary of the sweeps

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr std::uint32_t kStride = 1021;  // a prime, so that all patterns of low bits occur

TEST(ExpTest, KeepsItsErrorBound) {
  check_exp(0.0f, kLargest, kStride);
  // around every multiple of ln 2 / 2, where the argument reduction turns over
  for (int k = 0; k < 240; ++k) {
    const auto center = bits_of_float(static_cast<float>(k * 0.34657359027997264));
    check_exp(float_of(center < 64 ? 0 : center - 64), float_of(center + 64), 1);
  }
}

TEST(ExpTest, IsExactAtZeroAndClampsFarArguments) {
  EXPECT_EQ(exp(0.0f), 1.0f);
  EXPECT_EQ(exp(-0.0f), 1.0f);
  EXPECT_EQ(exp(kSmallest), 1.0f);
  EXPECT_EQ(exp(1e30f), exp(83.0f));
  EXPECT_EQ(exp(kInfinity), exp(83.0f));
  EXPECT_EQ(exp(-kInfinity), exp(-83.0f));
  EXPECT_EQ(exp(kNaN), exp(-83.0f));  // documented: the clamp takes its bound
  EXPECT_TRUE(std::isnormal(exp(-83.0f)));
  EXPECT_TRUE(std::isfinite(1.0f + exp(83.0f)));
}

TEST(LogTest, KeepsItsErrorBound) {
  check_log(1.0f, 2.0f, 3);  // log(1 + exp(-|z|)) has its arguments here
  check_log(kSmallestNormal, kLargest, kStride);
}

TEST(LogTest, IsExactAtOneAndFiniteWhereItIsNotDefined) {
  EXPECT_EQ(log(1.0f), 0.0f);
  for (const float x : {0.0f, kSmallest, kInfinity, kNaN}) EXPECT_TRUE(std::isfinite(log(x))) << x;
}

TEST(SincosSmallTest, KeepsItsErrorBounds) {
  check_sincos_small(0.0f, 0.22f, kStride);
  check_sincos_small(float_of(bits_of_float(0.22f) - 100000), 0.22f, 1);
}

TEST(SincosAnyTest, KeepsItsErrorBounds) {
  check_sincos_any(0.0f, kLargest, 4 * kStride);
  check_sincos_any(float_of(0x38800000 - 2000), float_of(0x38800000 + 2000), 1);  // 2^-14
  // around multiples of pi / 4, where quadrants turn over and the remainder cancels
  for (int k = 1; k < 20000; k += k < 64 ? 1 : 97) {
    const auto center = bits_of_float(static_cast<float>(k * 0.78539816339744831));
    check_sincos_any(float_of(center - 8), float_of(center + 8), 1);
  }
}

TEST(SincosAnyTest, KeepsItsErrorBoundsWhereCancellationIsWorst) {
  // the floats closest to a multiple of pi/2, relative to it: found by trying all of them
  for (const std::uint32_t bits : {0x6f79be45u, 0x50a3e87fu, 0x6ff9be45u, 0x5123e87fu, 0x7079be45u,
                                   0x6a1976f1u, 0x53b146a6u, 0x65898498u}) {
    check_sincos_any(float_of(bits - 2), float_of(bits + 2), 1);
  }
}

TEST(SincosAnyTest, IsNaNForWhatIsNotFinite) {
  for (const float x : {kInfinity, -kInfinity, kNaN}) {
    float s = 0, c = 0;
    sincos_any(x, s, c);
    EXPECT_TRUE(std::isnan(s) && std::isnan(c)) << x;
  }
}

TEST(SincosAnyTest, KeepsTheSignOfZero) {
  float s, c;
  sincos_any(-0.0f, s, c);
  EXPECT_EQ(bits_of_float(s), bits_of_float(-0.0f));
  EXPECT_EQ(c, 1.0f);
}

TEST(RoundToIntTest, RoundsTiesToEven) {
  EXPECT_EQ(round_to_int(0.5f), 0);
  EXPECT_EQ(round_to_int(1.5f), 2);
  EXPECT_EQ(round_to_int(-2.5f), -2);
  EXPECT_EQ(round_to_int(8388607.0f), 8388607);
}

TEST(PackTest, MathHasTheBitsOfTheScalarFunctions) {
  if (math_packs().empty()) GTEST_SKIP() << "this processor has no AVX2";
  for (const MathBatch* pack : math_packs()) {
    EXPECT_EQ(differing_bits(*pack, 4 * kStride), 0u) << pack->lanes << " lanes";
  }
}

TEST(PackTest, RandomNumbersHaveTheBitsOfTheScalarFunctions) {
  if (math_packs().empty()) GTEST_SKIP() << "this processor has no AVX2";
  constexpr int kCount = 1024;
  for (const bool by_lane : {false, true})
    for (const MathBatch* pack : math_packs()) {
      std::vector<std::uint32_t> env(kCount);
      for (std::uint32_t i = 0; i < kCount; ++i) env[i] = i * 0x9e3779b1u;
      std::vector<std::int32_t> words(4 * kCount);
      constexpr std::uint64_t kSeed = 0xfedcba9876543210u;
      pack->random(env.data(), 77, by_lane, kSeed, words.data(), kCount);
      std::vector<float> u(4 * kCount);
      std::vector<std::uint32_t> unsigned_words(words.begin(), words.end());
      pack->uniform(unsigned_words.data(), u.data(), 4 * kCount);
      for (std::size_t i = 0; i < kCount; ++i) {
        const auto want =
            philox4x32<std::uint32_t>(env[i], by_lane ? env[i] + 77 : 77, 3,
                                      static_cast<std::uint32_t>(Purpose::kExploration), kSeed);
        for (std::size_t k = 0; k < 4; ++k) {
          ASSERT_EQ(unsigned_words[k * kCount + i], want.w[k]) << pack->lanes << " lanes, " << i;
          ASSERT_EQ(u[k * kCount + i], uniform<float>(want.w[k]));
        }
      }
    }
}

}  // namespace math_test
}  // namespace lockstep
