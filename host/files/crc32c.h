// The two 32-bit checksums of the project's files: CRC-32C (checkpoints, TensorBoard records) and
// the CRC-32 of zip archives. Both are table driven and portable; no instruction set is assumed,
// because the files are small beside the time their fsync takes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace lockstep {

/// CRC-32C (Castagnoli) of `bytes`, continued from `previous` (0 to start).
///
/// crc32c(b, crc32c(a)) is the checksum of a followed by b.
/// Source: RFC 3720 appendix B.4; crc32c("123456789") = 0xe3069283.
std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t previous = 0);
std::uint32_t crc32c(std::string_view bytes, std::uint32_t previous = 0);

/// CRC-32 (ISO-HDLC) as zip files use it, continued from `previous` (0 to start).
///
/// Source: PKWARE APPNOTE 4.4.7; crc32_zip("123456789") = 0xcbf43926.
std::uint32_t crc32_zip(std::span<const std::byte> bytes, std::uint32_t previous = 0);
std::uint32_t crc32_zip(std::string_view bytes, std::uint32_t previous = 0);

/// The checksum as a TFRecord stores it: rotated and offset, so that a checksum of data that
/// holds checksums stays meaningful. Source: TensorFlow, tsl/lib/hash/crc32c.h.
std::uint32_t masked_crc32c(std::string_view bytes);

}  // namespace lockstep
