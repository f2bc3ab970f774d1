// Tests for host/engine.h: reset() and step() in the three modes of automatic reset. The reference
// is replay(), which steps one environment without any reset. The rest of the API: engine_test.cpp.
#include "host/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "host/errors.h"
#include "tests/support/training.h"

namespace lockstep {
namespace engine_step_test {

using ::testing::Each;
using ::testing::ElementsAreArray;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr std::size_t kEnvs = 21;  // more than a group, and not a multiple of one

Config config_of(std::size_t envs = kEnvs) {
  return test::small_config(static_cast<std::int64_t>(envs));
}

/// An arbitrary action that depends on everything a mode could mix up.
std::uint8_t action_of(std::size_t env, std::size_t episode, std::size_t t) {
  const std::uint64_t mixed = (env * 1000003 + episode * 7919 + t) * 0x9e3779b97f4a7c15u;
  return static_cast<std::uint8_t>(mixed >> 63);
}

struct Step {
  std::vector<float> obs;
  float reward;
  int terminated, truncated;
  friend bool operator==(const Step&, const Step&) = default;
};
using EpisodeSteps = std::vector<Step>;  // the first has the start observation and no reward

std::vector<float> row(std::span<const float> rows, std::size_t env) {
  const auto* from = rows.data() + env * 4;
  return {from, from + 4};
}

/// The first `count` episodes of every environment under action_of(), as seen through step() in one
/// mode. Checks on the way what the mode promises.
std::vector<std::vector<EpisodeSteps>> play_episodes(AutoresetMode mode, std::size_t count) {
  Engine engine(config_of());
  engine.set_autoreset(mode);
  std::vector<std::vector<EpisodeSteps>> episodes(kEnvs);
  std::vector<bool> ended(kEnvs);
  auto obs = engine.reset();
  for (std::size_t i = 0; i < kEnvs; ++i) episodes[i] = {{Step{row(obs, i), 0, 0, 0}}};
  std::size_t fewest = 0;
  while (fewest < count) {
    std::vector<std::uint8_t> actions(kEnvs), mask(kEnvs);
    for (std::size_t i = 0; i < kEnvs; ++i) {
      const std::size_t e = episodes[i].size() - 1;
      actions[i] = action_of(i, e, episodes[i].back().size() - 1);
      mask[i] = ended[i];
    }
    if (mode == AutoresetMode::kDisabled && std::count(mask.begin(), mask.end(), 1) > 0) {
      const auto again = engine.reset(mask);
      for (std::size_t i = 0; i < kEnvs; ++i) {
        if (mask[i] != 0) {
          episodes[i].push_back({Step{row(again, i), 0, 0, 0}});
          actions[i] = action_of(i, episodes[i].size() - 1, 0);
        } else {
          EXPECT_EQ(row(again, i), episodes[i].back().back().obs) << "a masked reset moved " << i;
        }
        ended[i] = false;
      }
    }
    const StepView view = engine.step(actions);
    for (std::size_t i = 0; i < kEnvs; ++i) {
      const Step step{row(view.obs, i), view.reward[i], view.terminated[i], view.truncated[i]};
      if (mode == AutoresetMode::kNextStep && ended[i]) {
        EXPECT_EQ(step.reward, 0);
        EXPECT_EQ(step.terminated + step.truncated, 0);
        episodes[i].push_back({step});
        ended[i] = false;
        continue;
      }
      ended[i] = step.terminated != 0 || step.truncated != 0;
      if (mode == AutoresetMode::kSameStep && ended[i]) {
        episodes[i].back().push_back(
            {row(view.final_obs, i), step.reward, step.terminated, step.truncated});
        episodes[i].push_back({Step{step.obs, 0, 0, 0}});
        ended[i] = false;
      } else {
        episodes[i].back().push_back(step);
      }
    }
    EXPECT_EQ(view.final_obs.empty(), mode != AutoresetMode::kSameStep);
    fewest = std::min_element(episodes.begin(), episodes.end(),
                              [](auto& a, auto& b) { return a.size() < b.size(); })
                 ->size() -
             1;
  }
  for (auto& one : episodes) one.resize(count);
  return episodes;
}

TEST(EngineStep, TheThreeModesTellTheSameEpisodes) {
  const auto disabled = play_episodes(AutoresetMode::kDisabled, 4);
  EXPECT_EQ(play_episodes(AutoresetMode::kNextStep, 4), disabled);
  EXPECT_EQ(play_episodes(AutoresetMode::kSameStep, 4), disabled);
}

TEST(EngineStep, EpisodesAreTheOnesReplayGives) {
  const auto played = play_episodes(AutoresetMode::kNextStep, 3);
  for (std::size_t env = 0; env < kEnvs; ++env) {
    for (std::size_t e = 0; e < 3; ++e) {
      const EpisodeSteps& episode = played[env][e];
      const std::size_t T = episode.size() - 1;
      std::vector<std::uint8_t> actions;
      for (std::size_t t = 0; t < T; ++t) actions.push_back(action_of(env, e, t));
      const std::vector<double> start(episode[0].obs.begin(), episode[0].obs.end());
      for (const double s : start) EXPECT_LE(std::abs(s), 0.05);
      const ReplayResult want = replay(actions, static_cast<std::int64_t>(T), 1, start, {});
      for (std::size_t t = 1; t <= T; ++t) {
        EXPECT_EQ(episode[t].obs, row(want.obs, t));
        EXPECT_EQ(episode[t].reward, 1.0f);
        EXPECT_EQ(episode[t].terminated, want.terminated[t - 1]);
        EXPECT_EQ(episode[t].terminated, t == T) << "an episode goes on after its end";
        EXPECT_EQ(episode[t].truncated, 0);
      }
    }
    EXPECT_NE(played[env][0][0].obs, played[env][1][0].obs) << "two episodes start alike";
  }
  EXPECT_NE(played[0][0][0].obs, played[1][0][0].obs) << "two environments start alike";
}

// A controller that keeps the pole up: the episode ends by the time limit.
std::vector<std::uint8_t> balance(std::span<const float> obs) {
  std::vector<std::uint8_t> actions;
  for (std::size_t i = 0; i < obs.size(); i += 4) {
    const float lean = 0.05f * obs[i] + 0.2f * obs[i + 1] + 2.0f * obs[i + 2] + 0.8f * obs[i + 3];
    actions.push_back(lean > 0 ? 1 : 0);
  }
  return actions;
}

TEST(EngineStep, TheTimeLimitIsExactly500AndCountsFromEachReset) {
  Engine engine(config_of());
  engine.set_autoreset(AutoresetMode::kSameStep);
  auto obs = engine.reset();
  // environment 3 starts again after 100 steps: its limit comes 100 steps later
  for (int t = 1; t <= 1100; ++t) {
    const StepView view = engine.step(balance(obs));
    for (std::size_t i = 0; i < kEnvs; ++i) {
      ASSERT_EQ(view.terminated[i], 0) << "the controller lost the pole";
      const int since = i == 3 ? t - 100 : t;
      EXPECT_EQ(view.truncated[i], since > 0 && since % 500 == 0) << i << " at " << t;
      EXPECT_EQ(view.reward[i], 1.0f);
    }
    obs = view.obs;
    if (t == 100) {
      std::vector<std::uint8_t> mask(kEnvs);
      mask[3] = 1;
      obs = engine.reset(mask);
    }
  }
}

TEST(EngineStep, BothEndsCanHoldAtOnce) {
  // balance for 499 steps, then see which environment falls exactly at the limit: push one way
  // from a step found by search so that the fall happens at step 500
  for (int push = 470; push < 500; ++push) {
    Engine engine(config_of());
    engine.set_autoreset(AutoresetMode::kDisabled);
    auto obs = engine.reset();
    for (int t = 1; t <= 500; ++t) {
      std::vector<std::uint8_t> actions = balance(obs);
      if (t > push) std::fill(actions.begin(), actions.end(), 1);
      const StepView view = engine.step(actions);
      obs = view.obs;
      const bool early = std::count(view.terminated.begin(), view.terminated.end(), 1) > 0;
      if (t < 500 && early) break;  // pushed too early
      if (t < 500) continue;
      EXPECT_THAT(view.truncated, Each(1));
      if (early) return;  // terminated and truncated in the same step
    }
  }
  FAIL() << "no environment fell at the time limit";
}

TEST(EngineStep, ErrorsNameTheFaultAndLeaveTheStateAlone) {
  Engine engine(config_of()), other(config_of());
  const std::vector<std::uint8_t> good(kEnvs, 1);
  EXPECT_THAT([&] { engine.step(good); },
              ThrowsMessage<InvalidArgument>(HasSubstr("call reset() first")));
  const std::vector<std::uint8_t> all(kEnvs, 1);
  EXPECT_THAT([&] { engine.reset(all); },
              ThrowsMessage<InvalidArgument>(HasSubstr("first reset takes all")));
  engine.reset();
  other.reset();
  engine.step(good);
  other.step(good);

  std::vector<std::uint8_t> bad = good;
  bad[20] = 2;
  EXPECT_THAT([&] { engine.step(bad); },
              ThrowsMessage<InvalidArgument>(HasSubstr("action 2 of environment 20")));
  const std::vector<std::uint8_t> many(kEnvs + 1, 1), none;
  EXPECT_THAT([&] { engine.step(many); }, ThrowsMessage<InvalidArgument>(HasSubstr("expected 21")));
  EXPECT_THAT([&] { engine.step(none); }, ThrowsMessage<InvalidArgument>(HasSubstr("expected 21")));
  EXPECT_THAT([&] { engine.reset(many); },
              ThrowsMessage<InvalidArgument>(HasSubstr("mask has 22 entries")));
  for (int t = 0; t < 30; ++t) {
    const StepView a = engine.step(good), b = other.step(good);
    ASSERT_THAT(a.obs, ElementsAreArray(b.obs));
    ASSERT_THAT(a.terminated, ElementsAreArray(b.terminated));
  }
}

TEST(EngineStep, DisabledModeRefusesToStepAnEndedEnvironmentUntilItsReset) {
  Engine engine(config_of());
  engine.set_autoreset(AutoresetMode::kDisabled);
  engine.reset();
  const std::vector<std::uint8_t> push(kEnvs, 1);
  std::vector<std::uint8_t> ended;
  std::vector<float> last;
  do {
    const StepView view = engine.step(push);
    ended.assign(view.terminated.begin(), view.terminated.end());
    last.assign(view.obs.begin(), view.obs.end());
  } while (std::count(ended.begin(), ended.end(), 1) == 0);
  const auto first = std::find(ended.begin(), ended.end(), 1) - ended.begin();
  const std::string name = "episode of environment " + std::to_string(first) + " has ended";
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT([&] { engine.step(push); }, ThrowsMessage<InvalidArgument>(HasSubstr(name)));
  }
  // a mask that leaves the ended one out changes nothing
  std::vector<std::uint8_t> mask(kEnvs);
  EXPECT_THAT(engine.reset(mask), ElementsAreArray(last));
  EXPECT_THAT([&] { engine.step(push); }, ThrowsMessage<InvalidArgument>(HasSubstr(name)));
  const auto obs = engine.reset(ended);
  for (std::size_t i = 0; i < kEnvs; ++i) {
    const std::vector<float> now = row(obs, i);
    EXPECT_EQ(now == row(last, i), ended[static_cast<std::size_t>(i)] == 0) << i;
  }
  EXPECT_NO_THROW(engine.step(push));
}

TEST(EngineStep, AModeChangeRestartsWhatHasEnded) {
  for (const AutoresetMode mode : {AutoresetMode::kSameStep, AutoresetMode::kNextStep}) {
    Engine engine(config_of());
    engine.set_autoreset(AutoresetMode::kDisabled);
    engine.reset();
    const std::vector<std::uint8_t> push(kEnvs, 1);
    std::vector<std::uint8_t> ended;
    do {
      const StepView view = engine.step(push);
      ended.assign(view.terminated.begin(), view.terminated.end());
    } while (std::count(ended.begin(), ended.end(), 1) == 0);
    engine.set_autoreset(mode);
    const StepView view = engine.step(push);
    for (std::size_t i = 0; i < ended.size(); ++i) {
      if (ended[i] == 0) continue;
      EXPECT_EQ(view.reward[i], 0);
      EXPECT_LE(std::abs(view.obs[i * 4 + 2]), 0.05f);
    }
  }
}

TEST(EngineReset, AFullResetStartsNewEpisodesEveryTime) {
  Engine engine(config_of()), again(config_of());
  std::vector<float> previous;
  for (int i = 0; i < 3; ++i) {
    const auto obs = engine.reset();
    ASSERT_THAT(again.reset(), ElementsAreArray(obs));
    EXPECT_THAT(obs, Each(testing::AllOf(testing::Ge(-0.05f), testing::Le(0.05f))));
    EXPECT_NE(std::vector(obs.begin(), obs.end()), previous);
    previous.assign(obs.begin(), obs.end());
  }
  Config other = config_of();
  other.seed = 2;
  EXPECT_NE(row(Engine(other).reset(), 0), row(Engine(config_of()).reset(), 0));
}

TEST(EngineReset, AnEnvironmentDoesNotDependOnTheNumberBesideIt) {
  Engine one(config_of(1)), many(config_of(1000));
  auto a = one.reset(), b = many.reset();
  for (std::size_t t = 0; t < 60; ++t) {
    ASSERT_EQ(row(a, 0), row(b, 0)) << t;
    a = one.step(std::vector<std::uint8_t>{action_of(0, 0, t)}).obs;
    b = many.step(std::vector<std::uint8_t>(1000, action_of(0, 0, t))).obs;
  }
}

TEST(EngineReset, AnEnvironmentWithASeedOfItsOwnIsThatOfALoneEngine) {
  for (const AutoresetMode mode : {AutoresetMode::kNextStep, AutoresetMode::kSameStep}) {
    Engine many(config_of()), other(config_of());
    std::vector<std::uint64_t> seeds;
    std::vector<std::uint8_t> mask(kEnvs);
    std::vector<Engine> lone;
    for (std::size_t i = 0; i < kEnvs; ++i) {
      seeds.push_back((std::uint64_t{i} << 33) + i * i);  // both words of the key
      mask[i] = i % 3 == 1 ? 0 : i % 2 == 0 ? 2 : 128;    // whatever is not 0
      Config config = config_of(1);
      config.seed = seeds[i];
      lone.emplace_back(config);
    }
    for (Engine* const engine : {&many, &other}) {
      engine->set_autoreset(mode);
      engine->reset();
      for (int t = 0; t < 30; ++t) engine->step(std::vector<std::uint8_t>(kEnvs, 1));
    }
    std::span<const float> seen = many.reset(mask, seeds);
    std::vector<std::vector<float>> want(kEnvs);
    for (std::size_t i = 0; i < kEnvs; ++i) {
      lone[i].set_autoreset(mode);
      want[i] = row(lone[i].reset(), 0);
    }
    for (std::size_t t = 0; t < 150; ++t) {
      const std::uint8_t action = action_of(0, 0, t);
      const StepView others = other.step(std::vector<std::uint8_t>(kEnvs, action));
      for (std::size_t i = 0; i < kEnvs; ++i) {
        if (mask[i] == 0) continue;
        ASSERT_EQ(row(seen, i), want[i]) << i << " at " << t;
      }
      const StepView view = many.step(std::vector<std::uint8_t>(kEnvs, action));
      seen = view.obs;
      for (std::size_t i = 0; i < kEnvs; ++i) {
        const StepView own = lone[i].step(std::vector<std::uint8_t>{action});
        want[i] = row(own.obs, 0);
        if (mask[i] == 0) {
          EXPECT_EQ(row(seen, i), row(others.obs, i));
        } else {
          EXPECT_EQ(view.terminated[i], own.terminated[0]);
        }
      }
      if (t == 70) {  // a reset without seeds goes on in each one's stream
        seen = many.reset();
        other.reset();
        for (std::size_t i = 0; i < kEnvs; ++i) want[i] = row(lone[i].reset(), 0);
      }
    }
  }
}

TEST(EngineReset, SeedsOfTheFirstResetAndTheirErrors) {
  Engine engine(config_of(2));
  const std::vector<std::uint64_t> seeds = {5, 6}, few = {5};
  EXPECT_THAT([&] { engine.reset({}, few); },
              ThrowsMessage<InvalidArgument>(HasSubstr("seeds have 1 entries, expected 2")));
  Config config = config_of(1);
  config.seed = 6;
  EXPECT_EQ(row(engine.reset({}, seeds), 1), row(Engine(config).reset(), 0));
  EXPECT_EQ(row(engine.reset({}, seeds), 1), row(Engine(config).reset(), 0)) << "from episode 0";
}

}  // namespace engine_step_test
}  // namespace lockstep
