// Tests for envs/math.h over all 2^32 floats (positive and negative ones are swept together).
#include <gtest/gtest.h>

#include "tests/support/math_packs.h"

namespace lockstep {
namespace math_exhaustive_test {

using namespace test;  // NOLINT: vocabulary of the sweeps

TEST(MathExhaustiveTest, ExpKeepsItsBoundOnEveryFloat) { check_exp(0.0f, kLargest, 1); }

TEST(MathExhaustiveTest, LogKeepsItsBoundOnEveryPositiveNormalFloat) {
  check_log(kSmallestNormal, kLargest, 1);
}

TEST(MathExhaustiveTest, SincosSmallKeepsItsBoundsOnEveryAngleOfItsRange) {
  check_sincos_small(0.0f, 0.22f, 1);
}

TEST(MathExhaustiveTest, SincosAnyKeepsItsBoundOnEveryFloat) {
  check_sincos_any(0.0f, kLargest, 1);
}

TEST(MathExhaustiveTest, PacksHaveTheBitsOfTheScalarFunctionsOnEveryFloat) {
  if (math_packs().empty()) GTEST_SKIP() << "this processor has no AVX2";
  for (const MathBatch* pack : math_packs()) {
    EXPECT_EQ(differing_bits(*pack, 1), 0u) << pack->lanes << " lanes";
  }
}

}  // namespace math_exhaustive_test
}  // namespace lockstep
