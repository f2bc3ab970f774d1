// Tests for envs/math.h over every float the engine hands to it and for which the
// result is not trivial.
#include <gtest/gtest.h>

#include "tests/envs/math_errors.h"

namespace lockstep {
namespace math_domain_test {

using namespace test;  // NOLINT: vocabulary of the sweeps

TEST(MathDomainTest, ExpKeepsItsBoundOnEveryArgumentThatMatters) {
  check_exp(0x1p-27f, 83.0f, 1);  // below, exp is 1 or its neighbours
}

TEST(MathDomainTest, LogKeepsItsBoundOnEverySumOfProbabilities) {
  check_log(1.0f, 64.0f, 1);  // 1 + exp(-|z|), or up to 64 terms of at most 1
}

TEST(MathDomainTest, SincosSmallKeepsItsBoundsOnEveryAngleOfAnEpisode) {
  check_sincos_small(0x1p-13f, 0.22f, 1);  // below, sin x rounds to x and cos x to 1
  check_sincos_small(0.0f, 0x1p-13f, 61);
}

TEST(MathDomainTest, SincosAnyKeepsItsBoundsOnEveryAngleOfAFewTurns) {
  check_sincos_any(0.22f, 64.0f, 1);
}

}  // namespace math_domain_test
}  // namespace lockstep
