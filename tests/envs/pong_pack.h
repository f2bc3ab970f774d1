// Pong over arrays, once per instruction set: the templates below are compiled in pong_avx2.cpp and
// pong_avx512.cpp with the flags of their set. No library code here, or its inline functions would
// carry those instructions into the whole test.
#pragma once

#include <cstdint>

#include "envs/pong_frame80.h"
#include "envs/pong_ram.h"

namespace lockstep::test {

using Lane = std::int16_t;
inline constexpr int kMaxLanes = 32;

/// Functions over `lanes` lanes, each number an array of them.
struct PongBatch {
  int lanes;
  /// One frame: states [15][lanes], inputs turn and fire [2][lanes], cells [6][lanes] (hits, sound,
  /// wall_flag, bounce_flag, shown); events: bits of the eight masks.
  void (*frame)(Lane (*state)[kMaxLanes], const Lane (*input)[kMaxLanes], Lane (*cells)[kMaxLanes],
                std::uint32_t* events);
  /// A step of up to four frames: input f of lane i is [f], frames of each lane or null for four.
  void (*step)(Lane (*state)[kMaxLanes], const Lane (*input)[2][kMaxLanes], const Lane* frames,
               Lane* reward);
  /// Objects of the 80x80 picture [5][lanes].
  void (*objects)(const Lane (*state)[kMaxLanes], Lane (*objects)[kMaxLanes]);
  /// Every function of the vocabulary of envs/int_lanes.h on pairs of numbers:
  /// [kVocabulary][lanes].
  void (*vocabulary)(const Lane* a, const Lane* b, std::uint32_t bits, Lane (*out)[kMaxLanes]);
};
inline constexpr int kVocabulary = 22;

extern const PongBatch pong_avx2, pong_avx512;

template <class I>
struct PongOf {
  using L = Lanes<I>;
  static LS_HD PongState<I> load_state(const Lane (*from)[kMaxLanes]) {
    I lanes[Pong::kStateSize];
    for (int i = 0; i < Pong::kStateSize; ++i) lanes[i] = L::load(from[i]);
    return Pong::restore(lanes);
  }
  static LS_HD void store_state(Lane (*to)[kMaxLanes], const PongState<I>& s) {
    I lanes[Pong::kStateSize];
    Pong::save(s, lanes);
    for (int i = 0; i < Pong::kStateSize; ++i) store(to[i], lanes[i]);
  }
  static LS_HD PongInput<I> load_input(const Lane (*from)[kMaxLanes]) {
    return {L::load(from[0]), L::load(from[1])};
  }

  static void frame(Lane (*state)[kMaxLanes], const Lane (*input)[kMaxLanes],
                    Lane (*cells)[kMaxLanes], std::uint32_t* events) {
    PongState<I> s = load_state(state);
    PongCells<I> c = {L::load(cells[0]),
                      L::load(cells[1]),
                      L::load(cells[2]),
                      L::load(cells[3]),
                      {L::load(cells[4]), L::load(cells[5])}};
    const PongState<I> before = s;
    const PongEvents<I> e = Pong::frame(s, load_input(input));
    pong_ram::update(c, before, e);
    store_state(state, s);
    store(cells[0], c.hits);
    store(cells[1], c.sound);
    store(cells[2], c.wall_flag);
    store(cells[3], c.bounce_flag);
    store(cells[4], c.shown.cpu_score);
    store(cells[5], c.shown.human_score);
    const typename L::M masks[] = {e.asleep, e.waiting, e.serve,     e.point,
                                   e.rally,  e.wall,    e.human_hit, e.cpu_hit};
    for (int i = 0; i < 8; ++i) events[i] = mask_bits(masks[i]);
  }

  static void step(Lane (*state)[kMaxLanes], const Lane (*input)[2][kMaxLanes], const Lane* frames,
                   Lane* reward) {
    PongState<I> s = load_state(state);
    const auto input_of = [&](int f) { return load_input(input[f]); };
    store(reward, frames == nullptr ? Pong::step<4>(s, input_of)
                                    : Pong::step<4>(s, input_of, L::load(frames)));
    store_state(state, s);
  }

  static void objects(const Lane (*state)[kMaxLanes], Lane (*objects)[kMaxLanes]) {
    const PongObjects<I> o = pong_objects(pong_picture::view_of(load_state(state)));
    const I all[] = {o.cpu_row, o.human_row, o.ball_column, o.ball_row, o.ball_rows};
    for (int i = 0; i < 5; ++i) store(objects[i], all[i]);
  }

  static void vocabulary(const Lane* from_a, const Lane* from_b, std::uint32_t bits,
                         Lane (*out)[kMaxLanes]) {
    const I a = L::load(from_a), b = L::load(from_b), yes(1), no(0);
    const auto m = L::mask(bits);
    const auto number = [&](typename L::M mask) { return select(mask, yes, no); };
    const I all[kVocabulary] = {a + b,
                                a - b,
                                -a,
                                a & b,
                                a | b,
                                a ^ b,
                                a << 3,
                                a >> 2,
                                min(a, b),
                                max(a, b),
                                abs(a),
                                low16(a + b),
                                number(a == b),
                                number(a != b),
                                number(a > b),
                                number(a < b),
                                number(in_range(a, -300, 1000)),
                                select(m, a, b),
                                add_where(m, a, b),
                                sub_where(m, a, b),
                                number((m & (a > b)) | !(m | (a < b))),
                                I(any(m) ? 1 : 0)};
    for (int i = 0; i < kVocabulary; ++i) store(out[i], all[i]);
  }

  static constexpr PongBatch table() { return {L::W, frame, step, objects, vocabulary}; }
};

}  // namespace lockstep::test
