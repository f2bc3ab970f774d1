// Each step's logit gradient of a table policy as an integer, once the returns are known.
//
// Two launches: one thread settles the scalars of the update (scales, what an integer is worth,
// whether there is anything to learn), then a thread takes an environment and a chunk of time
// (table_steps.cuh) and the grid clears the sums that accumulate() adds to. Bytes a step: reads 8
// of logit and advantage and 1/2 of bits, writes 4, with a leak 8. Limiter: bandwidth.
// budget: table_scalars_kernel<32> registers<=80 spills<=0
// budget: table_weigh_kernel<.*> registers<=64 spills<=0
#pragma once

#include "kernels/cuda/table_steps.cuh"
#include "kernels/reinforce_grad.h"
#include "kernels/table_plan.h"

namespace lockstep::cuda {

/// What weigh() settles, by one thread.
template <int kBlock>
LS_KERNEL(kBlock)
table_scalars_kernel(const __grid_constant__ TableUpdateArgs args) {
  if (args.state->stop != Stop::kRunning || threadIdx.x != 0) return;
  const auto episodes = static_cast<std::int64_t>(args.totals->episodes);
  const auto steps = static_cast<std::int64_t>(args.totals->steps);
  const ReturnSums returns = load_sums(*args.returns);
  const ReturnSums advantages = load_sums(*args.advantages);
  if (returns.saturated || advantages.saturated) {
    args.state->stop = Stop::kReturnRange;
    return;
  }
  TableStep step{};
  step.learn = returns.count > 0;
  step.gradient.record = args.rollout.record;
  step.gradient.shape = args.rollout.policy.shape;
  step.gradient.leak = args.rollout.policy.leak;
  set_table_scales(args.plan, normalisation(args.plan, advantages), advantages.largest,
                   table_bits(steps) + args.state->bits_dropped, step.gradient);
  step.unit = table_unit(step.gradient.scale, episodes);
  step.running = args.state->running;
  step.log = {{}, episodes, returns.count, args.state->bits_dropped};
  *args.step = step;
}

template <bool kLeaky>
LS_KERNEL(kMaxBlock)
table_weigh_kernel(const __grid_constant__ TableUpdateArgs args, TableCut cut) {
  if (args.state->stop != Stop::kRunning || !args.step->learn) return;  // the whole grid
  const TableGradientArgs& scales = args.step->gradient;
  const TableRecord& table = args.rollout.record;
  const Record<float>& record = table.steps;
  const TableShape& shape = args.rollout.policy.shape;
  for_numbers(std::int64_t{shape.rows} * shape.padded(), [&](std::int64_t i) { args.sums[i] = 0; });

  const float mean = scales.mean, inv_std = scales.inv_std, entropy_coef = scales.entropy_coef;
  const float scale = scales.scale, loss_scale = scales.loss_scale;
  const float entropy_scale = scales.entropy_scale, leak = args.rollout.policy.leak;
  const TableSteps steps(args, cut);
  bool saturated = false, ignored = false;
  std::int64_t loss = 0, entropy = 0;
  bool starts = true;  // an episode
  if (steps.first > 0 && steps.first < steps.end) starts = steps.ended(steps.first - 1);
  for (int t = steps.first; t < steps.end; ++t) {
    const std::int64_t at = steps.at(t);
    const bool valid = steps.valid(t);
    const bool counts = valid && !starts;
    starts = steps.ended(t);
    const float advantage = (record.advantage[at] - mean) * inv_std;
    const float logits[1] = {record.logits[at]};
    const auto g =
        logit_gradient(logits, steps.pack.bits(record.action_bits, t), advantage, entropy_coef);
    table.quantised[at] = table_quantise(g.grad[0], scale, counts, saturated);
    if constexpr (kLeaky) {
      table.quantised_leak[at] = table_quantise(leak * g.grad[0], scale, counts, saturated);
    }
    loss += FixedPoint::quantise(advantage * g.neg_log_prob, loss_scale, valid, ignored);
    entropy += FixedPoint::quantise(g.entropy, entropy_scale, valid, ignored);
  }
  loss = warp_sum(loss);
  entropy = warp_sum(entropy);
  saturated = __any_sync(kAllLanes, saturated);
  if (lane_index() != 0) return;
  if (loss != 0) add_signed(&args.totals->loss, loss);
  if (entropy != 0) add_signed(&args.totals->entropy, entropy);
  if (saturated) atomicOr(&args.totals->saturated, 1u);
}

/// Settles the scalars of the update in args.step, writes record.quantised and with a leak
/// record.quantised_leak, adds to args.totals and clears args.sums. Stops the update if returns
/// were out of range.
///
/// Result: bitwise equal to the CPU's in the first length[env] steps
/// Stream: asynchronous, after baseline()
/// Errors: those of the launch
inline cudaError_t table_weigh(const TableUpdateArgs& args, const TableLaunchShape& shape,
                               cudaStream_t stream) {
  const cudaError_t status =
      launch("table_scalars", table_scalars_kernel<kWarp>, dim3(1), dim3(kWarp), 0, stream, args);
  if (status != cudaSuccess) return status;
  const TableRecord& record = args.rollout.record;
  const TableCut cut = table_cut(record, shape.block, table_chunk(record));
  return launch(
      "table_weigh",
      args.rollout.policy.leak == 0 ? table_weigh_kernel<false> : table_weigh_kernel<true>,
      table_grid(cut, record), dim3(static_cast<unsigned>(shape.block)), 0, stream, args, cut);
}

}  // namespace lockstep::cuda
