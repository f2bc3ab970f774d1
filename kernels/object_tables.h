// Policies that see a picture as a sum of objects: definitions shared by every backend.
//
// The network is z = sum_j w2_j rho(h_j), h = W1 (picture_t - picture_{t-1}), no biases, rho =
// ReLU or leaky ReLU, p(action 1) = 1 / (1 + exp(-z)). The world names k rows of a table whose
// pixels, disjoint, are the picture, and table row r holds the sum of W1 over the pixels of row r,
// so that
//
//     phi_t = (T[r_0] + T[r_1]) + T[r_2] ...      h_t = phi_t - phi_{t-1}, 0 in an episode's first
//     step
//
// and a step reads k rows instead of all pixels. Backward, with e_tj = rho'(h_tj) g_t rounded to
// integers, g_t = dLoss/dz_t and e = 0 in the first step of an episode and beyond its last,
//
//     A[r]_j = sum over steps and objects with r_t = r of (e_tj - e_{t+1,j})
//     S[p]_j = sum of A[r]_j over the rows r that light pixel p
//     dW1[p]_j = w2_j S[p]_j      dw2_j = sum_t e_tj h_tj = sum_p W1[p]_j S[p]_j
//
// A and S are sums of integers: no order of steps, slices or threads can change a bit of them.
//
// A logit is 32 interleaved fma chains (unit j in partial j mod 32) from +0 over ascending units,
// then a binary tree over the partials with strides 1, 2, 4, 8, 16.
#pragma once

#include "envs/game_options.h"
#include "envs/int_lanes.h"
#include "kernels/fixed_point.h"
#include "kernels/trajectory.h"

namespace lockstep {

inline constexpr int kTableParts = 32;  // R, interleaved partial sums of a logit
inline constexpr int kSliceUnits = 16;  // units whose gradient is summed at a time
inline constexpr int kMaxObjects = 4;   // k
inline constexpr int kPixelChains = 4;  // of a sum over pixels: pixel p in chain p mod 4

struct TableShape {
  std::int32_t pixels;       // P
  std::int32_t rows;         // R; row 0 lights nothing
  std::int32_t objects;      // k
  std::int32_t hidden;       // H
  std::int32_t outputs = 1;  // Y: the logit, and with a critic the value behind it

  /// Units as stored: H rounded up to whole slices, the rest of them zero for ever.
  LS_HD constexpr int padded() const { return slices() * kSliceUnits; }
  LS_HD constexpr int slices() const { return (hidden + kSliceUnits - 1) / kSliceUnits; }
  /// Words of activity bits of a step: unit j is bit j mod 32 of word j / 32.
  LS_HD constexpr int words() const { return (padded() + 31) / 32; }
};

/// Numbers of an environment whose episode goes on from rollout to rollout: those of its game, the
/// action that the last frame executed, and the rows that it showed last.
template <class E>
LS_HD constexpr int table_carried() {
  return E::kStateSize + 1 + E::kObjects;
}

/// Parameters in their layout, padding included: (P + Y) Hp.
LS_HD constexpr std::int64_t table_numbers(const TableShape& shape) {
  return (std::int64_t{shape.pixels} + shape.outputs) * shape.padded();
}

/// The network as the kernels read it. Hp = TableShape::padded().
struct TableView {
  TableShape shape;
  const float* rows;    // [R][Hp]
  const float* output;  // [Y][Hp] w2
  float leak;           // slope of rho below 0; 0: ReLU
};

/// Which pixels a row lights (`of` = rows), or which rows light a pixel (`of` = pixels); ascending.
struct TableLists {
  const std::int32_t* start;   // [of + 1]
  const std::uint16_t* entry;  // [start[of]]
};

/// What a rollout of a table policy records. `steps` holds logits, action_bits, terminated,
/// truncated, advantage, valid and steps; with a critic value, next_value and reward too; its other
/// arrays are null.
struct TableRecord {
  Record<float> steps;
  std::int8_t* reward;           // [G][T][16]
  std::uint16_t* incoming;       // [G][T] bit = lane: the ball came toward the agent
  std::uint16_t* rows;           // [G][T][k][16]
  std::uint16_t* rows_before;    // [G][k][16] of the step before the rollout; with a critic, which
                                 // has none of those below
  std::uint32_t* active;         // [G][T][words][16] bit: h > 0
  std::int32_t* quantised;       // [G][T][16] g as an integer; 0 where e is; by weigh()
  std::int32_t* quantised_leak;  // [G][T][16] leak * g; null for ReLU
  std::int32_t* used;            // [16 G] steps up to the last one that is valid; by weigh()
};

struct TableRolloutArgs {
  RandomStream stream;
  std::int64_t num_envs;  // N
  std::int32_t T;         // most steps played
  bool episodic;          // one whole episode each; else automatic reset and exactly T steps
  ActionChoice choice;
  float epsilon;       // kEpsilon
  bool random_policy;  // uniformly random actions; the policy is not read
  GameOptions game;
  TableView policy;
  TableRecord record;              // steps.groups = 0: nothing is recorded
  CarriedEpisodes<float> carried;  // with a critic alone; a state is table_carried() numbers
  float* score;                    // [16 G] sum of rewards over finished episodes
  std::int32_t* length;            // [16 G] steps of finished episodes
  std::int32_t* episodes;          // [16 G] episodes finished
};

struct TableReturnArgs {
  TableRecord record;
  float gamma;
  bool reset_at_points;  // a reward other than 0 ends the sum, like the end of an episode
  bool incoming_only;    // steps in which the ball did not come are not valid: weight 0
  float scale;           // 2^k of the quantisation
};

struct TableGradientArgs {
  TableRecord record;
  TableShape shape;
  float leak;
  float mean, inv_std;  // g = ((G - mean) * inv_std) * d
  float entropy_coef;
  float scale;  // 2^k of g
  float loss_scale, entropy_scale;
};

/// Order-free by-products of weigh(), merged by addition (hit: by or).
struct TableSums {
  std::int64_t loss = 0;        // quantised -A log pi over the valid steps
  std::int64_t entropy = 0;     // quantised, over the valid steps
  bool saturated = false;       // a g was out of range: the gradient is not to be used
  std::uint8_t* hit = nullptr;  // [R] 1: a step with a gradient shows this row
};

/// The rows with a gradient in this batch, ascending.
struct TableTouched {
  std::int32_t count;
  const std::uint16_t* row;  // [count]
};

struct TableFinishArgs {
  TableView policy;
  TableLists lit_by;      // of pixels: the rows that light them; untouched ones replaced by row 0
  const float* weights;   // W1 [P][Hp]
  double unit;            // 2^-k / episodes: what an integer 1 is worth
  float* grad_weights;    // dW1 [P][Hp]
  float* grad_output;     // dw2 [Hp]; of sums that have no w2 in them
  bool weighted = false;  // the sums have
};

/// From the rows that were hit to the lists finish() and clear() read.
///
/// Shapes: hit [R]; lit_by: all rows that light a pixel; entry [lit_by.start[P]] and row [R] out.
///         Row 0 is always listed: it lights nothing, and its sums stay 0.
LS_HD std::int32_t table_touched(const TableShape& shape, const std::uint8_t* hit,
                                 const TableLists& lit_by, std::uint16_t* entry,
                                 std::uint16_t* row) {
  std::int32_t count = 0;
  for (std::int32_t r = 0; r < shape.rows; ++r) {
    row[count] = static_cast<std::uint16_t>(r);
    count += r == 0 || hit[r] != 0 ? 1 : 0;
  }
  for (std::int32_t i = 0; i < lit_by.start[shape.pixels]; ++i) {
    const std::uint16_t r = lit_by.entry[i];
    entry[i] = static_cast<std::uint16_t>(hit[r] != 0 ? r : 0);
  }
  return count;
}

/// phi of vectors of units: `row` are the k rows, at the same units.
template <class F, int k>
LS_HD F table_sum(const float* const (&row)[k], int unit) {
  F phi = Lanes<F>::load(row[0] + unit);
  LS_UNROLL
  for (int i = 1; i < k; ++i) phi = phi + Lanes<F>::load(row[i] + unit);
  return phi;
}

/// rho(h): ReLU, or h and leak * h.
template <bool kLeaky, class F>
LS_HD F table_activation(F h, F leak) {
  if constexpr (kLeaky) {
    return select(h > F(0), h, leak * h);
  } else {
    return max(h, F(0));
  }
}

/// Sum of 32 partials in the order of the logit; destroys them.
LS_HD float table_tree(float (&part)[kTableParts]) {
  for (int stride = 1; stride < kTableParts; stride *= 2) {
    for (int r = 0; r < kTableParts; r += 2 * stride) part[r] = part[r] + part[r + stride];
  }
  return part[0];
}

/// The scan of reward-to-go over the steps from the last one backwards, for rewards that are
/// points.
///
/// Result: bitwise. G_t = fma(G_{t+1}, gamma, r_t), G = 0 beyond the end of an episode and, where
///         `cut` says so, beyond a point. Steps after the last end are not valid and have G = 0.
template <class F>
struct PointScan {
  F total = F(0);
  typename Lanes<F>::M valid = Lanes<F>::mask(0);

  LS_HD void step(typename Lanes<F>::M ended, F reward, float gamma, bool cut) {
    valid = valid | ended;
    auto stops = ended;
    if (cut) stops = stops | (reward > F(0)) | (reward < F(0));
    total = select(stops, F(0), total);
    total = select(valid, fma(total, F(gamma), reward), F(0));
  }
};

/// Largest magnitude of a rounded g. Its sums are of 64 bits, so it has three bits more than
/// kQuantisedLimit: the gradient of w2 is a small difference of large terms.
inline constexpr float kTableLimit = 8 * kQuantisedLimit;

/// Largest 2^k with which g is rounded, from a bound on |g|; each rescaling drops a bit.
LS_HD float table_gradient_scale(double bound, int bits_dropped) {
  return scale_for_bound(bound) * static_cast<float>(__builtin_ldexp(8.0, -bits_dropped));
}

/// round(g * scale), ties to even; 0 in lanes that are not active or out of range (NaN included),
/// and the latter raise `saturated`.
template <class F>
LS_HD typename Lanes<F>::I table_quantise(F g, float scale, typename Lanes<F>::M active,
                                          typename Lanes<F>::M& saturated) {
  const F scaled = g * F(scale);
  const auto fits = abs(scaled) <= F(kTableLimit);
  saturated = saturated | (active & (!fits));
  return round_to_int(select(active & fits, scaled, F(0)));
}

/// Environment steps whose sums the kernels can hold exactly: |e_t - e_{t+1}| < 2^27, a pixel is
/// lit by one row of a step, and sums up to 2^51 convert to double on every instruction set.
inline constexpr std::int64_t kMaxTableSteps = std::int64_t{1} << 24;

}  // namespace lockstep
