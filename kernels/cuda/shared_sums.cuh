// What the kernels of an update hand on: ReturnSums that a whole grid adds up, the scales that
// follow from them, and where an environment's record ends.
#pragma once

#include "kernels/cuda/launchers.h"
#include "kernels/cuda/warp.cuh"
#include "kernels/update_plan.h"

namespace lockstep::cuda {

/// The sums as the portable formulas take them.
__device__ inline ReturnSums load_sums(const SharedSums& from) {
  ReturnSums sums;
  sums.count = static_cast<std::int64_t>(from.count);
  sums.sum = static_cast<std::int64_t>(from.sum);
  sums.squares_low = static_cast<std::int64_t>(from.squares_low);
  sums.squares_high = static_cast<std::int64_t>(from.squares_high);
  sums.saturated = from.saturated != 0;
  sums.largest = as_float(as_signed(from.largest));
  return sums;
}

__device__ inline void add_signed(unsigned long long* to, std::int64_t value) {
  atomicAdd(to, static_cast<unsigned long long>(value));
}

/// Adds the sums of a warp's lanes: a handful of atomics a warp, at its end.
__device__ inline void add_sums(SharedSums* to, const ReturnSums& lane) {
  const std::int64_t count = warp_sum(lane.count);
  const std::int64_t sum = warp_sum(lane.sum);
  const std::int64_t low = warp_sum(lane.squares_low);
  const std::int64_t high = warp_sum(lane.squares_high);
  const bool saturated = __any_sync(kAllLanes, lane.saturated);
  // floats that are not negative compare as their bits
  const unsigned largest = warp_max(as_unsigned(as_int(lane.largest)));
  if (lane_index() != 0) return;
  if (saturated) atomicOr(&to->saturated, 1u);
  if (largest != 0) atomicMax(&to->largest, largest);
  if (count == 0) return;
  add_signed(&to->count, count);
  add_signed(&to->sum, sum);
  add_signed(&to->squares_low, low);
  add_signed(&to->squares_high, high);
}

/// The arguments of the gradient of the update under way, with the scales its sums are rounded
/// with; one thread fills them in for a block.
__device__ inline void set_gradient_args(const UpdateArgs& update, GradientArgs<float>& args) {
  const RolloutArgs<float>& rollout = update.rollout;
  args.stream = rollout.stream;
  args.stream.epoch = update.state->epoch;
  args.num_envs = rollout.num_envs;
  args.episodic = rollout.episodic;
  args.policy = rollout.policy;
  args.record = rollout.record;
  const ReturnSums advantages = load_sums(*update.advantages);
  set_gradient_scales(update.plan, normalisation(update.plan, advantages), advantages.largest,
                      update.state->bits_dropped, args);
}

/// Steps of environment `env` that may hold anything valid: nothing after them is read.
__device__ inline int steps_played(const RolloutArgs<float>& args, std::int64_t env) {
  if (env >= args.num_envs) return 0;
  return args.episodic ? args.length[env] : args.T;
}

}  // namespace lockstep::cuda
