// Tests for kernels/philox.h.
#include "kernels/philox.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>
#include <tuple>
#include <vector>

#include "envs/cartpole.h"
#include "host/cpu/number_backend.h"
#include "host/options/options.h"
#include "kernels/rollout_step.h"
#include "tests/support/play.h"

namespace lockstep {
namespace philox_test {

using Words = std::array<std::uint32_t, 4>;

Words words_of(const PhiloxWords<std::uint32_t>& r) { return {r.w[0], r.w[1], r.w[2], r.w[3]}; }

TEST(PhiloxTest, GivesTheKnownAnswers) {
  // Random123 1.14, tests/kat_vectors: philox4x32 10
  EXPECT_EQ(words_of(philox4x32<std::uint32_t>(0, 0, 0, 0, 0)),
            (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const std::uint32_t ones = 0xffffffff;
  EXPECT_EQ(words_of(philox4x32<std::uint32_t>(ones, ones, ones, ones, ~std::uint64_t{0})),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(words_of(philox4x32<std::uint32_t>(0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344,
                                               0x299f31d0a4093822)),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(PhiloxTest, CounterIsEnvironmentIndexEpochAndPurposeWithDraw) {
  for (std::uint32_t i = 0; i < 2000; ++i) {
    const auto any = philox4x32<std::uint32_t>(i, 1, 2, 3, 4);
    const RandomStream stream{std::uint64_t{any.w[0]} << 32 | any.w[1], any.w[2] ^ i, any.w[0] * i};
    const std::uint32_t env = any.w[2], index = any.w[3] >> (i % 32), draw = i % 1024;
    const auto purpose = static_cast<Purpose>(i % 7);
    EXPECT_EQ(words_of(random_words<std::uint32_t>(stream, purpose, draw, env, index)),
              words_of(philox4x32<std::uint32_t>(stream.first_env + env, index, stream.epoch,
                                                 i % 7 + 256 * draw, stream.seed)));
  }
}

TEST(PhiloxTest, PurposesKeepTheirNumbers) {
  // they are part of every result: changing one changes all runs
  EXPECT_EQ(static_cast<int>(Purpose::kAction), 0);
  EXPECT_EQ(static_cast<int>(Purpose::kRandomAction), 1);
  EXPECT_EQ(static_cast<int>(Purpose::kReset), 2);
  EXPECT_EQ(static_cast<int>(Purpose::kDropout), 3);
  EXPECT_EQ(static_cast<int>(Purpose::kExploration), 4);
  EXPECT_EQ(static_cast<int>(Purpose::kNoise), 5);
  EXPECT_EQ(static_cast<int>(Purpose::kInit), 6);
}

TEST(PhiloxTest, NoTwoUsesShareACounter) {
  // every (environment, index, purpose, draw) of a small run, through the real function: with one
  // key the cipher is a bijection, so equal words would mean equal counters
  std::vector<Words> all;
  for (std::uint32_t env = 0; env < 20; ++env) {
    for (std::uint32_t index = 0; index < 130; ++index) {
      for (std::uint32_t purpose = 0; purpose <= 6; ++purpose) {
        const std::uint32_t draws = purpose == 3 ? 64 : 1;
        for (std::uint32_t draw = 0; draw < draws; ++draw) {
          for (const std::uint32_t epoch : {0u, 1u, kEvaluationEpoch}) {
            all.push_back(words_of(random_words<std::uint32_t>(
                {11, epoch}, static_cast<Purpose>(purpose), draw, env, index)));
          }
        }
      }
    }
  }
  std::sort(all.begin(), all.end());
  EXPECT_EQ(std::adjacent_find(all.begin(), all.end()), all.end()) << all.size() << " counters";
}

TEST(PhiloxTest, EveryBitOfSeedAndCounterMatters) {
  std::set<Words> seen;
  seen.insert(words_of(philox4x32<std::uint32_t>(0, 0, 0, 0, 0)));
  for (int bit = 0; bit < 192; ++bit) {
    std::uint32_t counter[4] = {};
    std::uint64_t key = 0;
    if (bit < 128) {
      counter[bit / 32] = 1u << (bit % 32);
    } else {
      key = std::uint64_t{1} << (bit - 128);
    }
    seen.insert(
        words_of(philox4x32<std::uint32_t>(counter[0], counter[1], counter[2], counter[3], key)));
  }
  EXPECT_EQ(seen.size(), 193u);
}

TEST(UniformTest, CoversTheHalfOpenRangeInStepsOfTwoToTheMinusTwentyFour) {
  EXPECT_EQ(uniform<float>(0u), 0.0f);
  EXPECT_EQ(uniform<float>(0xffu), 0.0f);
  EXPECT_EQ(uniform<float>(0x100u), 0x1p-24f);
  EXPECT_EQ(uniform<float>(0x80000000u), 0.5f);
  EXPECT_EQ(uniform<float>(0xffffffffu), 1.0f - 0x1p-24f);
  for (std::uint32_t word = 0; word < 0xfff00000u; word += 0x000fffffu) {
    EXPECT_EQ(static_cast<double>(uniform<float>(word)), uniform<double>(word));
  }
}

// What the rollout draws, seen in what it records.

constexpr std::int64_t kEnvs = 37;
constexpr std::int32_t kSteps = 300;

TEST(RolloutRandomNumbersTest, RandomActionIsBitTOfTheCounterTOver128) {
  const auto played = test::play_random({.envs = kEnvs, .T = kSteps, .stream = {5, 3}});
  for (std::int64_t env = 0; env < kEnvs; ++env) {
    for (std::int32_t t = 0; t < kSteps; ++t) {
      const auto r = random_words<std::uint32_t>({5, 3}, Purpose::kRandomAction, 0,
                                                 static_cast<std::uint32_t>(env),
                                                 static_cast<std::uint32_t>(t / 128));
      ASSERT_EQ(played.action(env, t), (r.w[t % 128 / 32] >> (t % 32)) & 1) << env << ", " << t;
    }
  }
}

TEST(RolloutRandomNumbersTest, SampledActionUsesWordTMod4OfTheCounterTOver4) {
  // with logit 0 the action is 1 exactly if the top bit of the word is clear
  const auto played = test::play_logit(0.0f, {.envs = kEnvs, .T = kSteps, .stream = {5, 3}});
  for (std::int64_t env = 0; env < kEnvs; ++env) {
    for (std::int32_t t = 0; t < kSteps; ++t) {
      const auto r =
          random_words<std::uint32_t>({5, 3}, Purpose::kAction, 0, static_cast<std::uint32_t>(env),
                                      static_cast<std::uint32_t>(t / 4));
      ASSERT_EQ(played.action(env, t), 1 - (r.w[t % 4] >> 31)) << env << ", " << t;
    }
  }
}

TEST(RolloutRandomNumbersTest, ExplorationUsesWordsZeroAndOneOfItsStep) {
  const auto played = test::play_logit(-1.0f, {.envs = kEnvs,
                                               .T = kSteps,
                                               .stream = {5, 3},
                                               .choice = ActionChoice::kEpsilon,
                                               .epsilon = 0.25f});
  for (std::int64_t env = 0; env < kEnvs; ++env) {
    for (std::int32_t t = 0; t < kSteps; ++t) {
      const auto r = random_words<std::uint32_t>({5, 3}, Purpose::kExploration, 0,
                                                 static_cast<std::uint32_t>(env),
                                                 static_cast<std::uint32_t>(t));
      const bool explores = r.w[0] < 0x40000000u;
      ASSERT_EQ(played.action(env, t), explores ? r.w[1] >> 31 : 0) << env << ", " << t;
    }
  }
}

TEST(RolloutRandomNumbersTest, EachEpisodeStartsFromTheResetOfItsNumber) {
  const auto played =
      test::play_logit(0.0f, {.envs = kEnvs, .T = kSteps, .stream = {5, 3}, .obs = true});
  int episodes = 0;
  for (std::int64_t env = 0; env < kEnvs; ++env) {
    std::uint32_t number = 0;
    for (std::int32_t t = 0; t < kSteps; ++t) {
      if (t == 0 || played.ended(env, t - 1)) {
        const auto start =
            start_state<CartPole, float>({5, 3}, static_cast<std::uint32_t>(env), number++);
        float want[4];
        CartPole::save(start, want);
        for (int i = 0; i < 4; ++i) ASSERT_EQ(played.obs(env, t, i), want[i]) << env << ", " << t;
        ++episodes;
      }
    }
  }
  EXPECT_GT(episodes, 10 * kEnvs);
}

}  // namespace philox_test
}  // namespace lockstep
