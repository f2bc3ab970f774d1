// Tests for the estimators of kernels/cpu/returns.h: stepwise and full-trajectory returns and
// baselines have the same expectation, exactly, and different variances.
#include <gtest/gtest.h>

#include <cstdio>

#include "tests/support/oracle_worlds.h"

namespace lockstep::test {
namespace estimators_test {

constexpr double kMostRelative = 1e-7;

/// Rewards-to-go leave out what was earned before the action. That lowers the variance where
/// rewards are alike in sign (CartPole); it need not where costs precede a prize (the corridor).
template <class E>
void compare(const Network& network) {
  auto oracle = make_oracle<E>(network);
  Estimator<E> stepwise, full, constant, by_time;
  full.mode = ReturnMode::kFull;
  by_time.time_baseline = oracle.mean_returns(1.0);
  constant.constant_baseline = by_time.time_baseline[0] / 2;
  const Spread of_stepwise = oracle.spread(stepwise), of_full = oracle.spread(full),
               of_constant = oracle.spread(constant), of_time = oracle.spread(by_time);
  EXPECT_LE(relative_l2(of_full.mean, of_stepwise.mean), kMostRelative) << network.name;
  EXPECT_LE(relative_l2(of_constant.mean, of_stepwise.mean), kMostRelative) << network.name;
  EXPECT_LE(relative_l2(of_time.mean, of_stepwise.mean), kMostRelative) << network.name;
  if (E::kNumActions == 2) {
    EXPECT_LT(of_stepwise.variance, of_full.variance) << network.name;
    EXPECT_LT(of_time.variance, of_stepwise.variance) << network.name;
  }
  std::printf(
      "%-9s %-24s variance of one episode's gradient: full %8.4f  stepwise %8.4f  "
      "stepwise - constant %8.4f  stepwise - time mean %8.4f\n",
      E::kName, network.name, of_full.variance, of_stepwise.variance, of_constant.variance,
      of_time.variance);
}

TEST(Estimators, StepwiseHasTheExpectationOfFullAndLessVariance) {
  for (const Network& network : kNetworks) compare<CartPole>(network);
}
TEST(Estimators, StepwiseHasTheExpectationOfFullWithThreeActions) {
  for (const Network& network : kNetworks) compare<Corridor>(network);
}

}  // namespace estimators_test
}  // namespace lockstep::test
