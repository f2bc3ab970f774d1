// Tests for the paddle of envs/pong.h, from the resistance that ALE keeps to the bat.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "tests/support/pong_states.h"

namespace lockstep {
namespace pong_paddle_test {

using test::after_frame;
using test::rally;
using test::State;

constexpr test::Input kUp{-Pong::kPaddleStep, 0}, kDown{Pong::kPaddleStep, 0};

/// What ALE and the game make of a resistance of R ohm.
int sample_of(int resistance) {
  const int cycles = static_cast<int>(std::int64_t{resistance} * 1904 / 100000);
  if (cycles < 2449) return 38;
  int sample = 40;
  while (sample < 220 && 76 * (sample + 2 - 8) + 17 <= cycles) sample += 2;
  return sample;
}

TEST(PongPaddleTest, AllReachableResistancesMoveClampAndReadAsInAle) {
  std::map<int, int> paddle_of = {{408823, Pong::kPaddleStart}};
  std::vector<int> open = {408823};
  while (!open.empty()) {
    const int resistance = open.back();
    open.pop_back();
    EXPECT_EQ(Pong::sample(paddle_of[resistance]), sample_of(resistance)) << resistance;
    for (const int direction : {-1, 0, 1}) {
      const int next = std::clamp(resistance + 23000 * direction, 27450, 790196);
      State s = rally();
      s.paddle = paddle_of[resistance];
      s = after_frame(s, {direction * Pong::kPaddleStep, 0});
      const auto [known, is_new] = paddle_of.insert({next, s.paddle});
      EXPECT_EQ(s.paddle, known->second) << resistance << " -> " << next;
      if (is_new) open.push_back(next);
    }
  }
  EXPECT_EQ(paddle_of.size(), 101u);
  std::map<int, int> resistance_of;
  for (const auto& [resistance, paddle] : paddle_of) resistance_of[paddle] = resistance;
  EXPECT_EQ(resistance_of.size(), 101u);
}

/// paddle sample, human_bat and filter after each frame of a held action, from the reset.
struct Held {
  std::vector<int> sample, bat, filter;
};
Held hold(test::Input input, int frames) {
  Held held;
  State s = Pong::reset<std::int32_t>();
  for (int i = 0; i < frames; ++i) {
    s = after_frame(s, input);
    held.sample.push_back(Pong::sample(s.paddle));
    held.bat.push_back(s.human_bat);
    held.filter.push_back(s.filter);
  }
  return held;
}

TEST(PongPaddleTest, FollowsAHeldActionUp) {
  const Held held = hold(kUp, 23);
  EXPECT_EQ(held.sample, (std::vector<int>{104, 98, 92, 86, 80, 74, 68, 64, 58, 52, 46, 40,
                                           38,  38, 38, 38, 38, 38, 38, 38, 38, 38, 38}));
  EXPECT_EQ(held.bat, (std::vector<int>{109, 106, 106, 99, 99, 89, 89, 78, 78, 68, 68, 57,
                                        57,  47,  47,  42, 42, 40, 40, 39, 39, 38, 38}));
  EXPECT_EQ(std::vector<int>(held.filter.begin(), held.filter.begin() + 8),
            (std::vector<int>{106, 106, 99, 99, 89, 89, 78, 78}));
}

TEST(PongPaddleTest, FollowsAHeldActionDown) {
  const Held held = hold(kDown, 27);
  EXPECT_EQ(held.sample,
            (std::vector<int>{114, 120, 126, 132, 138, 144, 150, 156, 162, 166, 172, 178, 184, 190,
                              196, 202, 204, 204, 204, 204, 204, 204, 204, 204, 204, 204, 204}));
  EXPECT_EQ(held.bat,
            (std::vector<int>{109, 111, 111, 118, 118, 128, 128, 139, 139, 150, 150, 161, 161, 172,
                              172, 184, 184, 194, 194, 199, 199, 201, 201, 202, 202, 203, 203}));
}

TEST(PongPaddleTest, IsFilteredInOddFramesOnly) {
  State s = rally();
  s.filter = 109;
  s.clock = 513;
  EXPECT_EQ(after_frame(s, kDown).filter, (114 + 109) / 2);
  s.clock = 514;
  EXPECT_EQ(after_frame(s, kDown).filter, 109);
}

TEST(PongPaddleTest, BatIsTheFilterOfTheFrameBefore) {
  State s = rally();
  s.clock = 513;
  s.filter = 60;
  s.human_bat = 90;
  EXPECT_EQ(after_frame(s).human_bat, 60);
}

}  // namespace pong_paddle_test
}  // namespace lockstep
