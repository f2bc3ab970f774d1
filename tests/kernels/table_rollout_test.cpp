// Tests for kernels/cpu/table_rollout.h: what is played and recorded, against the dense network on
// drawn pictures, on every instruction set.
#include "kernels/cpu/table_rollout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "tests/support/table_reference.h"

namespace lockstep {
namespace table_rollout_test {

using test::bit_at;
using test::DenseStep;
using test::step_at;
using test::TableRun;
using test::TableSettings;

class TableRolloutTest : public testing::TestWithParam<const cpu::TableOperations*> {};
INSTANTIATE_TEST_SUITE_P(Isas, TableRolloutTest, testing::ValuesIn(test::usable_tables()),
                         [](const auto& isa) { return isa.param->isa; });

/// Few environments and units: 40 units are a word of activity bits and a half.
TableSettings small() {
  TableSettings s;
  s.envs = 5;
  s.T = 1300;
  s.hidden = 40;
  return s;
}

/// Weights with opinions: logits beyond 0.1.
void strong(TableRun& run) {
  test::initialise(run, 7);
  for (int j = 0; j < run.shape.hidden; ++j) run.output()[j] *= 8;
}

TEST_P(TableRolloutTest, PlaysTheRecordedActionsByTheRulesOfTheGame) {
  TableSettings s = small();
  s.T = 2600;  // room for two games; one is played
  TableRun run(*GetParam(), s);
  strong(run);
  const auto games = run.play(0, ActionChoice::kSample, true);
  EXPECT_EQ(games.episodes, 5);
  double score = 0;
  for (std::int64_t env = 0; env < 5; ++env) {
    const auto steps = test::dense_replay(run, env);
    ASSERT_EQ(static_cast<int>(steps.size()), run.length[env]);
    ASSERT_TRUE(steps.back().ended);
    for (int t = 0; t < run.length[env]; ++t) {
      const DenseStep& step = steps[static_cast<std::size_t>(t)];
      score += step.reward;
      ASSERT_EQ(run.reward[step_at(run, env, t)], step.reward) << t;
      ASSERT_EQ(bit_at(run, run.terminated, env, t), step.ended) << t;
      ASSERT_EQ(bit_at(run, run.incoming, env, t), step.incoming) << t;
      ASSERT_FALSE(bit_at(run, run.truncated, env, t)) << t;
    }
  }
  EXPECT_EQ(games.score, score);
  EXPECT_LT(score, 0);
  EXPECT_EQ(run.steps_[0], *std::max_element(run.length.data(), run.length.data() + 5));
}

TEST_P(TableRolloutTest, LogitsAndActivityAreThoseOfTheDenseNetwork) {
  for (const float leak : {0.0f, 0.01f}) {
    TableSettings s = small();
    s.leak = leak;
    TableRun run(*GetParam(), s);
    strong(run);
    run.play(0, ActionChoice::kSample, true);
    int flips = 0;
    double largest = 0;
    for (std::int64_t env = 0; env < 5; ++env) {
      const auto steps = test::dense_replay(run, env);
      for (int t = 0; t < run.length[env]; ++t) {
        const auto want = test::dense_forward(run, steps[static_cast<std::size_t>(t)]);
        const double got = static_cast<double>(run.logits[step_at(run, env, t)]);
        ASSERT_NEAR(got, want.logit, 2e-6) << env << " " << t;
        largest = std::max(largest, std::fabs(got));
        for (int j = 0; j < 40; ++j) {
          const std::int64_t at = (step_at(run, env, t) - env) * 2 + j / 32 * kGroup + env;
          const bool active = ((run.active[at] >> (j % 32)) & 1u) != 0;
          const double h = want.hidden[static_cast<std::size_t>(j)];
          if (active != (h > 0)) {
            ++flips;
            ASSERT_LT(std::fabs(h), 1e-7) << env << " " << t << " unit " << j;
          }
        }
      }
    }
    EXPECT_GT(largest, 0.1);
    EXPECT_LT(flips, 50);
  }
}

TEST_P(TableRolloutTest, LogitIsTheCanonicalTreeOverTheRowsOfTheTable) {
  TableRun run(*GetParam(), small());
  strong(run);
  run.play(0, ActionChoice::kSample, true);
  const int Hp = run.shape.padded();
  for (int t = 1; t < 400; ++t) {
    float part[32] = {};
    for (int j = 0; j < Hp; ++j) {
      const auto phi = [&](int step) {
        const std::int64_t at = std::int64_t{step} * 3 * kGroup + 2;  // environment 2
        const float a = run.rows[run.shown[at] * std::int64_t{Hp} + j];
        const float b = run.rows[run.shown[at + kGroup] * std::int64_t{Hp} + j];
        return (a + b) + run.rows[run.shown[at + 2 * kGroup] * std::int64_t{Hp} + j];
      };
      const float h = phi(t) - phi(t - 1);
      part[j % 32] = std::fma(run.output()[j], h > 0 ? h : 0.0f, part[j % 32]);
    }
    for (int stride = 1; stride < 32; stride *= 2) {
      for (int r = 0; r < 32; r += 2 * stride) part[r] += part[r + stride];
    }
    ASSERT_EQ(run.logits[t * kGroup + 2], part[0]) << t;
  }
}

TEST_P(TableRolloutTest, FirstStepOfAGameSeesNothing) {
  TableSettings s = small();
  s.episodic = false;
  s.T = 3000;
  TableRun run(*GetParam(), s);
  strong(run);
  run.play(0, ActionChoice::kSample, true);
  int games = 0;
  for (std::int64_t env = 0; env < 5; ++env) {
    for (int t = 0; t < s.T; ++t) {
      if (t > 0 && !bit_at(run, run.terminated, env, t - 1)) continue;
      ++games;
      EXPECT_EQ(run.logits[step_at(run, env, t)], 0);
      for (int word = 0; word < 2; ++word) {
        EXPECT_EQ(run.active[(step_at(run, env, t) - env) * 2 + word * kGroup + env], 0u);
      }
    }
  }
  EXPECT_GE(games, 10);
}

TEST_P(TableRolloutTest, HorizonModeStartsOverAndCountsFinishedGames) {
  TableSettings s = small();
  s.episodic = false;
  s.T = 3000;
  TableRun run(*GetParam(), s);
  strong(run);
  const auto games = run.play(0, ActionChoice::kSample, true);
  std::int64_t episodes = 0, finished = 0;
  double score = 0;
  for (std::int64_t env = 0; env < 5; ++env) {
    const auto steps = test::dense_replay(run, env);
    ASSERT_EQ(static_cast<int>(steps.size()), 3000);
    for (int t = 0; t < 3000; ++t) {
      const DenseStep& step = steps[static_cast<std::size_t>(t)];
      ASSERT_EQ(run.reward[step_at(run, env, t)], step.reward);
      ASSERT_EQ(bit_at(run, run.terminated, env, t), step.ended);
      const auto want = test::dense_forward(run, step);
      ASSERT_NEAR(static_cast<double>(run.logits[step_at(run, env, t)]), want.logit, 2e-6);
      episodes += step.ended;
    }
    std::size_t last = steps.size();
    while (last > 0 && !steps[last - 1].ended) --last;
    finished += static_cast<std::int64_t>(last);
    for (std::size_t t = 0; t < last; ++t) score += steps[t].reward;
  }
  EXPECT_EQ(games.episodes, episodes);
  EXPECT_EQ(games.steps, finished);
  EXPECT_EQ(games.score, score);
  EXPECT_GE(episodes, 8);
}

TEST_P(TableRolloutTest, LongEpisodesAreCutOff) {
  const cpu::TableOperations& ops = *GetParam();
  TableSettings s = small();
  s.game.max_steps = 300;
  s.episodic = false;
  s.T = 1000;
  TableRun run(ops, s);
  strong(run);
  const auto games = run.play(0, ActionChoice::kSample, true);
  EXPECT_EQ(games.episodes, 5 * 3);
  EXPECT_EQ(games.steps, 5 * 900);
  for (int t = 0; t < 1000; ++t) {
    ASSERT_EQ(run.terminated[t], 0);
    ASSERT_EQ(run.truncated[t], t % 300 == 299 ? 0x1f : 0) << t;  // five environments
    for (int lane = 0; lane < 5; ++lane) {                        // the reset's rows
      const std::int64_t at = std::int64_t{t} * 3 * kGroup + lane;
      if (t % 300 == 0) {
        ASSERT_EQ(run.shown[at], run.shown[lane]);
        ASSERT_EQ(run.shown[at + 2 * kGroup], run.shown[2 * kGroup]);
        ASSERT_EQ(run.logits[t * kGroup + lane], 0);
      }
    }
  }
  s.episodic = true;
  TableRun whole(ops, s);
  strong(whole);
  EXPECT_EQ(whole.play(0, ActionChoice::kSample, true).steps, 5 * 300);
  EXPECT_EQ(whole.steps_[0], 300);
}

TEST_P(TableRolloutTest, ActionsFollowTheirRandomWords) {
  TableRun run(*GetParam(), small());
  strong(run);
  int ups = 0, steps = 0;
  run.play(3, ActionChoice::kSample, true);
  for (std::int64_t env = 0; env < 5; ++env) {
    for (int t = 0; t < run.length[env]; ++t) {
      const auto words = philox4x32<std::uint32_t>(static_cast<std::uint32_t>(env),
                                                   static_cast<std::uint32_t>(t / 4), 3u, 0u, 1);
      const float logit = run.logits[step_at(run, env, t)];
      const bool up = sample_bernoulli(logit, sampling_uniform<float>(words.w[t % 4]));
      ASSERT_EQ(bit_at(run, run.actions, env, t), up) << env << " " << t;
      ups += up;
      ++steps;
    }
  }
  EXPECT_NEAR(static_cast<double>(ups) / steps, 0.5, 0.2);
}

TEST_P(TableRolloutTest, GreedyTakesTheSignAndEpsilonStraysSometimes) {
  TableSettings s = small();
  s.T = 600;
  s.episodic = false;
  TableRun run(*GetParam(), s);
  strong(run);
  const auto strays = [&](ActionChoice choice) {
    run.play(0, choice, true);
    int count = 0;
    for (std::int64_t env = 0; env < 5; ++env) {
      for (int t = 0; t < 600; ++t) {
        count += bit_at(run, run.actions, env, t) != (run.logits[step_at(run, env, t)] > 0);
      }
    }
    return count;
  };
  EXPECT_EQ(strays(ActionChoice::kGreedy), 0);
  EXPECT_NEAR(strays(ActionChoice::kEpsilon), 3000 / 8, 60);  // epsilon = 1/4, half of them agree
}

TEST_P(TableRolloutTest, AnEnvironmentPlaysTheSameInAnyCompanyAndUnrecorded) {
  TableSettings many = small();
  many.envs = 37;
  TableRun a(*GetParam(), small()), b(*GetParam(), many);
  strong(a);
  strong(b);
  a.play(2, ActionChoice::kSample, true);
  b.play(2, ActionChoice::kSample, true);
  for (std::int64_t env = 0; env < 5; ++env) {
    ASSERT_EQ(a.length[env], b.length[env]);
    for (int t = 0; t < a.length[env]; ++t) {
      ASSERT_EQ(a.logits[step_at(a, env, t)], b.logits[step_at(b, env, t)]);
    }
  }
  const float score = a.score[4];
  const std::int32_t length = a.length[4];
  a.play(2, ActionChoice::kSample, false);
  EXPECT_EQ(a.score[4], score);
  EXPECT_EQ(a.length[4], length);
}

TEST_P(TableRolloutTest, RecordsEqualTheScalarOnes) {
  TableSettings s = small();
  s.envs = 21;
  s.hidden = 200;
  for (const float leak : {0.0f, 0.01f}) {
    s.leak = leak;
    TableRun want(cpu::tables_pong_scalar, s), got(*GetParam(), s);
    strong(want);
    strong(got);
    want.play(5, ActionChoice::kSample, true);
    got.play(5, ActionChoice::kSample, true);
    ASSERT_EQ(std::memcmp(want.length.data(), got.length.data(), 32 * 4), 0);
    for (std::int64_t env = 0; env < 21; ++env) {
      for (int t = 0; t < want.length[env]; ++t) {
        const std::int64_t at = step_at(want, env, t), lane = env % kGroup;
        ASSERT_EQ(want.logits[at], got.logits[at]) << env << " " << t;
        ASSERT_EQ(want.reward[at], got.reward[at]);
        for (int i = 0; i < 3; ++i) {
          const std::int64_t row = (at - lane) * 3 + i * kGroup + lane;
          ASSERT_EQ(want.shown[row], got.shown[row]) << env << " " << t << " object " << i;
        }
        for (int i = 0; i < want.shape.words(); ++i) {
          const std::int64_t word = (at - lane) * want.shape.words() + i * kGroup + lane;
          ASSERT_EQ(want.active[word], got.active[word]) << env << " " << t << " word " << i;
        }
        for (const auto bits : {&TableRun::actions, &TableRun::terminated, &TableRun::incoming}) {
          ASSERT_EQ(bit_at(want, want.*bits, env, t), bit_at(got, got.*bits, env, t));
        }
      }
    }
  }
}

}  // namespace table_rollout_test
}  // namespace lockstep
