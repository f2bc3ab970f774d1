// Atari 2600 Pong (Video Olympics, game 1) as the Arcade Learning Environment serves it: the state
// of play and one emulated frame, without emulator or ROM.
//
// Source: the game's behaviour, written down as rules and held frame by frame against recordings of
// ale-py 0.12.1 (tests/python/ale_parity.py). One branch-free body serves scalars, CUDA threads and
// SIMD packs of 16-bit lanes. Integers only, so every one of them plays the same game.
//
// What only the RAM or the picture shows is not here: envs/pong_ram.h, envs/pong_picture.h.
#pragma once

#include <type_traits>

#include "envs/int_lanes.h"

namespace lockstep {

/// All that decides how play goes on. The RAM cell of ALE that shows it is in brackets; the fields
/// that have none are paddle and active. Ranges are those of states that play can reach.
template <class I>
struct PongState {
  I clock;        // frame counter, 256 * [9] + [8], modulo 2^16
  I paddle;       // position of the agent's paddle, kPaddleMin .. kPaddleMax (see below)
  I serve;        // [11] frames until the serve, 0 during a rally, 0..63
  I cpu_score;    // [13] 0..21
  I human_score;  // [14] 0..21
  I last;         // [18] who hit or scored last: 0 CPU, 1 human, 255 nobody since the reset
  I cpu_bat;      // [21, 50] even, 0..208; row of the bat's top + 15
  I ball_x;       // [49] column + 49; 49..208 once a ball has been served, 0 before
  I ball_y;       // [54] row + 14; 43..208, 0 while there is no ball, 60 after a reset
  I vel_y;        // [56] rows per frame, positive = down, -3..3
  I vel_x;        // [58] columns per frame, positive = left, 1..4 either way, 0 before a serve
  I human_bat;    // [51] position that is drawn and hit with, 38..203
  I filter;       // [60] smoothed paddle: human_bat of the next frame, 38..203
  I fire;         // [64] = 0: whether the frame before held FIRE, 0 or 1
  I active;       // [16] = 255: 1; 0 in attract mode, which lasts until the reset
};

/// What the joystick port is told in one frame.
template <class I>
struct PongInput {
  I turn;  // -Pong::kPaddleStep bat up (ALE's RIGHT), +kPaddleStep down (LEFT), or 0
  I fire;  // 0 or 1
};

/// What happened in one frame, for those who show or count it.
template <class I>
struct PongEvents {
  using M = typename Lanes<I>::M;
  M asleep;     // attract mode had begun before this frame
  M waiting;    // the countdown ran
  M serve;      // and ended
  M point;      // the ball left the field
  M rally;      // the ball moved on: wall, bat or free flight
  M wall;       // it bounced off a wall
  M human_hit;  // it lay on the human's bat
  M cpu_hit;    // it lay on the CPU's bat
};

struct Pong {
  static constexpr int kStateSize = 15;
  static constexpr int kNumActions = 6;  // ALE's minimal set
  static constexpr int kWinningScore = 21;
  static constexpr int kFrameLimit = 108000;  // Gymnasium truncates the episode there
  static constexpr int kResetClock = 256 + 71;
  static constexpr int kMaxSpeed = 4;
  static constexpr int kServeWait = 63;

  // ALE keeps the paddle as a resistance R, 27450..790196 ohm, moved by 23000 a frame. Through the
  // clamps only 101 values can be reached. Here the position is R * 737 / 23000 + 1005: then each
  // of them moves, clamps and reads (sample() below) exactly as ALE's does, without a table.
  static constexpr int kPaddleMin = 1884;
  static constexpr int kPaddleMax = 26325;
  static constexpr int kPaddleStep = 737;
  static constexpr int kPaddleStart = 2314 + 16 * kPaddleStep;
  static constexpr int kCentreSample = 110;  // what the second player's paddle, never moved, reads

  /// State after ALE's reset; there is one, whatever the seed.
  template <class I>
  static LS_HD PongState<I> reset() {
    return {I(kResetClock), I(kPaddleStart), I(59),  I(0), I(0), I(255), I(22), I(0), I(60), I(0),
            I(0),           I(109),          I(109), I(0), I(1)};
  }

  /// Input of action 0..5 of the minimal set: NOOP, FIRE, RIGHT, LEFT, RIGHTFIRE, LEFTFIRE.
  template <class I>
  static LS_HD PongInput<I> input(I action) {
    const I step(kPaddleStep);
    const I sideways = select((action & I(1)) != I(0), step, -step);
    return {select(action > I(1), sideways, I(0)),
            select((action == I(1)) | (action > I(3)), I(1), I(0))};
  }
  /// Input of the two-action game: bat up where `up` is set, down elsewhere; never FIRE.
  template <class I>
  static LS_HD PongInput<I> input_up_down(typename Lanes<I>::M up) {
    return {select(up, I(-kPaddleStep), I(kPaddleStep)), I(0)};
  }

  /// What the game reads from a paddle in one frame, in rows: even, 38..204.
  template <class I>
  static LS_HD I sample(I paddle) {
    return max((paddle >> 8) << 1, I(38));
  }

  /// Plays one frame.
  ///
  /// state: any that play can reach, the frame limit notwithstanding, whose episode is not over.
  /// Reward of the frame: the change of human_score - cpu_score. Result: bitwise on every backend.
  template <class I>
  static LS_HD PongEvents<I> frame(PongState<I>& s, const PongInput<I>& input) {
    using M = typename Lanes<I>::M;
    s.paddle = min(max(s.paddle + input.turn, I(kPaddleMin)), I(kPaddleMax));

    // Attract mode: entered when the upper byte of the clock has run over, 65,210 frames in.
    const M was_active = s.active != I(0);
    const M playing = was_active & ((s.clock & I(0xff00)) != I(0));

    // What this frame's logic does. Overlaps of ball and bats are those of the picture before.
    const M counting = playing & (s.serve > I(0));
    const M in_flight = playing & (s.serve == I(0));
    const M inside = in_range(s.ball_x, 53, 204);
    const M point = in_flight & !inside;
    const M rally = in_flight & inside;
    const M clear = in_range(s.ball_y, 46, 205);
    const M wall = rally & !clear;
    const M human_hit = rally & clear & on_human_bat(s);
    const M cpu_hit = rally & clear & on_cpu_bat(s);
    const M hit = human_hit | cpu_hit;

    s.serve = sub_where(counting, s.serve, I(1));
    const M serve = counting & (s.serve == I(0));
    s.serve = select(point, I(kServeWait), s.serve);

    // Points. In attract mode the CPU's score is where the game number is kept.
    const M cpu_point = point & (s.ball_x > I(128));
    const M human_point = point & (s.ball_x < I(128));
    s.cpu_score = select(playing, add_where(cpu_point, s.cpu_score, I(1)), I(1));
    s.human_score = add_where(human_point, s.human_score, I(1));

    // Velocity. A hit by the human with FIRE is the only thing that speeds the ball up.
    const I bat = select(human_hit, s.human_bat, s.cpu_bat);
    const I speed = abs(s.vel_x);
    const I serve_x = ((s.last & I(1)) << 1) - I(1);
    const I serve_y = (s.vel_y >> 15) | I(1);  // +1, or -1 if it was negative
    const I wall_push = select(s.ball_y > I(128), I(-1), I(1));
    s.vel_x = select(human_hit, min(speed + s.fire, I(kMaxSpeed)), s.vel_x);
    s.vel_x = select(cpu_hit, -speed, s.vel_x);
    s.vel_x = select(serve, serve_x, s.vel_x);
    s.vel_y = select(hit, (s.ball_y - bat - I(5)) >> 2, s.vel_y);
    s.vel_y = select(wall, -s.vel_y, s.vel_y);
    s.vel_y = select(serve, serve_y, s.vel_y);

    // Position. The ball stays where it is in the frame of a point and is gone in the next.
    s.ball_y = add_where(wall, s.ball_y, wall_push);
    s.ball_y = select(counting | !was_active, I(0), s.ball_y);
    s.ball_y = select(serve, I(128), s.ball_y);
    s.ball_x = select(serve, I(128), s.ball_x);
    const M moves = rally | serve;
    s.ball_y = add_where(moves, s.ball_y, s.vel_y);
    s.ball_x = sub_where(moves, s.ball_x, s.vel_x);

    s.last = select(cpu_point | cpu_hit, I(0), s.last);
    s.last = select(human_point | human_hit, I(1), s.last);

    // Bats. The CPU's follows the ball, two rows in seven of eight frames, in every mode.
    s.human_bat = s.filter;
    const M strides = (s.clock & I(7)) != I(0);
    s.cpu_bat = select(serve, I(128), s.cpu_bat);
    const I below = s.ball_y - s.cpu_bat;
    s.cpu_bat = add_where(strides & (below > I(0)), s.cpu_bat, I(2));
    s.cpu_bat = sub_where(strides & (below < I(0)), s.cpu_bat, I(2));

    // The two paddles are sampled in turn.
    const M human_turn = (s.clock & I(1)) != I(0);
    s.filter = select(human_turn, (sample(s.paddle) + s.filter) >> 1, s.filter);

    s.clock = low16(s.clock + I(1));
    s.fire = input.fire;
    s.active = select(playing, I(1), I(0));
    return {!was_active, counting, serve, point, rally, wall, human_hit, cpu_hit};
  }

  /// Whether the episode is over. ALE emulates no frame beyond.
  template <class I>
  static LS_HD typename Lanes<I>::M is_over(const PongState<I>& s) {
    return max(s.cpu_score, s.human_score) == I(kWinningScore);
  }

  /// Plays `frames` frames, at most kFrames, as one step; frames after the end are not played.
  ///
  /// input_of(f): input of frame f, 0 <= f < kFrames; called for each f in turn. frames: a number
  /// of lanes (random frame skips, an episode cut at its limit), or kFrames itself if all have the
  /// same. Returns the step's reward, -kFrames..19. Result: bitwise on every backend.
  template <int kFrames, class I, class InputOf>
  static LS_HD I step(PongState<I>& s, const InputOf& input_of, I frames) {
    return play<kFrames>(s, input_of, [&](int f) { return frames > I(f); });
  }
  template <int kFrames, class I, class InputOf>
  static LS_HD I step(PongState<I>& s, const InputOf& input_of) {
    return play<kFrames>(s, input_of, [](int) { return std::true_type(); });
  }

  /// State to and from numbers, in the order of the fields.
  template <class I>
  static LS_HD void save(const PongState<I>& s, I (&to)[kStateSize]) {
    const I from[kStateSize] = {s.clock, s.paddle,    s.serve,  s.cpu_score, s.human_score,
                                s.last,  s.cpu_bat,   s.ball_x, s.ball_y,    s.vel_y,
                                s.vel_x, s.human_bat, s.filter, s.fire,      s.active};
    for (int i = 0; i < kStateSize; ++i) to[i] = from[i];
  }
  template <class I>
  static LS_HD PongState<I> restore(const I (&from)[kStateSize]) {
    return {from[0], from[1], from[2],  from[3],  from[4],  from[5],  from[6], from[7],
            from[8], from[9], from[10], from[11], from[12], from[13], from[14]};
  }

  /// Overlap of the ball with a bat in the picture of this state; ball_y >= 37 (the ball is shown).
  /// Behind the human's bat, a ball on an odd line is drawn one row higher.
  template <class I>
  static LS_HD typename Lanes<I>::M on_human_bat(const PongState<I>& s) {
    return in_range(s.ball_x, 188, 192) &
           in_range((s.ball_y >> 1) - ((s.human_bat + I(1)) >> 1), -1, 7);
  }
  template <class I>
  static LS_HD typename Lanes<I>::M on_cpu_bat(const PongState<I>& s) {
    return in_range(s.ball_x, 64, 68) & in_range(s.ball_y - s.cpu_bat, -4, 14);
  }

 private:
  template <int kFrames, class I, class InputOf, class Plays>
  static LS_HD I play(PongState<I>& s, const InputOf& input_of, const Plays& plays) {
    const I lead = s.human_score - s.cpu_score;
    for (int f = 0; f < kFrames; ++f) {
      const PongInput<I> input = input_of(f);
      auto stops = is_over(s);
      if constexpr (!std::is_same_v<decltype(plays(f)), std::true_type>) stops = stops | !plays(f);
      if (any(stops)) {  // rare, and a copy of the state does not fit in the registers
        const PongState<I> before = s;
        frame(s, input);
        keep(stops, before, s);
      } else {
        frame(s, input);
      }
    }
    return (s.human_score - s.cpu_score) - lead;
  }

  template <class I>
  static LS_HD void keep(typename Lanes<I>::M stops, const PongState<I>& before, PongState<I>& s) {
    I old[kStateSize], now[kStateSize];
    save(before, old);
    save(s, now);
    for (int i = 0; i < kStateSize; ++i) now[i] = select(stops, old[i], now[i]);
    s = restore(now);
  }
};

}  // namespace lockstep
