// Tests for kernels/sample_action.h: exact probabilities by trying every uniform number, and the
// draws of whole rollouts by statistics (tests/support/statistics.h).
#include "kernels/sample_action.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

#include "envs/cartpole.h"
#include "kernels/rollout_step.h"
#include "tests/kernels/sampling_checks.h"

namespace lockstep {
namespace sample_action_test {

using namespace test;  // NOLINT: vocabulary of the statistics

// Of the 2^23 uniform numbers of sampled_action(), which are evenly spaced, every eighth.
constexpr std::uint32_t kUniforms = 1u << 20;
constexpr double kSpacing = 0x1p-20;
constexpr double kDraws = 8e6;

/// Word that gives the i-th uniform number.
std::uint32_t word_of(std::uint32_t i) { return i << 12; }

TEST(SampleActionTest, ShareOfTheUniformNumbersIsTheProbability) {
  // no chance is involved; off by at most the spacing of the numbers and the rounding of u (1 + e)
  for (const float logit : {0.0f, 0.25f, -1.0f, 3.0f, -7.5f}) {
    std::uint32_t ones = 0;
    for (std::uint32_t i = 0; i < kUniforms; ++i) {
      ones += sampled_action<float, 2>({logit}, word_of(i)) ? 1u : 0u;
    }
    EXPECT_NEAR(static_cast<double>(ones) / kUniforms, sigmoid(static_cast<double>(logit)),
                1.5 * kSpacing)
        << "logit " << logit;
  }
}

TEST(SampleActionTest, NeverPicksAnActionOfNoProbability) {
  for (const float logit : {20.0f, 83.0f, 1e30f}) {
    for (const std::uint32_t word : {0u, 0xffu, 0xffffffffu, 0x80000000u}) {
      EXPECT_TRUE((sampled_action<float, 2>({logit}, word))) << logit << ", " << word;
      EXPECT_FALSE((sampled_action<float, 2>({-logit}, word))) << logit << ", " << word;
    }
  }
  for (int only = 0; only < 3; ++only) {
    float logits[3] = {-100, -100, -100};
    logits[only] = 0;
    for (const std::uint32_t word : {0u, 0xffu, 0xffffffffu, 0x80000000u}) {
      EXPECT_EQ((sampled_action<float, 3>(logits, word)), only) << word;
    }
  }
}

TEST(SampleActionTest, SwappingTheActionsMirrorsTheChoice) {
  for (std::uint32_t i = 0; i < kUniforms; i += 1021) {
    const float u = uniform<float>(word_of(i) | 0x100u);
    for (const float logit : {0.0f, 0.7f, 4.0f}) {
      // 1 - u is the mirrored uniform number; equality cannot occur between odd multiples
      if (std::abs(u - 1 / (1 + std::exp(-logit))) < 1e-6f) continue;
      EXPECT_NE(sample_bernoulli(logit, u), sample_bernoulli(-logit, 1 - u)) << logit << ", " << u;
    }
  }
}

/// Exact probabilities of the discrete categorical sampler against softmax.
template <int A>
void expect_softmax(const float (&logits)[A]) {
  std::array<double, A> count{};
  double total = 0;
  for (std::uint32_t i = 0; i < kUniforms; ++i) {
    ++count[static_cast<std::size_t>(sampled_action<float, A>(logits, word_of(i)))];
  }
  for (const float logit : logits) total += std::exp(static_cast<double>(logit - logits[0]));
  for (int a = 0; a < A; ++a) {
    EXPECT_NEAR(count[static_cast<std::size_t>(a)] / kUniforms,
                std::exp(static_cast<double>(logits[a] - logits[0])) / total, 1.5 * kSpacing)
        << "action " << a << " of " << A;
  }
}

TEST(SampleActionTest, CategoricalProbabilitiesAreThoseOfSoftmax) {
  expect_softmax<3>({0.0f, 0.0f, 0.0f});
  expect_softmax<3>({1000.0f, 1001.0f, 998.5f});
  expect_softmax<6>({-3.0f, 0.5f, 0.5f, 2.0f, -9.0f, 1.25f});
}

TEST(SampleActionTest, RandomActionsOfAnyNumberAreEquallyLikely) {
  std::array<std::uint64_t, 6> counts{};
  for (std::uint32_t i = 0; i < 600000; ++i) {
    const auto r = random_words<std::uint32_t>({3, 0}, Purpose::kRandomAction, 0, i, 0);
    for (const std::uint32_t word : r.w)
      ++counts[static_cast<std::size_t>(scale_to_action<float, 6>(word))];
  }
  const std::vector<double> equal(6, 1.0 / 6);
  EXPECT_GE(chi_square_p(counts, equal), kFalseAlarm);
  EXPECT_EQ((scale_to_action<float, 6>(0u)), 0);
  EXPECT_EQ((scale_to_action<float, 6>(0xffffffffu)), 5);
}

TEST(SampleActionTest, GreedyTakesTheLargestAndTheFirstOfEqualLogits) {
  EXPECT_TRUE((greedy_action<float, 2>({1e-30f})));
  EXPECT_FALSE((greedy_action<float, 2>({0.0f})));
  EXPECT_FALSE((greedy_action<float, 2>({-0.5f})));
  EXPECT_EQ((greedy_action<float, 3>({1.0f, 2.0f, 2.0f})), 1);
  EXPECT_EQ((greedy_action<float, 3>({-1.0f, -2.0f, -0.5f})), 2);
  EXPECT_EQ((greedy_action<float, 3>({0.0f, 0.0f, 0.0f})), 0);
}

TEST(RolloutSamplingTest, ActionsComeWithTheProbabilityOfTheirLogit) {
  for (const double logit : {0.0, 1.0, -4.0}) check_sampled(logit, kDraws);
}

TEST(RolloutSamplingTest, RandomActionsAreFairInEveryBitOfTheirWords) {
  std::vector<double> ones(128);
  const Played played = play_random({.envs = 16384, .T = 512, .stream = {9, 1}});
  const auto& record = played.record();
  for (std::int64_t g = 0; g < record.groups; ++g) {
    for (int t = 0; t < record.T; ++t) {
      ones[static_cast<std::size_t>(t % 128)] +=
          std::popcount(record.action_bits[g * record.T + t]);
    }
  }
  double x = 0;
  for (const double count : ones) {
    const double sigmas = binomial_sigmas(count, 16384 * 4.0, 0.5);
    x += sigmas * sigmas;
  }
  EXPECT_GE(chi_square_tail(x, 128), kFalseAlarm);
}

TEST(RolloutSamplingTest, EpsilonIsTheProbabilityOfARandomAction) {
  for (const float epsilon : {0.05f, 0.5f}) {
    for (const float logit : {1.0f, -1.0f}) {
      const auto explored = count_actions(kDraws / 4, [&](PlaySettings settings) {
        settings.choice = ActionChoice::kEpsilon;
        settings.epsilon = epsilon;
        return play_logit(logit, settings);
      });
      const double random = static_cast<double>(epsilon) / 2;
      EXPECT_TRUE(agrees(explored, logit > 0 ? 1 - random : random)) << epsilon << ", " << logit;
    }
  }
}

TEST(RolloutSamplingTest, NoEpsilonIsGreedyAndFullEpsilonIsRandom) {
  const auto with = [](float epsilon) {
    return count_actions(1e6, [&](PlaySettings settings) {
      settings.choice = ActionChoice::kEpsilon;
      settings.epsilon = epsilon;
      return play_logit(1.0f, settings);
    });
  };
  const auto none = with(0.0f);
  EXPECT_EQ(none.total(), none.draws);
  EXPECT_TRUE(agrees(with(1.0f), 0.5));
}

TEST(RolloutSamplingTest, EnvironmentsStepsEpochsAndSeedsAreUncorrelated) {
  EXPECT_LE(worst_correlation(4096, play_random), kNormalBound);
  EXPECT_LE(worst_correlation(
                4096, [](const PlaySettings& settings) { return play_logit(0.0f, settings); }),
            kNormalBound);
}

TEST(RolloutSamplingTest, CorrelationTestSeesASeedSharedByAllEpochs) {
  EXPECT_GT(worst_correlation(256,
                              [](PlaySettings settings) {
                                settings.stream.epoch = 0;
                                return play_random(settings);
                              }),
            kNormalBound);
}

/// Largest distance between the empirical distribution of start states and the uniform one.
template <class Start>
double reset_distance(std::uint32_t count, Start start) {
  constexpr std::size_t kBins = 4096;
  std::vector<std::uint32_t> histogram[4];
  for (auto& bins : histogram) bins.resize(kBins);
  for (std::uint32_t i = 0; i < count; ++i) {
    float state[4];
    start(i, state);
    for (int k = 0; k < 4; ++k) {
      const double place = (static_cast<double>(state[k]) + 0.05) / 0.1 * kBins;
      ++histogram[k][static_cast<std::size_t>(std::min(std::max(place, 0.0), kBins - 1.0))];
    }
  }
  double worst = 0;
  for (const auto& bins : histogram) {
    double below = 0;
    for (std::size_t b = 0; b < kBins; ++b) {
      below += bins[b];
      worst = std::max(worst, std::abs(below / count - static_cast<double>(b + 1) / kBins));
    }
  }
  return worst;
}

TEST(ResetTest, StartStatesAreUniform) {
  constexpr std::uint32_t kCount = 1u << 20;
  const auto start = [](std::uint32_t i, float(&state)[4]) {
    CartPole::save(start_state<CartPole, float>({8, i / 65536}, i % 65536, 0u), state);
  };
  EXPECT_LE(reset_distance(kCount, start), dkw_bound(kCount));
  // a range that is wrong by three times the detectable distance
  const float wrong = static_cast<float>(1 + 3 * dkw_bound(kCount));
  EXPECT_GT(reset_distance(kCount,
                           [&](std::uint32_t i, float(&state)[4]) {
                             start(i, state);
                             state[2] = (state[2] + 0.05f) / wrong - 0.05f;
                           }),
            dkw_bound(kCount));
}

TEST(StatisticsTest, TailsAreThoseOfTheTables) {
  EXPECT_NEAR(chi_square_tail(3.841459, 1), 0.05, 1e-7);
  EXPECT_NEAR(chi_square_tail(18.307038, 10), 0.05, 1e-7);
  EXPECT_NEAR(chi_square_tail(124.342, 100), 0.05, 1e-5);
  EXPECT_NEAR(chi_square_tail(kNormalBound * kNormalBound, 1) / kFalseAlarm, 1, 1e-5);
  EXPECT_NEAR(chi_square_tail(37.332, 2) / std::exp(-37.332 / 2), 1, 1e-12);
}

}  // namespace sample_action_test
}  // namespace lockstep
