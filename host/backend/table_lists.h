// Which pixels a row of a table lights, which rows light a pixel, and the two layouts of a table
// policy's parameters: made once, read by every backend.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "host/backend/environments.h"
#include "host/backend/policy_parameters.h"

namespace lockstep {

/// TableLists of both directions, on the host.
struct TablePixels {
  explicit TablePixels(const TableFacts& facts);

  TableLists lights() const { return {light_start.data(), light.data()}; }
  TableLists lit_by() const { return {lit_start.data(), lit.data()}; }

  std::vector<std::int32_t> light_start, lit_start;  // [R + 1], [P + 1]
  std::vector<std::uint16_t> light, lit;             // pixels by row; rows by pixel; ascending
};

/// The table a policy's network reads: the environment's, with its hidden units.
TableShape table_shape(const TableFacts& facts, const PolicyShape& policy);

/// From PolicyShape's flat layout to the kernels', W1 [P][Hp], then w2 [Y][Hp], units beyond H 0;
/// and back. Sizes must match, but that a critic's numbers may follow where the shape has none.
void to_table_layout(const TableShape& shape, std::span<const float> flat, float* table);
std::vector<float> from_table_layout(const TableShape& shape, const float* table);

/// The differences of pictures that recorded rows stand for: -1, 0, 1.
///
/// Shapes: rows [T][k][16] of one group; picture [P] out, of the step `t` of a lane; `first`: the
///         step is the first of its episode, whose difference is 0
void difference_picture(const TableFacts& facts, const std::uint16_t* rows, std::int64_t t,
                        int lane, bool first, std::int8_t* picture);

}  // namespace lockstep
