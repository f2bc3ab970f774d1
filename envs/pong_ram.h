// The 128 RAM cells of Pong as ALE shows them, and the little that they show beyond the state.
// Compiled in only where somebody asks for RAM or a full picture. Source: as envs/pong.h.
#pragma once

#include "envs/pong_picture.h"

namespace lockstep {

/// What RAM and score digits need beside PongState.
template <class I>
struct PongCells {
  I hits;              // [17] hits since the serve, 0..255
  I sound;             // [12]
  I wall_flag;         // [2] 64 after a bounce off a wall
  I bounce_flag;       // [20] 128 after one
  PongShown<I> shown;  // scores as drawn
};

namespace pong_ram {

template <class I>
LS_HD PongCells<I> reset() {
  return {I(0), I(0), I(0), I(0), {I(0), I(0)}};
}

/// Whether a pixel of the ball lies in a wall in the picture of this state, walls hiding it or not.
/// At ball_y 48 and 205 that hangs on the shape of the ball behind the right half of the field.
template <class I>
LS_HD typename Lanes<I>::M touches_wall(const PongView<I>& v) {
  using namespace pong_picture;  // NOLINT: its own vocabulary
  const auto shape = ball_shape(v);
  const I left = left_column(v), right = right_column(v);
  const auto upper =
      in_range(v.ball_y, 37, 47) | ((v.ball_y == I(48)) & !(max(left, right) < shape.first));
  const auto lower = (v.ball_y > I(205)) | ((v.ball_y == I(205)) & (min(left, right) < shape.last));
  return upper | lower;
}

/// Takes in one frame. before: the state it began with; event: what Pong::frame() returned.
template <class I>
LS_HD void update(PongCells<I>& c, const PongState<I>& before, const PongEvents<I>& event) {
  const auto hit = event.human_hit | event.cpu_hit;
  c.hits = select(event.serve, I(0), add_where(hit, c.hits, I(1)) & I(0xff));

  c.sound = sub_where((c.sound & I(0x0f)) != I(0), c.sound, I(1));
  c.sound = select(event.serve, I(71), c.sound);
  c.sound = select(event.point, I(14), c.sound);
  c.sound = select(event.wall, I(131), c.sound);
  c.sound = select(hit, I(195), c.sound);
  c.sound = select(event.asleep, I(0), c.sound);

  const auto grazes = event.rally & !event.wall & touches_wall(pong_picture::view_of(before));
  const auto flies = event.rally & !event.wall & !hit;
  c.wall_flag = select(event.wall, I(64), select(grazes, I(0), c.wall_flag));
  c.bounce_flag = select(event.wall, I(128), select(grazes | flies, I(0), c.bounce_flag));

  c.shown = {before.cpu_score, before.human_score};
}

/// Cells that never change in this game (modes and difficulties would); the others are 0 here.
LS_HD int constant_cell(int cell) {
  constexpr std::uint8_t kCells[128] = {
      192, 0,   0,   0,   0,   38,  0,   0,   0,   0,  0,   0,   0,   0,   0,   0,     // 0
      0,   0,   0,   0,   0,   0,   0,   24,  128, 32, 1,   86,  247, 86,  247, 86,    // 16
      247, 134, 243, 245, 243, 240, 240, 242, 242, 32, 32,  64,  64,  64,  188, 65,    // 32
      189, 0,   0,   0,   37,  37,  0,   0,   0,   0,  0,   109, 0,   37,  37,  192,   // 48
      0,   192, 192, 0,   192, 0,   247, 0,   247, 0,  247, 0,   247, 0,   0,   0,     // 64
      0,   0,   0,   0,   0,   0,   0,   0,   0,   0,  0,   0,   0,   0,   0,   0,     // 80
      0,   0,   0,   0,   0,   0,   0,   0,   0,   0,  0,   0,   0,   0,   0,   0,     // 96
      0,   0,   0,   0,   0,   0,   0,   0,   0,   0,  0,   0,   236, 242, 121, 240};  // 112
  return kCells[cell];
}

LS_HD std::uint8_t digit_cell(int digit) { return static_cast<std::uint8_t>(202 + 5 * digit); }

}  // namespace pong_ram

/// Writes the 128 cells of a state after a frame or a reset. Equal to ALE's getRAM.
LS_HD void write_pong_ram(const PongState<std::int32_t>& s, const PongCells<std::int32_t>& c,
                          std::uint8_t (&ram)[128]) {
  for (int i = 0; i < 128; ++i) ram[i] = static_cast<std::uint8_t>(pong_ram::constant_cell(i));
  const auto set = [&](int cell, int value) { ram[cell] = static_cast<std::uint8_t>(value); };
  const PongView<std::int32_t> view = pong_picture::view_of(s);
  const bool active = s.active != 0;
  const int trigger = s.fire != 0 ? 0 : 192;

  set(2, c.wall_flag);
  set(4, view.sample);
  set(7, pong_picture::digit_cells(c.shown.human_score % 10) & 7);  // what was drawn last of it
  set(8, s.clock);
  set(9, s.clock >> 8);
  // The counter of attract mode: cleared in every frame of play, after it counted an overrun.
  const int counter = ((s.clock >> 8) + 1) & 0xff;
  set(10, view.reset != 0 ? 60 : active ? ((s.clock & 0xff) == 0 ? 1 : 0) : counter);
  set(11, s.serve);
  set(12, c.sound);
  set(13, s.cpu_score);
  set(14, s.human_score);
  set(15, view.reset != 0 ? 62 : 63);  // the RESET switch
  set(16, active ? 255 : 0);
  set(17, c.hits);
  set(18, s.last);
  set(19, s.last ^ 2);
  set(20, c.bounce_flag);
  set(21, s.cpu_bat);
  set(49, s.ball_x);
  set(50, s.cpu_bat);
  set(51, s.human_bat);
  set(54, s.ball_y);
  set(56, s.vel_y);
  set(58, s.vel_x);
  set(60, s.filter);
  set(64, trigger);
  set(67, s.last == 0 ? 192 : s.last == 1 ? trigger : 1);
  ram[69] = pong_ram::digit_cell(s.cpu_score % 10);
  ram[73] = pong_ram::digit_cell(s.cpu_score / 10);
  ram[71] = pong_ram::digit_cell(s.human_score % 10);
  ram[75] = pong_ram::digit_cell(s.human_score / 10);
  if (s.ball_x != 0) {  // where the ball's sprite was put along the line
    const int m = s.ball_x % 15;
    set(121, m >= 2 && m <= 8 ? 53 : m == 9 ? 55 : 180);
    set(122, 85);
  }
  // the shift worked out in this frame, as that of the picture two frames on would show it
  const int shift = pong_picture::shift_of_counter((((s.clock - 1) >> 8) + 1) & 0xff);
  set(123, !active && shift >= 72 && shift <= 127 ? 118 : 54);
}

}  // namespace lockstep
