// Tests for envs/pong_picture.h: layers, the ball's odd shapes, score digits, palette shifts, and
// the overlap rules of envs/pong.h against overlapping pixels.
#include "envs/pong_picture.h"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "tests/support/crc32.h"
#include "tests/support/pong_states.h"

namespace lockstep {
namespace pong_picture_test {

using namespace pong_picture;  // NOLINT: what is tested
using test::rally;
using test::State;
using View = PongView<std::int32_t>;

constexpr int kGround = 34, kCpu = 56, kHuman = 200, kBright = 14;

struct Picture {
  explicit Picture(const State& s, PongShown<std::int32_t> shown = {0, 0})
      : codes(static_cast<std::size_t>(kRows * kColumns), 1) {
    draw_pong(s, shown, codes.data());
  }
  int at(int row, int column) const {
    return codes[static_cast<std::size_t>(row * kColumns + column)];
  }
  /// Rows of a column with this code, first and last, {0, -1} for none. Walls left out.
  std::pair<int, int> rows(int column, int code) const {
    std::pair<int, int> rows{0, -1};
    for (int row = 34; row < 194; ++row) {
      if (at(row, column) != code) continue;
      if (rows.second < 0) rows.first = row;
      rows.second = row;
    }
    return rows;
  }
  std::vector<std::uint8_t> codes;
};
using Rows = std::pair<int, int>;

/// A state whose picture has this ball and bats; the paddle sample is the second player's 110.
State field(int column, int y, int cpu_bat, int human_bat) {
  State s = rally();
  s.clock = 513;
  s.ball_x = column + 49;
  s.ball_y = y;
  s.cpu_bat = cpu_bat;
  s.human_bat = human_bat;
  return s;
}

TEST(PongPictureTest, BallsAreShapedAsInTheWorkedExamples) {
  struct Example {
    int c, y, cpu_bat, human_bat;
    Rows left, right;
  };
  const Example examples[] = {
      {124, 61, 40, 40, {47, 50}, {47, 50}},  {138, 61, 40, 40, {47, 50}, {46, 49}},
      {135, 61, 40, 46, {47, 50}, {46, 50}},  {136, 61, 40, 46, {46, 50}, {46, 50}},
      {136, 61, 40, 61, {47, 49}, {47, 49}},  {139, 61, 40, 40, {46, 49}, {46, 49}},
      {146, 60, 100, 40, {46, 49}, {46, 49}}, {154, 60, 100, 46, {46, 49}, {45, 49}},
      {155, 60, 100, 61, {46, 48}, {46, 48}}, {159, 60, 100, 40, {45, 48}, {46, 49}}};
  for (const Example& e : examples) {
    const State s = field(e.c, e.y, e.cpu_bat, e.human_bat);
    EXPECT_EQ(view_of(s).sample, 110);
    const Picture picture(s);
    EXPECT_EQ(picture.rows(e.c, kBright), e.left) << e.c << ' ' << e.y;
    EXPECT_EQ(picture.rows((e.c + 1) % kColumns, kBright), e.right) << e.c << ' ' << e.y;
  }
}

TEST(PongPictureTest, PaddleStillChargingDelaysTheBall) {
  State s = field(136, 131, 40, 40);
  const BallShape<std::int32_t> slow = ball_shape(view_of(s));  // lines 130 and 134 after 110
  EXPECT_EQ(slow.first, 127 + 6);
  EXPECT_EQ(slow.last, 127 + 6);
  s.ball_y = 109;  // lines 108 and 112: the sample falls between them
  EXPECT_EQ(ball_shape(view_of(s)).first, 127 + 12);
  EXPECT_EQ(ball_shape(view_of(s)).last, 127 + 6);
}

TEST(PongPictureTest, SampleIsTheHumansAfterOddFramesOnly) {
  State s = rally();
  s.paddle = Pong::kPaddleMax;
  s.clock = 514;
  EXPECT_EQ(view_of(s).sample, 204);
  s.clock = 513;
  EXPECT_EQ(view_of(s).sample, 110);
}

TEST(PongPictureTest, BatsAreSixteenRowsUnderBallAndWalls) {
  for (int human_bat = 38; human_bat <= 203; ++human_bat) {
    const int cpu_bat = human_bat & ~1;
    const Picture picture(field(60, 120, cpu_bat, human_bat));
    const int top = (human_bat + 1) / 2 * 2 - 14;
    for (int row = 24; row < kRows; ++row) {
      const bool wall = row <= 33 || row >= 194;
      const bool human = top <= row && row < top + 16;
      const bool cpu = cpu_bat - 15 <= row && row < cpu_bat + 1;
      for (const int column : {139, 140, 143, 144}) {
        const bool over = human && 140 <= column && column <= 143;
        EXPECT_EQ(picture.at(row, column), wall ? kBright : over ? kHuman : kGround);
      }
      for (const int column : {15, 16, 19, 20}) {
        const bool over = cpu && 16 <= column && column <= 19;
        EXPECT_EQ(picture.at(row, column), wall ? kBright : over ? kCpu : kGround);
      }
    }
  }
}

TEST(PongPictureTest, BallLiesOverTheBats) {
  const Picture picture(field(17, 120, 120, 120));
  EXPECT_EQ(picture.rows(17, kBright), (Rows{106, 109}));
  EXPECT_EQ(picture.rows(18, kBright), (Rows{106, 109}));
  EXPECT_EQ(picture.rows(16, kBright), (Rows{0, -1}));
}

TEST(PongPictureTest, NoBallIsDrawnWhileItWaits) {
  for (int y = 0; y < 37; ++y) {
    const Picture picture(field(60, y, 120, 120));
    for (int column = 0; column < kColumns; ++column) {
      ASSERT_EQ(picture.rows(column, kBright), (Rows{0, -1})) << y;
    }
  }
  EXPECT_TRUE(ball_shown(view_of(field(60, 37, 120, 120))));
}

TEST(PongPictureTest, ScoreAreaIsAsDrawn) {
  // one digit of each shape, by rows of cells
  const char* shapes[10][5] = {
      {"###", "#.#", "#.#", "#.#", "###"}, {".#.", ".#.", ".#.", ".#.", ".#."},
      {"###", "..#", "###", "#..", "###"}, {"###", "..#", ".##", "..#", "###"},
      {"#.#", "#.#", "###", "..#", "..#"}, {"###", "#..", "###", "..#", "###"},
      {"#..", "#..", "###", "#.#", "###"}, {"###", "..#", "..#", "..#", "..#"},
      {"###", "#.#", "###", "#.#", "###"}, {"###", "#.#", "###", "..#", "..#"}};
  for (int score = 0; score <= 21; ++score) {
    const Picture picture(rally(), {score, 21 - score});
    for (int row = 0; row < 24; ++row) {
      for (int column = 0; column < kColumns; ++column) {
        int expected = row == 0 && column < 8 ? 0 : kGround;
        const auto digit = [&](int left, int value, int code) {
          if (row < 1 || row > 20 || column < left || column >= left + 12) return;
          if (shapes[value][(row - 1) / 4][(column - left) / 4] == '#') expected = code;
        };
        if (score >= 10) digit(20, score / 10, kCpu);
        digit(36, score % 10, kCpu);
        if (21 - score >= 10) digit(100, (21 - score) / 10, kHuman);
        digit(116, (21 - score) % 10, kHuman);
        ASSERT_EQ(picture.at(row, column), expected) << score << ": " << row << ' ' << column;
      }
    }
  }
}

TEST(PongPictureTest, ResetPictureIsAConstantInShiftedColours) {
  const Picture picture(Pong::reset<std::int32_t>());
  const int ground = (34 + 195) & 0xfe, bright = (15 + 195) & 0xfe, human = (200 + 195) & 0xfe;
  EXPECT_EQ(picture.at(100, 80), ground);
  EXPECT_EQ(picture.at(30, 80), bright);
  EXPECT_EQ(picture.at(0, 7), 0);
  EXPECT_EQ(picture.at(0, 8), ground);
  EXPECT_EQ(picture.rows(140, human), (Rows{96, 111}));
  for (int column = 0; column < kColumns; ++column) {
    const bool ball = column == 2 || column == 3;
    EXPECT_EQ(picture.rows(column, bright), ball ? Rows(45, 48) : Rows(0, -1)) << column;
  }
  EXPECT_EQ(picture.rows(16, (56 + 195) & 0xfe), (Rows{0, -1}));
}

TEST(PongPictureTest, ColoursAreShiftedForOneFrameAfterTheReset) {
  State s = Pong::reset<std::int32_t>();
  s = test::after_frame(s);
  EXPECT_EQ(Picture(s).at(100, 80), (34 + 195) & 0xfe);
  EXPECT_EQ(Picture(s).rows(2, (15 + 195) & 0xfe), (Rows{0, -1})) << "and there is no ball";
  s = test::after_frame(s);
  EXPECT_EQ(Picture(s).at(100, 80), kGround);
}

TEST(PongPictureTest, AttractModeShiftsColoursAndHidesTheHumansScore) {
  State s = rally();
  s.clock = 0;  // the next frame is the first of attract mode
  s = test::after_frame(s);
  const Picture first(s, {3, 4});
  EXPECT_EQ(first.at(100, 80), kGround);
  EXPECT_EQ(first.at(1, 36), kCpu);
  for (int column = 100; column < 128; ++column) EXPECT_EQ(first.at(2, column), kGround);
  EXPECT_EQ(first.rows(79, kBright), (Rows{106, 109})) << "the ball, once more";
  s = test::after_frame(s);
  EXPECT_EQ(Picture(s).at(100, 80), (34 + 16) & 0xfe);
  while (s.clock != 257) s = test::after_frame(s);
  EXPECT_EQ(view_of(s).shift, 16);
  s = test::after_frame(s);
  EXPECT_EQ(view_of(s).shift, 32) << "two frames after the clock's upper byte";
}

TEST(PongPictureTest, PaletteHasTheColoursOfTheField) {
  const std::uint8_t codes[] = {34, 56, 200, 14, 228, 250, 138, 210, 0};
  const std::uint8_t expected[][3] = {{144, 72, 17},   {213, 130, 74}, {92, 186, 92},
                                      {236, 236, 236}, {109, 118, 43}, {210, 182, 86},
                                      {101, 111, 228}, {53, 95, 24},   {0, 0, 0}};
  std::uint8_t rgb[9][3];
  pong_rgb(codes, 9, &rgb[0][0]);
  for (int i = 0; i < 9; ++i) {
    for (int k = 0; k < 3; ++k) EXPECT_EQ(rgb[i][k], expected[i][k]) << i;
  }
  std::uint8_t all[128][3];
  for (int i = 0; i < 128; ++i) {
    const auto code = static_cast<std::uint8_t>(2 * i);
    pong_rgb(&code, 1, all[i]);
  }
  EXPECT_EQ(test::crc32(all, sizeof all), 0x9d42a294u) << "attract mode shows the others, too";
}

/// Whether a pixel of the ball, as drawn but with no wall over it, lies in a rectangle.
bool ball_touches(const View& v, int row, int rows, int column, int columns) {
  std::vector<std::uint8_t> codes(static_cast<std::size_t>((kRows + 40) * kColumns), 0);
  std::uint8_t* middle = codes.data() + 20 * kColumns;
  if (!ball_shown(v)) return false;
  for (const int c : {left_column(v), right_column(v)}) {
    const auto shape = ball_shape(v);
    for (int y = v.ball_y - 15; y <= v.ball_y - 11; ++y) {
      const bool lit = y == v.ball_y - 15   ? c >= shape.first
                       : y == v.ball_y - 11 ? c < shape.last
                                            : true;
      if (lit) middle[y * kColumns + c] = 1;
    }
  }
  for (int y = row; y < row + rows; ++y) {
    for (int x = column; x < column + columns; ++x) {
      if (middle[y * kColumns + x] != 0) return true;
    }
  }
  return false;
}

TEST(PongOverlapTest, HitsAreOverlapsOfPixels) {
  int overlaps = 0;
  for (int y = 43; y <= 208; ++y) {
    for (int bat = 38; bat <= 203; ++bat) {
      if (bat > y + 20 || bat < y - 30) continue;  // far apart by either rule
      for (const int column : {137, 138, 139, 140, 141, 142, 143, 144, 145}) {
        const State s = field(column, y, 2, bat);
        const View v = view_of(s);
        const bool overlap =
            ball_touches(v, human_bat_top(v), kBatRows, kHumanBatColumn, kBatColumns);
        ASSERT_EQ(Pong::on_human_bat(s), overlap) << column << ' ' << y << ' ' << bat;
        overlaps += overlap;
      }
      if (bat % 2 != 0) continue;
      for (const int column : {13, 14, 15, 16, 17, 18, 19, 20, 21}) {
        const State s = field(column, y, bat, 203);
        const View v = view_of(s);
        const bool overlap = ball_touches(v, cpu_bat_top(v), kBatRows, kCpuBatColumn, kBatColumns);
        ASSERT_EQ(Pong::on_cpu_bat(s), overlap) << column << ' ' << y << ' ' << bat;
        overlaps += overlap;
      }
    }
  }
  EXPECT_GT(overlaps, 10000);
}

}  // namespace pong_picture_test
}  // namespace lockstep
