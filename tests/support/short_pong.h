// Pong in the middle of a rally, over after 14 steps or two points: short enough that everything
// that can happen in it is enumerated. A point brings no serve, but the ball back on its way. Test
// code only.
//
// RailPong's lanes are not free: what is drawn as their number of no-ops is the course they take,
// bit t the action of step t, so that a rollout of 2^14 of them plays every course there is.
#pragma once

#include "envs/pong_objects.h"

namespace lockstep::test {

inline constexpr int kShortSteps = 14;
inline constexpr int kShortCourses = 1 << kShortSteps;

template <class I>
struct ShortPongState : PongState<I> {
  I course;  // actions still to come, the next one lowest
};

template <bool kOnRails>
struct ShortPongOn : ObjectPong {
  template <class I>
  using State = ShortPongState<I>;

  /// A fast ball on its way to the agent, whose bat has to move, and the CPU's bat far from where
  /// the ball will come back to.
  template <class I>
  static LS_HD State<I> start(I noops, int) {
    State<I> s{Pong::reset<I>(), kOnRails ? noops : I(0)};
    s.clock = I(1024);
    s.serve = s.last = I(0);
    s.cpu_bat = I(198);
    s.human_bat = s.filter = I(101);
    s.paddle = I(Pong::kPaddleStart - 2 * Pong::kPaddleStep);
    send(s, s.active != I(0), 165, 107, 2);
    return s;
  }
  static constexpr int kStateSize = ObjectPong::kStateSize + 1;
  template <class I>
  static LS_HD void save(const State<I>& state, I (&to)[kStateSize]) {
    I play[ObjectPong::kStateSize];
    ObjectPong::save<I>(state, play);
    for (int i = 0; i < ObjectPong::kStateSize; ++i) to[i] = play[i];
    to[kStateSize - 1] = state.course;
  }
  template <class I>
  static LS_HD State<I> restore(const I (&from)[kStateSize]) {
    I play[ObjectPong::kStateSize];
    for (int i = 0; i < ObjectPong::kStateSize; ++i) play[i] = from[i];
    return {ObjectPong::restore<I>(play), from[kStateSize - 1]};
  }
  /// Draws what `count` states show at most.
  static LS_HD void draw(const State<std::int32_t>* states, int count, std::uint8_t* picture) {
    PongState<std::int32_t> play[2];
    for (int i = 0; i < count; ++i) play[i] = states[i];
    ObjectPong::draw(play, count, picture);
  }
  static LS_HD Frame80Look look(const State<std::int32_t>* states, int count) {
    PongState<std::int32_t> play[2]{};
    for (int i = 0; i < count; ++i) play[i] = states[i];
    return ObjectPong::look(play, count);
  }
  template <class I>
  static LS_HD void restart(State<I>& state, typename Lanes<I>::M over, const State<I>& start) {
    ObjectPong::restart<I>(state, over, start);
    state.course = select(over, start.course, state.course);
  }
  using ObjectPong::step;
  template <class I>
  static LS_HD ObjectStep<I> step(State<I>& s, typename Lanes<I>::M up) {
    const auto action = kOnRails ? (s.course & I(1)) != I(0) : up;
    s.course = s.course >> 1;
    const I reward = ObjectPong::step<I>(static_cast<PongState<I>&>(s), action).reward;
    send(s, reward != I(0), 172, 91, -1);
    return {reward, s.cpu_score + s.human_score > I(1)};
  }

 private:
  /// Puts the ball of some lanes on its way to the agent, at full speed.
  template <class I>
  static LS_HD void send(State<I>& s, typename Lanes<I>::M lanes, int x, int y, int vel_y) {
    s.serve = select(lanes, I(0), s.serve);
    s.ball_x = select(lanes, I(x), s.ball_x);
    s.ball_y = select(lanes, I(y), s.ball_y);
    s.vel_x = select(lanes, I(-Pong::kMaxSpeed), s.vel_x);
    s.vel_y = select(lanes, I(vel_y), s.vel_y);
  }
};
using ShortPong = ShortPongOn<false>;
using RailPong = ShortPongOn<true>;

}  // namespace lockstep::test
