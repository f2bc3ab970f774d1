// Tests for the dense path on pictures (host/backend/dense_policy.h, Pong): the policy that tables
// evaluate, up to a derived rounding; the same games; and what Engine::reset() and step() show of a
// game.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "envs/pong_frame80.h"
#include "host/cpu/dense.h"
#include "host/engine.h"
#include "host/episode.h"
#include "host/errors.h"
#include "tests/support/compare.h"
#include "tests/support/dense_reference.h"
#include "tests/support/pong_training.h"

namespace lockstep::test {
namespace dense_pictures_test {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr std::int64_t kPixels = 6400;

/// Weights whose sums never round: small integers, all of them scaled by a power of two.
std::vector<float> whole_weights(const PolicyShape& shape, std::uint64_t seed) {
  Random random(seed);
  std::vector<float> flat;
  for (std::int64_t i = 0; i < shape.size(); ++i) {
    const bool output = i >= std::int64_t{shape.H} * shape.O;
    const double most = output ? 7 : 15;
    flat.push_back(static_cast<float>(std::round(most * (2 * random.uniform() - 1)) / 64));
  }
  return flat;
}

Engine whole_engine(const Config& config, std::uint64_t seed = 1) {
  Engine engine(config);
  const PolicyShape shape = policy_shape(config, find_environment("pong"));
  engine.set_policy(shape.tensors(whole_weights(shape, seed)));
  return engine;
}

void expect_same_rollouts(Engine& engine, std::int64_t steps, const std::string& name) {
  RolloutOptions options{.steps = steps, .repeats = 2, .keep = true};
  const RolloutResult exact = engine.rollout(options);
  options.math = Math::kDense;
  const RolloutResult dense = engine.rollout(options);
  const Trajectory &a = exact.trajectory, &b = dense.trajectory;
  EXPECT_EQ(exact.episodes, dense.episodes) << name;
  if (exact.episodes > 0) {
    EXPECT_EQ(exact.mean_score, dense.mean_score) << name;
  }
  EXPECT_EQ(a.pictures.size(), static_cast<std::size_t>((a.T + 1) * a.N * kPixels)) << name;
  EXPECT_TRUE(a.pictures == b.pictures) << name;
  EXPECT_TRUE(a.final_pictures == b.final_pictures) << name;
  EXPECT_TRUE(a.logits == b.logits) << name;
  EXPECT_TRUE(a.action == b.action && a.reward == b.reward) << name;
  EXPECT_TRUE(a.terminated == b.terminated && a.truncated == b.truncated) << name;
  EXPECT_NE(std::count(a.action.begin(), a.action.end(), 1), 0) << name;
  EXPECT_NE(std::count(a.action.begin(), a.action.end(), 0), 0) << name;
}

TEST(DensePicturesTest, RolloutsEqualThoseOfTablesWhereNoSumRounds) {
  struct Case {
    std::int64_t envs, steps;
    FrameSkip skip;
    int threads;
  };
  for (const Case& c : {Case{9, 1500, {4, 4}, 1}, {17, 200, {1, 1}, 2}, {33, 150, {2, 4}, 1}}) {
    Config config = small_pong_config(c.envs, 24, c.threads);
    config.frame_skip = c.skip;
    config.noops = c.envs > 1 ? 30 : 0;
    config.repeat_action_probability = c.skip.first == 2 ? 0 : 0.25;
    Engine engine = whole_engine(config);
    expect_same_rollouts(engine, c.steps, std::to_string(c.envs) + " games");
  }
}

TEST(DensePicturesTest, GamesEqualThoseOfTablesWhereNoSumRounds) {
  for (const ActionMode mode : {ActionMode::kGreedy, ActionMode::kSample, ActionMode::kEpsilon}) {
    Config config = small_pong_config(1, 24);
    config.frame_skip = mode == ActionMode::kSample ? FrameSkip{2, 4} : FrameSkip{};
    config.repeat_action_probability = mode == ActionMode::kEpsilon ? 0.25 : 0;
    Engine engine = whole_engine(config);
    EvalOptions options{.mode = mode, .epsilon = 0.25, .episodes = 5, .index = 3};
    options.noops_in_turn = mode == ActionMode::kGreedy;
    options.keep_actions = true;
    const EvalResult exact = engine.evaluate(options);
    options.math = Math::kDense;
    const EvalResult dense = engine.evaluate(options);
    EXPECT_TRUE(dense.scores == exact.scores && dense.lengths == exact.lengths)
        << static_cast<int>(mode);
    EXPECT_TRUE(dense.actions == exact.actions && dense.noops == exact.noops)
        << static_cast<int>(mode);
    EXPECT_EQ(dense.frames, exact.frames) << static_cast<int>(mode);
    EXPECT_EQ(exact.frames.size(), 5u);
  }
}

TEST(DensePicturesTest, KeepsTheGamesItPlayed) {
  Config config = small_pong_config(1, 24);
  Engine engine = whole_engine(config);
  const EvalOptions options{
      .episodes = 20, .noops = 9, .noops_in_turn = true, .keep_actions = true};
  const EvalResult games = engine.evaluate(options);
  for (std::size_t i = 0; i < 20; ++i) {
    EXPECT_EQ(games.noops[i], static_cast<int>(i % 10));
    auto state = Pong::reset<std::int32_t>();
    int frames = 0;
    for (; frames < games.noops[i]; ++frames) Pong::frame<std::int32_t>(state, {0, 0});
    for (const std::uint8_t action : games.actions[i]) {
      EXPECT_FALSE(Pong::is_over(state));
      const int turn = action != 0 ? -Pong::kPaddleStep : Pong::kPaddleStep;
      for (int f = 0; f < 4 && !Pong::is_over(state); ++f, ++frames) {
        Pong::frame<std::int32_t>(state, {turn, 0});
      }
    }
    EXPECT_TRUE(Pong::is_over(state));
    EXPECT_EQ(games.frames[i], frames);
    EXPECT_EQ(games.lengths[i], static_cast<std::int32_t>(games.actions[i].size()));
    EXPECT_EQ(games.scores[i], static_cast<float>(state.human_score - state.cpu_score));
  }
}

TEST(DensePicturesTest, KeepsTheActionsOfEnvironmentsOfNumbers) {
  Engine engine(small_config(1));
  EvalOptions options{.mode = ActionMode::kSample, .episodes = 18, .keep_actions = true};
  const EvalResult games = engine.evaluate(options);
  for (std::size_t i = 0; i < 18; ++i) {
    EXPECT_EQ(games.actions[i], engine.play_episode(options, static_cast<std::int64_t>(i)).actions);
    EXPECT_EQ(games.actions[i].size(), static_cast<std::size_t>(games.lengths[i]));
  }
  EXPECT_TRUE(games.noops.empty() && games.frames.empty());
}

TEST(DensePicturesTest, EpisodesLastToTheGamesOwnLimit) {
  const Config config = small_pong_config(1, 16);
  const EnvironmentEntry& pong = find_environment("pong");
  EXPECT_EQ(game_options(config, pong, 0).max_steps, 65209 / 4);
  EXPECT_EQ(game_options(config, pong, 0, true).max_steps, 27000);
  EXPECT_EQ(game_options(config, pong, 29, true).max_steps, (108000 - 29) / 4);
}

TEST(DensePicturesTest, MaximaAreForPicturesThatAreDrawn) {
  Config config = small_pong_config(2, 24);
  Engine engine = whole_engine(config);
  const auto refuses = ThrowsMessage<InvalidArgument>(HasSubstr("--max-pool: the maximum of two"));
  EXPECT_THAT([&] { engine.evaluate({.episodes = 1, .max_pool = true}); }, refuses);
  EXPECT_THAT([&] { engine.rollout({.steps = 1, .max_pool = true}); }, refuses);
  const auto plain = engine.rollout({.steps = 60, .keep = true, .math = Math::kDense});
  const auto pooled =
      engine.rollout({.steps = 60, .keep = true, .max_pool = true, .math = Math::kDense});
  EXPECT_NE(plain.trajectory.pictures, pooled.trajectory.pictures);
  Engine cartpole(small_config(2));
  EXPECT_THAT([&] { cartpole.rollout({.steps = 1, .max_pool = true, .math = Math::kDense}); },
              ThrowsMessage<InvalidArgument>(HasSubstr("cartpole is no game")));
}

TEST(DensePicturesTest, TheLastPicturesArePooledToo) {
  Engine engine = whole_engine(small_pong_config(2, 24));
  const auto pictures = [&](std::int64_t steps) {
    return engine.rollout({.steps = steps, .keep = true, .max_pool = true, .math = Math::kDense})
        .trajectory.pictures;
  };
  const std::vector<std::int8_t> longer = pictures(61);
  for (const std::int64_t steps : {15, 30, 45, 60}) {  // what follows the last step
    const std::vector<std::int8_t> whole = pictures(steps);
    EXPECT_TRUE(std::equal(whole.begin(), whole.end(), longer.begin())) << steps;
  }
}

TEST(DensePicturesTest, WrongShapesAreNamed) {
  CpuDense device(find_environment("pong"), {});
  device.set_layers(random_network({4, 8, 1}, DenseActivation::kRelu, 3));
  EXPECT_THAT(
      [&] { play_dense(device, {.num_envs = 1, .T = 1}, 6400, 2, nullptr); },
      ThrowsMessage<InvalidArgument>(HasSubstr(
          "do not fit the environment: they make 1 logits of 4 numbers, expected 1 of 6400")));
  device.set_layers(random_network({6400, 8, 1}, DenseActivation::kRelu, 3));
  EXPECT_THAT([&] { device.forward(std::vector<float>(84 * 84)); },
              ThrowsMessage<InvalidArgument>(HasSubstr("7056 observations for 6400 inputs")));
  const PolicyShape shape = policy_shape(small_pong_config(1, 8), find_environment("pong"));
  const std::vector<NamedTensor> cartpole = Engine(small_config(1, 8)).policy();
  EXPECT_THAT(
      [&] { shape.flatten(cartpole); },
      ThrowsMessage<BadInput>(HasSubstr("'layer1.weight' has shape [8, 4], expected [8, 6400]")));
  Engine engine(small_config(1, 8));
  EXPECT_THAT(
      [&] { engine.set_policy(Engine(small_pong_config(1, 8)).policy()); },
      ThrowsMessage<BadInput>(HasSubstr("'layer1.weight' has shape [8, 6400], expected [8, 4]")));
}

TEST(DensePicturesTest, SteppingByHandIsTheRolloutOfItsActions) {
  const Config config = small_pong_config(3, 24);
  Engine engine = whole_engine(config);
  const Trajectory t = engine.rollout({.steps = 1500, .keep = true}).trajectory;
  engine.set_autoreset(AutoresetMode::kSameStep);
  std::span<const float> obs = engine.reset();
  const auto equal = [](std::span<const float> seen, const std::int8_t* picture) {
    return std::equal(seen.begin(), seen.end(), picture,
                      [](float a, std::int8_t b) { return a == static_cast<float>(b); });
  };
  std::int64_t ends = 0;
  for (std::int64_t step = 0; step < t.T; ++step) {
    ASSERT_TRUE(equal(obs, t.pictures.data() + step * t.N * kPixels)) << step;
    const auto row = static_cast<std::size_t>(step * t.N);
    const StepView view = engine.step({t.action.data() + row, static_cast<std::size_t>(t.N)});
    for (std::size_t i = 0; i < static_cast<std::size_t>(t.N); ++i) {
      ASSERT_EQ(view.reward[i], t.reward[row + i]);
      ASSERT_EQ(view.terminated[i], t.terminated[row + i]);
      ASSERT_EQ(view.truncated[i], 0);
      if (view.terminated[i] == 0) continue;
      const auto last = view.final_obs.subspan(i * kPixels, kPixels);
      EXPECT_TRUE(std::any_of(last.begin(), last.end(), [](float x) { return x != 0; }));
      EXPECT_TRUE(equal(last, t.final_pictures.data() + ends * kPixels)) << step << ", " << i;
      ++ends;
    }
    obs = view.obs;
  }
  EXPECT_TRUE(equal(obs, t.pictures.data() + t.T * t.N * kPixels));
  EXPECT_GE(ends, 3);
  EXPECT_EQ(t.final_pictures.size(), static_cast<std::size_t>(ends * kPixels));
}

TEST(DensePicturesTest, AMaskedResetLeavesTheOtherGamesAlone) {
  Engine engine(small_pong_config(2, 8)), other(small_pong_config(2, 8));
  engine.reset();
  other.reset();
  const std::vector<std::uint8_t> up(2, 1), mask = {1, 0};
  StepView view = engine.step(up);
  other.step(up);
  const std::vector<float> before(view.obs.begin() + kPixels, view.obs.end());
  const std::span<const float> obs = engine.reset(mask);
  EXPECT_EQ(std::count(obs.begin(), obs.begin() + kPixels, 0.0f), kPixels);
  EXPECT_TRUE(std::equal(before.begin(), before.end(), obs.begin() + kPixels));
  for (int t = 0; t < 50; ++t) {
    view = engine.step(up);
    const StepView want = other.step(up);
    EXPECT_TRUE(std::equal(view.obs.begin() + kPixels, view.obs.end(), want.obs.begin() + kPixels));
  }
}

TEST(DensePicturesTest, EndedGamesStartAgainInTheNextStepOrNotAtAll) {
  for (const AutoresetMode mode : {AutoresetMode::kNextStep, AutoresetMode::kDisabled}) {
    Engine engine(small_pong_config(2, 8));
    engine.set_autoreset(mode);
    engine.reset();
    const std::vector<std::uint8_t> down(2, 0);
    StepView view = engine.step(down);
    for (int t = 1; view.terminated[0] == 0; ++t) {
      ASSERT_LT(t, 3000);
      view = engine.step(down);
    }
    if (mode == AutoresetMode::kDisabled) {
      EXPECT_THROW(engine.step(down), InvalidArgument);
      const std::uint8_t both[2] = {1, 1};
      const auto obs = engine.reset(both);
      EXPECT_EQ(std::count(obs.begin(), obs.end(), 0.0f), 2 * kPixels);
    } else {
      view = engine.step(down);
      EXPECT_EQ(view.reward[0], 0);
      EXPECT_EQ(view.terminated[0], 0);
      EXPECT_EQ(std::count(view.obs.begin(), view.obs.end(), 0.0f), 2 * kPixels);
    }
    view = engine.step(down);
    EXPECT_NE(std::count(view.obs.begin(), view.obs.end(), 0.0f), 2 * kPixels);
  }
}

}  // namespace dense_pictures_test
}  // namespace lockstep::test
