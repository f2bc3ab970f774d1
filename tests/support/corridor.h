// Corridor: five cells in a row, a prize at one end, and three actions: left, stay, right.
//
// An environment of the tests. It proves that one is added without touching the engine, and brings
// what CartPole has not: more than two actions, rewards that depend on the action (so that a wrong
// reward-to-go shows), and episodes of a single step. All rewards are dyadic: sums of them are
// exact.
#pragma once

#include "envs/env.h"
#include "envs/math.h"

namespace lockstep {

struct Corridor {
  static constexpr const char* kName = "corridor";
  static constexpr const char* kSummary = "walk to the end of the corridor that holds the prize";
  static constexpr int kStateSize = 2;
  static constexpr int kObservationSize = 2;
  static constexpr int kNumActions = 3;  // 0 left, 1 stay, 2 right
  static constexpr int kMaxEpisodeSteps = 20;
  static constexpr int kMinEpisodeSteps = 1;
  static constexpr bool kConstantReward = false;
  static constexpr float kMaxAbsReward = 1.0f;
  static constexpr float kObservationLimit[2] = {2.0f, 1.0f};
  /// Mean score of the best policy: 1, 2 or 3 moves at 1/16 each, then the prize of 1.
  static constexpr double kBestScore = 1.0 - 2.0 / 16;

  template <class F>
  struct State {
    F cell;   // -2 .. 2
    F prize;  // -1: at the left end, 1: at the right end
  };

  /// Start: cell -1, 0 or 1 and the side of the prize, uniform; from the first two uniforms.
  template <class F>
  static LS_HD State<F> reset(const F (&u)[4]) {
    const F one(1.0f);
    const F right = select(u[0] > F(2.0f / 3.0f), one, F(0));
    return {select(u[0] < F(1.0f / 3.0f), -one, right), select(u[1] < F(0.5f), -one, one)};
  }

  /// A move costs 1/16, a stay 1/8; the prize is 1. Both ends end the episode.
  template <class F>
  static LS_HD StepResult<F> step(State<F>& state, typename Lanes<F>::I action) {
    using I = typename Lanes<F>::I;
    const F one(1.0f), end(2.0f);
    const auto stay = action == I(1);
    const F move = select(stay, F(0), select(action == I(0), -one, one));
    state.cell = max(min(state.cell + move, end), -end);
    const auto won = state.cell * state.prize > F(1.5f);
    const F cost = select(stay, F(0.125f), F(0.0625f));
    return {select(won, one, F(0)) - cost, abs(state.cell) > F(1.5f)};
  }

  template <class F>
  static LS_HD void observe(const State<F>& state, F (&obs)[2]) {
    save(state, obs);
  }
  template <class F>
  static LS_HD void save(const State<F>& state, F (&to)[2]) {
    to[0] = state.cell;
    to[1] = state.prize;
  }
  template <class F>
  static LS_HD State<F> restore(const F (&from)[2]) {
    return {from[0], from[1]};
  }
};
static_assert(Env<Corridor, float> && Env<Corridor, double>);

}  // namespace lockstep
