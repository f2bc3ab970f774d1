// Tests for host/backend/buffer.h.
#include "host/backend/buffer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>

namespace lockstep {
namespace buffer_test {

TEST(Buffer, IsAlignedForEveryInstructionSet) {
  for (const std::int64_t count : {1, 3, 16, 1001}) {
    Buffer<float> floats(count);
    Buffer<std::uint8_t> bytes(count);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(floats.data()) % 64, 0u);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(bytes.data()) % 64, 0u);
    EXPECT_EQ(floats.size(), count);
  }
}

TEST(Buffer, ZeroClearsEveryValue) {
  Buffer<std::uint16_t> buffer(77);
  for (std::int64_t i = 0; i < 77; ++i) buffer[i] = 0xffff;
  buffer.zero();
  for (std::int64_t i = 0; i < 77; ++i) EXPECT_EQ(buffer[i], 0);
}

TEST(Buffer, OfNothingHoldsNothing) {
  Buffer<float> none, empty(0);
  none.zero();
  empty.zero();
  EXPECT_EQ(none.data(), nullptr);
  EXPECT_EQ(empty.data(), nullptr);
  EXPECT_EQ(none.size(), 0);
}

TEST(Buffer, MovesItsMemory) {
  Buffer<int> from(4);
  from[3] = 42;
  const int* at = from.data();
  Buffer<int> to(std::move(from));
  EXPECT_EQ(to.data(), at);
  Buffer<int> other(9);
  other = std::move(to);
  EXPECT_EQ(other.data(), at);
  EXPECT_EQ(other.size(), 4);
  EXPECT_EQ(other[3], 42);
}

TEST(Buffer, TellsHowMuchItCouldNotGet) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizer ends the process instead";
#endif
  // 2^62 bytes are more than the address space
  EXPECT_THAT([] { Buffer<double> buffer(std::int64_t{1} << 59); },
              testing::ThrowsMessage<OutOfMemory>(testing::HasSubstr("4611686018427387904 bytes")));
}

}  // namespace buffer_test
}  // namespace lockstep
