// Tests for envs/pong_ram.h: cells that are no plain field of the state.
#include "envs/pong_ram.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/pong_states.h"

namespace lockstep {
namespace pong_ram_test {

using test::rally;
using test::State;
using Cells = PongCells<std::int32_t>;

/// A state with its cells, played frame by frame.
struct Game {
  State state = rally();
  Cells cells = pong_ram::reset<std::int32_t>();
  void play(test::Input input = {0, 0}) {
    const State before = state;
    const auto event = Pong::frame(state, input);
    pong_ram::update(cells, before, event);
  }
  int cell(int n) const {
    std::uint8_t ram[128];
    write_pong_ram(state, cells, ram);
    return ram[n];
  }
};

TEST(PongRamTest, ResetIsAsRecorded) {
  Game game;
  game.state = Pong::reset<std::int32_t>();
  std::vector<int> expected(128, 0);
  const auto set = [&](int first, std::vector<int> values) {
    for (const int value : values) expected[static_cast<std::size_t>(first++)] = value;
  };
  set(0, {192});
  set(4, {110, 38});
  set(7, {7, 71, 1, 60, 59});
  set(15, {62, 255, 0, 255, 253, 0, 22});
  set(22, {0, 24, 128, 32, 1, 86, 247, 86, 247, 86, 247, 134, 243, 245, 243});
  set(37, {240, 240, 242, 242, 32, 32, 64, 64, 64, 188, 65, 189, 0, 22, 109, 37, 37, 60});
  set(59, {109, 109, 37, 37, 192, 192, 192, 192, 1, 192});
  set(69, {202, 247, 202, 247, 202, 247, 202, 247});
  set(123, {54, 236, 242, 121, 240});
  for (int n = 0; n < 128; ++n) {
    EXPECT_EQ(game.cell(n), expected[static_cast<std::size_t>(n)]) << "cell " << n;
  }
}

TEST(PongRamTest, ResetSwitchShowsInTheResetAlone) {
  Game game;
  game.state = Pong::reset<std::int32_t>();
  EXPECT_EQ(game.cell(15), 62);
  game.play();
  EXPECT_EQ(game.cell(15), 63);
  EXPECT_EQ(game.cell(10), 0);
}

TEST(PongRamTest, FieldsOfTheStateHaveTheirCells) {
  Game game;
  State& s = game.state;
  s = {0x1234, Pong::kPaddleMax, 5, 20, 7, 0, 46, 77, 88, -2, -3, 99, 100, 1, 1};
  const std::pair<int, int> cells[] = {{8, 0x34}, {9, 0x12}, {11, 5},   {13, 20},  {14, 7},
                                       {18, 0},   {19, 2},   {21, 46},  {50, 46},  {49, 77},
                                       {54, 88},  {56, 254}, {58, 253}, {51, 99},  {60, 100},
                                       {64, 0},   {4, 204},  {69, 202}, {73, 212}, {71, 237},
                                       {75, 202}, {16, 255}, {67, 192}, {121, 53}, {122, 85}};
  for (const auto& [cell, value] : cells) EXPECT_EQ(game.cell(cell), value) << cell;
  s.clock = 0x1235;
  EXPECT_EQ(game.cell(4), 110) << "the other paddle's turn";
}

TEST(PongRamTest, TriggerOfTheLastHitter) {
  for (const int fire : {0, 1}) {
    Game game;
    game.state.fire = fire;
    const int trigger = fire ? 0 : 192;
    EXPECT_EQ(game.cell(64), trigger);
    game.state.last = 1;
    EXPECT_EQ(game.cell(67), trigger);
    game.state.last = 0;
    EXPECT_EQ(game.cell(67), 192);
    game.state.last = 255;
    EXPECT_EQ(game.cell(67), 1);
  }
}

TEST(PongRamTest, SpritePlaceFollowsTheBall) {
  Game game;
  for (int x = 49; x <= 208; ++x) {
    game.state.ball_x = x;
    const int m = x % 15;
    EXPECT_EQ(game.cell(121), m == 9 ? 55 : m >= 2 && m <= 8 ? 53 : 180) << x;
  }
  game.state.ball_x = 0;
  EXPECT_EQ(game.cell(121), 0);
  EXPECT_EQ(game.cell(122), 0);
}

TEST(PongRamTest, DigitRowLagsByAFrame) {
  const int rows[10] = {7, 2, 7, 7, 1, 7, 7, 1, 7, 1};
  for (int score = 0; score < 20; ++score) {
    Game game;
    game.state.human_score = score;
    game.state.ball_x = 50;  // a point for the human
    game.play();
    EXPECT_EQ(game.state.human_score, score + 1);
    EXPECT_EQ(game.cell(7), rows[score % 10]);
    game.play();
    EXPECT_EQ(game.cell(7), rows[(score + 1) % 10]);
  }
}

TEST(PongRamTest, SoundsStartAndFade) {
  Game game;
  game.state.serve = 1;
  game.play();
  EXPECT_EQ(game.cell(12), 71);
  for (int sound = 70; sound >= 64; --sound) {
    game.play();
    EXPECT_EQ(game.cell(12), sound);
  }
  game.play();
  EXPECT_EQ(game.cell(12), 64) << "its low four bits are 0";
  game.state.ball_y = 206;
  game.state.vel_y = 1;
  game.play();
  EXPECT_EQ(game.cell(12), 131);
  game.state.ball_x = 66;
  game.state.ball_y = game.state.cpu_bat = 100;
  game.play();
  EXPECT_EQ(game.cell(12), 195);
  game.state.ball_x = 205;
  game.play();
  EXPECT_EQ(game.cell(12), 14);
  game.play();
  EXPECT_EQ(game.cell(12), 13);
}

TEST(PongRamTest, HitsAreCountedFromTheServe) {
  Game game;
  game.state.serve = 1;
  game.cells.hits = 9;
  game.play();
  EXPECT_EQ(game.cell(17), 0);
  for (int hits = 1; hits <= 3; ++hits) {
    game.state.ball_x = hits == 2 ? 190 : 66;
    game.state.ball_y = game.state.cpu_bat = game.state.human_bat = game.state.filter = 100;
    game.play();
    EXPECT_EQ(game.cell(17), hits);
  }
}

TEST(PongRamTest, FlagsTellBouncesFromGrazes) {
  Game game;
  game.state.ball_y = 45;
  game.state.vel_y = -1;
  game.play();  // bounces to 47, which is still in the wall
  EXPECT_EQ(game.cell(2), 64);
  EXPECT_EQ(game.cell(20), 128);
  EXPECT_EQ(game.state.ball_y, 47);
  game.play();  // grazes it
  EXPECT_EQ(game.cell(2), 0);
  EXPECT_EQ(game.cell(20), 0);
  game.cells.wall_flag = 64;
  game.cells.bounce_flag = 128;
  game.play();  // flies
  EXPECT_EQ(game.cell(2), 64);
  EXPECT_EQ(game.cell(20), 0);
  game.cells.bounce_flag = 128;
  game.state.ball_x = 66;
  game.state.ball_y = game.state.cpu_bat = 100;
  game.play();  // hits
  EXPECT_EQ(game.cell(2), 64);
  EXPECT_EQ(game.cell(20), 128);
  game.state.ball_x = 66;
  game.state.ball_y = game.state.cpu_bat = 46;
  game.play();  // hits while it grazes
  EXPECT_EQ(game.cell(2), 0);
  EXPECT_EQ(game.cell(20), 0);
  game.cells.wall_flag = 64;
  game.cells.bounce_flag = 128;
  game.state.ball_x = 205;
  game.state.ball_y = 46;
  game.play();  // a point
  game.play();  // and the wait
  EXPECT_EQ(game.cell(2), 64);
  EXPECT_EQ(game.cell(20), 128);
}

TEST(PongRamTest, AttractCounterCountsAndPicksTheLine) {
  Game game;
  game.state.clock = 0xffff;
  game.play();
  EXPECT_EQ(game.cell(10), 1) << "for one frame, before it is cleared or attract mode begins";
  game.cells.sound = 14;
  game.play();
  EXPECT_EQ(game.cell(16), 0);
  EXPECT_EQ(game.cell(10), 1);
  EXPECT_EQ(game.cell(12), 13);
  game.play();
  EXPECT_EQ(game.cell(12), 0);
  for (int frame = 2; frame < 65000; ++frame) {
    game.play();
    const int counter = (frame >> 8) + 1;  // in this frame's logic; it counts after it
    const int shift = (counter << 4 & 0xf0) | counter >> 4;
    ASSERT_EQ(game.cell(123), 72 <= shift && shift <= 127 ? 118 : 54) << frame;
    ASSERT_EQ(game.cell(10), ((frame + 1) >> 8) + 1) << frame;
  }
}

/// Whether a pixel of the ball, walls or not, is in a row of a wall.
bool touches(const PongView<std::int32_t>& v) {
  if (!pong_picture::ball_shown(v)) return false;
  const auto shape = pong_picture::ball_shape(v);
  bool in_wall = false;
  for (const int column : {v.ball_x - 49, (v.ball_x - 48) % 160}) {
    const int top = v.ball_y - 14 - (column >= shape.first),
              bottom = v.ball_y - 12 + (column < shape.last);
    for (int row = top; row <= bottom; ++row) in_wall = in_wall || row <= 33 || row >= 194;
  }
  return in_wall;
}

TEST(PongRamTest, TouchOfAWallIsExactToThePixel) {
  int odd = 0;
  for (int y = 30; y <= 208; ++y) {
    if (y > 60 && y < 190) continue;
    for (int x = 49; x <= 208; ++x) {
      for (int bat = 38; bat <= 203; ++bat) {
        State s = rally();
        s.ball_x = x;
        s.ball_y = y;
        s.human_bat = bat;
        s.cpu_bat = (180 + x / 4 + bat / 8) & ~1;
        const auto v = pong_picture::view_of(s);
        ASSERT_EQ(pong_ram::touches_wall(v), touches(v)) << x << ' ' << y << ' ' << bat;
        odd += (y == 48 && touches(v)) || (y == 205 && !touches(v));
      }
    }
  }
  EXPECT_GT(odd, 1000);
}

}  // namespace pong_ram_test
}  // namespace lockstep
