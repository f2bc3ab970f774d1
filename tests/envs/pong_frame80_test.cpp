// Tests for envs/pong_frame80.h: the 80x80 picture against the full one cut by its definition.
#include "envs/pong_frame80.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <vector>

#include "tests/support/pong_states.h"

namespace lockstep {
namespace pong_frame80_test {

using test::rally;
using test::State;
using Frame = std::vector<std::uint8_t>;

constexpr std::size_t kPixels = kFrame80 * kFrame80;

Frame frame_of(const State& s) {
  Frame frame(kPixels, 9);
  draw_frame80(pong_picture::view_of(s), frame.data());
  return frame;
}

/// The red channel of rows 35, 37, .. 193 and columns 0, 2, .. 158.
Frame red_of(const State& s) {
  std::vector<std::uint8_t> codes(210 * 160), sampled;
  sampled.reserve(kPixels);
  draw_pong(s, {0, 0}, codes.data());
  for (int row = 35; row < 195; row += 2) {
    for (int column = 0; column < 160; column += 2) {
      sampled.push_back(codes[static_cast<std::size_t>(row * 160 + column)]);
    }
  }
  std::vector<std::uint8_t> rgb(3 * sampled.size());
  pong_rgb(sampled.data(), static_cast<int>(sampled.size()), rgb.data());
  Frame red(kPixels);
  for (std::size_t k = 0; k < kPixels; ++k) red[k] = rgb[3 * k];
  return red;
}

/// The definition: of the maximum of pictures, 0, 109 and 144 are nothing.
Frame cut(const std::vector<Frame>& reds) {
  Frame frame(kPixels, 0);
  for (std::size_t k = 0; k < kPixels; ++k) {
    for (const Frame& red : reds) frame[k] = std::max(frame[k], red[k]);
    frame[k] = frame[k] != 0 && frame[k] != 109 && frame[k] != 144;
  }
  return frame;
}

TEST(PongFrame80Test, IsTheCutPictureForEveryPlaceOfTheBall) {
  for (int x = 49; x <= 208; ++x) {
    for (int y = 37; y <= 208; ++y) {
      State s = rally();
      s.ball_x = x;
      s.ball_y = y;
      s.clock = 512 + (x + y) % 2;
      s.human_bat = 38 + (7 * x + 3 * y) % 166;
      s.cpu_bat = (5 * x + 11 * y) % 208 & ~1;
      ASSERT_EQ(frame_of(s), cut({red_of(s)})) << x << ' ' << y;
      const auto o = pong_objects(pong_picture::view_of(s));
      ASSERT_TRUE(o.ball_rows == 0 || (o.ball_row >= 0 && o.ball_row + o.ball_rows <= kFrame80));
    }
  }
}

TEST(PongFrame80Test, IsTheCutPictureForRandomStates) {
  std::mt19937 random(1);
  for (int i = 0; i < 3000; ++i) {
    State s = test::random_state(random);
    if (s.active == 0) s.clock |= 1;  // any palette shift
    ASSERT_EQ(frame_of(s), cut({red_of(s)})) << i;
  }
}

TEST(PongFrame80Test, IsTheCutPictureBehindTheHumanBat) {
  std::set<int> rows;
  for (int y = 37; y <= 208; ++y) {
    for (int x = 49 + 148; x <= 208; ++x) {
      for (int bat = 38; bat <= 203; bat += 23) {
        State s = rally();
        s.ball_x = x;
        s.ball_y = y;
        s.human_bat = bat;
        s.paddle = Pong::kPaddleStart + Pong::kPaddleStep * (bat % 7);
        ASSERT_EQ(frame_of(s), cut({red_of(s)})) << x << ' ' << y << ' ' << bat;
        rows.insert(pong_objects(pong_picture::view_of(s)).ball_rows);
      }
    }
  }
  EXPECT_EQ(rows, (std::set<int>{0, 1, 2, 3})) << "every odd shape has been met";
}

TEST(PongFrame80Test, ResetShowsTheBatAndAConstantBall) {
  const State s = Pong::reset<std::int32_t>();
  Frame expected(kPixels, 0);
  const auto set = [&](int i, int j) { expected[static_cast<std::size_t>(i * kFrame80 + j)] = 1; };
  for (int i = 31; i <= 38; ++i) {
    set(i, 70);
    set(i, 71);
  }
  set(5, 1);
  set(6, 1);
  EXPECT_EQ(frame_of(s), expected);
  EXPECT_EQ(cut({red_of(s)}), expected);
  const Frame first = frame_of(test::after_frame(s));
  EXPECT_EQ(std::count(first.begin(), first.end(), 1), 16)
      << "no ball; shifted colours do not show";
}

TEST(PongFrame80Test, Frame60IsAsRecorded) {
  State s = Pong::reset<std::int32_t>();
  for (int i = 0; i < 60; ++i) s = test::after_frame(s);
  const auto o = pong_objects(pong_picture::view_of(s));
  EXPECT_EQ(o.cpu_row, 40);
  EXPECT_EQ(o.human_row, 31);
  EXPECT_EQ(o.ball_row, 41);
  EXPECT_EQ(o.ball_rows, 2);
  EXPECT_EQ(o.ball_column, 39);
}

TEST(PongFrame80Test, AttractModeLightsTheGround) {
  State s = rally();
  s.clock = 2;
  s.active = 0;
  s.ball_y = 0;
  const Frame frame = frame_of(s);  // shift 16: ground code 50, red 0xb5
  EXPECT_EQ(pong_picture::view_of(s).shift, 16);
  EXPECT_EQ(std::count(frame.begin(), frame.end(), 1), static_cast<long>(kPixels));
  EXPECT_EQ(frame, cut({red_of(s)}));
}

TEST(PongFrame80Test, DifferenceIsCurrentMinusPreviousAndZeroAtFirst) {
  State s = rally();
  const Frame previous = frame_of(s);
  for (int i = 0; i < 4; ++i) s = test::after_frame(s, {Pong::kPaddleStep, 0});
  const Frame current = frame_of(s);
  std::vector<std::int8_t> difference(kPixels, 9);
  difference_frame80(current.data(), previous.data(), difference.data());
  std::set<int> values;
  for (std::size_t k = 0; k < kPixels; ++k) {
    EXPECT_EQ(difference[k], current[k] - previous[k]);
    values.insert(difference[k]);
  }
  EXPECT_EQ(values, (std::set<int>{-1, 0, 1}));
  difference_frame80(current.data(), nullptr, difference.data());
  EXPECT_EQ(std::count(difference.begin(), difference.end(), 0), static_cast<long>(kPixels));
}

TEST(PongFrame80Test, PooledIsTheCutMaximumOfThePictures) {
  std::mt19937 random(2);
  bool bat_vanished = false;
  for (int i = 0; i < 1000; ++i) {
    State a = test::random_state(random);
    a.clock |= 256;
    a.active = 1;
    const State b = test::after_frame(a), c = test::after_frame(b);
    const PongView<std::int32_t> views[3] = {pong_picture::view_of(a), pong_picture::view_of(b),
                                             pong_picture::view_of(c)};
    Frame frame(kPixels), red(kPixels);
    draw_pooled_frame80(views, 2, red.data(), frame.data());
    ASSERT_EQ(frame, cut({red_of(a), red_of(b)})) << i;
    const auto lit_in = [&](const Frame& f) { return std::count(f.begin(), f.end(), 1); };
    bat_vanished = bat_vanished || lit_in(frame) < lit_in(frame_of(a));
    draw_pooled_frame80(views, 3, red.data(), frame.data());
    ASSERT_EQ(frame, cut({red_of(a), red_of(b), red_of(c)})) << i;
  }
  EXPECT_TRUE(bat_vanished) << "a moved bat's red lies under the ground's";
}

}  // namespace pong_frame80_test
}  // namespace lockstep
