#include "host/backend/table_lists.h"

#include <algorithm>

#include "kernels/table_critic.h"

namespace lockstep {

TablePixels::TablePixels(const TableFacts& facts) {
  std::vector<std::vector<std::uint16_t>> by(static_cast<std::size_t>(facts.shape.pixels));
  std::vector<std::uint16_t> pixel(static_cast<std::size_t>(facts.max_row_pixels));
  light_start.push_back(0);
  for (int row = 0; row < facts.shape.rows; ++row) {
    const auto count = static_cast<std::size_t>(facts.pixels(row, pixel.data()));
    for (const std::uint16_t p : std::span(pixel).first(count)) {
      light.push_back(p);
      by[p].push_back(static_cast<std::uint16_t>(row));
    }
    light_start.push_back(static_cast<std::int32_t>(light.size()));
  }
  lit_start.push_back(0);
  for (const auto& rows : by) {
    lit.insert(lit.end(), rows.begin(), rows.end());
    lit_start.push_back(static_cast<std::int32_t>(lit.size()));
  }
}

TableShape table_shape(const TableFacts& facts, const PolicyShape& policy) {
  TableShape shape = facts.shape;
  shape.hidden = policy.H;
  shape.outputs = policy.critic == kNoCritic ? 1 : kTableOutputs;
  return shape;
}

void to_table_layout(const TableShape& shape, std::span<const float> flat, float* table) {
  constexpr int kBlock = 16;  // pixels at a time: lines of both layouts are used whole
  const std::int64_t P = shape.pixels, H = shape.hidden, padded = shape.padded();
  const float* output = flat.data() + H * P;
  for (std::int64_t first = 0; first < P; first += kBlock) {
    const std::int64_t end = std::min(first + kBlock, P);
    for (std::int64_t j = 0; j < H; ++j) {
      for (std::int64_t p = first; p < end; ++p) {
        table[p * padded + j] = flat[static_cast<std::size_t>(j * P + p)];
      }
    }
    for (std::int64_t p = first; p < end; ++p) {
      std::fill(table + p * padded + H, table + (p + 1) * padded, 0.0f);
    }
  }
  for (std::int64_t y = 0; y < shape.outputs; ++y) {
    float* const to = table + (P + y) * padded;
    std::copy(output + y * H, output + (y + 1) * H, to);
    std::fill(to + H, to + padded, 0.0f);
  }
}

std::vector<float> from_table_layout(const TableShape& shape, const float* table) {
  constexpr int kBlock = 16;
  const std::int64_t P = shape.pixels, H = shape.hidden, padded = shape.padded();
  std::vector<float> flat(static_cast<std::size_t>(H * (P + shape.outputs)));
  for (std::int64_t first = 0; first < P; first += kBlock) {
    const std::int64_t end = std::min(first + kBlock, P);
    for (std::int64_t j = 0; j < H; ++j) {
      for (std::int64_t p = first; p < end; ++p) {
        flat[static_cast<std::size_t>(j * P + p)] = table[p * padded + j];
      }
    }
  }
  for (std::int64_t y = 0; y < shape.outputs; ++y) {
    const float* const from = table + (P + y) * padded;
    std::copy(from, from + H, flat.begin() + H * (P + y));
  }
  return flat;
}

void difference_picture(const TableFacts& facts, const std::uint16_t* rows, std::int64_t t,
                        int lane, bool first, std::int8_t* picture) {
  const int k = facts.shape.objects;
  std::vector<std::uint16_t> pixel(static_cast<std::size_t>(facts.max_row_pixels));
  std::fill(picture, picture + facts.shape.pixels, std::int8_t{0});
  const auto add = [&](std::int64_t step, int sign) {
    for (int i = 0; i < k; ++i) {
      const int count = facts.pixels(rows[(step * k + i) * kGroup + lane], pixel.data());
      for (const std::uint16_t p : std::span(pixel).first(static_cast<std::size_t>(count))) {
        picture[p] = static_cast<std::int8_t>(picture[p] + sign);
      }
    }
  };
  if (first) return;
  add(t, 1);
  add(t - 1, -1);
}

}  // namespace lockstep
