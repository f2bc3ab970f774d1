// Tests for kernels/picture_step.h on Pong: the pictures a network sees are ALE's, plain and
// pooled, to the frame limit and through attract mode; steps, starts and restarts are those of
// StepBuffers.
#include "kernels/picture_step.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "envs/pong_ale.h"
#include "envs/pong_objects.h"
#include "kernels/cpu/picture_step.h"
#include "tests/support/return_cases.h"

namespace lockstep::test {
namespace picture_step_test {

constexpr int kPixels = ObjectPong::kPixels;
using Game = PictureGame<ObjectPong>;
using Picture = std::vector<std::uint8_t>;

constexpr int kShown = 2 * ObjectPong::kObjects;

/// One group of environments stepped by hand.
class Steps {
 public:
  Steps(std::int64_t envs, const GameOptions& game, std::uint64_t seed = 5,
        std::uint32_t first_env = 0)
      : game_(game),
        state_(Game::kNumbers * kGroup),
        steps_(kGroup),
        number_(kGroup, ~0u),
        seed_(kGroup),
        seeded_(kGroup),
        ended_(kGroup),
        shown_(kShown * kGroup, -1),  // whatever is there
        obs(kGroup * kPixels, 9.0f),
        final_obs(kGroup * kPixels, 9.0f),
        reward(kGroup),
        terminated(kGroup),
        truncated(kGroup) {
    args_.num_envs = envs;
    args_.stream = {seed, 3, first_env};
    args_.state = state_.data();
    args_.steps = steps_.data();
    args_.number = number_.data();
    args_.seed = seed_.data();
    args_.seeded = seeded_.data();
    args_.shown = shown_.data();
    args_.ended = ended_.data();
    args_.reward = reward.data();
    args_.terminated = terminated.data();
    args_.truncated = truncated.data();
    args_.obs = obs.data();
    args_.final_obs = final_obs.data();
    reset({});
  }
  void run() {
    for (std::int64_t env = 0; env < args_.num_envs; ++env) {
      picture_step<ObjectPong, float>(args_, game_, env, cpu::Alone<ObjectPong>{});
    }
  }
  void step(const std::vector<std::uint8_t>& actions, Restart restart = Restart::kNever) {
    args_.reset_only = false;
    args_.restart = restart;
    args_.action = actions.data();
    run();
  }
  /// mask, seeds: empty or of every environment.
  void reset(const std::vector<std::uint8_t>& mask, const std::vector<std::uint64_t>& seeds = {}) {
    args_.reset_only = true;
    args_.mask = mask.empty() ? nullptr : mask.data();
    args_.new_seed = seeds.empty() ? nullptr : seeds.data();
    args_.own_seeds = args_.own_seeds || !seeds.empty();
    run();
  }
  const float* picture(std::int64_t env) const { return obs.data() + env * kPixels; }
  std::uint32_t number(std::size_t env) const { return number_[env]; }
  PongState<std::int32_t> state(std::int64_t env) const {
    return Game::load(state_.data() + env).now;
  }

 private:
  GameOptions game_;
  StepBuffers args_{};
  std::vector<float> state_;
  std::vector<std::int32_t> steps_;
  std::vector<std::uint32_t> number_;
  std::vector<std::uint64_t> seed_;
  std::vector<std::uint8_t> seeded_, ended_;
  std::vector<std::int32_t> shown_;

 public:
  std::vector<float> obs, final_obs, reward;
  std::vector<std::uint8_t> terminated, truncated;
};

/// Whether a picture is `now` - `before`.
bool is_difference(const float* picture, const Picture& now, const Picture& before) {
  for (std::size_t p = 0; p < now.size(); ++p) {
    if (picture[p] != static_cast<float>(now[p] - before[p])) return false;
  }
  return true;
}

PongAle plain_ale(int skip, bool pooled) {
  PongOptions options;
  options.min_skip = options.max_skip = pooled ? 1 : skip;
  options.pooled_skip = pooled ? skip : 0;
  options.repeat_probability = 0;
  options.actions = PongActions::kUpDown;
  return PongAle(options);
}

struct Compared {
  int steps = 0, points = 0, empty = 0;
  bool truncated = false;
};

/// Plays an episode here and as ALE and demands equality in every step. act: from the state, action
/// 1 = up.
Compared compare_episode(int skip, bool pooled, int max_steps,
                         const std::function<bool(const PongState<std::int32_t>&, int)>& act) {
  Steps ours(1, {.min_skip = skip, .max_skip = skip, .max_pool = pooled, .max_steps = max_steps});
  PongAle ale = plain_ale(skip, pooled);
  Picture now(kPixels), before(kPixels);
  ale.frame80(now.data());
  Compared seen;
  const Picture nothing(kPixels);
  EXPECT_TRUE(is_difference(ours.picture(0), nothing, nothing));
  for (;; ++seen.steps) {
    const bool up = act(ours.state(0), seen.steps);
    ours.step({std::uint8_t{up}});
    const PongAleStep step = ale.step(up ? 0 : 1);
    EXPECT_EQ(ours.reward[0], static_cast<float>(step.reward)) << seen.steps;
    EXPECT_EQ(ours.terminated[0] != 0, step.terminated) << seen.steps;
    seen.points += step.reward != 0 ? 1 : 0;
    const bool over = (ours.terminated[0] | ours.truncated[0]) != 0;
    seen.truncated = ours.truncated[0] != 0;
    EXPECT_EQ(seen.truncated, step.truncated) << seen.steps;
    if (pooled && (over || step.truncated)) break;  // ALE shows older pictures then
    before.swap(now);
    ale.frame80(now.data());
    EXPECT_TRUE(is_difference(ours.picture(0), now, before)) << "step " << seen.steps;
    seen.empty += now == before ? 1 : 0;
    if (over || step.terminated || step.truncated || testing::Test::HasFailure()) break;
  }
  ++seen.steps;
  return seen;
}

TEST(PictureStepTest, PicturesAreThoseOfAle) {
  for (const int skip : {1, 3, 4}) {
    for (const bool pooled : {false, true}) {
      Random random(static_cast<std::uint64_t>(skip));
      const Compared seen = compare_episode(skip, pooled, Pong::kFrameLimit / skip,
                                            [&](auto&, int) { return random.uniform() < 0.5; });
      EXPECT_GT(seen.steps, 2500 / skip) << skip;
      EXPECT_GE(seen.points, 21) << skip;
      EXPECT_FALSE(seen.truncated) << skip;
    }
  }
}

TEST(PictureStepTest, PooledPicturesAreOthers) {
  GameOptions game{.max_pool = true, .max_steps = 1000};
  Steps pooled(1, game);
  game.max_pool = false;
  Steps plain(1, game);
  int others = 0;
  for (int t = 0; t < 200; ++t) {
    pooled.step({1});
    plain.step({1});
    others +=
        std::equal(pooled.obs.begin(), pooled.obs.begin() + kPixels, plain.obs.begin()) ? 0 : 1;
  }
  EXPECT_GT(others, 100);
}

TEST(PictureStepTest, AStepOfOneFrameShowsThatFrameAlone) {
  const GameOptions options{.min_skip = 1, .max_skip = 2, .max_pool = true, .max_steps = 1000};
  Game game{};
  game.start(options, {1, 2}, 3, 0);
  int steps[2] = {};
  for (int t = 0; t < 200; ++t) {
    const PongState<std::int32_t> before = game.now;
    game.play(true, options, {1, 2}, 3);
    const int frames = (game.now.clock - before.clock) & 0xffff;
    ASSERT_TRUE(frames == 1 || frames == 2) << t;
    EXPECT_EQ(game.pictures, frames) << t;
    ++steps[frames - 1];
  }
  EXPECT_GT(steps[0], 50);
  EXPECT_GT(steps[1], 50);
}

TEST(PictureStepTest, GoesThroughAttractModeToTheLimitOfFrames) {
  // a tracker that rallies for ever
  const auto track = [](const PongState<std::int32_t>& s, int) { return s.human_bat > s.ball_y; };
  const Compared seen = compare_episode(1, false, Pong::kFrameLimit, track);
  EXPECT_EQ(seen.steps, Pong::kFrameLimit);
  EXPECT_TRUE(seen.truncated);
  EXPECT_GT(seen.empty, 100);  // the whole picture is lit for long stretches
}

TEST(PictureStepTest, MarkedEnvironmentsStartAndOthersStay) {
  Steps steps(3, {.max_steps = 100});
  steps.step({1, 0, 1});
  steps.step({1, 0, 1});
  const std::vector<float> before = steps.obs;
  steps.reset({0, 1, 0});
  EXPECT_EQ(steps.state(1).clock, Pong::kResetClock);
  EXPECT_EQ(steps.number(0), 0u);
  EXPECT_EQ(steps.number(1), 1u);
  EXPECT_EQ(std::count(steps.picture(1), steps.picture(1) + kPixels, 0.0f), kPixels);
  EXPECT_NE(std::count(steps.picture(0), steps.picture(0) + kPixels, 0.0f), kPixels);
  EXPECT_TRUE(std::equal(steps.picture(0), steps.picture(1), before.begin()));
  EXPECT_EQ(steps.state(0).clock, Pong::kResetClock + 8);
}

TEST(PictureStepTest, AnEndedGameStandsStillUntilItIsReset) {
  Steps steps(1, {.max_steps = 2});
  steps.step({1});
  steps.step({1});
  EXPECT_EQ(steps.truncated[0], 1);
  const std::vector<float> before = steps.obs;
  const PongState<std::int32_t> state = steps.state(0);
  steps.step({0});
  EXPECT_EQ(steps.truncated[0], 0);
  EXPECT_EQ(steps.state(0).clock, state.clock);
  EXPECT_TRUE(steps.obs == before);
  steps.step({0}, Restart::kNextStep);
  EXPECT_EQ(steps.number(0), 1u);
  EXPECT_EQ(std::count(steps.picture(0), steps.picture(0) + kPixels, 0.0f), kPixels);
}

TEST(PictureStepTest, AGameWithASeedOfItsOwnIsThatOfALoneOne) {
  // everything that is drawn: starts, sticky actions, frames of a step
  const GameOptions game{
      .min_skip = 2, .max_skip = 4, .repeat_below = 1 << 22, .max_noops = 29, .max_steps = 30};
  Steps many(3, game, 5, 100), other(3, game, 5, 100),
      lone(1, game, 41);          // many: of a larger batch
  for (int t = 0; t < 10; ++t) {  // what was before does not matter
    many.step({1, 1, 1}, Restart::kSameStep);
    other.step({1, 1, 1}, Restart::kSameStep);
  }
  many.reset({0, 1, 0}, {40, 41, 42});
  for (int t = 0; t < 100; ++t) {
    const auto up = static_cast<std::uint8_t>(t / 3 % 2);
    many.step({up, up, up}, Restart::kSameStep);
    other.step({up, up, up}, Restart::kSameStep);
    lone.step({up}, Restart::kSameStep);
    ASSERT_TRUE(std::equal(lone.picture(0), lone.picture(1), many.picture(1))) << t;
    ASSERT_EQ(lone.truncated[0], many.truncated[1]) << t;
    ASSERT_EQ(lone.state(0).clock, many.state(1).clock) << t;
    ASSERT_TRUE(std::equal(other.picture(0), other.picture(1), many.picture(0))) << t;
    if (t == 50) {  // the stream goes on
      many.reset({0, 1, 0});
      lone.reset({});
    }
  }
  EXPECT_EQ(many.number(1), lone.number(0));
  EXPECT_EQ(lone.number(0), 3u);
}

/// Every pixel of the pictures of a game, asked for one by one.
TEST(PictureStepTest, PixelsAreThoseOfThePictureDrawnWhole) {
  Random random(7);
  const GameOptions options{.min_skip = 1, .max_skip = 2, .max_pool = true, .max_steps = 1 << 20};
  Game game{};
  game.start(options, {1, 2}, 3, 0);
  Picture picture(kPixels);
  int pooled = 0;
  for (int t = 0; t < 3000; ++t) {
    game.draw(picture.data());
    const auto look = game.look();
    for (int p = 0; p < kPixels; ++p) ASSERT_EQ(ObjectPong::lit(look, p), picture[p] != 0) << t;
    pooled += game.pictures - 1;
    game.play(random.uniform() < 0.5, options, {1, 2}, 3);
    if (t == 1500) game.now.active = 0;  // attract mode
  }
  EXPECT_GT(pooled, 1000);
}

TEST(PictureStepTest, RestartsInTheSameStepAndKeepsTheLastPicture) {
  Steps steps(2, {.max_steps = 5});
  for (int t = 0; t < 4; ++t) {
    steps.step({1, 0}, Restart::kSameStep);
    EXPECT_EQ(steps.truncated[0], 0);
    EXPECT_EQ(steps.final_obs[0], 9.0f);  // not written
  }
  const PongState<std::int32_t> before = steps.state(1);
  steps.step({1, 0}, Restart::kSameStep);
  EXPECT_EQ(steps.truncated[0], 1);
  EXPECT_EQ(steps.terminated[0], 0);
  EXPECT_EQ(steps.number(1), 1u);
  EXPECT_EQ(steps.state(1).clock, Pong::kResetClock);
  EXPECT_EQ(std::count(steps.picture(1), steps.picture(1) + kPixels, 0.0f), kPixels);
  PongState<std::int32_t> after = before;
  for (int f = 0; f < 4; ++f) Pong::frame<std::int32_t>(after, {Pong::kPaddleStep, 0});
  Picture drawn[2] = {Picture(kPixels), Picture(kPixels)};
  draw_frame80(pong_picture::view_of(before), drawn[0].data());
  draw_frame80(pong_picture::view_of(after), drawn[1].data());
  EXPECT_TRUE(is_difference(steps.final_obs.data() + kPixels, drawn[1], drawn[0]));
}

TEST(PictureStepTest, StartsAreDrawnForEachEpisodeOrTakenInTurn) {
  GameOptions game{.max_noops = 7, .noops_in_turn = true, .max_steps = 1};
  Steps turn(16, game);
  for (int env = 0; env < 16; ++env) {
    EXPECT_EQ(turn.state(env).clock, Pong::kResetClock + env % 8);
  }
  game.noops_in_turn = false;
  Steps drawn(16, game);
  const RandomStream stream{5, 3};
  for (std::uint32_t episode = 0; episode < 4; ++episode) {
    for (int env = 0; env < 16; ++env) {
      EXPECT_EQ(
          drawn.state(env).clock,
          Pong::kResetClock + start_noops(game, stream, static_cast<std::uint32_t>(env), episode));
    }
    drawn.step(std::vector<std::uint8_t>(16), Restart::kSameStep);
  }
}

TEST(PictureStepTest, NumbersKeepAWholeGame) {
  Random random(4);
  std::vector<float> numbers(Game::kNumbers * kGroup);
  Game game{};
  const GameOptions options{.repeat_below = 1 << 22, .max_pool = true, .max_steps = 10000};
  for (const std::uint32_t t : {0u, 1048575u, 1048576u, 4294967295u}) {
    game.start(options, {1, 2}, 3, 0);
    game.t = t;
    for (int i = 0; i < 300; ++i) game.play(random.uniform() < 0.5, options, {1, 2}, 3);
    const std::uint32_t steps = t + 300;
    game.store(numbers.data() + 5);
    const Game again = Game::load(numbers.data() + 5);
    EXPECT_EQ(again.t, steps);
    EXPECT_EQ(again.pictures, 2);
    EXPECT_EQ(again.executed, game.executed);
    std::int32_t a[2][Pong::kStateSize], b[2][Pong::kStateSize];
    Pong::save(game.now, a[0]);
    Pong::save(game.early, a[1]);
    Pong::save(again.now, b[0]);
    Pong::save(again.early, b[1]);
    EXPECT_TRUE(std::equal(a[0], a[0] + Pong::kStateSize, b[0]));
    EXPECT_TRUE(std::equal(a[1], a[1] + Pong::kStateSize, b[1]));
  }
}

}  // namespace picture_step_test
}  // namespace lockstep::test
