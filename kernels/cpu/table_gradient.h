// The gradient of a table policy on the CPU, kSliceUnits units at a time so that the accumulators
// of all rows stay in the second-level cache: a slice is summed over the whole batch by one thread,
// and slices are dealt over threads. Compiled once per instruction set.
#pragma once

#include "kernels/cpu/lanes/table_lanes.h"

namespace lockstep::cpu {

inline constexpr int kTableTile = 64;  // steps whose records stay in the first-level cache

/// Zeroes the sums of the rows that the batch touches; the others are never read.
///
/// Shapes: sums [R][kSliceUnits]. Not all of them, since that would push out of the cache what the
///         slice before has left there.
template <class F>
void table_clear_slice(const TableTouched& touched, std::int64_t* sums) {
  using L = typename TableLanes<F>::L;
  const L zero = TableLanes<F>::widen(typename Lanes<F>::I(0));
  for (std::int32_t i = 0; i < touched.count; ++i) {
    std::int64_t* sum = sums + touched.row[i] * kSliceUnits;
    for (int v = 0; v < kSliceUnits; v += Lanes<F>::W) store(sum + v, zero);
  }
}

/// Adds e_t - e_{t+1} of the steps of one group to the rows they show.
///
/// Shapes: sums [R][kSliceUnits] in and out; row 0, which lights nothing, is left alone
/// Result: bitwise for any order of groups and any split of the batch
template <class E, bool kLeaky, class F>
void table_accumulate_group(const TableGradientArgs& args, int slice, std::int64_t group,
                            std::int64_t* sums) {
  using I = typename Lanes<F>::I;
  constexpr int W = Lanes<F>::W;
  constexpr int kVectors = kSliceUnits / W;
  constexpr int k = E::kObjects;
  using L = TableLanes<F>;
  const TableRecord& table = args.record;
  const std::int64_t start = group * table.steps.T;
  const std::int64_t words = args.shape.words();
  const std::uint32_t* active = table.active + (start * words + slice / 2) * kGroup;
  const int shift = slice % 2 * kSliceUnits;
  const std::uint16_t* rows = table.rows + start * k * kGroup;
  const std::int32_t* quantised = table.quantised + start * kGroup;
  const std::int32_t* leaked = kLeaky ? table.quantised_leak + start * kGroup : nullptr;
  const std::int32_t* used = table.used + group * kGroup;

  alignas(64) std::int32_t later[kGroup][kSliceUnits] = {};  // e_{t+1}
  bool has_later[kGroup] = {};                               // some of them may not be 0
  const int tiles = (table.steps.steps[group] + kTableTile - 1) / kTableTile;
  for (int tile = tiles - 1; tile >= 0; --tile) {
    for (int t = (tile - 1) * kTableTile; tile > 0 && t < tile * kTableTile; ++t) {
      __builtin_prefetch(active + t * words * kGroup);
      __builtin_prefetch(quantised + t * kGroup);
      for (int i = 0; i < k; i += 2) __builtin_prefetch(rows + (t * k + i) * kGroup);
    }
    for (int lane = 0; lane < kGroup; ++lane) {
      const int end = (tile + 1) * kTableTile;
      I after[kVectors];
      for (int v = 0; v < kVectors; ++v) after[v] = Lanes<F>::load(later[lane] + v * W);
      bool has_after = has_later[lane];
      for (int t = (end < used[lane] ? end : used[lane]) - 1; t >= tile * kTableTile; --t) {
        const std::int32_t q = quantised[t * kGroup + lane];
        const std::int32_t low = kLeaky ? leaked[t * kGroup + lane] : 0;
        const bool has = (q | low) != 0;
        if (!has && !has_after) continue;
        has_after = has;
        const std::uint32_t bits = active[t * words * kGroup + lane] >> shift;
        typename L::L change[kVectors];
        for (int v = 0; v < kVectors; ++v) {
          const I e = select(Lanes<F>::mask(bits >> (v * W)), I(q), I(low));
          change[v] = L::widen(e - after[v]);
          after[v] = e;
        }
        for (int i = 0; i < k; ++i) {
          const int row = rows[(t * k + i) * kGroup + lane];
          if (row == 0) continue;
          std::int64_t* sum = sums + row * kSliceUnits;
          for (int v = 0; v < kVectors; ++v) {
            store(sum + v * W, L::load(sum + v * W) + change[v]);
          }
        }
      }
      for (int v = 0; v < kVectors; ++v) store(later[lane] + v * W, after[v]);
      has_later[lane] = has_after;
    }
  }
}

/// From the sums of a slice to the gradient of its weights.
///
/// Shapes: sums [R][kSliceUnits]; grad_weights [P][Hp] and grad_output [Hp]: the slice's columns
///         out
/// Result: bitwise. S is summed in integers; dW1 = S * (w2 * unit) in double, rounded once; dw2 =
///         unit * sum_p W1[p] S[p] in double, pixels p in four fma chains p mod 4, ascending,
///         joined as (0 + 1) + (2 + 3). kWeighted: w2 is in S; dW1 = S * unit, and no dw2. Steps of
///         a batch: at most kMaxTableSteps.
template <class F, bool kWeighted>
void table_finish_slice(const TableFinishArgs& args, int slice, const std::int64_t* sums) {
  using L = TableLanes<F>;
  using D = typename L::D;
  constexpr int kVectors = kSliceUnits / Lanes<F>::W;
  constexpr int kAhead =
      16;  // pixels; a slice's columns are too far apart for the processor to guess
  const std::int64_t padded = args.policy.shape.padded();
  const int pixels = args.policy.shape.pixels;
  const int column = slice * kSliceUnits;
  D factor[kVectors], chain[kPixelChains][kVectors];
  for (int v = 0; v < kVectors; ++v) {
    const float* output = args.policy.output + column + v * Lanes<F>::W;
    factor[v] = kWeighted ? D(args.unit) : L::widen(Lanes<F>::load(output)) * D(args.unit);
    for (int c = 0; c < kPixelChains; ++c) chain[c][v] = D(0);
  }
  const auto pixel_of = [&](int pixel, D(&sum)[kVectors]) {
    const float* weight = args.weights + pixel * padded + column;
    float* grad = args.grad_weights + pixel * padded + column;
    if (!kWeighted) __builtin_prefetch(weight + kAhead * padded);
    __builtin_prefetch(grad + kAhead * padded, 1);
    typename L::L total[kVectors];
    for (int v = 0; v < kVectors; ++v) total[v] = L::widen(typename Lanes<F>::I(0));
    for (int i = args.lit_by.start[pixel]; i < args.lit_by.start[pixel + 1]; ++i) {
      const std::int64_t* row = sums + args.lit_by.entry[i] * kSliceUnits;
      for (int v = 0; v < kVectors; ++v) total[v] = total[v] + L::load(row + v * Lanes<F>::W);
    }
    for (int v = 0; v < kVectors; ++v) {
      const D s = L::to_double(total[v]);
      store(grad + v * Lanes<F>::W, L::narrow(s * factor[v]));
      if constexpr (!kWeighted) {
        sum[v] = fma(L::widen(Lanes<F>::load(weight + v * Lanes<F>::W)), s, sum[v]);
      }
    }
  };
  int pixel = 0;
  for (; pixel + kPixelChains <= pixels; pixel += kPixelChains) {
    for (int c = 0; c < kPixelChains; ++c) pixel_of(pixel + c, chain[c]);
  }
  for (int c = 0; pixel + c < pixels; ++c) pixel_of(pixel + c, chain[c]);
  for (int v = 0; !kWeighted && v < kVectors; ++v) {
    const D total = (chain[0][v] + chain[1][v]) + (chain[2][v] + chain[3][v]);
    store(args.grad_output + column + v * Lanes<F>::W, L::narrow(total * D(args.unit)));
  }
}

}  // namespace lockstep::cpu
