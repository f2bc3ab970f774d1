// Generalised advantage estimation, one step of a pack at a time.
#pragma once

#include "kernels/returns_step.h"

namespace lockstep {

/// The scan of advantages: called for the steps of a rollout from the last one on backwards.
///
/// Result: bitwise. d_t = fma(V(s_{t+1}), gamma, r_t) - V(s_t), with V = 0 where step t terminated
///         the episode; A_t = fma(A_{t+1}, gamma lambda, d_t), with A = 0 beyond an episode's last
///         step. A truncated episode counts as one that would have gone on: it ends the sum, not
///         the value.
/// Source: Schulman, Moritz, Levine, Jordan, Abbeel, "High-dimensional continuous control using
///         generalized advantage estimation", ICLR 2016.
template <class F>
struct AdvantageScan {
  using M = typename Lanes<F>::M;
  using Real = typename Lanes<F>::Scalar;
  F advantage = F(0);  // of the step after
  F value = F(0);      // of its state

  /// next_value: V of the state after step t, read in lanes of `truncated` and `last`: of these the
  /// step after, if there is one, is of another episode.
  LS_HD void step(M terminated, M truncated, M last, F reward, F value_now, F next_value,
                  Real gamma, Real gamma_lambda) {
    const F next = select(terminated, F(0), select(truncated | last, next_value, value));
    const F delta = fma(next, F(gamma), reward) - value_now;
    advantage = fma(select(terminated | truncated, F(0), advantage), F(gamma_lambda), delta);
    value = value_now;
  }
};

}  // namespace lockstep
