// Reward-to-go over the records of one group of 16 environments, baselines, and the integer sums
// that means and deviations are made of. Time runs backwards; every end of an episode resets the
// scan, and steps after an environment's last end (cut by the horizon, or beyond the end) are not
// valid. Compiled once per instruction set.
#pragma once

#include "kernels/normalise_episode.h"
#include "kernels/returns_step.h"

namespace lockstep::cpu {

/// Reward-to-go of one group, into record.advantage, and record.valid.
///
/// Shapes:   reads reward, terminated, truncated [T] of the group; time_sum [T] is added to
/// Result:   bitwise, ReturnScan. kFull: every step of an episode gets the G of its first step.
template <class F>
void returns_group(const ReturnArgs<typename Lanes<F>::Scalar>& args, std::int64_t group,
                   ReturnSums& sums) {
  using M = typename Lanes<F>::M;
  const auto& record = args.record;
  const int steps = record.steps[group];
  for (int t = 0; t < steps; ++t) record.valid[group * record.T + t] = 0;
  for (int lane = 0; lane < kGroup; lane += Lanes<F>::W) {
    const PackCursor<F> pack{record, group, lane};
    ReturnScan<F> scan;
    for (int t = steps - 1; t >= 0; --t) {
      scan.step(pack.ended(t), pack.reward(t), args.gamma);
      store(record.advantage + pack.at(t), scan.total);
      record.valid[group * record.T + t] |=
          static_cast<std::uint16_t>(mask_bits(scan.valid) << lane);
    }
    F total(0);
    M starting = Lanes<F>::mask(~0u);
    for (int t = 0; t < steps; ++t) {
      F value = Lanes<F>::load(record.advantage + pack.at(t));
      if (args.mode == ReturnMode::kFull) {
        total = select(starting, value, total);
        value = total;
        starting = pack.ended(t);
        value = select(pack.bits(record.valid, t), value, F(0));
        store(record.advantage + pack.at(t), value);
      }
      const auto q = add_to_sums(sums, value, args.scale, pack.bits(record.valid, t));
      if (args.time_sum != nullptr) args.time_sum[t] += sum_wide(q);
    }
  }
}

/// Subtracts the baseline from record.advantage of one group; optionally normalises per episode.
///
/// Result:   bitwise. `sums` gets the integer sums and the largest magnitude of what is left.
template <class F>
void baseline_group(const BaselineArgs<typename Lanes<F>::Scalar>& args, std::int64_t group,
                    ReturnSums& sums) {
  using Real = typename Lanes<F>::Scalar;
  const auto& record = args.record;
  const int steps = record.steps[group];
  for (int lane = 0; lane < kGroup; lane += Lanes<F>::W) {
    const PackCursor<F> pack{record, group, lane};
    for (int t = 0; t < steps; ++t) {
      const F baseline(args.baseline == nullptr ? args.constant : args.baseline[t]);
      const auto valid = pack.bits(record.valid, t);
      const F value = select(valid, Lanes<F>::load(record.advantage + pack.at(t)) - baseline, F(0));
      store(record.advantage + pack.at(t), value);
    }
  }
  if (args.per_episode) {
    for (int lane = 0; lane < kGroup; ++lane) {
      int first = 0;
      for (int t = 0; t < steps; ++t) {
        const std::int64_t word = group * record.T + t;
        const int ends = record.terminated[word] | record.truncated[word];
        if (((ends >> lane) & 1) == 0) continue;
        sums.saturated |= normalise_episode<Real>(args, group, lane, first, t);
        first = t + 1;
      }
    }
  }
  F largest(0);
  for (int lane = 0; lane < kGroup; lane += Lanes<F>::W) {
    const PackCursor<F> pack{record, group, lane};
    for (int t = 0; t < steps; ++t) {
      const F value = Lanes<F>::load(record.advantage + pack.at(t));
      if (!args.per_episode) add_to_sums(sums, value, args.scale, pack.bits(record.valid, t));
      largest = max(abs(value), largest);
    }
  }
  sums.largest = max(static_cast<float>(largest_lane(largest)), sums.largest);
}

}  // namespace lockstep::cpu
