// Learning with a critic from tables on the CPU, by tiles of 16 games (kernels/table_critic.h): the
// gradient of both outputs of a minibatch's steps, and their sums, kSliceUnits units at a time. The
// network is evaluated anew for every step of the optimiser. Compiled once per instruction set.
#pragma once

#include "kernels/cpu/advantages.h"
#include "kernels/cpu/table_rollout.h"

namespace lockstep::cpu {

/// The rows that the games of a tile show, and which steps follow none.
template <int k>
struct TileRows {
  const TableRecord& record;
  std::int64_t group;

  LS_HD explicit TileRows(const TableRecord& of, std::int64_t g) : record(of), group(g) {}
  /// Lanes whose step t is the first of its episode. An episode that starts with the rollout has
  /// its own rows before it.
  LS_HD std::uint32_t first(int t) const {
    const std::int64_t before = group * record.steps.T + t - 1;
    return t == 0 ? 0u
                  : std::uint32_t{record.steps.terminated[before]} |
                        std::uint32_t{record.steps.truncated[before]};
  }
  /// Rows of step t >= -1.
  LS_HD void at(int t, int lane, int (&row)[k]) const {
    const std::uint16_t* from = t < 0 ? record.rows_before + group * k * kGroup
                                      : record.rows + (group * record.steps.T + t) * k * kGroup;
    for (int i = 0; i < k; ++i) row[i] = from[i * kGroup + lane];
  }
};

/// Evaluates the network on the steps of a tile and weighs them: rows of losses.weighed.
///
/// Shapes: scratch as in a rollout; sums.hit [R] in and out
/// Result: bitwise, weigh_step(); rows of steps that are not valid are 0
template <class E, bool kLeaky, class F>
void table_weigh_tile(const TableCriticArgs& args, const Tile16& tile, const TableScratch& scratch,
                      TableWeighSums& sums) {
  constexpr int W = Lanes<F>::W;
  constexpr int k = E::kObjects;
  const TableView& policy = args.policy;
  const Record<float>& record = args.record.steps;
  const int padded = policy.shape.padded();
  const TileRows<k> rows(args.record, tile.group);
  F active(0);
  WeighedRange<F, 1> range[kGroup / W];
  const auto pointers = [&](const int(&row)[k], const float*(&to)[k]) {
    for (int i = 0; i < k; ++i) to[i] = policy.rows + std::int64_t{row[i]} * padded;
  };
  int row[k];
  const float* of_row[k];
  for (int lane = 0; lane < kGroup; ++lane) {
    rows.at(tile.begin - 1, lane, row);
    pointers(row, of_row);
    table_phi<F, k>(of_row, padded, scratch.phi + lane * padded);
  }
  for (int t = tile.begin; t < tile.end; ++t) {
    const std::int64_t step = tile.group * record.T + t;
    const std::uint32_t valid = record.valid[step], first = rows.first(t);
    for (int lane = 0; lane < kGroup; ++lane) {
      rows.at(t, lane, row);
      pointers(row, of_row);
      float* phi = scratch.phi + lane * padded;
      const bool starts = ((first >> lane) & 1u) != 0, counts = ((valid >> lane) & 1u) != 0;
      if (starts || !counts) table_phi<F, k>(of_row, padded, phi);
      if (!counts) continue;
      // the far row of the lane that comes next, or of this one's next step
      const int far = args.record.rows[(step * k + k - 1) * kGroup + (lane + 1) % kGroup];
      table_forward<kLeaky, kTableOutputs, F, k>(
          policy, of_row, policy.rows + std::int64_t{far} * padded, phi,
          scratch.part + lane * kTableParts, scratch.active + lane, active);
      for (int i = 0; i < k; ++i) sums.hit[row[i]] = 1;
      if (starts) continue;
      rows.at(t - 1, lane, row);
      for (int i = 0; i < k; ++i) sums.hit[row[i]] = 1;
    }
    for (int lane = 0; lane < kGroup; lane += W) {
      F outputs[kTableOutputs];
      for (int y = 0; y < kTableOutputs; ++y) {
        outputs[y] = TableLanes<F>::tree(scratch.part + y * kPartStride + lane * kTableParts);
      }
      const PackCursor<F> pack{record, tile.group, lane};
      const F old_logits[1] = {Lanes<F>::load(record.logits + pack.at(t))};
      const auto weighed = weigh_step<F, 1>(
          args.losses, outputs, old_logits, Lanes<F>::load(record.value + pack.at(t)),
          Lanes<F>::load(record.advantage + pack.at(t)), pack.bits(record.action_bits, t));
      range[lane / W].take(args.losses, step, lane, Lanes<F>::mask(valid >> lane), weighed);
    }
  }
  for (const auto& of_pack : range) of_pack.add_to(sums.losses);
  sums.largest_active = max(static_cast<float>(largest_lane(active)), sums.largest_active);
}

/// Adds the figures of a tile's rows.
///
/// Shapes: sums [kWeighedFigures] in and out
/// Result: bitwise for any order of tiles and any split over threads
template <class F, int Z>
void figures_tile(const ActorCriticArgs<float>& args, const Tile16& tile, std::int64_t* sums) {
  using M = typename Lanes<F>::M;
  constexpr int R = weighed_rows(Z);
  M ignored = Lanes<F>::mask(0);  // the scales rule that out
  for (int t = tile.begin; t < tile.end; ++t) {
    const std::int64_t step = tile.group * args.record.T + t;
    for (int lane = 0; lane < kGroup; lane += Lanes<F>::W) {
      const M valid = Lanes<F>::mask(std::uint32_t{args.record.valid[step]} >> lane);
      for (int f = 0; f < kWeighedFigures; ++f) {
        const F row = Lanes<F>::load(args.weighed + (step * R + Z + 1 + f) * kGroup + lane);
        sums[f] += sum_wide(FixedPoint::quantise(row, args.scale[f], valid, ignored));
      }
    }
  }
}

/// Adds e_t - e_{t+1} of the steps of one tile to the rows they show, and their terms of the
/// outputs' weights.
///
/// Shapes: sums [R][kSliceUnits], output_sums [Y][kSliceUnits] in and out; row 0, which lights
///         nothing, is left alone
/// Result: bitwise for any order of tiles and any split of the batch. e = 0 in an episode's first
///         step: what it adds to a row it takes from the same one.
template <class E, bool kLeaky, class F>
void table_learn_tile(const TableCriticArgs& args, int slice, const Tile16& tile,
                      std::int64_t* sums, std::int64_t* output_sums) {
  using I = typename Lanes<F>::I;
  using L = TableLanes<F>;
  constexpr int W = Lanes<F>::W;
  constexpr int kVectors = kSliceUnits / W;
  constexpr int k = E::kObjects;
  constexpr int Y = kTableOutputs;
  constexpr int R = weighed_rows(1);
  const TableView& policy = args.policy;
  const std::int64_t padded = policy.shape.padded();
  const float* table = policy.rows + slice * kSliceUnits;
  const Record<float>& record = args.record.steps;
  const TileRows<k> rows(args.record, tile.group);
  F weight[kVectors][Y];
  for (int v = 0; v < kVectors; ++v) {
    for (int y = 0; y < Y; ++y) {
      weight[v][y] = Lanes<F>::load(policy.output + y * padded + slice * kSliceUnits + v * W);
    }
  }
  const auto phi_of = [&](const int(&row)[k], F(&phi)[kVectors]) {
    const float* of_row[k];
    for (int i = 0; i < k; ++i) of_row[i] = table + row[i] * padded;
    for (int v = 0; v < kVectors; ++v) phi[v] = table_sum<F, k>(of_row, v * W);
  };
  const auto add = [&](const int(&row)[k], const typename L::L(&change)[kVectors]) {
    for (int i = 0; i < k; ++i) {
      if (row[i] == 0) continue;
      std::int64_t* sum = sums + std::int64_t{row[i]} * kSliceUnits;
      for (int v = 0; v < kVectors; ++v) {
        store(sum + v * W, L::load(sum + v * W) + change[v]);
      }
    }
  };
  I output_terms_of[Y][kVectors];
  int adds = 0;  // into each of them
  const auto clear = [&] {
    for (auto& of_output : output_terms_of) {
      for (I& terms : of_output) terms = I(0);
    }
    adds = 0;
  };
  const auto flush = [&] {
    for (int y = 0; y < Y; ++y) {
      for (int v = 0; v < kVectors; ++v) {
        std::int64_t* sum = output_sums + y * kSliceUnits + v * W;
        store(sum, L::load(sum) + L::widen(output_terms_of[y][v]));
      }
    }
    clear();
  };
  clear();
  for (int lane = 0; lane < kGroup; ++lane) {
    int row[k], before[k];
    F phi[kVectors], phi_before[kVectors];
    I after[kVectors];  // e_{t+1}
    for (I& e : after) e = I(0);
    rows.at(tile.end - 1, lane, row);
    phi_of(row, phi);
    for (int t = tile.end - 1; t >= tile.begin; --t) {
      const std::int64_t step = tile.group * record.T + t;
      const bool counts = ((record.valid[step] >> lane) & 1) != 0;
      rows.at(t - 1, lane, before);
      phi_of(before, phi_before);
      typename L::L change[kVectors];
      if (counts && ((rows.first(t) >> lane) & 1u) == 0) {
        const float* g = args.losses.weighed + step * R * kGroup + lane;
        const float gradient[Y] = {g[0], g[kGroup]};
        for (int v = 0; v < kVectors; ++v) {
          const F h = phi[v] - phi_before[v];
          const F active = table_activation<kLeaky>(h, F(policy.leak));
          for (int y = 0; y < Y; ++y) {
            output_terms_of[y][v] =
                output_terms_of[y][v] + output_terms(gradient[y], args.output_scale[y], active);
          }
          const F hidden = table_hidden_gradient<kLeaky, Y>(weight[v], gradient, h, policy.leak);
          const I e = round_to_int(hidden * F(args.scale));
          change[v] = L::widen(e - after[v]);
          after[v] = e;
        }
        if (++adds == kFlushSteps) flush();
      } else {
        for (int v = 0; v < kVectors; ++v) {
          change[v] = L::widen(I(0) - after[v]);
          after[v] = I(0);
        }
      }
      add(row, change);
      for (int i = 0; i < k; ++i) row[i] = before[i];
      for (int v = 0; v < kVectors; ++v) phi[v] = phi_before[v];
    }
    typename L::L change[kVectors];
    for (int v = 0; v < kVectors; ++v) change[v] = L::widen(I(0) - after[v]);
    add(row, change);  // of the step before the tile
  }
  flush();
}

}  // namespace lockstep::cpu
