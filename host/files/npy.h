// NumPy files: reads single arrays (.npy) as hostile input, writes archives of arrays (.npz).
// Decided here: little-endian, C order, plain number types; the archive is stored, not compressed,
// and always zip64, so that one code path serves all sizes.
// Format: numpy/lib/format.py of NumPy 2, PKWARE APPNOTE 6.3.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/files/durable_file.h"

namespace lockstep {

enum class NpyType { kBool, kUint8, kInt8, kInt32, kUint32, kInt64, kFloat32, kFloat64 };

std::size_t npy_item_size(NpyType type);        // bytes
std::string_view npy_type_name(NpyType type);   // NumPy's, e.g. "float32"
std::string_view npy_type_descr(NpyType type);  // as in a header, e.g. "<f4"

/// An array as it stands in a .npy file. Row-major.
struct NpyArray {
  std::vector<std::int64_t> shape;  // empty = scalar
  NpyType dtype = NpyType::kFloat32;
  std::vector<std::byte> bytes;  // size() items

  std::int64_t size() const;  // items
  /// Values as float64. Errors: BadInput for an int64 beyond 2^53, which has no exact double.
  std::vector<double> to_float64(const std::string& where) const;
  /// Values as float32, float64 rounded to nearest. Errors: BadInput for inexact integers and for
  /// finite values beyond float32.
  std::vector<float> to_float32(const std::string& where) const;
  /// Values as uint8. Errors: BadInput for float types and for values outside [0, 255].
  std::vector<std::uint8_t> to_uint8(const std::string& where) const;
};

/// Reads a .npy file: format 1.0 and 2.0, little-endian, C order, types of NpyType, rank <= 8.
///
/// Allocates no more than the file's size. NaN and infinity pass.
/// Errors: BadInput with file and reason, also for missing or trailing bytes; IoError.
NpyArray read_npy(const std::filesystem::path& path);
/// The same from memory.
NpyArray parse_npy(std::string_view bytes, const std::string& where);

/// Writes an .npz archive that numpy.load reads; visible under its name only after close().
///
/// Errors: IoError; InvalidArgument for a duplicate name or a shape that does not match.
class NpzWriter {
 public:
  explicit NpzWriter(const std::filesystem::path& path);

  void add(const std::string& name, NpyType type, const std::vector<std::int64_t>& shape,
           std::span<const std::byte> bytes);
  void add(const std::string& name, const std::vector<std::int64_t>& shape,
           std::span<const float> values);
  void add(const std::string& name, const std::vector<std::int64_t>& shape,
           std::span<const double> values);
  void add(const std::string& name, const std::vector<std::int64_t>& shape,
           std::span<const std::int64_t> values);
  /// uint8, or bool where `type` is kBool.
  void add(const std::string& name, const std::vector<std::int64_t>& shape,
           std::span<const std::uint8_t> values, NpyType type = NpyType::kUint8);
  /// Writes the directory and makes the file durable. Errors: InvalidArgument without an array
  /// (NumPy takes an empty zip64 archive for a pickle).
  void close();

 private:
  struct Entry {
    std::string name;
    std::uint32_t crc = 0;
    std::uint64_t size = 0, offset = 0;
  };
  DurableFile file_;
  std::vector<Entry> entries_;
  std::set<std::string> names_;
};

}  // namespace lockstep
