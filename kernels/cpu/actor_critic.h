// Learning with a critic on the CPU, by tiles of 16 environments: the gradient of every output of a
// minibatch's steps, and their sums. The network is evaluated anew for every step of the optimiser;
// observations come from the record. Compiled once per instruction set.
#pragma once

#include "kernels/cpu/advantages.h"
#include "kernels/cpu/gradient.h"

namespace lockstep::cpu {

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
  constexpr int kTogether = 4;  // steps: a weight is loaded once for them
  const auto& record = args.record;
  for (int lane = 0; lane < kGroup; lane += W) {
    WeighedRange<F, Z> range;
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
        range.take(args, step, lane, valid, weighed);
      }
    }
    range.add_to(sums);
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
