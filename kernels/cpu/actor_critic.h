// Learning with a critic on the CPU, by groups of 16 environments: advantages, the gradient of
// every output of a minibatch's steps, and their sums. The network is evaluated anew for every step
// of the optimiser; observations come from the record. Compiled once per instruction set.
#pragma once

#include "kernels/actor_critic_step.h"
#include "kernels/advantage_step.h"
#include "kernels/cpu/gradient.h"

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
      scan.step(pack.bits(record.terminated, t), pack.bits(record.truncated, t), last,
                pack.reward(t), value, Lanes<F>::load(record.next_value + pack.at(t)), args.gamma,
                gamma_lambda);
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

/// Evaluates the network on the steps of a tile and weighs them: rows of args.weighed.
///
/// Result:   bitwise, weigh_step(); rows of steps that are not valid are 0
template <class E, PolicyForm kForm, class F>
void weigh_tile(const ActorCriticArgs<typename Lanes<F>::Scalar>& args, const Tile16& tile,
                WeighSums& sums) {
  using M = typename Lanes<F>::M;
  constexpr int W = Lanes<F>::W;
  constexpr int O = E::kObservationSize;
  constexpr int Z = logits_of(E::kNumActions);
  constexpr int R = weighed_rows(Z);
  constexpr int kTogether = 4;  // steps: a weight is loaded once for them
  const auto& record = args.record;
  for (int lane = 0; lane < kGroup; lane += W) {
    F largest[R];
    for (F& row : largest) row = F(0);
    M wrong = Lanes<F>::mask(0);
    for (int t0 = tile.begin; t0 < tile.end; t0 += kTogether) {
      F obs[kTogether][O], outputs[kTogether][Z + 1];
      const auto step_of = [&](int v) {  // the last one again where there are fewer
        return tile.group * record.T + (t0 + v < tile.end ? t0 + v : tile.end - 1);
      };
      for (int v = 0; v < kTogether; ++v) load_fields<F>(record.obs, step_of(v), lane, obs[v]);
      policy_logits<kForm, 1>(args.policy, obs, static_cast<DropoutMask<F>*>(nullptr), outputs);
      for (int v = 0; v < kTogether && t0 + v < tile.end; ++v) {
        const std::int64_t step = step_of(v), at = step * kGroup + lane;
        const M valid = Lanes<F>::mask(static_cast<std::uint32_t>(record.valid[step]) >> lane);
        F old_logits[Z];
        load_fields<F>(record.logits, step, lane, old_logits);
        const auto weighed =
            weigh_step<F, Z>(args, outputs[v], old_logits, Lanes<F>::load(record.value + at),
                             Lanes<F>::load(record.advantage + at),
                             recorded_action<E, F>(record, tile.group, lane, t0 + v));
        for (int r = 0; r < R; ++r) {
          const F row = select(valid, weighed.row[r], F(0));
          wrong = wrong | !(abs(row) <= F(kLargestNumber));
          largest[r] = max(abs(row), largest[r]);
          store(args.weighed + (step * R + r) * kGroup + lane, row);
        }
        sums.clipped += __builtin_popcount(mask_bits(weighed.clipped & valid));
      }
    }
    for (int r = 0; r < R; ++r) {
      sums.largest[r] = max(static_cast<float>(largest_lane(largest[r])), sums.largest[r]);
    }
    sums.finite &= !any(wrong);
  }
}

/// Adds what a tile's rows make of its observations to the thread's sums.
///
/// Result:   bitwise for any order of tiles and any split over threads.
template <class Acc, class E, PolicyForm kForm, class F, int kUnits>
void learn_tile(const ActorCriticArgs<typename Lanes<F>::Scalar>& args, const Tile16& range,
                GradientScratch<Acc>& scratch) {
  using M = typename Lanes<F>::M;
  using Term = typename Acc::template Term<F>;
  constexpr int W = Lanes<F>::W;
  constexpr int O = E::kObservationSize;
  constexpr int Z = logits_of(E::kNumActions);
  constexpr int Y = Z + 1;
  constexpr int C = Y * (O + 1);
  constexpr int R = weighed_rows(Z);
  const auto& record = args.record;
  const GradientLayout layout = actor_critic_layout(args.policy, O, Z);
  Term* lanes = static_cast<Term*>(scratch.lanes);
  M saturated = Lanes<F>::mask(0);
  for (int lane = 0; lane < kGroup; lane += W) {
    Tile<Acc, F, O, C> tile;
    for (int t0 = range.begin; t0 < range.end; t0 += kTile) {
      tile.steps = range.end - t0 < kTile ? range.end - t0 : kTile;
      if (scratch.adds + tile.steps > kFlushSteps) flush_lanes<Acc, F>(layout, scratch);
      for (int i = 0; i < tile.steps; ++i) {
        const std::int64_t step = range.group * record.T + t0 + i;
        const M valid = Lanes<F>::mask(static_cast<std::uint32_t>(record.valid[step]) >> lane);
        F row[R];
        load_fields<F>(args.weighed, step, lane, row);
        load_fields<F>(record.obs, step, lane, tile.obs[i]);
        for (int y = 0; y < Y; ++y) {
          for (int o = 0; o <= O; ++o) {
            const int c = y * (O + 1) + o;
            const F term = o < O ? row[y] * tile.obs[i][o < O ? o : 0] : row[y];
            tile.term[i][c] = Acc::template quantise<F>(term, args.scale[c], valid, saturated);
            lanes[layout.all() + c] = lanes[layout.all() + c] + tile.term[i][c];
          }
        }
        for (int f = 0; f < kWeighedFigures; ++f) {
          Term& sum = lanes[layout.loss() + f];
          sum = sum + Acc::template quantise<F>(row[Y + f], args.scale[C + f], valid, saturated);
        }
      }
      if constexpr (kForm != PolicyForm::kLinear) {
        // units of a policy with a critic of its own have terms of the logits alone, the critic's
        // those of the value
        constexpr int kOfLogits = Z * (O + 1);
        for (int unit = 0; unit < layout.units; unit += kUnits) {
          switch (args.owner(unit, kUnits)) {
            case UnitOwner::kPolicy:
              add_units<Acc, kForm, kUnits, 0, kOfLogits, F, O, C, Y>(args.policy, tile, layout,
                                                                      scratch, unit);
              break;
            case UnitOwner::kCritic:
              add_units<Acc, kForm, kUnits, kOfLogits, C, F, O, C, Y>(args.policy, tile, layout,
                                                                      scratch, unit);
              break;
            case UnitOwner::kBoth:
              add_units<Acc, kForm, kUnits, 0, C, F, O, C, Y>(args.policy, tile, layout, scratch,
                                                              unit);
          }
        }
      }
      scratch.adds += tile.steps;
    }
  }
  scratch.saturated |= any(saturated);
}

}  // namespace lockstep::cpu
