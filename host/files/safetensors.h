// Reader and writer of safetensors files with float32 tensors. The reader treats the file as
// hostile: every size is checked before it is used, the tensors must cover the data exactly, and it
// never allocates more than the file's size plus 1 MiB. It knows nothing of networks or
// checkpoints. Format: safetensors README at 24b0b28; the limits below are tighter than the
// format's.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "host/tensor.h"

namespace lockstep {

inline constexpr std::uint64_t kMaxSafetensorsHeader = 1 << 20;  // bytes
inline constexpr std::size_t kMaxTensors = 1024;
inline constexpr std::size_t kMaxTensorRank = 8;
inline constexpr std::size_t kMaxHeaderToken = 1 << 16;  // bytes of one string or number

/// Size and checksum a file is expected to have.
struct FileSeal {
  std::uint64_t size = 0;    // bytes
  std::uint32_t crc32c = 0;  // of the whole file
};

/// The file's bytes, tensors in the given order; header padded so that the data starts at a
/// multiple of 8. Deterministic.
/// Errors: InvalidArgument for a duplicate or oversized name or a shape that does not match its
/// data.
std::string serialize_safetensors(const std::vector<NamedTensor>& tensors,
                                  const std::map<std::string, std::string>& metadata = {});

/// Tensors in the order of their data. `where` names the source in errors.
///
/// Accepts PyTorch's files: `__metadata__`, padded headers, header entries in any order.
/// Errors: BadInput: header over 1 MiB or not JSON, other dtypes than F32, sizes that overflow,
/// holes, overlaps, duplicate names, trailing bytes. Values are not looked at: see check_finite.
std::vector<NamedTensor> parse_safetensors(std::string_view bytes, const std::string& where);

/// parse_safetensors of a file. With `seal`, its size and checksum are verified first.
/// Errors: BadInput as above; IoError if it cannot be read.
std::vector<NamedTensor> read_safetensors(const std::filesystem::path& path,
                                          const FileSeal* seal = nullptr);

/// Name and index of the first value that is NaN or infinite, as text; empty if there is none.
std::string find_non_finite(const std::vector<NamedTensor>& tensors);

/// Errors: BadInput naming `where`, tensor and index if a value is NaN or infinite.
void check_finite(const std::vector<NamedTensor>& tensors, const std::string& where);

}  // namespace lockstep
