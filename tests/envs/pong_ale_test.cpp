// Tests for envs/pong_ale.h: options, sticky actions, skips, ends and pooling. Equality with ALE
// and Gymnasium, seeds and all: pong_golden_test.cpp.
#include "envs/pong_ale.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/support/pong_states.h"

namespace lockstep {
namespace pong_ale_test {

using test::Input;
using test::State;

bool equal(const State& a, const State& b) {
  std::int32_t x[Pong::kStateSize], y[Pong::kStateSize];
  Pong::save(a, x);
  Pong::save(b, y);
  return std::equal(x, x + Pong::kStateSize, y);
}

PongOptions plain(int skip) {
  PongOptions options;
  options.min_skip = options.max_skip = skip;
  options.repeat_probability = 0.0f;
  return options;
}

TEST(PongPresetTest, HasTheIdsOfAlePy) {
  struct Row {
    const char* id;
    int min_skip, max_skip;
    float sticky;
  };
  for (const Row& row : {Row{"ALE/Pong-v5", 4, 4, 0.25f}, Row{"PongNoFrameskip-v4", 1, 1, 0.0f},
                         Row{"PongNoFrameskip-v0", 1, 1, 0.25f}, Row{"Pong-v4", 2, 4, 0.0f},
                         Row{"Pong-v0", 2, 4, 0.25f}}) {
    PongOptions options = plain(9);
    options.max_noops = 7;
    ASSERT_TRUE(pong_preset(row.id, options)) << row.id;
    EXPECT_EQ(options.min_skip, row.min_skip);
    EXPECT_EQ(options.max_skip, row.max_skip);
    EXPECT_EQ(options.repeat_probability, row.sticky);
    EXPECT_EQ(options.frame_limit, 108000);
    EXPECT_EQ(options.max_noops, 0);
    EXPECT_EQ(options.pooled_skip, 0);
  }
  PongOptions options;
  EXPECT_FALSE(pong_preset("Pong-v5", options));
}

TEST(PongAleTest, FullActionsTurnAndFireByTheirNames) {
  const char* names[18] = {"NOOP",       "FIRE",          "UP",          "RIGHT",     "LEFT",
                           "DOWN",       "UPRIGHT",       "UPLEFT",      "DOWNRIGHT", "DOWNLEFT",
                           "UPFIRE",     "RIGHTFIRE",     "LEFTFIRE",    "DOWNFIRE",  "UPRIGHTFIRE",
                           "UPLEFTFIRE", "DOWNRIGHTFIRE", "DOWNLEFTFIRE"};
  for (int a = 0; a < 18; ++a) {
    PongOptions options = plain(1);
    options.actions = PongActions::kFull;
    PongAle game(options);
    game.step(a);
    const std::string name = names[a];
    const auto has = [&](const char* word) { return name.find(word) != std::string::npos; };
    const int turn = has("RIGHT") ? -1 : has("LEFT") ? 1 : 0;
    EXPECT_EQ(game.state().paddle, Pong::kPaddleStart + turn * Pong::kPaddleStep) << name;
    EXPECT_EQ(game.state().fire, has("FIRE") ? 1 : 0) << name;
  }
}

TEST(PongAleTest, TwoActionsAreUpAndDown) {
  PongOptions options = plain(1);
  options.actions = PongActions::kUpDown;
  PongAle game(options);
  game.step(0);
  EXPECT_EQ(game.state().paddle, Pong::kPaddleStart - Pong::kPaddleStep);
  game.step(1);
  game.step(1);
  EXPECT_EQ(game.state().paddle, Pong::kPaddleStart + Pong::kPaddleStep);
}

TEST(PongAleTest, StickyActionsRepeatTheExecutedActionFrameByFrame) {
  PongOptions options = plain(3);
  options.repeat_probability = 0.5f;
  PongAle game(options);
  game.seed_ale(77);
  game.reset();
  Mt19937 random(77);
  State s = Pong::reset<std::int32_t>();
  Input executed{0, 0};
  for (int t = 0; t < 700; ++t) {
    const int action = t * 7 % 6;
    for (int i = 0; i < 3; ++i) {
      const bool accepted = random.next() >= 0x80000000u;
      random.next();  // the player who is not there
      if (accepted) executed = Pong::input<std::int32_t>(action);
      Pong::frame(s, executed);
    }
    game.step(action);
    ASSERT_TRUE(equal(game.state(), s)) << t;
  }
}

TEST(PongAleTest, FramesAfterTheEndDrawButDoNotPlay) {
  PongOptions options = plain(4);
  options.repeat_probability = 0.25f;
  options.frame_limit = 10;
  PongAle game(options);
  for (int seed = 0; seed < 60; ++seed) {
    game.seed_ale(seed);
    game.reset();
    EXPECT_EQ(game.step(2).frames, 4);
    EXPECT_EQ(game.step(2).frames, 4);
    const PongAleStep last = game.step(2);
    EXPECT_EQ(last.frames, 2);
    EXPECT_TRUE(last.truncated);
    EXPECT_FALSE(last.terminated);
    const State end = game.state();
    const PongAleStep beyond = game.step(2);
    EXPECT_EQ(beyond.frames, 0);
    EXPECT_EQ(beyond.reward, 0);
    EXPECT_TRUE(beyond.truncated);
    EXPECT_TRUE(equal(game.state(), end));
    // the executed action is NOOP again, the random numbers go on: 16 slots were drawn
    game.reset();
    Mt19937 random(static_cast<std::uint32_t>(seed));
    for (int i = 0; i < 2 * 16; ++i) random.next();
    State s = Pong::reset<std::int32_t>();
    Input executed{0, 0};
    for (int i = 0; i < 4; ++i) {
      if (random.next() >= 0x40000000u) executed = Pong::input<std::int32_t>(3);
      random.next();
      Pong::frame(s, executed);
    }
    EXPECT_FALSE(game.step(3).truncated);
    EXPECT_EQ(game.episode_frames(), 4);
    ASSERT_TRUE(equal(game.state(), s)) << seed;
  }
}

TEST(PongAleTest, TerminatesAtTwentyOneAndSumsRewards) {
  PongAle game(plain(4));
  int steps = 0, reward = 0;
  PongAleStep step;
  while (!step.terminated && steps < 1000) {
    step = game.step(0);
    reward += step.reward;
    ++steps;
  }
  EXPECT_EQ(steps, 764);
  EXPECT_EQ(reward, -21);
  EXPECT_EQ(game.episode_frames(), 3056);
  EXPECT_FALSE(step.truncated);
  EXPECT_EQ(game.step(0).reward, 0);
  EXPECT_TRUE(game.step(0).terminated);
}

TEST(PongAleTest, NoFrameLimitMeansNoTruncation) {
  PongOptions options = plain(1);
  options.frame_limit = 0;
  PongAle game(options);
  for (int i = 0; i < 3000; ++i) ASSERT_FALSE(game.step(0).truncated);
}

TEST(PongAleTest, RandomSkipsAreDrawnOnceAStep) {
  PongOptions options;
  ASSERT_TRUE(pong_preset("Pong-v4", options));
  PongAle game(options);
  game.seed_gymnasium(9);
  game.reset();
  Pcg64 random(SeedSequence(9).generate<2>()[0]);
  for (int t = 0; t < 300; ++t) ASSERT_EQ(game.step(t % 6).frames, random.integers(2, 5)) << t;
}

TEST(PongAleTest, NoopStartPlaysOneToThirtyNoops) {
  PongOptions options = plain(1);
  options.max_noops = 30;
  PongAle game(options);
  game.seed_gymnasium(21);
  Pcg64 random(SeedSequence(21).generate<2>()[0]);
  std::vector<int> met(31, 0);
  for (int i = 0; i < 400; ++i) {
    game.reset();
    const auto noops = random.integers(1, 31);
    ASSERT_EQ(game.episode_frames(), noops);
    ++met[static_cast<std::size_t>(noops)];
  }
  EXPECT_EQ(std::count(met.begin() + 1, met.end(), 0), 0);
}

TEST(PongAleTest, PoolsTheLastTwoPictures) {
  PongOptions options = plain(1);
  options.pooled_skip = 4;
  PongAle pooled(options), single(plain(1));
  constexpr std::size_t kSize = 3 * 210 * 160;
  std::vector<std::uint8_t> expected(kSize), rgb(kSize), other(kSize), frame(6400), cut(6400);
  for (int t = 0; t < 60; ++t) {
    pooled.step(2 + t % 2);
    for (int i = 0; i < 4; ++i) {
      single.step(2 + t % 2);
      if (i >= 2) single.rgb(i == 2 ? other.data() : expected.data());
    }
    for (std::size_t k = 0; k < kSize; ++k) expected[k] = std::max(expected[k], other[k]);
    pooled.rgb(rgb.data());
    ASSERT_EQ(rgb, expected) << t;
    for (std::size_t k = 0; k < 6400; ++k) {
      const std::uint8_t red = rgb[3 * ((35 + 2 * (k / 80)) * 160 + 2 * (k % 80))];
      cut[k] = red != 0 && red != 109 && red != 144;
    }
    pooled.frame80(frame.data());
    ASSERT_EQ(frame, cut) << t;
  }
}

TEST(PongAleTest, PooledPictureOfAnEndIsThatOfTheStepBefore) {
  PongOptions options = plain(1);
  options.pooled_skip = 4;
  options.frame_limit = 402;
  PongAle game(options);
  for (int t = 0; t < 100; ++t) game.step(2);
  std::vector<std::uint8_t> before(6400), after(6400);
  game.frame80(before.data());
  const PongAleStep last = game.step(3);
  EXPECT_EQ(last.frames, 2);
  EXPECT_TRUE(last.truncated);
  game.frame80(after.data());
  EXPECT_EQ(before, after);
}

}  // namespace pong_ale_test
}  // namespace lockstep
