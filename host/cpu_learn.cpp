// The learning half of an update on the CPU: estimate, gradient, apply.
#include <algorithm>
#include <cmath>

#include "host/cpu_backend.h"
#include "host/errors.h"
#include "host/parallel.h"

namespace lockstep {
namespace {

constexpr int kMaxRescalings = 16;
constexpr int kGroupsWorthAThread = 16;  // of the estimates: some 100 us at 500 steps

/// Bound on the entropy term's share of a logit gradient, per unit of its coefficient.
double bound_of_entropy_slope(int num_actions) {
  return num_actions == 2 ? 0.25 : std::log(static_cast<double>(num_actions)) + 1.0;
}

void merge(ReturnSums& into, const ReturnSums& from) {
  into.count += from.count;
  into.sum += from.sum;
  into.squares_low += from.squares_low;
  into.squares_high += from.squares_high;
  into.saturated |= from.saturated;
  into.largest = std::max(into.largest, from.largest);
}

uint128 squares_of(const ReturnSums& sums) {
  return (static_cast<uint128>(sums.squares_high) << 32) + static_cast<uint128>(sums.squares_low);
}

}  // namespace

void CpuBackend::estimate() {
  const float return_scale = scale_for_bound(return_bound_);
  const bool by_time = config_.baseline == Baseline::kTimeMean;
  for (auto& sums : time_sums_) std::fill(sums.begin(), sums.end(), 0);
  std::fill(return_sums_.begin(), return_sums_.end(), ReturnSums{});
  parallel_for(
      record().groups, tuning_.threads,
      [&](std::int64_t group, int thread) {
        const auto i = static_cast<std::size_t>(thread);
        const ReturnArgs<float> args{
            record(), static_cast<float>(config_.gamma),
            config_.returns == ReturnKind::kFull ? ReturnMode::kFull : ReturnMode::kStepwise,
            return_scale, by_time ? time_sums_[i].data() : nullptr};
        ops_->returns(args, group, return_sums_[i]);
      },
      kGroupsWorthAThread);
  ReturnSums returns;
  for (const ReturnSums& part : return_sums_) merge(returns, part);
  const double batch_mean = moments(returns.count, returns.sum, 0, return_scale, false).mean;

  BaselineArgs<float> args{};
  args.record = record();
  args.scale = scale_for_bound(2 * return_bound_);
  args.per_episode = config_.normalize == Normalize::kEpisode;
  args.sample_std = config_.std_kind == StdKind::kSample;
  if (config_.baseline == Baseline::kBatchMean) args.constant = static_cast<float>(batch_mean);
  if (config_.baseline == Baseline::kRunningMean) {
    args.constant = static_cast<float>(state_.running_mean);
    // a batch without a finished episode has no mean
    if (returns.count > 0) state_.running_mean = 0.9 * state_.running_mean + 0.1 * batch_mean;
  }
  if (by_time) {
    for (std::size_t t = 0; t < baseline_.size(); ++t) {
      std::int64_t sum = 0;
      for (const auto& sums : time_sums_) sum += sums[t];
      baseline_[t] =
          static_cast<float>(static_cast<double>(sum) / static_cast<double>(return_scale) /
                             static_cast<double>(config_.envs));
    }
    args.baseline = baseline_.data();
  }
  std::fill(return_sums_.begin(), return_sums_.end(), ReturnSums{});
  parallel_for(
      record().groups, tuning_.threads,
      [&](std::int64_t group, int thread) {
        ops_->baseline(args, group, return_sums_[static_cast<std::size_t>(thread)]);
      },
      kGroupsWorthAThread);
  ReturnSums advantages;
  for (const ReturnSums& part : return_sums_) merge(advantages, part);
  if (returns.saturated || advantages.saturated) {
    throw NumericError("a return is not finite or exceeds the environment's reward bound");
  }
  largest_ = advantages.largest;
  valid_steps_ = returns.count;
  mean_ = 0;
  inv_std_ = 1;
  if (config_.normalize == Normalize::kBatch || config_.normalize == Normalize::kScale) {
    const Moments m = moments(advantages.count, advantages.sum, squares_of(advantages), args.scale,
                              args.sample_std);
    inv_std_ = m.inv_std;
    if (config_.normalize == Normalize::kBatch) mean_ = m.mean;
  }
}

double CpuBackend::largest_advantage() const {
  return (static_cast<double>(largest_) + std::abs(mean_)) * inv_std_;
}

std::span<const float> CpuBackend::gradient_scales() const {
  return {last_args_.scale, static_cast<std::size_t>(shape_.O) + 1};
}

GradientArgs<float> CpuBackend::gradient_args(int bits_dropped) const {
  GradientArgs<float> args{};
  args.stream = stream_;
  args.num_envs = config_.envs;
  args.episodic = config_.horizon == 0;
  args.policy = packed_.view();
  args.record = record();
  args.mean = static_cast<float>(mean_);
  args.inv_std = static_cast<float>(inv_std_);
  args.entropy_coef = static_cast<float>(config_.entropy_coef);
  // float rounding of the operands may exceed the bound by a little
  const double advantage = largest_advantage() * (1 + 1e-5);
  const double slope = advantage + config_.entropy_coef * bound_of_entropy_slope(shape_.A) + 1e-30;
  const float drop = static_cast<float>(std::ldexp(1.0, -bits_dropped));
  for (int i = 0; i <= shape_.O; ++i) {
    const double limit =
        i < shape_.O ? static_cast<double>(environment_->facts->observation_limit[i]) : 1.0;
    args.scale[i] = scale_for_bound(slope * limit) * drop;
  }
  args.loss_scale = scale_for_bound(advantage * static_cast<double>(kMaxNegLogProb) + 1e-30);
  args.entropy_scale = scale_for_bound(std::log(static_cast<double>(shape_.A)) * (1 + 1e-5));
  return args;
}

/// Sums the gradient terms of all groups into sums_; false if a term was out of range.
bool CpuBackend::accumulate(const GradientArgs<float>& args) {
  for (auto& scratch : scratch_) scratch.saturated = false;
  parallel_for(record().groups, tuning_.threads, [&](std::int64_t group, int thread) {
    ops_->gradient(args, group, scratch_[static_cast<std::size_t>(thread)]);
  });
  const int wide = std::max(1, ops_->lanes / 2);
  bool in_range = true;
  std::fill(sums_.begin(), sums_.end(), 0);
  for (std::size_t i = 0; i < scratch_.size(); ++i) {
    if (scratch_[i].adds > 0) ops_->flush(args, scratch_[i]);
    in_range &= !scratch_[i].saturated;
    for (std::size_t k = 0; k < sums_.size(); ++k) {
      for (int lane = 0; lane < wide; ++lane) {
        sums_[k] += partials_[i][static_cast<std::int64_t>(k) * wide + lane];
      }
    }
    partials_[i].zero();
  }
  return in_range;
}

int CpuBackend::gradient() {
  int rescalings = 0;
  last_args_ = gradient_args(0);
  while (!accumulate(last_args_)) {
    if (++rescalings > kMaxRescalings) {
      throw NumericError("the gradient stays saturated after " + std::to_string(kMaxRescalings) +
                         " rescalings: an observation is beyond its limit or not finite");
    }
    last_args_ = gradient_args(rescalings);
  }
  double episodes = 0;
  for (std::int64_t i = 0; i < config_.envs; ++i) episodes += episodes_[i];
  const FinishArgs<float, FixedPoint> args{
      packed_.view(),
      gradient_layout(packed_.view(), shape_.O, logits_of(shape_.A)),
      sums_.data(),
      last_args_.scale,
      shape_.O,
      shape_.A,
      packed_.drop_scale(),
      std::max(episodes, 1.0),
      gradient_.data()};
  for (int position = 0; position < args.layout.units; ++position) finish_unit(args, position);
  finish_output(args);
  return rescalings;
}

void CpuBackend::apply(double lr, double grad_norm) {
  OptimizerArgs args{};
  args.grad_scale = 1.0f;
  if (config_.max_grad_norm > 0) {
    args.grad_scale = static_cast<float>(std::min(1.0, config_.max_grad_norm / (grad_norm + 1e-6)));
  }
  args.lr = static_cast<float>(lr);
  args.shrink = static_cast<float>(1.0 - lr * config_.decoupled_weight_decay);
  args.weight_decay = static_cast<float>(config_.weight_decay);
  args.momentum = static_cast<float>(config_.momentum);
  args.eps = static_cast<float>(config_.eps);
  double square_decay = config_.beta2;
  switch (config_.optimizer) {
    case OptimizerKind::kAdam:
      args.rule = OptimizerRule::kAdam;
      state_.beta1_power *= config_.beta1;
      state_.beta2_power *= config_.beta2;
      args.lr = static_cast<float>(lr / (1.0 - state_.beta1_power));
      args.one_minus_beta1 = static_cast<float>(1.0 - config_.beta1);
      args.bias_correction2 = static_cast<float>(std::sqrt(1.0 - state_.beta2_power));
      break;
    case OptimizerKind::kSgd:
      args.rule = OptimizerRule::kSgd;
      break;
    case OptimizerKind::kRmsprop:
      args.rule = OptimizerRule::kRmsprop;
      square_decay = config_.alpha;
      break;
  }
  args.beta2 = static_cast<float>(square_decay);
  args.one_minus_beta2 = static_cast<float>(1.0 - square_decay);
  for (std::size_t i = 0; i < gradient_.size(); ++i) {
    optimizer_step(args, gradient_[i], state_.parameters[i], state_.first_moment[i],
                   state_.second_moment[i]);
  }
}

}  // namespace lockstep
