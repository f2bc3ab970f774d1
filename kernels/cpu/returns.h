// Reward-to-go over the records of one group of 16 environments, baselines, and the integer sums
// that means and deviations are made of. Time runs backwards; every end of an episode resets the
// scan, and steps after an environment's last end (cut by the horizon, or beyond the end) are not
// valid. Compiled once per instruction set.
#pragma once

#include "kernels/normalise_episode.h"

namespace lockstep::cpu {

/// One pack of a group's records: lanes [lane, lane + W) of group `group`.
template <class F>
struct PackCursor {
  using Real = typename Lanes<F>::Scalar;
  using M = typename Lanes<F>::M;
  const Record<Real>& record;
  std::int64_t group;
  int lane;

  LS_HD M bits(const std::uint16_t* words, int t) const {
    return Lanes<F>::mask(static_cast<std::uint32_t>(words[group * record.T + t]) >> lane);
  }
  LS_HD M ended(int t) const { return bits(record.terminated, t) | bits(record.truncated, t); }
  LS_HD std::int64_t at(int t) const { return (group * record.T + t) * kGroup + lane; }
  LS_HD F reward(int t) const {
    return record.reward == nullptr ? F(1.0f) : Lanes<F>::load(record.reward + at(t));
  }
};

/// Adds one pack of values to the sums; inactive lanes are ignored.
template <class F>
LS_HD typename Lanes<F>::I add_to_sums(ReturnSums& sums, F value, float scale,
                                       typename Lanes<F>::M active) {
  typename Lanes<F>::M saturated = Lanes<F>::mask(0);
  const auto q = FixedPoint::quantise(value, scale, active, saturated);
  const std::int64_t squares = sum_squares_wide(q);
  sums.sum += sum_wide(q);
  sums.squares_low += squares & 0xffffffff;
  sums.squares_high += squares >> 32;
  sums.count += __builtin_popcount(mask_bits(active));
  sums.saturated |= any(saturated);
  return q;
}

/// Reward-to-go of one group, into record.advantage, and record.valid.
///
/// Shapes:   reads reward, terminated, truncated [T] of the group; time_sum [T] is added to
/// Result:   bitwise. G_t = fma(G_{t+1}, gamma, r_t), G = 0 beyond an episode's last step. kFull:
///           every step of an episode gets the G of its first step.
template <class F>
void returns_group(const ReturnArgs<typename Lanes<F>::Scalar>& args, std::int64_t group,
                   ReturnSums& sums) {
  using M = typename Lanes<F>::M;
  const auto& record = args.record;
  const int steps = record.steps[group];
  for (int t = 0; t < steps; ++t) record.valid[group * record.T + t] = 0;
  for (int lane = 0; lane < kGroup; lane += Lanes<F>::W) {
    const PackCursor<F> pack{record, group, lane};
    F total(0);
    M valid = Lanes<F>::mask(0);
    for (int t = steps - 1; t >= 0; --t) {
      const M ended = pack.ended(t);
      valid = valid | ended;
      total = select(ended, F(0), total);
      total = select(valid, fma(total, F(args.gamma), pack.reward(t)), F(0));
      store(record.advantage + pack.at(t), total);
      record.valid[group * record.T + t] |= static_cast<std::uint16_t>(mask_bits(valid) << lane);
    }
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
  Real lanes[Lanes<F>::W];
  store(lanes, largest);
  for (int i = 0; i < Lanes<F>::W; ++i) {
    sums.largest = max(static_cast<float>(lanes[i]), sums.largest);
  }
}

}  // namespace lockstep::cpu
