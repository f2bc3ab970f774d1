// What the end of a table policy's update takes beside update_plan.h: the unit of its gradient, and
// a norm that many threads or blocks can share. Both backends evaluate these expressions.
#pragma once

#include "kernels/object_tables.h"
#include "kernels/optimizer.h"

namespace lockstep {

/// Bits that the gradient's scale drops so that the sums of so many steps stay exact in double:
/// kMaxTableSteps of them need none.
LS_HD int table_bits(std::int64_t steps) {
  int bits = 0;
  while (steps > (kMaxTableSteps << bits)) ++bits;
  return bits;
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
