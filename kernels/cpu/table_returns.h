// Reward-to-go of a table policy's rollout, and each step's logit gradient as an integer. One group
// of 16 environments at a time; compiled once per instruction set.
#pragma once

#include "kernels/object_tables.h"
#include "kernels/reinforce_grad.h"
#include "kernels/returns_step.h"

namespace lockstep::cpu {

/// Reward-to-go of one group, into steps.advantage, and steps.valid.
///
/// Shapes: reads reward [T][16], terminated, truncated, incoming [T] of the group
/// Result: bitwise, PointScan. `sums` gets the integer sums of the valid steps.
template <class F>
void table_returns_group(const TableReturnArgs& args, std::int64_t group, ReturnSums& sums) {
  constexpr int W = Lanes<F>::W;
  const Record<float>& record = args.record.steps;
  const int steps = record.steps[group];
  for (int t = 0; t < steps; ++t) record.valid[group * record.T + t] = 0;
  for (int lane = 0; lane < kGroup; lane += W) {
    const PackCursor<F> pack{record, group, lane};
    PointScan<F> scan;
    for (int t = steps - 1; t >= 0; --t) {
      const std::int64_t at = pack.at(t);
      std::int32_t reward[W];
      for (int i = 0; i < W; ++i) reward[i] = args.record.reward[at + i];
      scan.step(pack.ended(t), to_float(Lanes<F>::load(reward)), args.gamma, args.reset_at_points);
      store(record.advantage + at, scan.total);
      auto valid = scan.valid;
      if (args.incoming_only) valid = valid & pack.bits(args.record.incoming, t);
      record.valid[group * record.T + t] |= static_cast<std::uint16_t>(mask_bits(valid) << lane);
      add_to_sums(sums, scan.total, args.scale, valid);
    }
  }
}

/// Rounds each step's logit gradient to an integer, once; 0 where it has none: in the first step of
/// an episode, whose input is nothing, and in steps that are not valid.
///
/// Shapes: reads logits, action_bits, advantage, valid, terminated, truncated, rows of the group;
///         writes quantised, quantised_leak [T][16] and used [16]
/// Result: bitwise. A g out of range counts 0 and raises sums.saturated.
template <class F, bool kLeaky>
void table_weigh_group(const TableGradientArgs& args, std::int64_t group, TableSums& sums) {
  using M = typename Lanes<F>::M;
  constexpr int W = Lanes<F>::W;
  const TableRecord& table = args.record;
  const Record<float>& record = table.steps;
  const int steps = record.steps[group];
  M saturated = Lanes<F>::mask(0), ignored = saturated;
  for (int lane = 0; lane < kGroup; lane += W) {
    const PackCursor<F> pack{record, group, lane};
    M first = Lanes<F>::mask(~0u);
    for (int t = 0; t < steps; ++t) {
      const std::int64_t at = pack.at(t);
      const M valid = pack.bits(record.valid, t);
      const M counts = valid & !first;
      first = pack.ended(t);
      const F advantage = (Lanes<F>::load(record.advantage + at) - F(args.mean)) * F(args.inv_std);
      const F logits[1] = {Lanes<F>::load(record.logits + at)};
      const auto g =
          logit_gradient(logits, pack.bits(record.action_bits, t), advantage, F(args.entropy_coef));
      store(table.quantised + at, table_quantise(g.grad[0], args.scale, counts, saturated));
      if constexpr (kLeaky) {
        store(table.quantised_leak + at,
              table_quantise(F(args.leak) * g.grad[0], args.scale, counts, saturated));
      }
      sums.loss += sum_wide(
          FixedPoint::quantise(advantage * g.neg_log_prob, args.loss_scale, valid, ignored));
      sums.entropy += sum_wide(FixedPoint::quantise(g.entropy, args.entropy_scale, valid, ignored));
    }
  }
  sums.saturated |= any(saturated);

  // Rows with a gradient: those of a step that has one, and of the step before it.
  std::int32_t* used = table.used + group * kGroup;
  for (int lane = 0; lane < kGroup; ++lane) used[lane] = 0;
  const int k = args.shape.objects;
  const std::uint16_t* rows = table.rows + group * record.T * k * kGroup;
  for (int t = 0; t < steps; ++t) {
    const std::uint32_t valid = record.valid[group * record.T + t];
    for (std::uint32_t lanes = valid; lanes != 0; lanes &= lanes - 1) {
      const int lane = __builtin_ctz(lanes);
      used[lane] = t + 1;
      for (int i = 0; i < k; ++i) {
        sums.hit[rows[(t * k + i) * kGroup + lane]] = 1;
        if (t > 0) sums.hit[rows[((t - 1) * k + i) * kGroup + lane]] = 1;
      }
    }
  }
}

}  // namespace lockstep::cpu
