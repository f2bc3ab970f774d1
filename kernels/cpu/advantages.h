// What learning with a critic on the CPU has in common for numbers and objects: advantages, the
// sums that they are normalised with, and the rows of weighed steps. Compiled once per instruction
// set.
#pragma once

#include "kernels/actor_critic_step.h"
#include "kernels/advantage_step.h"

namespace lockstep::cpu {

/// Advantages of one group, into record.advantage, and record.valid: every step of its
/// environments.
///
/// Shapes:   reads reward, value, next_value, terminated, truncated [T] of the group
/// Result:   bitwise, AdvantageScan. `largest`: of |A|, |A + V|, raised; false where one of them is
///           not finite.
template <class F>
bool advantages_group(const AdvantageArgs<typename Lanes<F>::Scalar>& args, std::int64_t group,
                      AdvantageRange& range) {
  using M = typename Lanes<F>::M;
  using Real = typename Lanes<F>::Scalar;
  constexpr int W = Lanes<F>::W;
  const auto& record = args.record;
  const int T = record.T;
  const std::int64_t left = args.num_envs - group * kGroup;
  const std::uint32_t used = left >= kGroup ? 0xffffu : (1u << left) - 1u;
  for (int t = 0; t < T; ++t) {
    record.valid[group * T + t] = static_cast<std::uint16_t>(used);
  }
  const Real gamma_lambda = args.gamma * args.lambda;
  bool finite = true;
  for (int lane = 0; lane < kGroup; lane += W) {
    const PackCursor<F> pack{record, group, lane};
    const M counts = Lanes<F>::mask(used >> lane);
    AdvantageScan<F> scan;
    F largest[2] = {F(0), F(0)};
    M wrong = Lanes<F>::mask(0);
    for (int t = T - 1; t >= 0; --t) {
      const M last = Lanes<F>::mask(t == T - 1 ? ~0u : 0u);
      const F value = Lanes<F>::load(record.value + pack.at(t));
      const F reward = pack.reward(t);
      M terminated = pack.bits(record.terminated, t);
      if (args.reset_at_points) terminated = terminated | (reward > F(0)) | (reward < F(0));
      scan.step(terminated, pack.bits(record.truncated, t), last, reward, value,
                Lanes<F>::load(record.next_value + pack.at(t)), args.gamma, gamma_lambda);
      store(record.advantage + pack.at(t), scan.advantage);
      const F sizes[2] = {abs(scan.advantage), abs(scan.advantage + value)};
      for (int i = 0; i < 2; ++i) {
        wrong = wrong | (counts & !(sizes[i] <= F(kLargestNumber)));
        largest[i] = select(counts, max(sizes[i], largest[i]), largest[i]);
      }
    }
    finite &= !any(wrong);
    for (int i = 0; i < 2; ++i) {
      float& most = i == 0 ? range.advantage : range.target;
      most = max(static_cast<float>(largest_lane(largest[i])), most);
    }
  }
  return finite;
}

/// Sums of the advantages, or of the returns A + V, of the valid steps of a tile.
template <class F>
void moments_tile(const MomentArgs<typename Lanes<F>::Scalar>& args, const Tile16& tile,
                  ReturnSums& sums) {
  for (int lane = 0; lane < kGroup; lane += Lanes<F>::W) {
    const PackCursor<F> pack{args.record, tile.group, lane};
    for (int t = tile.begin; t < tile.end; ++t) {
      F value = Lanes<F>::load(args.record.advantage + pack.at(t));
      if (args.of_returns) value = value + Lanes<F>::load(args.record.value + pack.at(t));
      add_to_sums(sums, value, args.scale, pack.bits(args.record.valid, t));
    }
  }
}

/// The rows of the weighed steps of a pack: stores them, and keeps what is told of them.
template <class F, int Z>
class WeighedRange {
 public:
  using M = typename Lanes<F>::M;
  using Args = ActorCriticArgs<typename Lanes<F>::Scalar>;
  static constexpr int R = weighed_rows(Z);

  LS_HD WeighedRange() {
    for (F& row : largest_) row = F(0);
  }
  /// Takes in a step of the record, 0 in lanes that are not valid.
  LS_HD void take(const Args& args, std::int64_t step, int lane, M valid,
                  const WeighedStep<F, Z>& weighed) {
    for (int r = 0; r < R; ++r) {
      const F row = select(valid, weighed.row[r], F(0));
      wrong_ = wrong_ | !(abs(row) <= F(kLargestNumber));
      largest_[r] = max(abs(row), largest_[r]);
      store(args.weighed + (step * R + r) * kGroup + lane, row);
    }
    clipped_ += __builtin_popcount(mask_bits(weighed.clipped & valid));
  }
  LS_HD void add_to(WeighSums& sums) const {
    for (int r = 0; r < R; ++r) {
      sums.largest[r] = max(static_cast<float>(largest_lane(largest_[r])), sums.largest[r]);
    }
    sums.clipped += clipped_;
    sums.finite &= !any(wrong_);
  }

 private:
  F largest_[R];
  M wrong_ = Lanes<F>::mask(0);
  std::int64_t clipped_ = 0;  // steps
};

}  // namespace lockstep::cpu
