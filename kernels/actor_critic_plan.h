// The scalars of an update with a critic, between its batch operations: scales of the integer sums,
// what the sums of a pass tell, and what an update tells of all its passes. update_plan.h has those
// that every learner shares.
#pragma once

#include "kernels/actor_critic_step.h"
#include "kernels/update_plan.h"

namespace lockstep {

/// 2^k of numbers that are none larger than `largest`, or products with such.
LS_HD float scale_for_largest(float largest) {
  constexpr float kMargin = 1 + 1e-5f;  // for the rounding of products with a largest number
  constexpr float kNotZero = 1e-30f;
  return scale_for_bound(static_cast<double>(largest) * static_cast<double>(kMargin) +
                         static_cast<double>(kNotZero));
}

/// The scale of component i of an output's terms, of O observations and 1. Every output's terms are
/// bounded by its own largest gradient: a value loss in the hundreds takes no bit from a policy
/// gradient.
LS_HD float term_scale(const UpdatePlan& plan, float largest, int i, int bits_dropped) {
  const float limit = i < plan.O ? static_cast<float>(plan.observation_limit[i]) : 1.0f;
  return scale_for_largest(largest * limit) *
         static_cast<float>(__builtin_ldexp(1.0, -bits_dropped));
}

/// Deviation of quantised numbers, 0 where all are the same.
LS_HD double deviation(const ReturnSums& sums, float scale) {
  const double inv_std = moments(sums.count, sums.sum, squares_of(sums), scale, false).inv_std;
  return inv_std > 0 ? 1 / inv_std : 0.0;
}

/// 1 - Var(G - V) / Var(G): what is left of the returns G when the values V are taken away is the
/// advantage. NaN where all returns are the same.
LS_HD double explained_variance(const ReturnSums& advantages, float advantage_scale,
                                const ReturnSums& returns, float return_scale) {
  const double left = deviation(advantages, advantage_scale);
  const double all = deviation(returns, return_scale);
  return all > 0 ? 1 - left * left / (all * all) : UpdateFigures::kNone;
}

/// What an update tells, summed over its passes.
struct PassFigures {
  UpdateFigures sums{0, 0, 0, 0, 0, 0, 0};
  std::int64_t passes = 0;

  LS_HD void add(const UpdateFigures& pass) {
    sums.policy_loss += pass.policy_loss;
    sums.entropy += pass.entropy;
    sums.grad_norm += pass.grad_norm;
    sums.value_loss += pass.value_loss;
    sums.approx_kl += pass.approx_kl;
    sums.clip_fraction += pass.clip_fraction;
    ++passes;
  }
  /// Of the passes since `before`, the mean divergence.
  LS_HD double kl_since(const PassFigures& before) const {
    return (sums.approx_kl - before.sums.approx_kl) / static_cast<double>(passes - before.passes);
  }
  LS_HD UpdateFigures mean(double explained_variance) const {
    const auto count = static_cast<double>(passes);
    UpdateFigures figures;
    figures.policy_loss = sums.policy_loss / count;
    figures.entropy = sums.entropy / count;
    figures.grad_norm = sums.grad_norm / count;
    figures.value_loss = sums.value_loss / count;
    figures.explained_variance = explained_variance;
    figures.approx_kl = sums.approx_kl / count;
    figures.clip_fraction = sums.clip_fraction / count;
    return figures;
  }
};

}  // namespace lockstep
