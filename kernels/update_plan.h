// The scalars of an update, between its batch operations: from exact integer sums to baselines,
// moments, fixed-point scales and the coefficients of the optimiser. Both backends evaluate these
// expressions, in double, so that a run has the same bits on either.
#pragma once

#include "kernels/fixed_point.h"
#include "kernels/object_tables.h"
#include "kernels/optimizer.h"
#include "kernels/reinforce_grad.h"
#include "kernels/trajectory.h"
#include "kernels/update_figures.h"

namespace lockstep {

enum class BaselineRule : std::uint8_t { kNone, kBatchMean, kTimeMean, kRunningMean };
enum class NormalizeRule : std::uint8_t { kNone, kScale, kBatch, kEpisode };

struct OptimizerPlan {
  OptimizerRule rule;
  double max_grad_norm;  // 0 = no clipping
  double weight_decay, decoupled_weight_decay;
  double momentum;
  double beta1, beta2;  // Adam
  double alpha;         // RMSProp
  double eps;
};

/// What an update needs to know beside the data: constant over a run.
struct UpdatePlan {
  std::int64_t num_envs;  // N
  std::int32_t O, A;
  float gamma;
  ReturnMode returns;
  BaselineRule baseline;
  NormalizeRule normalize;
  bool sample_std;        // n - 1
  float return_scale;     // 2^k of the quantised returns
  float advantage_scale;  // 2^k of returns minus baseline
  double entropy_coef;
  double
      entropy_slope;  // bound on the entropy's share of a logit gradient, per unit of entropy_coef
  float entropy_scale;                        // 2^k of the entropy
  double observation_limit[kMaxObservation];  // [O]
  OptimizerPlan optimizer;
};

/// Quantities that run from update to update.
struct RunningState {
  double beta1_power = 1;   // beta1^t, a running product
  double beta2_power = 1;   // beta2^t
  double running_mean = 0;  // baseline running_mean
};

LS_HD double batch_mean(const UpdatePlan& plan, const ReturnSums& returns) {
  return moments(returns.count, returns.sum, 0, plan.return_scale, false).mean;
}

/// The baseline that is one number for all steps.
LS_HD float constant_baseline(const UpdatePlan& plan, const ReturnSums& returns,
                              const RunningState& running) {
  if (plan.baseline == BaselineRule::kBatchMean) {
    return static_cast<float>(batch_mean(plan, returns));
  }
  return plan.baseline == BaselineRule::kRunningMean ? static_cast<float>(running.running_mean)
                                                     : 0.0f;
}

/// The baseline of step t: mean over environments of the quantised returns at t, absent steps 0.
LS_HD float time_baseline(const UpdatePlan& plan, std::int64_t time_sum) {
  return static_cast<float>(static_cast<double>(time_sum) / static_cast<double>(plan.return_scale) /
                            static_cast<double>(plan.num_envs));
}

/// A batch without a finished episode has no mean and leaves the running one alone.
LS_HD void advance_running_mean(const UpdatePlan& plan, const ReturnSums& returns,
                                RunningState& running) {
  if (plan.baseline == BaselineRule::kRunningMean && returns.count > 0) {
    running.running_mean = 0.9 * running.running_mean + 0.1 * batch_mean(plan, returns);
  }
}

LS_HD uint128 squares_of(const ReturnSums& sums) {
  return (static_cast<uint128>(static_cast<std::uint64_t>(sums.squares_high)) << 32) +
         static_cast<uint128>(static_cast<std::uint64_t>(sums.squares_low));
}

/// Mean and inverse deviation the advantages of the batch are normalised by; (0, 1) for none.
LS_HD Moments normalisation(const UpdatePlan& plan, const ReturnSums& advantages) {
  if (plan.normalize != NormalizeRule::kBatch && plan.normalize != NormalizeRule::kScale) {
    return {0.0, 1.0};
  }
  Moments m = moments(advantages.count, advantages.sum, squares_of(advantages),
                      plan.advantage_scale, plan.sample_std);
  if (plan.normalize == NormalizeRule::kScale) m.mean = 0;
  return m;
}

/// Largest |advantage| after normalisation by `m`; `largest` is the one before.
LS_HD double largest_advantage(const Moments& m, float largest) {
  return (static_cast<double>(largest) + __builtin_fabs(m.mean)) * m.inv_std;
}

/// Fills mean, inv_std, entropy_coef and the scales of `args`. `bits_dropped`: how often the
/// gradient saturated; each time its scales lose a bit.
LS_HD void set_gradient_scales(const UpdatePlan& plan, const Moments& m, float largest,
                               int bits_dropped, GradientArgs<float>& args) {
  args.mean = static_cast<float>(m.mean);
  args.inv_std = static_cast<float>(m.inv_std);
  args.entropy_coef = static_cast<float>(plan.entropy_coef);
  // float rounding of the operands may exceed the bound by a little
  const double advantage = largest_advantage(m, largest) * (1 + 1e-5);
  const double slope = advantage + plan.entropy_coef * plan.entropy_slope + 1e-30;
  const float drop = static_cast<float>(__builtin_ldexp(1.0, -bits_dropped));
  for (int i = 0; i <= plan.O; ++i) {
    const double limit = i < plan.O ? plan.observation_limit[i] : 1.0;
    args.scale[i] = scale_for_bound(slope * limit) * drop;
  }
  args.loss_scale = scale_for_bound(advantage * static_cast<double>(kMaxNegLogProb) + 1e-30);
  args.entropy_scale = plan.entropy_scale;
}

/// The same for a table policy; its scale has three bits more.
LS_HD void set_table_scales(const UpdatePlan& plan, const Moments& m, float largest,
                            int bits_dropped, TableGradientArgs& args) {
  args.mean = static_cast<float>(m.mean);
  args.inv_std = static_cast<float>(m.inv_std);
  args.entropy_coef = static_cast<float>(plan.entropy_coef);
  const double advantage = largest_advantage(m, largest) * (1 + 1e-5);
  args.scale = table_gradient_scale(advantage + plan.entropy_coef * plan.entropy_slope + 1e-30,
                                    bits_dropped);
  args.loss_scale = scale_for_bound(advantage * static_cast<double>(kMaxNegLogProb) + 1e-30);
  args.entropy_scale = plan.entropy_scale;
}

/// What the sums of a gradient tell; its norm is still open. `steps`: valid ones, > 0; they are of
/// `episodes` > 0.
LS_HD UpdateFigures figures_of(std::int64_t loss, float loss_scale, std::int64_t entropy,
                               float entropy_scale, std::int64_t episodes, std::int64_t steps) {
  UpdateFigures figures;
  figures.policy_loss = FixedPoint::value(loss, loss_scale) / static_cast<double>(episodes);
  figures.entropy = FixedPoint::value(entropy, entropy_scale) / static_cast<double>(steps);
  return figures;
}

/// Coefficients of this update's optimiser step; advances the running products.
LS_HD OptimizerArgs optimizer_args(const OptimizerPlan& plan, double lr, double grad_norm,
                                   RunningState& running) {
  OptimizerArgs args{};
  args.rule = plan.rule;
  args.grad_scale = 1.0f;
  if (plan.max_grad_norm > 0) {
    args.grad_scale = static_cast<float>(min(1.0, plan.max_grad_norm / (grad_norm + 1e-6)));
  }
  args.lr = static_cast<float>(lr);
  args.shrink = static_cast<float>(1.0 - lr * plan.decoupled_weight_decay);
  args.weight_decay = static_cast<float>(plan.weight_decay);
  args.momentum = static_cast<float>(plan.momentum);
  args.eps = static_cast<float>(plan.eps);
  if (plan.rule == OptimizerRule::kAdam) {
    running.beta1_power *= plan.beta1;
    running.beta2_power *= plan.beta2;
    args.lr = static_cast<float>(lr / (1.0 - running.beta1_power));
    args.one_minus_beta1 = static_cast<float>(1.0 - plan.beta1);
    args.bias_correction2 = static_cast<float>(__builtin_sqrt(1.0 - running.beta2_power));
  }
  const double square_decay = plan.rule == OptimizerRule::kRmsprop ? plan.alpha : plan.beta2;
  args.beta2 = static_cast<float>(square_decay);
  args.one_minus_beta2 = static_cast<float>(1.0 - square_decay);
  return args;
}

}  // namespace lockstep
