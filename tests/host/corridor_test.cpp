// Tests for tests/support/corridor.h as an environment of the engine: three actions, rewards of its
// own and episodes of one step, added by a CMake call alone.
#include "tests/support/corridor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>

#include "host/cpu/number_backend.h"
#include "host/engine.h"
#include "host/errors.h"
#include "kernels/policy.h"
#include "kernels/sample_action.h"
#include "tests/support/training.h"

namespace lockstep::test {
namespace corridor_test {

Config corridor_config(std::int64_t envs = 32) {
  Config config = small_config(envs);
  config.env = "corridor";
  config.until_score = 0.85;
  config.over = 64;
  config.updates = 300;
  return config;
}

/// One environment, stepped by hand.
struct Walker {
  Corridor::State<float> state;
  StepResult<float> step(int action) { return Corridor::step<float>(state, action); }
  std::array<float, 2> obs() const { return {state.cell, state.prize}; }
  static Walker at(const float* obs) { return {{obs[0], obs[1]}}; }
};

TEST(Corridor, IsListedBesideTheBuiltInEnvironment) {
  const auto list = list_environments();
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[0].name, "cartpole");
  EXPECT_EQ(list[1].name, "corridor");
  EXPECT_EQ(list[1].observation_size, 2);
  EXPECT_EQ(list[1].state_size, 2);
  EXPECT_EQ(list[1].num_actions, 3);
  EXPECT_EQ(list[1].max_episode_steps, 20);
}

TEST(Corridor, IsLearnedToItsOptimum) {
  for (const PolicyKind policy : {PolicyKind::kMlp, PolicyKind::kLinear}) {
    for (const std::uint64_t seed : {1u, 2u, 3u}) {
      Config config = corridor_config();
      config.policy = policy;
      config.seed = seed;
      if (policy == PolicyKind::kLinear) config.lr = 0.2;
      Engine engine(config);
      TrainHooks hooks;
      hooks.write_files = false;
      const TrainResult trained = engine.train(hooks);
      EXPECT_TRUE(trained.reached) << "mean score " << trained.mean_score << ", seed " << seed;
      const EvalResult greedy = engine.evaluate({.episodes = 500});
      double mean = 0;
      for (std::size_t i = 0; i < greedy.scores.size(); ++i) {
        mean += static_cast<double>(greedy.scores[i]) / 500;
        EXPECT_LE(greedy.lengths[i], 3) << "the shortest way from any start";
        EXPECT_EQ(greedy.scores[i], 1.0f - static_cast<float>(greedy.lengths[i]) / 16);
      }
      EXPECT_NEAR(mean, Corridor::kBestScore, 0.02);  // starts are drawn
    }
  }
}

TEST(Corridor, ActionsAreSampledFromTheSoftmax) {
  Config config = corridor_config(50);
  config.init = Init::kKaimingUniform;
  Engine engine(config);
  const auto result = engine.rollout({.steps = 200, .keep = true});
  const Trajectory& r = result.trajectory;
  ASSERT_EQ(r.Z, 3);
  int count[3] = {};
  for (std::int64_t t = 0; t < r.T; ++t) {
    for (std::int64_t i = 0; i < r.N; ++i) {
      const auto at = static_cast<std::size_t>(t * r.N + i);
      const float logits[3] = {r.logits[3 * at], r.logits[3 * at + 1], r.logits[3 * at + 2]};
      const auto words = random_words<std::uint32_t>({config.seed, 0}, Purpose::kAction, 0,
                                                     static_cast<std::uint32_t>(i),
                                                     static_cast<std::uint32_t>(t / 4));
      const auto expected = sample_categorical<float, 3>(logits, uniform<float>(words.w[t % 4]));
      ASSERT_EQ(r.action[at], expected) << "step " << t << " environment " << i;
      ++count[r.action[at]];
    }
  }
  for (const int n : count) EXPECT_GT(n, 1000) << "every action is taken";
}

TEST(Corridor, TrajectoriesFollowTheRules) {
  for (const bool random_policy : {false, true}) {
    Engine engine(corridor_config(37));
    const RolloutResult result =
        engine.rollout({.steps = 150, .random_policy = random_policy, .keep = true});
    const Trajectory& r = result.trajectory;
    EXPECT_EQ(r.logits.empty(), random_policy);
    std::int64_t episodes = 0, truncated = 0;
    double score = 0;
    for (std::int64_t i = 0; i < r.N; ++i) {
      int steps = 0;
      double running = 0;
      for (std::int64_t t = 0; t < r.T; ++t) {
        const auto at = static_cast<std::size_t>(t * r.N + i);
        Walker walker = Walker::at(&r.obs[2 * at]);
        const auto step = walker.step(r.action[at]);
        ++steps;
        const bool ended = step.terminated || steps == Corridor::kMaxEpisodeSteps;
        running += static_cast<double>(step.reward);
        ASSERT_EQ(r.reward[at], step.reward);
        ASSERT_EQ(r.terminated[at] != 0, step.terminated);
        ASSERT_EQ(r.truncated[at] != 0, steps == Corridor::kMaxEpisodeSteps);
        truncated += r.truncated[at];
        if (ended) {
          ++episodes;
          score += running;
          running = steps = 0;
        }
        if (t + 1 == r.T) continue;
        const float* next = &r.obs[2 * (at + static_cast<std::size_t>(r.N))];
        if (ended) {
          ASSERT_LE(std::abs(next[0]), 1.0f) << "a start cell";
        } else {
          ASSERT_EQ((std::array<float, 2>{next[0], next[1]}), walker.obs());
        }
      }
    }
    EXPECT_EQ(result.episodes, episodes);
    EXPECT_NEAR(result.mean_score, score / static_cast<double>(episodes), 1e-12);
    EXPECT_GT(truncated, 0) << "the time limit is met";
  }
}

TEST(Corridor, StepsWithEveryAutoresetMode) {
  constexpr int kEnvs = 19;
  for (const AutoresetMode mode :
       {AutoresetMode::kNextStep, AutoresetMode::kSameStep, AutoresetMode::kDisabled}) {
    Engine engine(corridor_config(kEnvs));
    engine.set_autoreset(mode);
    const auto first = engine.reset();
    std::vector<float> obs(first.begin(), first.end());
    std::vector<bool> ended(kEnvs, false);
    std::vector<int> steps(kEnvs, 0);
    for (int t = 0; t < 200; ++t) {
      std::vector<std::uint8_t> actions(kEnvs);
      for (std::size_t i = 0; i < kEnvs; ++i) {
        actions[i] = static_cast<std::uint8_t>((i * 7 + static_cast<std::size_t>(t * t)) % 3);
      }
      if (mode == AutoresetMode::kDisabled) {
        std::vector<std::uint8_t> mask(ended.begin(), ended.end());
        const auto now = engine.reset(mask);
        for (std::size_t i = 0; i < kEnvs; ++i) {
          if (!ended[i]) {
            ASSERT_EQ(now[2 * i], obs[2 * i]) << "reset(mask) leaves the others alone, step " << t;
          } else {
            steps[i] = 0;
          }
          ended[i] = false;
        }
        obs.assign(now.begin(), now.end());
      }
      const StepView view = engine.step(actions);
      for (std::size_t i = 0; i < kEnvs; ++i) {
        const bool ignored = mode == AutoresetMode::kNextStep && ended[i];
        Walker walker = Walker::at(&obs[2 * i]);
        StepResult<float> step{0, false};
        if (ignored) {
          steps[i] = 0;
        } else {
          step = walker.step(actions[i]);
          ++steps[i];
        }
        ASSERT_EQ(view.reward[i], step.reward) << "step " << t << " environment " << i;
        ASSERT_EQ(view.terminated[i] != 0, step.terminated);
        ASSERT_EQ(view.truncated[i] != 0, steps[i] == Corridor::kMaxEpisodeSteps);
        ended[i] = view.terminated[i] != 0 || view.truncated[i] != 0;
        const bool restarted = ignored || (mode == AutoresetMode::kSameStep && ended[i]);
        if (restarted) {
          ASSERT_LE(std::abs(view.obs[2 * i]), 1.0f) << "a start cell";
        } else {
          ASSERT_EQ(view.obs[2 * i], walker.state.cell);
        }
        if (mode == AutoresetMode::kSameStep && ended[i]) {
          ASSERT_EQ(view.final_obs[2 * i], walker.state.cell);
          steps[i] = 0;
        }
      }
      obs.assign(view.obs.begin(), view.obs.end());
    }
  }
}

TEST(Corridor, RejectsAFourthAction) {
  Engine engine(corridor_config(2));
  engine.reset();
  EXPECT_THROW(engine.step(std::vector<std::uint8_t>{0, 3}), InvalidArgument);
}

TrainingHash train(const Config& config, const CpuTuning& tuning) {
  CpuBackend backend = make_cpu_backend(config, tuning);
  return hash_training(backend, config, 5, 2);
}

TEST(Corridor, TrainsToTheSameBitsOnEveryInstructionSet) {
  for (const std::int64_t horizon : {0, 30}) {
    for (const double dropout : {0.0, 0.3}) {
      Config config = corridor_config(75);
      config.horizon = horizon;
      config.dropout = dropout;
      config.entropy_coef = 0.01;
      const TrainingHash expected = train(config, {});
      TrainingHash expected_recomputed = expected;
      expected_recomputed.record = 0;  // nothing is kept
      Config recompute = config;
      recompute.store = Store::kRecompute;
      for (const Isa isa : available_isas()) {
        EXPECT_EQ(train(config, {.isa = isa}), expected) << isa_name(isa);
        EXPECT_EQ(train(recompute, {.isa = isa}), expected_recomputed)
            << isa_name(isa) << " recomputed";
      }
    }
  }
}

TEST(Corridor, PlaysTheSameBitsOnEveryInstructionSet) {
  const Config config = corridor_config(75);
  for (const ActionChoice choice :
       {ActionChoice::kSample, ActionChoice::kGreedy, ActionChoice::kEpsilon}) {
    for (const bool random_policy : {false, true}) {
      PlayRequest request;
      request.num_envs = 75;
      request.T = 64;
      request.episodic = false;
      request.random_policy = random_policy;
      request.choice = choice;
      request.epsilon = 0.3f;
      request.stream = {9, kEvaluationEpoch};
      std::vector<float> score;
      std::vector<std::uint8_t> actions;
      for (const Isa isa : available_isas()) {
        CpuBackend backend = make_cpu_backend(config, {.isa = isa});
        const RolloutBuffers buffers(
            {.num_envs = 75, .T = 64, .O = 2, .A = 3, .obs_and_logits = true, .reward = true});
        Record<float> record = buffers.record();
        const PlayResult played = backend.play(backend.download().parameters, request, &record);
        const std::vector<std::uint8_t> taken(record.action,
                                              record.action + record.groups * 64 * kGroup);
        if (isa == Isa::kScalar) {
          score = played.score;
          actions = taken;
        }
        EXPECT_EQ(played.score, score) << isa_name(isa);
        EXPECT_EQ(taken, actions) << isa_name(isa);
      }
    }
  }
}

TEST(Corridor, ReplaysGivenActions) {
  const std::vector<std::uint8_t> actions = {2, 0, 2, 1, 2, 1};  // [3, 2]
  const std::vector<double> initial = {0, 1, -1, 1};             // [2, 2]
  const auto out = replay(actions, 3, 2, initial, {.env = "corridor"});
  EXPECT_EQ(out.state, (std::vector<double>{0, 1, -1, 1, 1, 1, -2, 1, 2, 1, -2, 1, 2, 1, -2, 1}));
  // a step beyond an end that ends again is not rewarded
  EXPECT_EQ(out.reward, (std::vector<float>{-0.0625f, -0.0625f, 0.9375f, 0, 0, 0}));
  EXPECT_EQ(out.terminated, (std::vector<std::uint8_t>{0, 1, 1, 1, 1, 1}));
  EXPECT_THROW(replay(actions, 3, 2, initial, {.env = "corridor", .float64 = true}),
               InvalidArgument);
}

}  // namespace corridor_test
}  // namespace lockstep::test
