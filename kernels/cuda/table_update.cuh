// The step of a table policy's optimiser, the new table, and everything made ready for the next
// update.
//
// Three launches, threads taking numbers in strides. table_check computes the step and stores
// nothing but whether all of it is finite; table_step computes it again and stores it. That reads
// 16 bytes a parameter twice, from the cache for the most part, and takes no memory, where a second
// copy of parameters and moments would be written and read too. table_next makes the rows anew,
// sums of at most some 16 weights, and its first thread ends the update. Limiter: bandwidth.
// budget: table_check_kernel<.*> registers<=56 spills<=0
// budget: table_step_kernel<.*> registers<=40 spills<=0
// budget: table_next_kernel<.*> registers<=48 spills<=0
// budget: table_build_kernel<.*> registers<=40 spills<=0
#pragma once

#include "kernels/cuda/table_steps.cuh"
#include "kernels/update_plan.h"

namespace lockstep::cuda {

template <int kBlock>
LS_KERNEL(kBlock)
table_check_kernel(const __grid_constant__ TableUpdateArgs args) {
  if (args.state->stop != Stop::kRunning || !args.step->learn) return;  // the whole grid
  const OptimizerArgs optimizer = args.step->optimizer;
  bool broken = false;
  for_numbers(table_numbers(args.rollout.policy.shape), [&](std::int64_t i) {
    float parameter = args.parameters[i], m = args.first_moment[i], v = args.second_moment[i];
    optimizer_step(optimizer, args.gradient[i], parameter, m, v);
    broken |= !is_finite(parameter) || !is_finite(v);
  });
  if (__any_sync(kAllLanes, broken) && lane_index() == 0) atomicOr(&args.totals->broken, 1u);
}

template <int kBlock>
LS_KERNEL(kBlock)
table_step_kernel(const __grid_constant__ TableUpdateArgs args) {
  if (args.state->stop != Stop::kRunning || !args.step->learn || args.totals->broken != 0) return;
  const OptimizerArgs optimizer = args.step->optimizer;
  for_numbers(table_numbers(args.rollout.policy.shape), [&](std::int64_t i) {
    float parameter = args.parameters[i], m = args.first_moment[i], v = args.second_moment[i];
    optimizer_step(optimizer, args.gradient[i], parameter, m, v);
    args.parameters[i] = parameter;
    args.first_moment[i] = m;
    args.second_moment[i] = v;
  });
}

/// Makes the thread's numbers of the table.
__device__ inline void build_numbers(const TableBuildArgs& args) {
  const int padded = args.shape.padded();
  for_numbers(std::int64_t{args.shape.rows} * padded, [&](std::int64_t i) {
    const int row = static_cast<int>(i) / padded, unit = static_cast<int>(i) % padded;
    float sum = 0;
    for (int k = args.lights.start[row]; k < args.lights.start[row + 1]; ++k) {
      sum = sum + args.weights[std::int64_t{args.lights.entry[k]} * padded + unit];
    }
    args.rows[i] = sum;
  });
}

template <int kBlock>
LS_KERNEL(kBlock)
table_build_kernel(const __grid_constant__ TableBuildArgs args) {
  build_numbers(args);
}

/// The new table, and by the first thread the end of the update. Nobody else reads what it writes:
/// that `broken` is set is settled, and with it the others do not look at `stop`.
template <int kBlock>
LS_KERNEL(kBlock)
table_next_kernel(const __grid_constant__ TableUpdateArgs args) {
  const bool first = thread_in_grid() == 0;
  if (args.totals->broken != 0) {
    if (first && args.state->stop == Stop::kRunning) args.state->stop = Stop::kParameterNotFinite;
    return;
  }
  if (args.state->stop != Stop::kRunning) return;
  const bool learn = args.step->learn;
  if (learn) {
    build_numbers({args.rollout.policy.shape, args.lights, args.parameters, args.rows});
  }
  if (!first) return;
  TableTotals& totals = *args.totals;
  totals.episodes = totals.steps = 0;
  totals.loss = totals.entropy = 0;
  totals.saturated = 0;
  *args.returns = {};
  *args.advantages = {};
  UpdateState& state = *args.state;
  args.log[state.slot] = args.step->log;
  state.running = args.step->running;
  state.bits_dropped = 0;
  state.epoch += 1;
  state.slot += 1;
}

/// Ends the update: new parameters, table, log and state, or the reason to stop, with all of these
/// as they were.
///
/// Result: bitwise equal to the CPU's optimiser and table
/// Stream: asynchronous, after finish()
/// Errors: those of the launches
inline cudaError_t table_optimise(const TableUpdateArgs& args, const TableLaunchShape& shape,
                                  cudaStream_t stream) {
  const TableShape& table = args.rollout.policy.shape;
  const dim3 numbers = blocks_for_numbers(table_numbers(table), shape), block(kMaxBlock);
  cudaError_t status =
      launch("table_check", table_check_kernel<kMaxBlock>, numbers, block, 0, stream, args);
  if (status != cudaSuccess) return status;
  status = launch("table_step", table_step_kernel<kMaxBlock>, numbers, block, 0, stream, args);
  if (status != cudaSuccess) return status;
  return launch("table_next", table_next_kernel<kMaxBlock>,
                blocks_for_numbers(std::int64_t{table.rows} * table.padded(), shape), block, 0,
                stream, args);
}

/// Makes a table.
///
/// Shapes: weights [P][Hp], rows [R][Hp] out
/// Result: bitwise: the sum from +0 over a row's pixels, ascending
/// Stream: asynchronous
/// Errors: those of the launch
inline cudaError_t table_build(const TableBuildArgs& args, const TableLaunchShape& shape,
                               cudaStream_t stream) {
  return launch("table_build", table_build_kernel<kMaxBlock>,
                blocks_for_numbers(std::int64_t{args.shape.rows} * args.shape.padded(), shape),
                dim3(kMaxBlock), 0, stream, args);
}

}  // namespace lockstep::cuda
