// See table_actor_critic.h; kernels: kernels/cpu/table_critic.h.
#include "host/cpu/table_actor_critic.h"

#include <algorithm>

#include "host/errors.h"
#include "kernels/table_plan.h"

namespace lockstep {
namespace {

constexpr double kMargin = 1 + 1e-5;  // for the rounding of sums of products
constexpr double kNotZero = 1e-30;

/// Beyond this no scale that a float holds keeps terms below the largest integer.
void require_in_range(double bound) {
  if (!(bound < 1e36)) throw NumericError(numeric_error::kSaturated);
}

}  // namespace

TableActorCritic::TableActorCritic(const Config& config, const EnvironmentEntry& environment,
                                   const CpuTuning& tuning)
    : CriticUpdates(config, environment, tuning) {}

void TableActorCritic::allocate_training() {
  if (!weigh_sums_.empty()) return;
  CriticUpdates::allocate_training();
  const auto threads = static_cast<std::size_t>(tuning_.threads);
  weigh_sums_.resize(threads);
  figure_sums_.resize(threads);
  for (std::size_t i = 0; i < threads; ++i) {
    output_sums_.emplace_back(std::int64_t{kTableOutputs} * kSliceUnits);
  }
}

/// Every step's gradient of the outputs, the rows that have any, and the scales of the sums.
void TableActorCritic::weigh(int) {
  begin_pass();
  learn_args_ = {.losses = args_,
                 .policy = view(network_),
                 .record = record(),
                 .scale = 0,
                 .output_scale = {}};
  for (std::size_t i = 0; i < weigh_sums_.size(); ++i) {
    hit_[i].zero();
    weigh_sums_[i] = {};
    weigh_sums_[i].hit = hit_[i].data();
  }
  for_each_tile([&](const Tile16& tile, std::size_t thread) {
    ops_->weigh_tile(learn_args_, tile, scratch_of(thread), weigh_sums_[thread]);
  });
  const TableWeighSums total = merged(weigh_sums_);
  weighed_sums_ = total.losses;
  if (!weighed_sums_.finite) throw NumericError(numeric_error::kGradient);
  touch_rows();
  set_scales(total);
  sum_figures();
}

/// From the largest terms, so that none is out of range.
void TableActorCritic::set_scales(const TableWeighSums& total) {
  double bound = 0;  // of a hidden unit's gradient
  for (int y = 0; y < kTableOutputs; ++y) {
    const std::uint32_t bits = ops_->largest(
        table_.padded(), learn_args_.policy.output + std::int64_t{y} * table_.padded());
    bound += static_cast<double>(weighed_sums_.largest[y]) *
             static_cast<double>(__builtin_bit_cast(float, bits));
    const double most =
        static_cast<double>(weighed_sums_.largest[y]) * static_cast<double>(total.largest_active);
    require_in_range(most);
    learn_args_.output_scale[y] = scale_for_bound(most * kMargin + kNotZero);
  }
  require_in_range(bound);
  learn_args_.scale = table_gradient_scale(bound * kMargin + kNotZero, table_bits(pass_steps_));
  for (int f = 0; f < kWeighedFigures; ++f) {
    args_.scale[f] = scale_for_largest(weighed_sums_.largest[kTableOutputs + f]);
  }
}

void TableActorCritic::sum_figures() {
  for (auto& sums : figure_sums_) sums.fill(0);
  for_each_tile([&](const Tile16& tile, std::size_t thread) {
    ops_->figures(args_, tile, figure_sums_[thread].data());
  });
  for (std::size_t i = 1; i < figure_sums_.size(); ++i) {
    for (std::size_t f = 0; f < kWeighedFigures; ++f) figure_sums_[0][f] += figure_sums_[i][f];
  }
}

void TableActorCritic::accumulate(std::int64_t slice, int thread) {
  const auto i = static_cast<std::size_t>(thread);
  clear_slice(thread);
  output_sums_[i].zero();
  for (const Tile16& tile : pass_tiles()) {
    ops_->learn_tile(learn_args_, static_cast<int>(slice), tile, slice_sums_[i].data(),
                     output_sums_[i].data());
  }
}

void TableActorCritic::finish(std::int64_t slice, int thread) {
  const auto i = static_cast<std::size_t>(thread);
  TableFinishArgs args = finish_args(table_unit(learn_args_.scale, pass_steps_));
  args.weighted = true;
  ops_->finish(args, static_cast<int>(slice), slice_sums_[i].data());
  for (int y = 0; y < kTableOutputs; ++y) {
    const double unit = table_unit(learn_args_.output_scale[y], pass_steps_);
    for (int j = 0; j < kSliceUnits; ++j) {
      const std::int64_t column = std::int64_t{y} * table_.padded() + slice * kSliceUnits + j;
      args.grad_output[column] =
          static_cast<float>(static_cast<double>(output_sums_[i][y * kSliceUnits + j]) * unit);
    }
  }
}

double TableActorCritic::figure(int which) const {
  return FixedPoint::value(figure_sums_[0][static_cast<std::size_t>(which)], args_.scale[which]) /
         static_cast<double>(pass_steps_);
}

}  // namespace lockstep
