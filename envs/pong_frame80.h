// The 80x80 picture of Pong that policies see: rows 35..194 and columns of ALE's picture, every
// second of each, red channel; 0 where that is 0, 109 or 144 (black and the two backgrounds), 1
// elsewhere.
//
// Source: Karpathy's pg-pong preprocessing (2016) applied to envs/pong_picture.h, worked out from
// the state without drawing. Three objects describe it; outside attract mode they are all there is
// to it.
#pragma once

#include "envs/pong_picture.h"

namespace lockstep {

inline constexpr int kFrame80 = 80;  // rows, and columns

/// The objects of the 80x80 picture. Columns: CPU's bat 8, 9; human's 70, 71; ball one.
template <class I>
struct PongObjects {
  I cpu_row;      // first of the 8 rows of the CPU's bat, -25..79: clip to 0..79
  I human_row;    // of the human's, -5..78
  I ball_column;  // 0..79
  I ball_row;     // first visible row of the ball, 0..79
  I ball_rows;    // how many, 0..3; 0: no ball to be seen
};

namespace pong_frame80 {
inline constexpr int kBatRows = 8, kCpuBatColumn = 8, kHumanBatColumn = 70, kBatColumns = 2;
inline constexpr int kTop = 35;  // row of the picture that is row 0 here

/// Whether a colour counts as something, by its red.
LS_HD bool is_lit_red(std::uint32_t red) { return red != 0 && red != 109 && red != 144; }
/// The same of a colour code.
LS_HD bool is_lit(int code) { return is_lit_red(pong_picture::rgb_of(code) >> 16); }

/// Which of the four colours count as something: bits 0..3 for background, CPU, human, ball. 14
/// except in attract mode.
LS_HD int lit_colours(int shift) {
  using namespace pong_picture;  // NOLINT: its own vocabulary
  return (is_lit(code(kBackground, shift)) ? 1 : 0) | (is_lit(code(kCpuColour, shift)) ? 2 : 0) |
         (is_lit(code(kHumanColour, shift)) ? 4 : 0) | (is_lit(code(kWhite, shift)) ? 8 : 0);
}
}  // namespace pong_frame80

/// Objects of a view. Any lanes.
template <class I>
LS_HD PongObjects<I> pong_objects(const PongView<I>& v) {
  using namespace pong_picture;  // NOLINT: its own vocabulary
  const I column = (v.ball_x - I(48)) >> 1;
  const auto comes_round = column == I(kFrame80);
  const I j = select(comes_round, I(0), column);
  const I p = j << 1;

  // An odd ball_y shows two rows, whatever the ball's odd shapes: they change rows in between.
  const auto even = (v.ball_y & I(1)) == I(0);
  const auto shape = ball_shape(v);
  const I above = select(even & !(p < shape.first), I(1), I(0));
  const I below = select(even & !(p < shape.last), I(0), I(1));
  const I middle = (v.ball_y - I(48)) >> 1;
  const I top = max(middle - above, I(0));
  const I bottom = min(middle + below, I(kFrame80 - 1));
  const auto seen = ball_shown(v) & !(bottom < top);

  const auto at_reset = v.reset != I(0);  // a ball of no rule, (bx, by) has nothing to do with it
  return {(v.cpu_bat - I(50)) >> 1, ((v.human_bat + I(1)) >> 1) - I(24), select(at_reset, I(1), j),
          select(at_reset, I(5), top),
          select(at_reset, I(2), select(seen, bottom - top + I(1), I(0)))};
}

namespace pong_frame80 {
template <class T>
LS_HD void fill(T* frame, int row, int rows, int column, int columns, T value) {
  for (int i = row < 0 ? 0 : row; i < row + rows && i < kFrame80; ++i) {
    for (int j = column; j < column + columns; ++j) frame[i * kFrame80 + j] = value;
  }
}
/// Draws the four kinds of pixels with a value each.
template <class T>
LS_HD void draw(const PongObjects<std::int32_t>& o, T background, T cpu, T human, T ball,
                T* frame) {
  fill(frame, 0, kFrame80, 0, kFrame80, background);
  fill(frame, o.cpu_row, kBatRows, kCpuBatColumn, kBatColumns, cpu);
  fill(frame, o.human_row, kBatRows, kHumanBatColumn, kBatColumns, human);
  fill(frame, o.ball_row, o.ball_rows, o.ball_column, 1, ball);
}
}  // namespace pong_frame80

/// Draws the 80x80 picture of a view: frame [80][80] of 0 and 1, row by row from the top left.
LS_HD void draw_frame80(const PongView<std::int32_t>& view, std::uint8_t* frame) {
  const int lit = pong_frame80::lit_colours(view.shift);
  const auto bit = [&](int i) { return static_cast<std::uint8_t>((lit >> i) & 1); };
  pong_frame80::draw(pong_objects(view), bit(0), bit(1), bit(2), bit(3), frame);
}

/// What pg-pong feeds its network: current - previous. All [80][80]; previous null: zeros, as in
/// the first step of an episode. difference: -1, 0, 1.
LS_HD void difference_frame80(const std::uint8_t* current, const std::uint8_t* previous,
                              std::int8_t* difference) {
  for (int i = 0; i < kFrame80 * kFrame80; ++i) {
    difference[i] = static_cast<std::int8_t>(previous == nullptr ? 0 : current[i] - previous[i]);
  }
}

/// The 80x80 picture of a maximum over pictures, as frame skips with pooling make it: colours
/// first, then the rule above. (Where the human's bat has moved it vanishes: its red is under the
/// ground's.) views: [count], count >= 1. red: [80][80], scratch.
LS_HD void draw_pooled_frame80(const PongView<std::int32_t>* views, int count, std::uint8_t* red,
                               std::uint8_t* frame) {
  using namespace pong_picture;  // NOLINT: its own vocabulary
  for (int i = 0; i < count; ++i) {
    const auto red_of = [&](int base) {
      return static_cast<std::uint8_t>(rgb_of(code(base, views[i].shift)) >> 16);
    };
    pong_frame80::draw(pong_objects(views[i]), red_of(kBackground), red_of(kCpuColour),
                       red_of(kHumanColour), red_of(kWhite), i == 0 ? frame : red);
    for (int k = 0; i > 0 && k < kFrame80 * kFrame80; ++k) {
      if (red[k] > frame[k]) frame[k] = red[k];
    }
  }
  for (int k = 0; k < kFrame80 * kFrame80; ++k) {
    frame[k] = pong_frame80::is_lit_red(frame[k]) ? 1 : 0;
  }
}

/// What a picture, or the maximum over two, is made of, for those who ask for single pixels.
struct Frame80Look {
  int count;  // 1 or 2
  PongObjects<std::int32_t> objects[2];
  std::uint8_t red[2][4];  // of background, CPU, human, ball
};
/// views: [count].
LS_HD Frame80Look look_of(const PongView<std::int32_t>* views, int count) {
  using namespace pong_picture;  // NOLINT: its own vocabulary
  constexpr int kBase[4] = {kBackground, kCpuColour, kHumanColour, kWhite};
  Frame80Look look{};
  look.count = count;
  for (int i = 0; i < count; ++i) {
    look.objects[i] = pong_objects(views[i]);
    for (int c = 0; c < 4; ++c) {
      look.red[i][c] = static_cast<std::uint8_t>(rgb_of(code(kBase[c], views[i].shift)) >> 16);
    }
  }
  return look;
}
/// Pixel i * 80 + j of draw_frame80(), or of draw_pooled_frame80().
LS_HD bool lit_frame80(const Frame80Look& look, int pixel) {
  using namespace pong_frame80;  // NOLINT: its own vocabulary
  const int row = pixel / kFrame80, column = pixel % kFrame80;
  const auto within = [&](int first, int rows, int left, int columns) {
    return row >= first && row < first + rows && column >= left && column < left + columns;
  };
  int red = 0;
  for (int i = 0; i < look.count; ++i) {
    const PongObjects<std::int32_t>& o = look.objects[i];
    int seen = 0;  // the last one drawn
    if (within(o.cpu_row, kBatRows, kCpuBatColumn, kBatColumns)) seen = 1;
    if (within(o.human_row, kBatRows, kHumanBatColumn, kBatColumns)) seen = 2;
    if (within(o.ball_row, o.ball_rows, o.ball_column, 1)) seen = 3;
    red = max(red, static_cast<int>(look.red[i][seen]));
  }
  return is_lit_red(static_cast<std::uint32_t>(red));
}

}  // namespace lockstep
