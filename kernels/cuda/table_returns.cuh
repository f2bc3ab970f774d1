// Returns and baseline of a table policy's record, and the integer sums that means and deviations
// are made of; two launches, because a baseline is a mean over the whole batch.
//
// Mapping: table_steps.cuh. A chunk of returns starts at the first end of an episode, or point if
// points reset, at or after its last step, and stores only its own steps: the same scan as from the
// very end. Bytes a step: returns() reads 1/4 of ends and 1 of reward and writes 4 of advantage;
// baseline() reads and writes 4. Limiter: bandwidth; latency in small batches.
// budget: table_returns_kernel<.*> registers<=48 spills<=0
// budget: table_baseline_kernel<.*> registers<=64 spills<=0
#pragma once

#include "kernels/cuda/table_steps.cuh"
#include "kernels/normalise_episode.h"

namespace lockstep::cuda {

/// Counts the thread's environment, and with its first lane the steps of its group; a whole warp
/// calls it, once a batch.
__device__ inline void count_batch(const TableUpdateArgs& args, const PackCursor<float>& pack) {
  const std::int64_t env = pack.group * kGroup + pack.lane;
  const bool there = env < args.rollout.num_envs;
  const std::int64_t played =
      there && pack.lane == 0 ? args.rollout.record.steps.steps[pack.group] : 0;
  const std::int64_t episodes = warp_sum(std::int64_t{there ? args.rollout.episodes[env] : 0});
  const std::int64_t steps = warp_sum(played * kGroup);
  if (lane_index() != 0) return;
  if (episodes != 0) add_signed(&args.totals->episodes, episodes);
  if (steps != 0) add_signed(&args.totals->steps, steps);
}

/// Reward-to-go of the thread's steps. kCut: a point ends the sum.
template <bool kCut>
LS_KERNEL(kMaxBlock)
table_returns_kernel(const __grid_constant__ TableUpdateArgs args, TableCut cut) {
  if (args.state->stop != Stop::kRunning) return;  // the whole grid
  const UpdatePlan& plan = args.plan;
  const TableSteps steps(args, cut);
  if (steps.first == 0) count_batch(args, steps.pack);  // the whole block
  ReturnSums sums;
  if (steps.first < steps.end) {
    int t = steps.end - 1;
    // there is one: the last step of a finished episode is its end
    while (!steps.ended(t) && !(kCut && steps.reward(t) != 0)) ++t;
    PointScan<float> scan;
    scan.valid = true;
    for (; t >= steps.first; --t) {
      scan.step(steps.ended(t), to_float(steps.reward(t)), plan.gamma, kCut);
      if (t >= steps.end) continue;
      args.rollout.record.steps.advantage[steps.at(t)] = scan.total;
      add_to_sums(sums, scan.total, plan.return_scale, steps.valid(t));
    }
  }
  add_sums(args.returns, sums);
}

/// Subtracts the baseline from the advantages of the thread's steps. Normalising per episode takes
/// one chunk.
template <bool kPerEpisode>
LS_KERNEL(kMaxBlock)
table_baseline_kernel(const __grid_constant__ TableUpdateArgs args, TableCut cut) {
  if (args.state->stop != Stop::kRunning) return;  // the whole grid
  const UpdatePlan& plan = args.plan;
  const Record<float>& record = args.rollout.record.steps;
  const float baseline = constant_baseline(plan, load_sums(*args.returns), args.state->running);
  const TableSteps steps(args, cut);
  ReturnSums sums;
  for (int t = steps.first; t < steps.end; ++t) {
    const bool valid = steps.valid(t);
    float& value = record.advantage[steps.at(t)];
    value = valid ? value - baseline : 0.0f;
    if (kPerEpisode) continue;
    add_to_sums(sums, value, plan.advantage_scale, valid);
    sums.largest = max(abs(value), sums.largest);
  }
  if constexpr (kPerEpisode) {
    const BaselineArgs<float> normalised{record, nullptr,        0.0f, plan.advantage_scale,
                                         true,   plan.sample_std};
    int first = 0;
    for (int t = steps.first; t < steps.end; ++t) {
      if (!steps.ended(t)) continue;
      sums.saturated |= normalise_episode(normalised, steps.pack.group, steps.pack.lane, first, t);
      for (; first <= t; ++first) {
        sums.largest = max(abs(record.advantage[steps.at(first)]), sums.largest);
      }
    }
  }
  add_sums(args.advantages, sums);
}

/// Writes record.advantage, and the sums of the returns of valid steps.
///
/// Shapes: reads length [16 G] and of the record reward, terminated, truncated, incoming
/// Result: bitwise equal to the CPU's in the first length[env] steps; PointScan is the definition
/// Stream: asynchronous, after rollout()
/// Errors: those of the launch
inline cudaError_t table_returns(const TableUpdateArgs& args, const TableLaunchShape& shape,
                                 cudaStream_t stream) {
  const TableRecord& record = args.rollout.record;
  const TableCut cut = table_cut(record, shape.block, table_chunk(record));
  return launch("table_returns",
                args.reset_at_points ? table_returns_kernel<true> : table_returns_kernel<false>,
                table_grid(cut, record), dim3(static_cast<unsigned>(shape.block)), 0, stream, args,
                cut);
}

/// Subtracts the baseline and writes the sums of what is left; 0 in steps that are not valid.
///
/// Result: bitwise equal to the CPU's in the first length[env] steps
/// Stream: asynchronous, after returns()
/// Errors: those of the launch; cudaErrorInvalidValue for a baseline by time
inline cudaError_t table_baseline(const TableUpdateArgs& args, const TableLaunchShape& shape,
                                  cudaStream_t stream) {
  if (args.plan.baseline == BaselineRule::kTimeMean) return cudaErrorInvalidValue;
  const TableRecord& record = args.rollout.record;
  const bool per_episode = args.plan.normalize == NormalizeRule::kEpisode;
  const TableCut cut = table_cut(record, shape.block, per_episode ? 0 : table_chunk(record));
  return launch(
      "table_baseline", per_episode ? table_baseline_kernel<true> : table_baseline_kernel<false>,
      table_grid(cut, record), dim3(static_cast<unsigned>(shape.block)), 0, stream, args, cut);
}

}  // namespace lockstep::cuda
