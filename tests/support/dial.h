// Two environments of tests alone, for sizes and edges that the others do not reach.
#pragma once

#include "envs/env.h"

namespace lockstep {

/// Six actions.
struct Dial {
  static constexpr const char* kName = "dial";
  static constexpr const char* kSummary = "turn a dial";
  static constexpr int kStateSize = 1;
  static constexpr int kObservationSize = 3;
  static constexpr int kNumActions = 6;
  static constexpr int kMaxEpisodeSteps = 9;
  static constexpr int kMinEpisodeSteps = 1;
  static constexpr bool kConstantReward = false;
  static constexpr float kMaxAbsReward = 5.0f;
  static constexpr float kObservationLimit[3] = {4.0f, 16.0f, 1.0f};
  template <class F>
  struct State {
    F angle;
  };
  template <class F>
  static LS_HD State<F> reset(const F (&u)[4]) {
    return {u[0]};
  }
  template <class F>
  static LS_HD StepResult<F> step(State<F>& state, typename Lanes<F>::I action) {
    state.angle = state.angle + to_real<F>(action) * F(0.25f);
    return {to_real<F>(action), state.angle > F(2.5f)};
  }
  template <class F>
  static LS_HD void observe(const State<F>& state, F (&obs)[3]) {
    obs[0] = state.angle;
    obs[1] = state.angle * state.angle;
    obs[2] = F(1.0f) - state.angle * F(0.25f);
  }
  template <class F>
  static LS_HD void save(const State<F>& state, F (&to)[1]) {
    to[0] = state.angle;
  }
  template <class F>
  static LS_HD State<F> restore(const F (&from)[1]) {
    return {from[0]};
  }
};
static_assert(Env<Dial>);

/// One observation for ever, and episodes that last as long as they may.
struct Still : Dial {
  static constexpr int kNumActions = 2;
  static constexpr int kMaxEpisodeSteps = 40;
  static constexpr int kMinEpisodeSteps = 40;
  static constexpr bool kConstantReward = true;
  static constexpr float kMaxAbsReward = 1.0f;
  static constexpr float kObservationLimit[3] = {1.0f, 1.0f, 1.0f};
  template <class F>
  static LS_HD StepResult<F> step(State<F>&, typename Lanes<F>::M) {
    return {F(1.0f), Lanes<F>::mask(0)};
  }
  template <class F>
  static LS_HD void observe(const State<F>&, F (&obs)[3]) {
    for (F& o : obs) o = F(1.0f);
  }
};

static_assert(Env<Still>);

}  // namespace lockstep
