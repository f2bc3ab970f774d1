// The batch gradient on the CPU. Per pack and tile of 32 steps: the terms g_z * (obs, 1) are formed
// and rounded to integers once, then blocks of hidden units sweep the tile with their accumulators
// in registers: recompute the unit, compare, add where active. int32 lanes are flushed into int64
// before they can overflow. No activation is stored. Compiled once per instruction set.
#pragma once

#include "kernels/cpu/scratch.h"
#include "kernels/replay_step.h"
#include "kernels/step_terms.h"

namespace lockstep::cpu {

/// Terms of one tile: obs, quantised products, dropout masks.
template <class Acc, class F, int O, int C>
struct Tile {
  F obs[kTile][O];
  typename Acc::template Term<F> term[kTile][C];
  int steps;
};

/// Adds components [kFrom, kTo) of the tile to kUnits hidden units from `first` on (walking order).
template <class Acc, PolicyForm kForm, int kUnits, int kFrom, int kTo, class F, int O, int C, int Z>
LS_HD void add_units(const PolicyView<typename Lanes<F>::Scalar>& policy,
                     const Tile<Acc, F, O, C>& tile, const GradientLayout& layout,
                     GradientScratch<Acc>& scratch, int first) {
  using Term = typename Acc::template Term<F>;
  using U = typename Lanes<F>::U;
  constexpr int kStride = unit_stride(O, Z);
  Term* lanes = static_cast<Term*>(scratch.lanes);
  const U* kept_bits = static_cast<const U*>(scratch.kept_bits);
  const int words = (policy.hidden + 31) / 32;
  const bool dropout = kForm == PolicyForm::kGeneral && policy.drop_below != 0;
  const auto* unit = policy.units + first * kStride;

  Term sum[kUnits][C], kept_sum[kUnits][C];
  for (int u = 0; u < kUnits; ++u) {
    for (int c = kFrom; c < kTo; ++c) {
      sum[u][c] = lanes[layout.active(first + u) + c];
      kept_sum[u][c] = layout.has_kept ? lanes[layout.kept(first + u) + c] : Term(0);
    }
  }
  for (int i = 0; i < tile.steps; ++i) {
    for (int u = 0; u < kUnits; ++u) {
      auto active = hidden_unit<F, O>(unit + u * kStride, tile.obs[i]) > F(0);
      if (dropout) {
        const int j = (first + u) / policy.chain + kPartials * ((first + u) % policy.chain);
        if (j >= policy.hidden) continue;
        const auto kept = (kept_bits[i * words + (j >> 5)] & U(1u << (j & 31))) != U(0u);
        active = active & kept;
        if (layout.has_kept) {
          for (int c = kFrom; c < kTo; ++c) {
            kept_sum[u][c] = add_where(kept, kept_sum[u][c], tile.term[i][c]);
          }
        }
      }
      for (int c = kFrom; c < kTo; ++c) sum[u][c] = add_where(active, sum[u][c], tile.term[i][c]);
    }
  }
  for (int u = 0; u < kUnits; ++u) {
    for (int c = kFrom; c < kTo; ++c) {
      lanes[layout.active(first + u) + c] = sum[u][c];
      if (layout.has_kept) lanes[layout.kept(first + u) + c] = kept_sum[u][c];
    }
  }
}

/// Moves all lanes into the wide partial sums and clears them.
template <class Acc, class F>
void flush_lanes(const GradientLayout& layout, GradientScratch<Acc>& scratch) {
  using Term = typename Acc::template Term<F>;
  Term* lanes = static_cast<Term*>(scratch.lanes);
  for (std::int64_t i = 0; i < layout.size(); ++i) {
    accumulate_wide(scratch.partial + i * Lanes<F>::kWideLanes, lanes[i]);
    lanes[i] = Term(0);
  }
  scratch.adds = 0;
}

/// Adds the gradient terms of one group of 16 environments to the thread's sums.
///
/// Result: bitwise for any order of groups and any split over threads.
template <class Acc, class E, PolicyForm kForm, class F, int kUnits>
void gradient_group(const GradientArgs<typename Lanes<F>::Scalar>& args, std::int64_t group,
                    GradientScratch<Acc>& scratch) {
  using U = typename Lanes<F>::U;
  using M = typename Lanes<F>::M;
  using Term = typename Acc::template Term<F>;
  constexpr int W = Lanes<F>::W;
  constexpr int O = E::kObservationSize;
  constexpr int Z = logits_of(E::kNumActions);
  constexpr int C = Z * (O + 1);
  const auto& record = args.record;
  const GradientLayout layout = gradient_layout(args.policy, O, Z);
  const bool dropout = kForm == PolicyForm::kGeneral && args.policy.drop_below != 0;
  const int words = (args.policy.hidden + 31) / 32;
  Term* lanes = static_cast<Term*>(scratch.lanes);
  U* kept_bits = static_cast<U*>(scratch.kept_bits);
  M saturated = Lanes<F>::mask(0);

  for (int lane = 0; lane < kGroup; lane += W) {
    const U env = U(static_cast<std::uint32_t>(group * kGroup + lane)) + Lanes<F>::numbers();
    Replay<E, F> replay = start_replay<E, F>(args.stream, env);
    DropoutMask<F> mask;
    Tile<Acc, F, O, C> tile;
    for (int t0 = 0; t0 < record.steps[group]; t0 += kTile) {
      const int left = record.steps[group] - t0;
      tile.steps = left < kTile ? left : kTile;
      if (scratch.adds + kTile > kFlushSteps) flush_lanes<Acc, F>(layout, scratch);
      for (int i = 0; i < tile.steps; ++i) {
        const int t = t0 + i;
        if (dropout) {
          draw_dropout<F>(args.stream, args.policy, env, static_cast<std::uint32_t>(t),
                          kept_bits + i * words);
          if (record.logits == nullptr) {
            for (int w = 0; w < words; ++w) mask.word[w] = kept_bits[i * words + w];
          }
        }
        F obs[1][O], logits[1][Z];
        visit_step<E, kForm, F>(args, replay, &mask, group, lane, t, obs, logits);
        const std::int64_t step = group * record.T + t;
        const M valid = Lanes<F>::mask(static_cast<std::uint32_t>(record.valid[step]) >> lane);
        const F value = Lanes<F>::load(record.advantage + step * kGroup + lane);
        StepTerms<Acc, F, C> terms;
        step_terms<Acc, F, O, Z>(args, obs[0], logits[0],
                                 recorded_action<E, F>(record, group, lane, t), value, valid, terms,
                                 saturated);
        for (int o = 0; o < O; ++o) tile.obs[i][o] = obs[0][o];
        for (int c = 0; c < C; ++c) {
          tile.term[i][c] = terms.term[c];
          lanes[layout.all() + c] = lanes[layout.all() + c] + terms.term[c];
        }
        lanes[layout.loss()] = lanes[layout.loss()] + terms.loss;
        lanes[layout.entropy()] = lanes[layout.entropy()] + terms.entropy;
      }
      if constexpr (kForm != PolicyForm::kLinear) {
        for (int unit = 0; unit < layout.units; unit += kUnits) {
          add_units<Acc, kForm, kUnits, 0, C, F, O, C, Z>(args.policy, tile, layout, scratch, unit);
        }
      }
      scratch.adds += tile.steps;
    }
  }
  scratch.saturated |= any(saturated);
}

}  // namespace lockstep::cpu
