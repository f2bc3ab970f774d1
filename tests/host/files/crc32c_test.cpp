// Tests for host/files/crc32c.h.
#include "host/files/crc32c.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace lockstep {
namespace crc32c_test {

// Bit by bit, straight from the definition: shares nothing with the tables.
std::uint32_t by_definition(std::string_view bytes, std::uint32_t polynomial) {
  std::uint32_t crc = 0xffffffffu;
  for (const char c : bytes) {
    crc ^= static_cast<unsigned char>(c);
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1u) != 0 ? polynomial : 0u);
  }
  return ~crc;
}

std::string random_bytes(std::size_t size, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::string bytes(size, '\0');
  for (char& c : bytes) c = static_cast<char>(random() & 0xffu);
  return bytes;
}

// RFC 3720 appendix B.4.
TEST(Crc32c, MatchesTheKnownAnswersOfRfc3720) {
  std::string ascending(32, '\0'), descending(32, '\0');
  for (int i = 0; i < 32; ++i) {
    ascending[static_cast<std::size_t>(i)] = static_cast<char>(i);
    descending[static_cast<std::size_t>(i)] = static_cast<char>(31 - i);
  }
  EXPECT_EQ(crc32c(std::string_view("123456789")), 0xe3069283u);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8a9136aau);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62a8ab43u);
  EXPECT_EQ(crc32c(ascending), 0x46dd794eu);
  EXPECT_EQ(crc32c(descending), 0x113fdb5cu);
  EXPECT_EQ(crc32c(std::string_view("")), 0u);
}

TEST(Crc32Zip, MatchesTheKnownAnswer) {
  EXPECT_EQ(crc32_zip(std::string_view("123456789")), 0xcbf43926u);
  EXPECT_EQ(crc32_zip(std::string_view("")), 0u);
}

TEST(Crc32c, EqualsTheDefinitionAtEveryLengthAndAlignment) {
  const std::string bytes = random_bytes(80, 1);
  for (std::size_t begin = 0; begin < 9; ++begin) {
    for (std::size_t size = 0; begin + size <= bytes.size(); ++size) {
      const std::string_view part = std::string_view(bytes).substr(begin, size);
      ASSERT_EQ(crc32c(part), by_definition(part, 0x82f63b78u)) << begin << " " << size;
      ASSERT_EQ(crc32_zip(part), by_definition(part, 0xedb88320u)) << begin << " " << size;
    }
  }
}

TEST(Crc32c, IsContinuedAcrossAnySplit) {
  const std::string bytes = random_bytes(50, 2);
  const std::string_view view = bytes;
  for (std::size_t split = 0; split <= view.size(); ++split) {
    ASSERT_EQ(crc32c(view.substr(split), crc32c(view.substr(0, split))), crc32c(view));
    ASSERT_EQ(crc32_zip(view.substr(split), crc32_zip(view.substr(0, split))), crc32_zip(view));
  }
}

// A TFRecord of 24 bytes begins with the bytes 18 00 00 00 00 00 00 00 a3 7f 4b 22.
TEST(MaskedCrc32c, MatchesTheHeaderOfATensorflowRecord) {
  EXPECT_EQ(masked_crc32c(std::string_view("\x18\0\0\0\0\0\0\0", 8)), 0x224b7fa3u);
}

}  // namespace crc32c_test
}  // namespace lockstep
