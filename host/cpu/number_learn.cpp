// The learning half of an update on the CPU: estimate, gradient, apply.
#include <algorithm>
#include <cmath>

#include "host/backend/parallel.h"
#include "host/cpu/number_backend.h"
#include "host/errors.h"

namespace lockstep {
namespace {

constexpr int kGroupsWorthAThread = 16;  // of the estimates: some 100 us at 500 steps

}  // namespace

void CpuBackend::estimate() {
  const bool by_time = plan_.baseline == BaselineRule::kTimeMean;
  for (auto& sums : time_sums_) std::fill(sums.begin(), sums.end(), 0);
  std::fill(return_sums_.begin(), return_sums_.end(), ReturnSums{});
  parallel_for(
      record().groups, tuning_.threads,
      [&](std::int64_t group, int thread) {
        const auto i = static_cast<std::size_t>(thread);
        const ReturnArgs<float> args{record(), plan_.gamma, plan_.returns, plan_.return_scale,
                                     by_time ? time_sums_[i].data() : nullptr};
        ops_->returns(args, group, return_sums_[i]);
      },
      kGroupsWorthAThread);
  ReturnSums returns;
  for (const ReturnSums& part : return_sums_) merge(returns, part);

  BaselineArgs<float> args{};
  args.record = record();
  args.scale = plan_.advantage_scale;
  args.per_episode = plan_.normalize == NormalizeRule::kEpisode;
  args.sample_std = plan_.sample_std;
  args.constant = constant_baseline(plan_, returns, state_);
  advance_running_mean(plan_, returns, state_);
  if (by_time) {
    for (std::size_t t = 0; t < baseline_.size(); ++t) {
      std::int64_t sum = 0;
      for (const auto& sums : time_sums_) sum += sums[t];
      baseline_[t] = time_baseline(plan_, sum);
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
    throw NumericError(numeric_error::kReturnRange);
  }
  largest_ = advantages.largest;
  valid_steps_ = returns.count;
  moments_ = normalisation(plan_, advantages);
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
  set_gradient_scales(plan_, moments_, largest_, bits_dropped, args);
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
    if (++rescalings > kMaxRescalings) throw NumericError(numeric_error::kSaturated);
    last_args_ = gradient_args(rescalings);
  }
  const auto episodes = static_cast<double>(outcome_.count(config_.envs));
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
  const OptimizerArgs args = optimizer_args(plan_.optimizer, lr, grad_norm, state_);
  for (std::size_t i = 0; i < gradient_.size(); ++i) {
    optimizer_step(args, gradient_[i], state_.parameters[i], state_.first_moment[i],
                   state_.second_moment[i]);
  }
}

}  // namespace lockstep
