// See actor_critic.h; kernels: kernels/cpu/actor_critic.h.
#include "host/cpu/actor_critic.h"

#include <algorithm>

#include "host/errors.h"

namespace lockstep {

CpuActorCritic::CpuActorCritic(const Config& config, const EnvironmentEntry& environment,
                               const CpuTuning& tuning)
    : CriticUpdates(config, environment, tuning) {}

GradientLayout CpuActorCritic::layout() const {
  return actor_critic_layout(packed_.view(), shape_.O, logits());
}

void CpuActorCritic::allocate_training() {
  CriticUpdates::allocate_training();
  weigh_sums_.resize(static_cast<std::size_t>(tuning_.threads));
}

void CpuActorCritic::weigh(int bits_dropped) {
  begin_pass();
  args_.policy = packed_.view();
  std::fill(weigh_sums_.begin(), weigh_sums_.end(), WeighSums{});
  for_each_tile([&](const Tile16& tile, std::size_t thread) {
    ops_->weigh(args_, tile, weigh_sums_[thread]);
  });
  weighed_sums_ = merged(weigh_sums_);
  if (!weighed_sums_.finite) throw NumericError(numeric_error::kGradient);
  set_scales(bits_dropped);
}

void CpuActorCritic::set_scales(int bits_dropped) {
  const int O = shape_.O, Y = logits() + 1;
  for (int y = 0; y < Y; ++y) {
    for (int i = 0; i <= O; ++i) {
      args_.scale[y * (O + 1) + i] = term_scale(plan_, weighed_sums_.largest[y], i, bits_dropped);
    }
  }
  for (int f = 0; f < kWeighedFigures; ++f) {
    args_.scale[Y * (O + 1) + f] = scale_for_largest(weighed_sums_.largest[Y + f]);
  }
}

void CpuActorCritic::accumulate(std::int64_t, int) {
  for (auto& scratch : scratch_) scratch.saturated = false;
  for_each_tile(
      [&](const Tile16& tile, std::size_t thread) { ops_->learn(args_, tile, scratch_[thread]); });
}

void CpuActorCritic::finish(std::int64_t, int) {
  const FinishArgs<float, FixedPoint> args{
      packed_.view(),   layout(),      sums_.data(),         args_.scale,
      shape_.O,         shape_.A,      packed_.drop_scale(), static_cast<double>(pass_steps_),
      gradient_.data(), shape_.critic, shape_.O + 1};
  for (int position = 0; position < args.layout.units; ++position) finish_unit(args, position);
  finish_output(args);
}

double CpuActorCritic::figure(int which) const {
  const auto at = static_cast<std::size_t>(layout().loss() + which);
  return FixedPoint::value(sums_[at], args_.scale[layout().components + which]) /
         static_cast<double>(pass_steps_);
}

}  // namespace lockstep
