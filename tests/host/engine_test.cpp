// Tests for host/engine.h: policies, evaluation and rollouts; reset() and step() are in
// engine_step_test.cpp.
#include "host/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cfenv>
#include <cmath>
#include <numeric>

#include "host/errors.h"
#include "tests/support/training.h"

namespace lockstep {
namespace engine_test {

using ::testing::Each;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;
using ::testing::ThrowsMessage;

constexpr std::size_t kEnvs = 21;  // more than a group, and not a multiple of one

Config config_of(std::size_t envs = kEnvs) {
  return test::small_config(static_cast<std::int64_t>(envs));
}

std::vector<float> row(std::span<const float> rows, std::size_t env) {
  const auto* from = rows.data() + env * 4;
  return {from, from + 4};
}

/// A linear policy whose log-odds of action 1 are `scale` times the balancing controller's lean.
std::vector<NamedTensor> balancing(float scale) {
  return {{"layer1.weight",
           {2, 4},
           {0, 0, 0, 0, 0.05f * scale, 0.2f * scale, 2.0f * scale, 0.8f * scale}},
          {"layer1.bias", {2}, {0, 0}}};
}

Engine linear_engine(float scale, std::size_t envs = kEnvs) {
  Config config = config_of(envs);
  config.policy = PolicyKind::kLinear;
  Engine engine(config);
  engine.set_policy(balancing(scale));
  return engine;
}

double mean(const std::vector<float>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

TEST(EnginePolicy, IsWhatWasSetAndWrongOnesAreRefusedWhole) {
  Engine engine(config_of());
  const std::vector<NamedTensor> before = engine.policy();
  ASSERT_THAT(before, SizeIs(4));
  EXPECT_EQ(before[0].name, "layer1.weight");
  EXPECT_EQ(before[0].shape, (std::vector<std::int64_t>{16, 4}));
  EXPECT_EQ(before[2].shape, (std::vector<std::int64_t>{2, 16}));
  std::vector<NamedTensor> other = before;
  std::reverse(other.begin(), other.end());  // found by name, not by place
  for (NamedTensor& tensor : other) {
    for (float& v : tensor.data) v += 0.25f;
  }
  engine.set_policy(other);
  EXPECT_EQ(engine.policy()[0].data, other[3].data);

  std::vector<NamedTensor> bad = before;
  bad[2].name = "layer3.weight";
  EXPECT_THAT([&] { engine.set_policy(bad); },
              ThrowsMessage<BadInput>(HasSubstr("'layer2.weight' is missing")));
  bad = before;
  bad[1].shape = {4, 4};
  EXPECT_THAT([&] { engine.set_policy(bad); },
              ThrowsMessage<BadInput>(HasSubstr("shape [4, 4], expected [16]")));
  bad = before;
  bad[3].data.pop_back();
  EXPECT_THROW(engine.set_policy(bad), BadInput) << "fewer values than the shape says";
  EXPECT_EQ(engine.policy()[0].data, other[3].data);
}

TEST(EnginePolicy, IsThatOfALearnerWithAnotherCritic) {
  const auto engine_with = [](Critic critic) {
    Config config = test::small_config(4, 9);
    config.critic = critic;
    if (critic == Critic::kSeparate) config.critic_hidden = 5;
    config.algorithm = critic == Critic::kNone ? Algorithm::kReinforce : Algorithm::kPpo;
    config.horizon = critic == Critic::kNone ? 0 : 8;
    if (critic != Critic::kNone) config.baseline = Baseline::kNone;
    config.seed = 1 + static_cast<std::uint64_t>(critic);
    return Engine(config);
  };
  for (const Critic from : {Critic::kNone, Critic::kShared, Critic::kSeparate}) {
    for (const Critic to : {Critic::kNone, Critic::kShared, Critic::kSeparate}) {
      const auto theirs = engine_with(from).policy();
      Engine engine = engine_with(to);
      const auto before = engine.policy();
      engine.set_policy(theirs);
      const auto after = engine.policy();
      ASSERT_EQ(after.size(), before.size());
      for (std::size_t i = 0; i < after.size(); ++i) {
        EXPECT_EQ(after[i].data, i < 4 || from == to ? theirs[i].data : before[i].data);
      }
    }
  }
}

TEST(EngineTest, RefusesFloatModesThatChangeResults) {
  const auto expect_refused = [] {
    EXPECT_THAT([] { Engine engine(config_of()); },
                ThrowsMessage<RunFailure>(HasSubstr("does not round to nearest")));
  };
  std::fesetround(FE_UPWARD);
  expect_refused();
  std::fesetround(FE_TONEAREST);
#ifdef __SSE2__
  for (const unsigned mode : {0x8000u, 0x0040u}) {  // flush results, take operands as zero
    const unsigned before = __builtin_ia32_stmxcsr();
    __builtin_ia32_ldmxcsr(before | mode);
    expect_refused();
    __builtin_ia32_ldmxcsr(before);
  }
#endif
  Engine engine(config_of());
}

TEST(EngineEvaluate, GreedyEpisodesOfAGoodPolicyLast500Steps) {
  Engine engine = linear_engine(1);
  const EvalResult result = engine.evaluate({.episodes = 300});
  EXPECT_THAT(result.scores, SizeIs(300));
  EXPECT_THAT(result.scores, Each(500.0f));
  EXPECT_THAT(result.lengths, Each(500));
  EXPECT_EQ(result.steps, 300 * 500);
  EXPECT_GT(result.seconds, 0);
}

TEST(EngineEvaluate, GreedyTakesActionZeroWhereTheLogitIsZero) {
  Engine zero = linear_engine(0), left = linear_engine(1);
  left.set_policy({{"layer1.weight", {2, 4}, std::vector<float>(8)}, {"layer1.bias", {2}, {5, 0}}});
  const EvalResult a = zero.evaluate({}), b = left.evaluate({});
  EXPECT_EQ(a.lengths, b.lengths);
  EXPECT_LT(mean(a.scores), 11);  // pushing one way
}

TEST(EngineEvaluate, EpisodesAreTheSameInAnyNumberAndOnAnyThreads) {
  Config config = config_of();
  Engine one(config);
  config.threads = 3;
  config.envs = 4;
  Engine three(config);
  for (const ActionMode mode : {ActionMode::kGreedy, ActionMode::kSample, ActionMode::kEpsilon}) {
    const EvalOptions options{.mode = mode, .epsilon = 0.3, .episodes = 1000, .seed = 9};
    const EvalResult many = one.evaluate(options);
    EvalOptions fewer = options;
    fewer.episodes = 37;
    const EvalResult few = three.evaluate(fewer);
    EXPECT_THAT(few.lengths, ElementsAreArray(many.lengths.data(), 37));
    EXPECT_EQ(one.evaluate(options).scores, many.scores);
    EvalOptions next = options;
    next.index = 1;
    EXPECT_NE(one.evaluate(next).scores, many.scores);
    next = options;
    next.seed = 10;
    EXPECT_NE(one.evaluate(next).scores, many.scores);
    for (std::size_t i = 0; i < many.scores.size(); ++i) {
      ASSERT_EQ(many.scores[i], static_cast<float>(many.lengths[i]));
      ASSERT_GE(many.lengths[i], 8);
      ASSERT_LE(many.lengths[i], 500);
    }
  }
}

TEST(EngineEvaluate, EpsilonGoesFromGreedyToRandom) {
  Engine engine = linear_engine(1);
  const auto at = [&](double epsilon) {
    return engine.evaluate({.mode = ActionMode::kEpsilon, .epsilon = epsilon, .episodes = 4000});
  };
  EXPECT_EQ(at(0).scores, engine.evaluate({.episodes = 4000}).scores);
  // random play lasts 22.2 steps with deviation 11.8: six standard errors are 1.2
  EXPECT_NEAR(mean(at(1).scores), 22.2, 1.2);
  const double half = mean(at(0.5).scores);
  EXPECT_GT(half, 26);
  EXPECT_LT(half, 499);
}

TEST(EngineEvaluate, SamplingASharpPolicyIsNearlyGreedyAndAFlatOneRandom) {
  Engine sharp = linear_engine(1e6f), flat = linear_engine(0);
  EXPECT_GT(mean(sharp.evaluate({.mode = ActionMode::kSample}).scores), 499);
  EXPECT_NEAR(mean(flat.evaluate({.mode = ActionMode::kSample, .episodes = 4000}).scores), 22.2,
              1.2);
}

TEST(EngineEvaluate, RefusesWhatMakesNoSense) {
  Engine engine(config_of());
  EXPECT_THROW(engine.evaluate({.episodes = 0}), InvalidArgument);
  EXPECT_THROW(engine.evaluate({.epsilon = -0.1}), InvalidArgument);
  EXPECT_THROW(engine.evaluate({.epsilon = 1.1}), InvalidArgument);
  EXPECT_THROW(engine.evaluate({.epsilon = std::nan("")}), InvalidArgument);
}

// --- replay ---

TEST(EngineReplay, RefusesShapesThatDoNotFitAndWorldsWithoutAState) {
  const std::vector<std::uint8_t> actions = {0, 1};
  EXPECT_THROW(replay(actions, 1, 1, {}, {}), InvalidArgument);
  // a product that is 2 or 0 again in 64 bits
  EXPECT_THROW(replay(actions, (std::int64_t{1} << 62) + 1, 2, {}, {}), InvalidArgument);
  EXPECT_THROW(replay({}, std::int64_t{1} << 32, std::int64_t{1} << 32, {}, {}), InvalidArgument);
  EXPECT_THROW(replay(actions, 2, 1, {}, {.env = "pong"}), InvalidArgument);
}

// --- rollouts ---

TEST(EngineRollout, TheTrajectoryIsTheOneReplayGives) {
  for (const bool random : {false, true}) {
    Engine engine = linear_engine(random ? 1.0f : 0.3f);
    const RolloutResult result =
        engine.rollout({.steps = 700, .random_policy = random, .keep = true});
    const Trajectory& tr = result.trajectory;
    ASSERT_EQ(tr.T, 700);
    ASSERT_EQ(tr.N, kEnvs);
    EXPECT_EQ(tr.logits.size(), random ? 0u : static_cast<std::size_t>(700 * kEnvs));
    ASSERT_EQ(tr.obs.size(), std::size_t{701} * kEnvs * 4);
    ASSERT_EQ(tr.final_obs.size(), static_cast<std::size_t>(result.episodes) * 4);
    std::vector<std::size_t> final_row(tr.action.size());  // of final_obs, by step and environment
    for (std::size_t at = 0, rows = 0; at < final_row.size(); ++at) {
      final_row[at] = rows;
      rows += tr.terminated[at] | tr.truncated[at];
    }
    std::size_t episodes = 0, finished = 0;
    for (std::size_t i = 0; i < kEnvs; ++i) {
      for (std::size_t t = 0; t < 700;) {
        std::size_t end = t;
        while (end < 700 && tr.terminated[end * kEnvs + i] == 0 &&
               tr.truncated[end * kEnvs + i] == 0) {
          ++end;
        }
        const bool whole = end < 700;
        const std::size_t T = (whole ? end + 1 : 700) - t;
        std::vector<std::uint8_t> actions;
        for (std::size_t k = 0; k < T; ++k) actions.push_back(tr.action[(t + k) * kEnvs + i]);
        const std::vector<float> start = row(tr.obs, t * kEnvs + i);
        const ReplayResult want = replay(actions, static_cast<std::int64_t>(T), 1,
                                         std::vector<double>(start.begin(), start.end()), {});
        for (std::size_t k = 0; k < T; ++k) {
          const std::size_t at = (t + k) * kEnvs + i;
          ASSERT_EQ(row(tr.obs, at), row(want.obs, k)) << i << " at " << t + k;
          ASSERT_EQ(tr.terminated[at], want.terminated[k]);
          ASSERT_EQ(tr.truncated[at], k + 1 == 500);
          ASSERT_EQ(tr.reward[at], 1.0f);
        }
        const std::vector<float> last =
            whole ? row(tr.final_obs, final_row[end * kEnvs + i]) : row(tr.obs, 700 * kEnvs + i);
        ASSERT_EQ(last, row(want.obs, T)) << i << " after step " << t + T - 1;
        episodes += whole;
        finished += whole ? T : 0;
        t += T;
      }
    }
    EXPECT_EQ(result.episodes, static_cast<std::int64_t>(episodes));
    EXPECT_GT(episodes, kEnvs);
    EXPECT_DOUBLE_EQ(result.mean_score,
                     static_cast<double>(finished) / static_cast<double>(episodes));
    EXPECT_EQ(result.steps, 700 * kEnvs);
  }
}

TEST(EngineRollout, RepeatsAddUpAndDiffer) {
  Engine engine(config_of());
  const RolloutResult one = engine.rollout({.steps = 40, .keep = true});
  const RolloutResult three = engine.rollout({.steps = 40, .repeats = 3, .keep = true});
  EXPECT_EQ(three.steps, 3 * one.steps);
  EXPECT_NE(three.trajectory.obs, one.trajectory.obs);  // the last of the three
  EXPECT_EQ(engine.rollout({.steps = 40, .keep = true}).trajectory.obs, one.trajectory.obs);
  EXPECT_THAT(engine.rollout({.steps = 40}).trajectory.obs, IsEmpty());
  EXPECT_TRUE(std::isnan(engine.rollout({.steps = 1}).mean_score));  // no episode ends
  EXPECT_THROW(engine.rollout({.steps = 0}), InvalidArgument);
  EXPECT_THROW(engine.rollout({.repeats = 0}), InvalidArgument);
}

TEST(EngineRollout, ActionsAreChosenAsTheModeSays) {
  Engine engine = linear_engine(0.5f, 300), fewer = linear_engine(0.5f, 20);
  for (const Math math : {Math::kExact, Math::kDense}) {
    const auto play = [&](Engine& of, ActionMode mode, double epsilon) {
      return of
          .rollout({.steps = 100, .mode = mode, .epsilon = epsilon, .keep = true, .math = math})
          .trajectory;
    };
    const auto share_of_best = [](const Trajectory& t) {
      std::size_t best = 0;
      for (std::size_t k = 0; k < t.action.size(); ++k)
        best += (t.logits[k] > 0) == (t.action[k] == 1);
      return static_cast<double>(best) / static_cast<double>(t.action.size());
    };
    const Trajectory greedy = play(engine, ActionMode::kGreedy, 0);
    EXPECT_EQ(share_of_best(greedy), 1);
    EXPECT_EQ(play(engine, ActionMode::kEpsilon, 0).action, greedy.action);
    // a random action is the best one half of the time
    EXPECT_NEAR(share_of_best(play(engine, ActionMode::kEpsilon, 1)), 0.5, 0.02);
    const Trajectory some = play(engine, ActionMode::kEpsilon, 0.2);
    EXPECT_NEAR(share_of_best(some), 0.9, 0.02);
    // an environment plays the same whatever runs beside it
    const Trajectory few = play(fewer, ActionMode::kEpsilon, 0.2);
    for (std::size_t t = 0; t < 100; ++t) {
      for (std::size_t i = 0; i < 20; ++i)
        ASSERT_EQ(few.action[t * 20 + i], some.action[t * 300 + i]);
    }
  }
  EXPECT_THROW(engine.rollout({.steps = 1, .mode = ActionMode::kEpsilon, .epsilon = 2}),
               InvalidArgument);
}

TEST(EngineRollout, SamplesWithTheProbabilitiesOfItsLogits) {
  Engine engine = linear_engine(0.5f, 2000);
  const Trajectory tr = engine.rollout({.steps = 200, .keep = true}).trajectory;
  // sum of (action - p) over its own standard deviation: 6 sigma
  double excess = 0, variance = 0;
  for (std::size_t k = 0; k < tr.action.size(); ++k) {
    const double p = 1 / (1 + std::exp(-static_cast<double>(tr.logits[k])));
    excess += tr.action[k] - p;
    variance += p * (1 - p);
  }
  EXPECT_LT(std::abs(excess), 6 * std::sqrt(variance));
  EXPECT_GT(variance, 1e4);
}

// --- the object itself ---

TEST(Engine, RefusesBadConfigurationsAndAbsentDevices) {
  Config config = config_of();
  config.hidden = 0;
  EXPECT_THROW(Engine{config}, InvalidArgument);
  config = config_of();
  config.env = "cartpool";
  EXPECT_THROW(Engine{config}, InvalidArgument);
  config = config_of();
  config.device = "cuda";
  EXPECT_THAT([&] { Engine{config}; }, ThrowsMessage<DeviceUnavailable>(HasSubstr("cuda")));
  config = config_of();
  config.init_from = "/nowhere/model.safetensors";
  EXPECT_THROW(Engine{config}, Error);
}

TEST(Engine, CanBeMoved) {
  Engine from(config_of());
  const auto first = from.reset();
  const std::vector<float> obs(first.begin(), first.end());
  Engine to(std::move(from));
  EXPECT_EQ(to.num_actions(), 2);
  EXPECT_EQ(to.observation_size(), 4);
  EXPECT_NO_THROW(to.step(std::vector<std::uint8_t>(kEnvs, 0)));
  Engine other(config_of(3));
  other = std::move(to);
  EXPECT_EQ(other.config().envs, kEnvs);
}

TEST(Engine, TrainingChangesThePolicyAndNothingElse) {
  Engine engine(config_of());
  const std::vector<float> initial = engine.policy()[0].data;
  const auto obs = engine.reset();
  const std::vector<float> before(obs.begin(), obs.end());
  Config config = config_of();
  config.updates = 2;
  Engine trained(config);
  trained.reset();
  TrainHooks hooks;
  hooks.write_files = false;
  EXPECT_EQ(trained.train(hooks).updates, 2);
  EXPECT_NE(trained.policy()[0].data, initial);
  const std::vector<std::uint8_t> push(kEnvs, 1);
  EXPECT_THAT(trained.step(push).obs, ElementsAreArray(engine.step(push).obs));
}

TEST(Engine, ListsItsEnvironmentsAndItsBuild) {
  const auto list = list_environments();
  ASSERT_THAT(list, SizeIs(2));
  EXPECT_EQ(list[0].name, "cartpole");
  EXPECT_EQ(list[0].max_episode_steps, 500);
  EXPECT_EQ(list[1].name, "pong");
  EXPECT_EQ(list[1].observation_size, 6400);
  const BuildInfo info = build_info();
  EXPECT_THAT(info.backends, testing::ElementsAre("cpu"));
  EXPECT_GE(info.threads, 1);
  EXPECT_FALSE(info.version.empty());
}

}  // namespace engine_test
}  // namespace lockstep
