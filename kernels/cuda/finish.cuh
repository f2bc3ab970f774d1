// The end of an update, in one block: from the sums to the gradient, its norm, the optimiser, the
// weights in walking order and the log; then everything is made ready for the next update.
//
// Fused: all of it, so that an update ends with a single launch. The new state is staged until all
// of it is known to be finite; a failed update leaves everything as it was before it and says why.
// Mapping: a thread per gradient or parameter, in strides of the block. 256 threads are the 256
// partial sums of the norm.
// Read and written: the sums once, some 60 bytes a parameter; the number of episodes of each
// environment in the general form. Limiter: latency, of doubles and of a dozen barriers.
// budget: finish_kernel<256> registers<=80 spills<=0
#pragma once

#include <limits>

#include "kernels/cuda/shared_sums.cuh"
#include "kernels/finish_gradient.h"
#include "kernels/optimizer.h"
#include "kernels/pack_policy.h"

namespace lockstep::cuda {

inline constexpr float kLargestFloat = std::numeric_limits<float>::max();
inline constexpr double kLargestDouble = std::numeric_limits<double>::max();

/// Integer sums as the batch's kernels add them up.
struct SharedFixedPoint {
  using Sum = unsigned long long;
  static LS_HD double value(Sum sum, float scale) {
    return FixedPoint::value(static_cast<std::int64_t>(sum), scale);
  }
};

/// Sum over the block, in every thread; `warps` is shared memory nobody else uses.
template <int kWarps>
__device__ inline std::int64_t block_sum(std::int64_t value, std::int64_t (&warps)[kWarps]) {
  value = warp_sum(value);
  if (lane_index() == 0) warps[warp_in_block()] = value;
  __syncthreads();
  std::int64_t total = 0;
  for (int i = 0; i < kWarps; ++i) total += warps[i];
  return total;
}

/// Finished episodes that the thread counts.
__device__ inline std::int64_t count_episodes(const UpdateArgs& args) {
  const RolloutArgs<float>& rollout = args.rollout;
  const std::int64_t thread = threadIdx.x, threads = blockDim.x;
  std::int64_t episodes = 0;
  if (args.table_form) {
    for (std::int64_t i = 1 + thread; i <= rollout.T; i += threads) {
      episodes += args.table.histogram[i];
    }
  } else {
    for (std::int64_t i = thread; i < rollout.num_envs; i += threads) {
      episodes += rollout.episodes[i];
    }
  }
  return episodes;
}

/// Sets [0, count) to zero, the block together.
template <class T>
__device__ inline void clear_array(T* array, std::int64_t count) {
  for (std::int64_t i = threadIdx.x; i < count; i += blockDim.x) array[i] = 0;
}

/// L2 norm of the gradient, in every thread, by the partial sums of kSquareParts threads; a barrier
/// comes before anything is read. `part` is shared memory nobody else uses.
__device__ inline double block_norm(const UpdateArgs& args, double (&part)[kSquareParts]) {
  const int thread = static_cast<int>(threadIdx.x);
  __syncthreads();
  part[thread] = part_of_squares(args.gradient, args.num_parameters, thread);
  for (int stride = kSquareParts / 2; stride >= 1; stride /= 2) {
    __syncthreads();
    if (thread < stride) part[thread] += part[thread + stride];
  }
  __syncthreads();
  return sqrt(part[0]);
}

/// Steps the optimiser, the block together. False, and nothing has changed, where a number would
/// not be finite; in every thread.
__device__ inline bool block_step(const UpdateArgs& args, const OptimizerArgs& optimizer) {
  const std::int64_t P = args.num_parameters, thread = threadIdx.x, threads = blockDim.x;
  bool broken = false;
  for (std::int64_t i = thread; i < P; i += threads) {
    float parameter = args.parameters[i], m = args.first_moment[i], v = args.second_moment[i];
    optimizer_step(optimizer, args.gradient[i], parameter, m, v);
    broken |= !(abs(parameter) <= kLargestFloat) || !(abs(v) <= kLargestFloat);
    args.staged[i] = parameter;
    args.staged[P + i] = m;
    args.staged[2 * P + i] = v;
  }
  if (__syncthreads_or(broken) != 0) return false;
  for (std::int64_t i = thread; i < P; i += threads) {
    args.parameters[i] = args.staged[i];
    args.first_moment[i] = args.staged[P + i];
    args.second_moment[i] = args.staged[2 * P + i];
  }
  __syncthreads();
  return true;
}

/// Writes the weights in walking order, the block together; FlatLayout::critic of the parameters.
__device__ inline void block_pack(const UpdateArgs& args, std::int32_t critic) {
  const PolicyView<float>& policy = args.rollout.policy;
  const std::int32_t hidden = policy.hidden - (critic > 0 ? critic : 0);
  const PackArgs<float> pack{args.parameters, args.plan.O,     args.plan.A, hidden,
                             policy.chain,    args.drop_scale, critic};
  const int size = pack.unit_size();
  const int thread = static_cast<int>(threadIdx.x), threads = static_cast<int>(blockDim.x);
  for (int i = thread; i < pack.unit_count() * size; i += threads) {
    pack_number(pack, i / size, i % size, args.units);
  }
  for (int y = thread; policy.hidden > 0 && y < pack.outputs(); y += threads) {
    args.output_bias[y] = packed_output_bias(pack, y);
  }
}

/// What a finished update hands to the next one. `running` is the new state.
__device__ inline void begin_next_update(const UpdateArgs& args, const UpdateState& state,
                                         const RunningState& running, const UpdateLog& log) {
  const GradientLayout layout =
      gradient_layout(args.rollout.policy, args.plan.O, logits_of(args.plan.A));
  clear_array(args.sums, layout.size());
  if (args.time_sum != nullptr) clear_array(args.time_sum, args.rollout.T);
  if (args.table_form) clear_array(args.table.histogram, args.rollout.T + 1);
  if (threadIdx.x != 0) return;
  *args.returns = {};
  *args.advantages = {};
  *args.gradient_saturated = 0;
  args.log[state.slot] = log;
  *args.state = {state.epoch + 1, state.slot + 1, Stop::kRunning, 0, running};
}

template <int kBlock>
LS_KERNEL(kBlock)
finish_kernel(const __grid_constant__ UpdateArgs args) {
  LS_SHARED(part, double[kBlock]);
  LS_SHARED(warps, std::int64_t[kBlock / kWarp]);
  LS_SHARED(scales, GradientArgs<float>);
  const UpdatePlan& plan = args.plan;
  const PolicyView<float>& policy = args.rollout.policy;
  const GradientLayout layout = gradient_layout(policy, plan.O, logits_of(plan.A));
  const int thread = static_cast<int>(threadIdx.x);
  const UpdateState state = *args.state;
  if (state.stop != Stop::kRunning) return;
  const auto stop = [&](Stop why) {
    if (thread == 0) args.state->stop = why;
  };
  const ReturnSums returns = load_sums(*args.returns);
  const bool out_of_range = returns.saturated || args.advantages->saturated != 0;
  const bool saturated = *args.gradient_saturated != 0;
  if (thread == 0) set_gradient_args(args, scales);
  const std::int64_t episodes = block_sum(count_episodes(args), warps);  // a barrier
  if (out_of_range) return stop(Stop::kReturnRange);
  UpdateLog log{{}, episodes, returns.count, state.bits_dropped};
  RunningState running = state.running;
  // no episode finished: nothing to learn from
  if (returns.count == 0) return begin_next_update(args, state, running, log);
  if (saturated) {
    clear_array(args.sums, layout.size());  // for the gradient with smaller scales
    if (thread == 0) *args.gradient_saturated = 0;
    return stop(Stop::kSaturated);
  }

  const double divisor = max(static_cast<double>(episodes), 1.0);
  const FinishArgs<float, SharedFixedPoint> finish{policy,          layout,  args.sums,
                                                   scales.scale,    plan.O,  plan.A,
                                                   args.drop_scale, divisor, args.gradient};
  const int numbers = plan.O + 1 + logits_of(plan.A);  // of a unit
  for (int i = thread; i < layout.units * numbers; i += kBlock) {
    finish_number(finish, i / numbers, i % numbers);
  }
  if (thread == kBlock - 1) finish_output(finish);
  static_cast<UpdateFigures&>(log) =
      figures_of(static_cast<std::int64_t>(args.sums[layout.loss()]), scales.loss_scale,
                 static_cast<std::int64_t>(args.sums[layout.entropy()]), scales.entropy_scale,
                 episodes, returns.count);
  log.grad_norm = block_norm(args, part);
  if (!(log.grad_norm <= kLargestDouble)) return stop(Stop::kGradientNotFinite);

  advance_running_mean(plan, returns, running);
  const OptimizerArgs optimizer =
      optimizer_args(plan.optimizer, args.lr[state.slot], log.grad_norm, running);
  if (!block_step(args, optimizer)) return stop(Stop::kParameterNotFinite);
  block_pack(args, kNoCritic);
  begin_next_update(args, state, running, log);
}

/// Ends the update: new parameters, log and state, or the reason to stop.
///
/// Result: bitwise equal to the CPU's gradient, norm, optimiser and weights
/// Stream: asynchronous, after gradient()
/// Errors: those of the launch
inline cudaError_t finish(const UpdateArgs& args, cudaStream_t stream) {
  static_assert(kSquareParts == kMaxBlock);
  return launch("finish", finish_kernel<kSquareParts>, dim3(1), dim3(kSquareParts), 0, stream,
                args);
}

}  // namespace lockstep::cuda
