// Tests for kernels/cpu/returns.h and kernels/fixed_point.h: returns, baselines and normalisation
// of one group, on every instruction set. Whole batches are tested in
// tests/host/cpu/estimate_test.cpp.
#include "kernels/cpu/returns.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "kernels/cpu/launchers.h"
#include "tests/support/return_cases.h"

namespace lockstep {
namespace returns_test {

using test::Random;
using test::ReturnCase;

class ReturnsTest : public testing::TestWithParam<Isa> {
 protected:
  const cpu::FloatOperations& ops_ = test::cartpole_operations(GetParam());

  ReturnSums returns(const ReturnCase& c, float gamma, ReturnMode mode = ReturnMode::kStepwise,
                     std::int64_t* time_sum = nullptr, float scale = 0x1p8f) {
    ReturnSums sums;
    ops_.returns({c.record(), gamma, mode, scale, time_sum}, 0, sums);
    return sums;
  }
  ReturnSums baseline(const ReturnCase& c, BaselineArgs<float> args) {
    args.record = c.record();
    ReturnSums sums;
    ops_.baseline(args, 0, sums);
    return sums;
  }
};
INSTANTIATE_TEST_SUITE_P(Isas, ReturnsTest, testing::ValuesIn(test::usable_isas()),
                         [](const auto& isa) { return isa_name(isa.param); });

/// Normalisation within each episode.
BaselineArgs<float> by_episode(bool sample_std, float scale, float constant = 0) {
  BaselineArgs<float> args{};
  args.constant = constant;
  args.scale = scale;
  args.per_episode = true;
  args.sample_std = sample_std;
  return args;
}

/// Rewards [1, 0, 0, 2] in every lane.
ReturnCase worked_example() {
  ReturnCase c(4, true);
  const float rewards[4] = {1, 0, 0, 2};
  for (int t = 0; t < 4; ++t) {
    for (int lane = 0; lane < kGroup; ++lane) c.set_reward(t, lane, rewards[t]);
  }
  c.set_ends(3, 0xffff, 0);
  return c;
}

TEST_P(ReturnsTest, WorkedExampleHasItsRewardsToGo) {
  const ReturnCase c = worked_example();
  returns(c, 0.9f);
  const double want[4] = {2.458, 1.62, 1.8, 2};
  for (int t = 0; t < 4; ++t) {
    for (int lane = 0; lane < kGroup; ++lane) EXPECT_NEAR(c.value(t, lane), want[t], 3e-7);
  }
}

TEST_P(ReturnsTest, WorkedExampleHasItsNormalisedValues) {
  const double population[4] = {1.564, -1.119, -0.543, 0.098};
  const double sample[4] = {1.354, -0.969, -0.470, 0.085};
  for (const bool sample_std : {false, true}) {
    const ReturnCase c = worked_example();
    returns(c, 0.9f);
    baseline(c, by_episode(sample_std, 0x1p20f));
    for (int t = 0; t < 4; ++t) {
      for (int lane = 0; lane < kGroup; ++lane) {
        EXPECT_NEAR(c.value(t, lane), (sample_std ? sample : population)[t], 5.1e-4);
      }
    }
  }
}

/// Random ends and rewards k / 8, |k| <= 16. Episodes longer than 16 steps are cut short so that
/// every return with gamma = 1/2 is a multiple of 2^-19 below 4: exact in a float.
ReturnCase dyadic_case(Random& random, int T) {
  ReturnCase c(T, true);
  int age[kGroup] = {};
  const std::uint32_t odds = 2 + random.below(12);
  for (int t = 0; t < T; ++t) {
    std::uint16_t ends[2] = {0, 0};
    for (int lane = 0; lane < kGroup; ++lane) {
      c.set_reward(t, lane, (static_cast<float>(random.below(33)) - 16) / 8);
      const bool cut = ++age[lane] >= 16;
      if (!cut && random.below(odds) != 0) continue;
      const std::uint32_t kind = random.below(3);  // terminated, truncated, both
      for (std::uint32_t i = 0; i < 2; ++i) {
        if (kind != 1 - i) ends[i] = static_cast<std::uint16_t>(ends[i] | 1u << lane);
      }
      age[lane] = 0;
    }
    c.set_ends(t, ends[0], ends[1]);
  }
  return c;
}

TEST_P(ReturnsTest, DyadicRewardsToGoAreExact) {
  Random random(1);
  std::int64_t episodes = 0, single = 0, cut = 0;
  for (int round = 0; round < 6000; ++round) {
    const ReturnCase c = dyadic_case(random, 1 + static_cast<int>(random.below(40)));
    const ReturnSums sums = returns(c, 0.5f);
    std::int64_t count = 0;
    for (int lane = 0; lane < kGroup; ++lane) {
      for (int t = 0; t < c.T(); ++t) {
        const bool finished = c.last_step(t, lane) >= 0;
        count += finished;
        ASSERT_EQ(c.valid(t, lane), finished) << "step " << t << ", lane " << lane;
        ASSERT_EQ(c.value(t, lane), finished ? c.discounted(t, lane, 0.5) : 0.0)
            << "step " << t << ", lane " << lane;
        episodes += c.ended(t, lane);
        single += c.ended(t, lane) && c.first_step(t, lane) == t;
        cut += !finished;
      }
    }
    ASSERT_EQ(sums.count, count);
    ASSERT_FALSE(sums.saturated);
  }
  EXPECT_GT(episodes, 100000);
  EXPECT_GT(single, 10000);
  EXPECT_GT(cut, 10000);
}

TEST_P(ReturnsTest, FullModeGivesEveryStepTheReturnOfItsEpisode) {
  Random random(2);
  for (int round = 0; round < 200; ++round) {
    const ReturnCase c = dyadic_case(random, 40);
    returns(c, 0.5f, ReturnMode::kFull);
    for (int lane = 0; lane < kGroup; ++lane) {
      for (int t = 0; t < c.T(); ++t) {
        const double want =
            c.last_step(t, lane) < 0 ? 0 : c.discounted(c.first_step(t, lane), lane, 0.5);
        ASSERT_EQ(c.value(t, lane), want) << "step " << t << ", lane " << lane;
      }
    }
  }
}

TEST_P(ReturnsTest, ReturnsAreThoseOfTheDefinitionForAnyDiscount) {
  Random random(3);
  for (const float gamma : {0.0f, 0.9f, 0.99f, 1.0f}) {
    const ReturnCase c = dyadic_case(random, 500);
    returns(c, gamma);
    for (int lane = 0; lane < kGroup; ++lane) {
      for (int t = 0; t < c.T(); ++t) {
        if (!c.valid(t, lane)) continue;
        // 16 roundings of values below 16
        ASSERT_NEAR(c.value(t, lane), c.discounted(t, lane, static_cast<double>(gamma)), 1e-5);
      }
    }
  }
}

TEST_P(ReturnsTest, RewardsThatAreNotRecordedAreOne) {
  ReturnCase c(6, false);
  c.set_ends(4, 0xff00, 0x00ff);
  returns(c, 0.5f);
  const float want[6] = {1.9375f, 1.875f, 1.75f, 1.5f, 1, 0};
  for (int t = 0; t < 6; ++t) {
    for (int lane = 0; lane < kGroup; ++lane) EXPECT_EQ(c.value(t, lane), want[t]);
  }
}

TEST_P(ReturnsTest, StepsBeyondTheRecordedOnesAreNotTouched) {
  ReturnCase c(6, false);
  c.set_ends(2, 0xffff, 0);
  c.set_ends(5, 0xffff, 0);
  c.record().steps[0] = 3;
  for (int lane = 0; lane < kGroup; ++lane) c.record().advantage[3 * kGroup + lane] = 99;
  EXPECT_EQ(returns(c, 1.0f).count, 3 * kGroup);
  EXPECT_EQ(c.value(3, 7), 99);
  EXPECT_EQ(c.record().valid[3], 0xffff);
}

TEST_P(ReturnsTest, SumsAreTheExactOnesOfTheRoundedValues) {
  Random random(4);
  for (int round = 0; round < 100; ++round) {
    const ReturnCase c = dyadic_case(random, 40);
    std::vector<std::int64_t> time_sum(40);
    const ReturnSums sums = returns(c, 0.5f, ReturnMode::kStepwise, time_sum.data());
    std::int64_t sum = 0;
    std::uint64_t squares = 0;
    for (int t = 0; t < c.T(); ++t) {
      std::int64_t at_t = 0;
      for (int lane = 0; lane < kGroup; ++lane) {
        const auto q = std::llrint(static_cast<double>(c.value(t, lane)) * 256);
        at_t += q;
        squares += static_cast<std::uint64_t>(q * q);
      }
      ASSERT_EQ(time_sum[static_cast<std::size_t>(t)], at_t) << "step " << t;
      sum += at_t;
    }
    ASSERT_EQ(sums.sum, sum);
    ASSERT_EQ((static_cast<std::uint64_t>(sums.squares_high) << 32) +
                  static_cast<std::uint64_t>(sums.squares_low),
              squares);
  }
}

TEST_P(ReturnsTest, OutOfRangeAndNaNReturnsAreReported) {
  for (const float bad : {40000.0f, -40000.0f, std::numeric_limits<float>::quiet_NaN(),
                          std::numeric_limits<float>::infinity()}) {
    for (const int lane : {0, 5, 15}) {
      ReturnCase c = worked_example();
      c.set_reward(1, lane, bad);
      EXPECT_TRUE(returns(c, 1.0f).saturated) << bad;
      // in an episode that is not finished nothing is used
      c.set_ends(3, static_cast<std::uint16_t>(~(1u << lane)), 0);
      EXPECT_FALSE(returns(c, 1.0f).saturated) << bad;
    }
  }
}

TEST_P(ReturnsTest, BaselineIsSubtractedFromValidStepsOnly) {
  Random random(5);
  for (const bool by_time : {false, true}) {
    const ReturnCase c = dyadic_case(random, 40);
    const ReturnCase raw = [&] {
      Random again(5);
      if (by_time) dyadic_case(again, 40);
      return dyadic_case(again, 40);
    }();
    returns(c, 0.5f);
    returns(raw, 0.5f);
    std::vector<float> baseline_at(40);
    for (std::size_t t = 0; t < 40; ++t) baseline_at[t] = static_cast<float>(t) / 16;
    BaselineArgs<float> args{};
    args.baseline = by_time ? baseline_at.data() : nullptr;
    args.constant = 0.75f;
    args.scale = 0x1p12f;
    const ReturnSums sums = baseline(c, args);
    float largest = 0;
    for (int lane = 0; lane < kGroup; ++lane) {
      for (int t = 0; t < 40; ++t) {
        const float b = by_time ? baseline_at[static_cast<std::size_t>(t)] : 0.75f;
        const float want = c.valid(t, lane) ? raw.value(t, lane) - b : 0.0f;
        ASSERT_EQ(c.value(t, lane), want);
        largest = std::max(largest, std::abs(want));
      }
    }
    EXPECT_EQ(sums.largest, largest);
    EXPECT_GT(sums.count, 0);
  }
}

TEST_P(ReturnsTest, EpisodesAreNormalisedByTheirOwnMeanAndDeviation) {
  Random random(6);
  for (const bool sample_std : {false, true}) {
    ReturnCase c = dyadic_case(random, 60);
    returns(c, 0.5f);
    const std::vector<double> raw(c.record().advantage, c.record().advantage + 60 * kGroup);
    const auto at = [&](int t, int lane) {
      return raw[static_cast<std::size_t>(t * kGroup + lane)];
    };
    baseline(c, by_episode(sample_std, 0x1p19f, 0.5f));
    for (int lane = 0; lane < kGroup; ++lane) {
      for (int t = 0; t < c.T(); ++t) {
        if (!c.valid(t, lane)) continue;
        const int first = c.first_step(t, lane), last = c.last_step(t, lane), n = last - first + 1;
        double mean = 0, spread = 0;
        for (int k = first; k <= last; ++k) mean += at(k, lane);
        mean /= n;
        for (int k = first; k <= last; ++k) {
          spread += std::pow(at(k, lane) - mean, 2);
        }
        const double deviation = std::sqrt(spread / (sample_std ? n - 1 : n));
        const double want = spread == 0 ? 0 : (at(t, lane) - mean) / deviation;
        // values are multiples of the quantum here: only float rounding is left
        ASSERT_NEAR(c.value(t, lane), want, 2e-5) << "step " << t << ", lane " << lane;
      }
    }
  }
}

TEST_P(ReturnsTest, EqualReturnsAndSingleStepsNormaliseToZero) {
  for (const bool sample_std : {false, true}) {
    ReturnCase c(4, false);
    c.set_ends(0, 0xffff, 0);  // an episode of one step, then one of three
    c.set_ends(3, 0xffff, 0);
    returns(c, 0.0f);  // every return is 1
    baseline(c, by_episode(sample_std, 0x1p12f));
    for (int t = 0; t < 4; ++t) {
      for (int lane = 0; lane < kGroup; ++lane) EXPECT_EQ(c.value(t, lane), 0.0f);
    }
  }
}

TEST(MomentsTest, AreThoseOfTheValues) {
  // 1, 2, 3, 6 with scale 4: mean 3, variance 3.5 (population), 14/3 (sample)
  const Moments population = moments(4, 48, 16 * (1 + 4 + 9 + 36), 4, false);
  EXPECT_DOUBLE_EQ(population.mean, 3);
  EXPECT_DOUBLE_EQ(population.inv_std, 1 / std::sqrt(3.5));
  EXPECT_DOUBLE_EQ(moments(4, 48, 16 * (1 + 4 + 9 + 36), 4, true).inv_std, 1 / std::sqrt(14.0 / 3));
}

TEST(MomentsTest, HaveNoDeviationWithoutSpread) {
  EXPECT_EQ(moments(0, 0, 0, 1, false).inv_std, 0);
  EXPECT_EQ(moments(1, 5, 25, 1, false).inv_std, 0);
  EXPECT_EQ(moments(1, 5, 25, 1, true).inv_std, 0);
  EXPECT_EQ(moments(3, 15, 75, 1, true).inv_std, 0);
  EXPECT_GT(moments(3, 15, 77, 1, true).inv_std, 0);
}

TEST(MomentsTest, StayExactForTheLargestSums) {
  // 2^40 values of +-(2^23 - 1), half of each sign: the spread needs 128 bits
  const std::int64_t n = std::int64_t{1} << 40, high = 8388607;
  const uint128 squares = static_cast<uint128>(high * high) * static_cast<uint128>(n);
  const Moments m = moments(n, 0, squares, 1, false);
  EXPECT_EQ(m.mean, 0);
  EXPECT_DOUBLE_EQ(m.inv_std, 1 / 8388607.0);
}

TEST(ScaleForBoundTest, IsTheLargestPowerOfTwoThatFits) {
  Random random(7);
  for (int i = 0; i < 10000; ++i) {
    const double bound = std::ldexp(1 + random.uniform(), static_cast<int>(random.below(60)) - 30);
    const double scale = static_cast<double>(scale_for_bound(bound));
    int exponent = 0;
    ASSERT_EQ(std::frexp(scale, &exponent), 0.5);
    ASSERT_LE(bound * scale, static_cast<double>(kQuantisedLimit)) << bound;
    ASSERT_GT(bound * scale * 2, static_cast<double>(kQuantisedLimit)) << bound;
  }
}

TEST(FixedPointTest, RoundsTiesToEvenAndReportsWhatDoesNotFit) {
  bool saturated = false;
  EXPECT_EQ(FixedPoint::quantise(2.5f, 1, true, saturated), 2);
  EXPECT_EQ(FixedPoint::quantise(-3.5f, 1, true, saturated), -4);
  EXPECT_EQ(FixedPoint::quantise(kQuantisedLimit, 1, true, saturated), 8388607);
  EXPECT_EQ(FixedPoint::quantise(1e9f, 1, false, saturated), 0);
  EXPECT_FALSE(saturated);
  EXPECT_EQ(FixedPoint::quantise(kQuantisedLimit + 1, 1, true, saturated), 0);
  EXPECT_TRUE(saturated);
}

}  // namespace returns_test
}  // namespace lockstep
