// Tests for kernels/sample_action.h with 10^9 draws a distribution: a bias of 1.7e-4 shows.
#include <gtest/gtest.h>

#include "tests/kernels/sampling_checks.h"

namespace lockstep {
namespace sample_action_power_test {

using namespace test;  // NOLINT: vocabulary of the statistics

class SampleActionPowerTest : public testing::TestWithParam<double> {};

TEST_P(SampleActionPowerTest, ABillionActionsComeWithTheProbabilityOfTheirLogit) {
  check_sampled(GetParam(), 1e9);
}

INSTANTIATE_TEST_SUITE_P(Logits, SampleActionPowerTest,
                         testing::Values(0.0, 0.01, -0.5, 2.0, -6.0, 10.0));

TEST(RolloutSamplingPowerTest, EnvironmentsStepsEpochsAndSeedsAreUncorrelated) {
  EXPECT_LE(worst_correlation(65536, play_random), kNormalBound);
}

}  // namespace sample_action_power_test
}  // namespace lockstep
