// Slicing-by-8: eight tables, eight bytes a step. Source of the method: Kounavis and Berry, "A
// systematic approach to building high performance, software-based, CRC generators", 2005.
#include "host/files/crc32c.h"

#include <array>

namespace lockstep {
namespace {

using Tables = std::array<std::array<std::uint32_t, 256>, 8>;

// `polynomial` with its bits reversed, as both checksums shift to the right.
constexpr Tables make_tables(std::uint32_t polynomial) {
  Tables tables{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1u) != 0 ? polynomial : 0u);
    tables[0][byte] = crc;
  }
  for (std::size_t k = 1; k < tables.size(); ++k) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t crc = tables[k - 1][byte];
      tables[k][byte] = (crc >> 8) ^ tables[0][crc & 0xffu];
    }
  }
  return tables;
}

constexpr Tables kCastagnoli = make_tables(0x82f63b78u);
constexpr Tables kZip = make_tables(0xedb88320u);

std::uint32_t little_endian32(const std::byte* p) {
  return std::to_integer<std::uint32_t>(p[0]) | std::to_integer<std::uint32_t>(p[1]) << 8 |
         std::to_integer<std::uint32_t>(p[2]) << 16 | std::to_integer<std::uint32_t>(p[3]) << 24;
}

std::uint32_t update(const Tables& t, std::span<const std::byte> bytes, std::uint32_t previous) {
  std::uint32_t crc = ~previous;
  const std::byte* p = bytes.data();
  std::size_t left = bytes.size();
  for (; left >= 8; left -= 8, p += 8) {
    const std::uint32_t low = little_endian32(p) ^ crc, high = little_endian32(p + 4);
    crc = t[7][low & 0xffu] ^ t[6][(low >> 8) & 0xffu] ^ t[5][(low >> 16) & 0xffu] ^
          t[4][low >> 24] ^ t[3][high & 0xffu] ^ t[2][(high >> 8) & 0xffu] ^
          t[1][(high >> 16) & 0xffu] ^ t[0][high >> 24];
  }
  for (; left > 0; --left, ++p) {
    crc = (crc >> 8) ^ t[0][(crc ^ std::to_integer<std::uint32_t>(*p)) & 0xffu];
  }
  return ~crc;
}

}  // namespace

std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t previous) {
  return update(kCastagnoli, bytes, previous);
}

std::uint32_t crc32c(std::string_view bytes, std::uint32_t previous) {
  return crc32c(std::as_bytes(std::span(bytes)), previous);
}

std::uint32_t crc32_zip(std::span<const std::byte> bytes, std::uint32_t previous) {
  return update(kZip, bytes, previous);
}

std::uint32_t crc32_zip(std::string_view bytes, std::uint32_t previous) {
  return crc32_zip(std::as_bytes(std::span(bytes)), previous);
}

std::uint32_t masked_crc32c(std::string_view bytes) {
  const std::uint32_t crc = crc32c(bytes);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}

}  // namespace lockstep
