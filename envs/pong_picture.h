// The picture of Pong: 210 rows x 160 columns of ALE's colour codes, and their RGB colours.
//
// Rows 24..209 are a function of the state; the score digits above show the scores of the frame
// before, which a caller who wants them keeps (PongShown). Source: as envs/pong.h.
#pragma once

#include "envs/pong.h"

namespace lockstep {

/// What the picture shows of the field, a function of the state. See PongState for the units.
template <class I>
struct PongView {
  I ball_x, ball_y, human_bat, cpu_bat;
  I sample;  // [4] the paddle sample taken in this frame; drawing the ball takes longer or shorter
             // by it
  I shift;   // of the palette, 0..255; not 0 at a reset, in the frame after, and in attract mode
  I reset;   // 1: the picture of the reset, which follows no rule
};

/// The scores as drawn: those of the frame before, since the digits lag by one.
template <class I>
struct PongShown {
  I cpu_score, human_score;
};

namespace pong_picture {
inline constexpr int kRows = 210, kColumns = 160;
inline constexpr int kFieldTop = 24;  // sprites are drawn from here on
inline constexpr int kBatRows = 16;
inline constexpr int kCpuBatColumn = 16, kHumanBatColumn = 140, kBatColumns = 4;
/// Unshifted colour codes.
inline constexpr int kBackground = 34, kCpuColour = 56, kHumanColour = 200, kWhite = 15;

/// Colour code, even, of one of the four colours under a palette shift.
LS_HD int code(int base, int shift) { return ((base + shift) & 0xfe); }

/// 0xRRGGBB of even codes, by code / 2: the NTSC palette of ALE.
struct Palette {
  std::uint32_t rgb[128];
};
LS_HD constexpr Palette palette() {
  return {{0x000000, 0x4a4a4a, 0x6f6f6f, 0x8e8e8e, 0xaaaaaa, 0xc0c0c0, 0xd6d6d6, 0xececec,  //
           0x484800, 0x69690f, 0x86861d, 0xa2a22a, 0xbbbb35, 0xd2d240, 0xe8e84a, 0xfcfc54,  //
           0x7c2c00, 0x904811, 0xa26221, 0xb47a30, 0xc3903d, 0xd2a44a, 0xdfb755, 0xecc860,  //
           0x901c00, 0xa33915, 0xb55328, 0xc66c3a, 0xd5824a, 0xe39759, 0xf0aa67, 0xfcbc74,  //
           0x940000, 0xa71a1a, 0xb83232, 0xc84848, 0xd65c5c, 0xe46f6f, 0xf08080, 0xfc9090,  //
           0x840064, 0x97197a, 0xa8308f, 0xb846a2, 0xc659b3, 0xd46cc3, 0xe07cd2, 0xec8ce0,  //
           0x500084, 0x68199a, 0x7d30ad, 0x9246c0, 0xa459d0, 0xb56ce0, 0xc57cee, 0xd48cfc,  //
           0x140090, 0x331aa3, 0x4e32b5, 0x6848c6, 0x7f5cd5, 0x956fe3, 0xa980f0, 0xbc90fc,  //
           0x000094, 0x181aa7, 0x2d32b8, 0x4248c8, 0x545cd6, 0x656fe4, 0x7580f0, 0x8490fc,  //
           0x001c88, 0x183b9d, 0x2d57b0, 0x4272c2, 0x548ad2, 0x65a0e1, 0x75b5ef, 0x84c8fc,  //
           0x003064, 0x185080, 0x2d6d98, 0x4288b0, 0x54a0c5, 0x65b7d9, 0x75cceb, 0x84e0fc,  //
           0x004030, 0x18624e, 0x2d8169, 0x429e82, 0x54b899, 0x65d1ae, 0x75e7c2, 0x84fcd4,  //
           0x004400, 0x1a661a, 0x328432, 0x48a048, 0x5cba5c, 0x6fd26f, 0x80e880, 0x90fc90,  //
           0x143c00, 0x355f18, 0x527e2d, 0x6e9c42, 0x87b754, 0x9ed065, 0xb4e775, 0xc8fc84,  //
           0x303800, 0x505916, 0x6d762b, 0x88923e, 0xa0ab4f, 0xb7c25f, 0xccd86e, 0xe0ec7c,  //
           0x482c00, 0x694d14, 0x866a26, 0xa28638, 0xbb9f47, 0xd2b656, 0xe8cc63, 0xfce070}};
}
LS_HD std::uint32_t rgb_of(int code) {
  static constexpr Palette kPalette = palette();  // one in memory, for who indexes it there
  return kPalette.rgb[code >> 1];
}

/// The counter of attract mode [10] with its two hexadecimal digits swapped: the palette shift.
template <class I>
LS_HD I shift_of_counter(I counter) {
  return ((counter << 4) & I(0xf0)) | ((counter >> 4) & I(0x0f));
}

/// View of a state after a frame or a reset.
template <class I>
LS_HD PongView<I> view_of(const PongState<I>& s) {
  const auto active = s.active != I(0);
  const auto at_reset = active & (s.clock == I(Pong::kResetClock));
  const auto shifted = at_reset | (active & (s.clock == I(Pong::kResetClock + 1)));
  // A picture is drawn with the shift that the logic of the frame before worked out from a counter,
  // which in attract mode is the upper byte of its clock + 1. At a reset the counter is 60.
  const I counter = (((s.clock - I(2)) >> 8) + I(1)) & I(0xff);
  const I shift = select(active, I(0), shift_of_counter(counter));
  const auto human_sampled = (s.clock & I(1)) == I(0);
  return {s.ball_x,
          s.ball_y,
          s.human_bat,
          s.cpu_bat,
          select(human_sampled, Pong::sample(s.paddle), I(Pong::kCentreSample)),
          select(shifted, shift_of_counter(I(60)), shift),
          select(at_reset, I(1), I(0))};
}

/// Column from which on a line of the ball that starts at console line x is early: the console
/// turns the ball on or off part-way along a line, after the work this line has with paddle and
/// bats.
template <class I>
LS_HD I ball_edge(const PongView<I>& v, I x) {
  const auto odd = (v.ball_y & I(1)) != I(0);
  const I charging = select(x > v.sample, I(0), I(6));
  const I no_human = select(in_range(x - v.human_bat, 0, 15), I(0), I(3));
  const I no_cpu = select(in_range(x + I(2) - v.cpu_bat, 0, 15), I(0), I(3));
  return charging + no_human + select(odd, I(127) + no_cpu, I(149));
}

/// Shape of the shown ball: rows ball_y - 14 .. ball_y - 12 are lit in both of its columns, row
/// ball_y - 15 in columns >= first, row ball_y - 11 in columns < last.
template <class I>
struct BallShape {
  I first, last;
};
template <class I>
LS_HD BallShape<I> ball_shape(const PongView<I>& v) {
  const I even = v.ball_y & I(-2);  // console lines come in pairs
  return {ball_edge(v, even), ball_edge(v, even + I(4))};
}

/// Whether the ball is in play and so drawn.
template <class I>
LS_HD typename Lanes<I>::M ball_shown(const PongView<I>& v) {
  return v.ball_y > I(36);
}
/// The ball's two columns; the right one comes round to column 0 at the edge.
template <class I>
LS_HD I left_column(const PongView<I>& v) {
  return v.ball_x - I(49);
}
template <class I>
LS_HD I right_column(const PongView<I>& v) {
  return select(v.ball_x == I(49 + kColumns - 1), I(0), v.ball_x - I(48));
}
/// Top rows of the bats; row 24 and the walls hide what is above.
template <class I>
LS_HD I human_bat_top(const PongView<I>& v) {
  return (((v.human_bat + I(1)) >> 1) << 1) - I(14);
}
template <class I>
LS_HD I cpu_bat_top(const PongView<I>& v) {
  return v.cpu_bat - I(15);
}

/// Lit cells of a digit 0..9: 5 rows of 3, top left first, in bits 14..0.
LS_HD int digit_cells(int digit) {
  constexpr std::uint16_t kCells[10] = {
      0b111'101'101'101'111, 0b010'010'010'010'010, 0b111'001'111'100'111, 0b111'001'011'001'111,
      0b101'101'111'001'001, 0b111'100'111'001'111, 0b100'100'111'101'111, 0b111'001'001'001'001,
      0b111'101'111'101'111, 0b111'101'111'001'001};
  return kCells[digit];
}

/// Fills a rectangle of the picture, clipped to rows top..bottom-1.
LS_HD void fill(std::uint8_t* codes, int row, int rows, int column, int columns, int colour,
                int top, int bottom) {
  for (int y = row < top ? top : row; y < row + rows && y < bottom; ++y) {
    for (int x = column; x < column + columns; ++x) {
      codes[y * kColumns + x] = static_cast<std::uint8_t>(colour);
    }
  }
}

LS_HD void draw_digit(std::uint8_t* codes, int digit, int column, int colour) {
  const int cells = digit_cells(digit);
  for (int i = 0; i < 15; ++i) {
    if (((cells >> (14 - i)) & 1) == 0) continue;
    fill(codes, 1 + 4 * (i / 3), 4, column + 4 * (i % 3), 4, colour, 0, kRows);
  }
}
LS_HD void draw_score(std::uint8_t* codes, int score, int tens_column, int colour) {
  if (score > 9) draw_digit(codes, score / 10, tens_column, colour);
  draw_digit(codes, score % 10, tens_column + 16, colour);
}

LS_HD void draw_ball_column(std::uint8_t* codes, const PongView<std::int32_t>& v, int column,
                            int colour) {
  const auto shape = ball_shape(v);
  const int top = v.ball_y - 14 - (column >= shape.first ? 1 : 0);
  const int bottom = v.ball_y - 11 + (column < shape.last ? 1 : 0);
  fill(codes, top, bottom - top, column, 1, colour, kFieldTop, kRows);
}
}  // namespace pong_picture

/// Draws the picture of a state as colour codes.
///
/// shown: scores of the frame before (of this one at a reset). codes: [210][160], row by row from
/// the top left. Equal to ALE's getScreen.
LS_HD void draw_pong(const PongState<std::int32_t>& state, const PongShown<std::int32_t>& shown,
                     std::uint8_t* codes) {
  using namespace pong_picture;  // NOLINT: its own vocabulary
  const PongView<std::int32_t> v = view_of(state);
  const int background = code(kBackground, v.shift);
  const int cpu = code(kCpuColour, v.shift);
  const int human = code(kHumanColour, v.shift);
  const int white = code(kWhite, v.shift);
  fill(codes, 0, kRows, 0, kColumns, background, 0, kRows);
  fill(codes, 0, 1, 0, 8, 0, 0, kRows);  // black, whatever the shift
  draw_score(codes, shown.cpu_score, 20, cpu);
  if (state.active != 0) draw_score(codes, shown.human_score, 100, human);
  fill(codes, cpu_bat_top(v), kBatRows, kCpuBatColumn, kBatColumns, cpu, kFieldTop, kRows);
  fill(codes, human_bat_top(v), kBatRows, kHumanBatColumn, kBatColumns, human, kFieldTop, kRows);
  if (v.reset != 0) {
    fill(codes, 45, 4, 2, 2, white, 0, kRows);
  } else if (ball_shown(v)) {
    draw_ball_column(codes, v, left_column(v), white);
    draw_ball_column(codes, v, right_column(v), white);
  }
  fill(codes, 24, 10, 0, kColumns, white, 0, kRows);
  fill(codes, 194, 16, 0, kColumns, white, 0, kRows);
}

/// RGB of a picture of codes. codes: [pixels], rgb: [pixels][3], equal to ALE's getScreenRGB.
LS_HD void pong_rgb(const std::uint8_t* codes, int pixels, std::uint8_t* rgb) {
  const pong_picture::Palette palette = pong_picture::palette();
  for (int i = 0; i < pixels; ++i) {
    const std::uint32_t colour = palette.rgb[codes[i] >> 1];
    rgb[3 * i] = static_cast<std::uint8_t>(colour >> 16);
    rgb[3 * i + 1] = static_cast<std::uint8_t>(colour >> 8);
    rgb[3 * i + 2] = static_cast<std::uint8_t>(colour);
  }
}

}  // namespace lockstep
