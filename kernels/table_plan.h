// The scalars of a table policy's update that update_plan.h does not have: the scales of its
// gradient, and a norm that many blocks or threads can share. Both backends evaluate these
// expressions.
#pragma once

#include "kernels/object_tables.h"
#include "kernels/update_plan.h"

namespace lockstep {

/// Fills mean, inv_std, entropy_coef and the scales of `args`, as set_gradient_scales() does for a
/// network without tables. `largest`: |advantage| before normalisation by `m`.
LS_HD void set_table_scales(const UpdatePlan& plan, const Moments& m, float largest,
                            int bits_dropped, TableGradientArgs& args) {
  args.mean = static_cast<float>(m.mean);
  args.inv_std = static_cast<float>(m.inv_std);
  args.entropy_coef = static_cast<float>(plan.entropy_coef);
  // float rounding of the operands may exceed the bound by a little
  const double advantage = largest_advantage(m, largest) * (1 + 1e-5);
  args.scale = table_gradient_scale(advantage + plan.entropy_coef * plan.entropy_slope + 1e-30,
                                    bits_dropped);
  args.loss_scale = scale_for_bound(advantage * static_cast<double>(kMaxNegLogProb) + 1e-30);
  args.entropy_scale = plan.entropy_scale;
}

/// What an integer 1 of the sums is worth in the gradient: TableFinishArgs::unit.
LS_HD double table_unit(float scale, std::int64_t episodes) {
  return 1.0 / static_cast<double>(scale) / static_cast<double>(episodes > 1 ? episodes : 1);
}

/// Chunks of kSquareChunk in n numbers.
LS_HD constexpr std::int64_t square_chunks(std::int64_t n) {
  return (n + kSquareChunk - 1) / kSquareChunk;
}
/// Numbers of chunk `chunk`.
LS_HD constexpr std::int64_t square_chunk_size(std::int64_t n, std::int64_t chunk) {
  const std::int64_t left = n - chunk * kSquareChunk;
  return left < kSquareChunk ? left : kSquareChunk;
}

/// Sum of squares in double: sum_of_squares() of each chunk, added from the first on.
///
/// Result: bitwise, and for n <= kSquareChunk that of sum_of_squares(). Chunks can be summed
///         anywhere.
LS_HD double chunked_sum_of_squares(const float* values, std::int64_t n) {
  double sum = 0;
  for (std::int64_t c = 0; c < square_chunks(n); ++c) {
    sum += sum_of_squares(values + c * kSquareChunk, square_chunk_size(n, c));
  }
  return sum;
}

}  // namespace lockstep
