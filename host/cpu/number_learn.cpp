// The stages of an update of numbers on the CPU from the returns on. weigh() settles scales alone:
// a step's gradient of the logits is formed in accumulate(), in registers, where its terms are
// added.
#include <algorithm>
#include <cmath>

#include "host/backend/parallel.h"
#include "host/cpu/number_backend.h"

namespace lockstep {
namespace {

/// optimizer_step() of n numbers by one rule, and the largest magnitude of what it makes. Arguments
/// are a copy: no store can change them. Magnitudes are taken while a root is under way.
template <OptimizerRule kRule>
std::uint32_t step_numbers(OptimizerArgs args, std::int64_t n, const float* __restrict gradient,
                           float* __restrict parameters, float* __restrict first_moment,
                           float* __restrict second_moment) {
  args.rule = kRule;
  std::uint32_t most = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    float parameter = parameters[i], m = first_moment[i], v = second_moment[i];
    optimizer_step(args, gradient[i], parameter, m, v);
    parameters[i] = parameter;
    first_moment[i] = m;
    second_moment[i] = v;
    most = std::max({most, magnitude_bits(parameter), magnitude_bits(m), magnitude_bits(v)});
  }
  return most;
}

}  // namespace

void CpuBackend::returns(std::int64_t group, std::int64_t* time_sum, ReturnSums& sums) {
  ops_->returns({record(), plan_.gamma, plan_.returns, plan_.return_scale, time_sum}, group, sums);
}

void CpuBackend::baseline(const BaselineArgs<float>& args, std::int64_t group, ReturnSums& sums) {
  ops_->baseline(args, group, sums);
}

GradientLayout CpuBackend::layout() const {
  return gradient_layout(packed_.view(), shape_.O, logits_of(shape_.A));
}

std::span<const float> CpuBackend::gradient_scales() const {
  return {gradient_args_.scale, static_cast<std::size_t>(shape_.O) + 1};
}

void CpuBackend::weigh(int bits_dropped) {
  GradientArgs<float> args{};
  args.stream = stream_;
  args.num_envs = config_.envs;
  args.episodic = config_.horizon == 0;
  args.policy = packed_.view();
  args.record = record();
  set_gradient_scales(plan_, moments_, batch_.advantages.largest, bits_dropped, args);
  gradient_args_ = args;
}

/// Sums of every thread over the groups that it takes. All of them are one part: they fit a
/// first-level cache.
void CpuBackend::accumulate(std::int64_t, int) {
  for (auto& scratch : scratch_) scratch.saturated = false;
  parallel_for(record().groups, tuning_.threads, [&](std::int64_t group, int thread) {
    ops_->gradient(gradient_args_, group, scratch_[static_cast<std::size_t>(thread)]);
  });
}

/// The sums of all threads in sums_, and theirs at zero again.
void CpuBackend::reduce(std::int64_t, int) {
  const int wide = std::max(1, ops_->lanes / 2);
  std::fill(sums_.begin(), sums_.end(), 0);
  for (std::size_t i = 0; i < scratch_.size(); ++i) {
    if (scratch_[i].adds > 0) ops_->flush(layout(), scratch_[i]);
    if (scratch_[i].saturated) saturated_ = true;
    for (std::size_t k = 0; k < sums_.size(); ++k) {
      for (int lane = 0; lane < wide; ++lane) {
        sums_[k] += partials_[i][static_cast<std::int64_t>(k) * wide + lane];
      }
    }
    partials_[i].zero();
  }
}

void CpuBackend::finish(std::int64_t, int) {
  const auto episodes = static_cast<double>(batch_.episodes);
  const FinishArgs<float, FixedPoint> args{
      packed_.view(),  layout(), sums_.data(),         gradient_args_.scale,
      shape_.O,        shape_.A, packed_.drop_scale(), std::max(episodes, 1.0),
      gradient_.data()};
  for (int position = 0; position < args.layout.units; ++position) finish_unit(args, position);
  finish_output(args);
}

CpuUpdates::Totals CpuBackend::totals() const {
  return {.loss = sums_[static_cast<std::size_t>(layout().loss())],
          .entropy = sums_[static_cast<std::size_t>(layout().entropy())],
          .loss_scale = gradient_args_.loss_scale,
          .entropy_scale = gradient_args_.entropy_scale};
}

double CpuBackend::gradient_norm() {
  return std::sqrt(sum_of_squares(gradient_.data(), static_cast<std::int64_t>(gradient_.size())));
}

std::array<std::span<float>, 3> CpuBackend::trained() {
  return {state_.parameters, state_.first_moment, state_.second_moment};
}

std::uint32_t CpuBackend::optimize(const OptimizerArgs& args, std::int64_t first,
                                   std::int64_t count) {
  const auto step = args.rule == OptimizerRule::kAdam  ? step_numbers<OptimizerRule::kAdam>
                    : args.rule == OptimizerRule::kSgd ? step_numbers<OptimizerRule::kSgd>
                                                       : step_numbers<OptimizerRule::kRmsprop>;
  return step(args, count, gradient_.data() + first, state_.parameters.data() + first,
              state_.first_moment.data() + first, state_.second_moment.data() + first);
}

}  // namespace lockstep
