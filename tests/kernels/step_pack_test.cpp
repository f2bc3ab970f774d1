// Tests for kernels/step_pack.h: flags between bytes and bits.
#include "kernels/step_pack.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace lockstep {
namespace step_pack_test {

template <int W>
void expect_round_trips(std::uint32_t bits) {
  std::uint8_t bytes[W + 1];
  bytes[W] = 9;
  store_bits<W>(bytes, bits);
  for (int i = 0; i < W; ++i) ASSERT_EQ(bytes[i], (bits >> i) & 1u) << bits;
  EXPECT_EQ(bytes[W], 9);
  for (int count = 1; count <= W; ++count) {
    const std::uint32_t kept = bits & ((2u << (count - 1)) - 1u);
    ASSERT_EQ(load_bits<W>(bytes, count), kept) << bits << ", " << count;
  }
}

TEST(StepPackTest, FlagsGoFromBitsToBytesAndBack) {
  for (std::uint32_t bits = 0; bits < 256; ++bits) expect_round_trips<8>(bits);
  for (std::uint32_t bits = 0; bits < 65536; bits += 7) expect_round_trips<16>(bits);
  expect_round_trips<16>(0xffff);
  for (const std::uint32_t bit : {0u, 1u}) expect_round_trips<1>(bit);
}

TEST(StepPackTest, TheLowestBitOfAByteCounts) {
  std::uint8_t bytes[16];
  std::fill_n(bytes, 16, std::uint8_t{0xfe});
  EXPECT_EQ(load_bits<16>(bytes, 16), 0u);
  bytes[11] = 0xff;
  EXPECT_EQ(load_bits<16>(bytes, 16), 1u << 11);
}

}  // namespace step_pack_test
}  // namespace lockstep
