// Tests for envs/pong.h over whole games: published vectors of ALE's Pong, frame by frame.
#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "tests/support/pong_states.h"

namespace lockstep {
namespace pong_play_test {

using test::after_frame;
using test::State;

int lead(const State& s) { return s.human_score - s.cpu_score; }

// frame, clock: low and high byte, serve, last, cpu_score, cpu_bat, human_bat, ball_x, ball_y,
// vel_y, vel_x
using Line = std::array<int, 12>;

TEST(PongPlayTest, NoopGameGoesAsRecorded) {
  const Line lines[] = {{1, 72, 1, 58, 255, 0, 20, 109, 0, 0, 0, 0},
                        {2, 73, 1, 57, 255, 0, 20, 109, 0, 0, 0, 0},
                        {3, 74, 1, 56, 255, 0, 18, 109, 0, 0, 0, 0},
                        {4, 75, 1, 55, 255, 0, 16, 109, 0, 0, 0, 0},
                        {12, 83, 1, 47, 255, 0, 2, 109, 0, 0, 0, 0},
                        {58, 129, 1, 1, 255, 0, 0, 109, 0, 0, 0, 0},
                        {59, 130, 1, 0, 255, 0, 130, 109, 127, 129, 1, 1},
                        {60, 131, 1, 0, 255, 0, 130, 109, 126, 130, 1, 1},
                        {61, 132, 1, 0, 255, 0, 132, 109, 125, 131, 1, 1},
                        {118, 189, 1, 0, 255, 0, 188, 109, 68, 188, 1, 1},
                        {119, 190, 1, 0, 0, 0, 186, 109, 69, 186, -2, -1},
                        {120, 191, 1, 0, 0, 0, 184, 109, 70, 184, -2, -1},
                        {121, 192, 1, 0, 0, 0, 182, 109, 71, 182, -2, -1},
                        {122, 193, 1, 0, 0, 0, 182, 109, 72, 180, -2, -1},
                        {190, 5, 2, 0, 0, 0, 62, 109, 140, 44, -2, -1},
                        {191, 6, 2, 0, 0, 0, 60, 109, 141, 47, 2, -1},
                        {255, 70, 2, 0, 0, 0, 160, 109, 205, 175, 2, -1},
                        {256, 71, 2, 63, 0, 1, 162, 109, 205, 175, 2, -1},
                        {257, 72, 2, 62, 0, 1, 160, 109, 205, 0, 2, -1},
                        {318, 133, 2, 1, 0, 1, 54, 109, 205, 0, 2, -1},
                        {319, 134, 2, 0, 0, 1, 130, 109, 129, 129, 1, -1},
                        {320, 135, 2, 0, 0, 1, 130, 109, 130, 130, 1, -1},
                        {396, 211, 2, 63, 0, 2, 204, 109, 205, 205, 1, -1}};
  State s = Pong::reset<std::int32_t>();
  int frame = 0;
  for (const Line& line : lines) {
    for (; frame < line[0]; ++frame) s = after_frame(s);
    EXPECT_EQ((Line{frame, s.clock & 255, s.clock >> 8, s.serve, s.last, s.cpu_score, s.cpu_bat,
                    s.human_bat, s.ball_x, s.ball_y, s.vel_y, s.vel_x}),
              line);
  }
}

TEST(PongPlayTest, WhoeverDoesNotMoveLosesAPointEvery140Frames) {
  for (const int action : {0, 1, 2, 3}) {
    State s = Pong::reset<std::int32_t>();
    int frames = 0;
    for (int point = 1; point <= 21; ++point) {
      const int until = 256 + 140 * (point - 1);
      for (; frames < until; ++frames) {
        EXPECT_EQ(lead(s), 1 - point);
        s = after_frame(s, Pong::input(action));
      }
      ASSERT_EQ(lead(s), -point) << "action " << action;
    }
    EXPECT_EQ(frames, 3056);
    EXPECT_TRUE(Pong::is_over(s));
  }
}

struct Reward {
  int frame, reward;
};
struct Script {
  int aim, fire, human, cpu, frames;
  std::vector<Reward> first;
};

int tracker(const State& s, int aim, int fire) {
  return (s.human_bat + aim > s.ball_y ? 2 : 3) + 2 * fire;
}

TEST(PongPlayTest, TrackersScoreAsRecorded) {
  const Script scripts[] = {
      {3, 0, 1, 21, 47519, {{736, -1}, {1479, 1}, {3667, -1}}},
      {7, 0, 21, 0, 17575, {{375, 1}, {756, 1}, {2095, 1}, {2476, 1}}},
      {12, 0, 1, 21, 7303, {{1224, -1}, {3663, 1}, {4643, -1}}},
      {15, 0, 21, 11, 30059, {{988, -1}, {1499, 1}, {2852, 1}}},
      {0, 1, 1, 21, 3825, {{397, 1}, {1025, -1}, {1165, -1}}},
      {7, 1, 9, 21, 15355, {{564, -1}, {755, 1}, {1548, 1}}},
      {15, 1, 21, 19, 11800, {{733, 1}, {1046, 1}, {1418, -1}}},
  };
  for (const Script& script : scripts) {
    SCOPED_TRACE(script.aim + 100 * script.fire);
    State s = Pong::reset<std::int32_t>();
    int frame = 0;
    std::size_t rewards = 0;
    while (!Pong::is_over(s) && frame < 60000) {
      const int before = lead(s);
      Pong::frame(s, Pong::input(tracker(s, script.aim, script.fire)));
      ++frame;
      if (lead(s) == before || rewards == script.first.size()) continue;
      EXPECT_EQ(frame, script.first[rewards].frame);
      EXPECT_EQ(lead(s) - before, script.first[rewards].reward);
      ++rewards;
    }
    EXPECT_EQ(s.human_score, script.human);
    EXPECT_EQ(s.cpu_score, script.cpu);
    EXPECT_EQ(frame, script.frames);
    EXPECT_EQ(rewards, script.first.size());
  }
}

struct Hit {
  int frame, kappa, vel_y, vel_x, x, y;
  bool human;
};

TEST(PongPlayTest, FastGameHitsAsRecorded) {
  const Hit hits[] = {{119, 0, -2, -1, 69, 186, false}, {239, 0, -2, 2, 186, 139, true},
                      {299, 4, -1, -2, 70, 69, false},  {359, 7, 0, 3, 185, 81, true},
                      {399, 1, -1, -3, 71, 80, false},  {439, 12, 1, 4, 184, 51, true},
                      {469, 0, -2, -4, 72, 78, false},  {499, 8, 0, 4, 184, 69, true},
                      {529, -1, -2, -4, 72, 67, false}};
  State s = Pong::reset<std::int32_t>();
  std::size_t n = 0;
  for (int frame = 1; frame < 564; ++frame) {
    const State before = s;
    const auto event = Pong::frame(s, Pong::input(tracker(s, 7, 1)));
    if (!event.human_hit && !event.cpu_hit) continue;
    ASSERT_LT(n, std::size(hits));
    const Hit& hit = hits[n++];
    EXPECT_EQ(frame, hit.frame);
    EXPECT_EQ(event.human_hit, hit.human);
    EXPECT_EQ(before.ball_y - (hit.human ? before.human_bat : before.cpu_bat), hit.kappa);
    EXPECT_EQ(s.vel_y, hit.vel_y);
    EXPECT_EQ(s.vel_x, hit.vel_x);
    EXPECT_EQ(s.ball_x, hit.x);
    EXPECT_EQ(s.ball_y, hit.y);
  }
  EXPECT_EQ(n, std::size(hits));
  Pong::frame(s, Pong::input(tracker(s, 7, 1)));
  EXPECT_EQ(lead(s), -1);
  EXPECT_EQ(s.ball_x, 208);
  EXPECT_EQ(s.ball_y, 92);
}

TEST(PongPlayTest, EndlessRallyEndsInAttractModeAtFrame65210) {
  State s = Pong::reset<std::int32_t>();
  int frame = 0;
  while (s.active != 0 && frame < 70000) {
    EXPECT_EQ(lead(s), 0);
    Pong::frame(s, Pong::input(tracker(s, 0, 0)));
    ++frame;
  }
  EXPECT_EQ(frame, 65210);
  EXPECT_EQ(lead(s), -1) << "the game's number, 1, has taken the place of the CPU's 0 points";
}

TEST(PongPlayTest, StaysInTheRangesOfItsState) {
  std::mt19937 random(3);
  State s = Pong::reset<std::int32_t>();
  test::Input input{0, 0};
  for (int frame = 0; frame < 400000; ++frame) {
    if (random() % 5 == 0) input = test::random_input(random);
    Pong::frame(s, input);
    ASSERT_TRUE(in_range(s.paddle, Pong::kPaddleMin, Pong::kPaddleMax) && in_range(s.serve, 0, 63));
    ASSERT_TRUE(in_range(s.cpu_bat, 0, 208) && s.cpu_bat % 2 == 0);
    ASSERT_TRUE(s.ball_x == 0 || in_range(s.ball_x, 49, 208));
    ASSERT_TRUE(s.ball_y == 0 || in_range(s.ball_y, 43, 208));
    ASSERT_TRUE(in_range(s.vel_y, -3, 3) && in_range(s.vel_x, -4, 4));
    ASSERT_TRUE(s.ball_x == 0 || s.vel_x != 0);
    ASSERT_TRUE(in_range(s.human_bat, 38, 203) && in_range(s.filter, 38, 203));
    if (Pong::is_over(s) || s.active == 0) s = Pong::reset<std::int32_t>();
  }
}

}  // namespace pong_play_test
}  // namespace lockstep
