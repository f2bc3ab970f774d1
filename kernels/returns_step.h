// Reward-to-go, one step of a pack at a time, and the integer sums that means and deviations are
// made of.
#pragma once

#include "kernels/fixed_point.h"
#include "kernels/trajectory.h"

namespace lockstep {

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

/// The largest of a pack's numbers.
template <class F>
LS_HD typename Lanes<F>::Scalar largest_lane(F value) {
  typename Lanes<F>::Scalar lanes[Lanes<F>::W];
  store(lanes, value);
  for (int i = 1; i < Lanes<F>::W; ++i) lanes[0] = max(lanes[i], lanes[0]);
  return lanes[0];
}

/// The scan of reward-to-go: called for the steps of a rollout from the last one on backwards.
///
/// Result: bitwise. G_t = fma(G_{t+1}, gamma, r_t), G = 0 beyond an episode's last step; steps
///         after an environment's last end are not valid and have G = 0.
template <class F>
struct ReturnScan {
  F total = F(0);
  typename Lanes<F>::M valid = Lanes<F>::mask(0);

  LS_HD void step(typename Lanes<F>::M ended, F reward, typename Lanes<F>::Scalar gamma) {
    valid = valid | ended;
    total = select(ended, F(0), total);
    total = select(valid, fma(total, F(gamma), reward), F(0));
  }
};

/// Adds one pack of values to the sums and returns them quantised; inactive lanes are ignored.
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

/// Adds a value that `times` steps share; returns it quantised.
LS_HD std::int32_t add_repeated(ReturnSums& sums, float value, float scale, std::int64_t times) {
  const std::int32_t q = FixedPoint::quantise(value, scale, true, sums.saturated);
  const std::int64_t square = std::int64_t{q} * q;
  const std::int64_t low = (square & 0xffffffff) * times;  // times < 2^31
  sums.sum += q * times;
  sums.squares_low += low & 0xffffffff;
  sums.squares_high += (low >> 32) + (square >> 32) * times;
  sums.count += times;
  return q;
}

}  // namespace lockstep
