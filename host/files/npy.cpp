// See npy.h: the reader of .npy files and the conversions.
#include "host/files/npy.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <functional>
#include <optional>
#include <utility>

#include "host/errors.h"
#include "host/text.h"

namespace lockstep {
namespace {

static_assert(std::endian::native == std::endian::little, "arrays are read as little-endian");

constexpr std::size_t kMaxHeader = 1 << 16;  // bytes; NumPy itself writes 118 for plain arrays
constexpr std::size_t kMaxRank = 8;
constexpr std::string_view kMagic = "\x93NUMPY";

struct TypeRow {
  NpyType type;
  std::string_view name, descr;
  std::size_t size;
};

constexpr std::array<TypeRow, 8> kTypes = {{{NpyType::kBool, "bool", "|b1", 1},
                                            {NpyType::kUint8, "uint8", "|u1", 1},
                                            {NpyType::kInt8, "int8", "|i1", 1},
                                            {NpyType::kInt32, "int32", "<i4", 4},
                                            {NpyType::kUint32, "uint32", "<u4", 4},
                                            {NpyType::kInt64, "int64", "<i8", 8},
                                            {NpyType::kFloat32, "float32", "<f4", 4},
                                            {NpyType::kFloat64, "float64", "<f8", 8}}};

const TypeRow& row_of(NpyType type) {
  return *std::find_if(kTypes.begin(), kTypes.end(),
                       [type](const TypeRow& row) { return row.type == type; });
}

[[noreturn]] void reject_npy(const std::string& where, const std::string& reason) {
  throw BadInput(where + ": not a readable .npy file: " + reason);
}

// Reads the one dictionary literal a header holds:
// {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }   keys in any order.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& where) : text_(text), where_(where) {}

  void parse(NpyArray& array) {
    bool has_descr = false, has_order = false, has_shape = false;
    expect('{');
    while (!accept('}')) {
      const std::string_view key = quoted();
      expect(':');
      if (key == "descr" && !std::exchange(has_descr, true)) {
        array.dtype = dtype();
      } else if (key == "fortran_order" && !std::exchange(has_order, true)) {
        if (boolean()) reject_npy(where_, "Fortran order; save numpy.ascontiguousarray(a) instead");
      } else if (key == "shape" && !std::exchange(has_shape, true)) {
        array.shape = shape();
      } else {
        reject_npy(where_, "unknown or repeated key '" + excerpt(key) + "' in the header");
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (position_ != text_.size()) reject_npy(where_, "text after the header's '}'");
    if (!has_descr || !has_order || !has_shape) {
      reject_npy(where_, "descr, fortran_order or shape is missing");
    }
  }

 private:
  void skip_space() {
    while (position_ < text_.size() && (text_[position_] == ' ' || text_[position_] == '\n')) {
      ++position_;
    }
  }
  bool accept(char c) {
    skip_space();
    if (position_ >= text_.size() || text_[position_] != c) return false;
    ++position_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) {
      reject_npy(where_, std::string("'") + c + "' expected at byte " + std::to_string(position_) +
                             " of the header");
    }
  }
  std::string_view quoted() {
    const char quote = accept('"') ? '"' : '\'';
    if (quote == '\'') expect('\'');
    const std::size_t end = text_.find(quote, position_);
    if (end == std::string_view::npos) reject_npy(where_, "a string without end in the header");
    const std::string_view result = text_.substr(position_, end - position_);
    position_ = end + 1;
    return result;
  }
  NpyType dtype() {
    skip_space();
    if (position_ < text_.size() && text_[position_] == '[')
      reject_npy(where_, "a structured dtype");
    const std::string_view descr = quoted();
    for (const TypeRow& row : kTypes) {
      if (row.descr == descr) return row.type;
    }
    reject_npy(
        where_,
        "dtype '" + excerpt(descr) +
            "'; bool, uint8, int8, int32, uint32, int64, float32, float64, little-endian are read");
  }
  bool boolean() {
    skip_space();
    for (const auto& [word, value] :
         {std::pair<std::string_view, bool>("True", true), {"False", false}}) {
      if (!text_.substr(position_).starts_with(word)) continue;
      position_ += word.size();
      return value;
    }
    reject_npy(where_, "fortran_order must be True or False");
  }
  std::vector<std::int64_t> shape() {
    std::vector<std::int64_t> result;
    expect('(');
    while (!accept(')')) {
      skip_space();
      std::int64_t dimension = -1;
      const char* const begin = text_.data() + position_;
      const auto [end, error] = std::from_chars(begin, text_.data() + text_.size(), dimension);
      if (error != std::errc() || dimension < 0) {
        reject_npy(where_, "dimensions must be numbers in [0, 2^63)");
      }
      position_ += static_cast<std::size_t>(end - begin);
      if (result.size() == kMaxRank) reject_npy(where_, "over 8 dimensions");
      result.push_back(dimension);
      if (!accept(',')) {
        expect(')');
        // "(3)" is a number in Python, not a shape
        if (result.size() == 1) reject_npy(where_, "shape must be a tuple");
        break;
      }
    }
    return result;
  }

  std::string_view text_;
  const std::string& where_;
  std::size_t position_ = 0;
};

std::optional<std::uint64_t> checked_product(const std::vector<std::int64_t>& shape,
                                             std::uint64_t item_size) {
  std::uint64_t bytes = item_size;
  for (const std::int64_t dimension : shape) {
    if (__builtin_mul_overflow(bytes, static_cast<std::uint64_t>(dimension), &bytes)) return {};
  }
  return bytes;
}

using ReadAt = std::function<void(std::uint64_t offset, std::span<std::byte> out)>;

std::uint64_t byte_at(std::string_view text, std::size_t i) {
  return static_cast<unsigned char>(text[i]);
}

NpyArray read_array(std::uint64_t size, const ReadAt& read_at, const std::string& where) {
  std::string prefix(static_cast<std::size_t>(std::min<std::uint64_t>(size, 12)), '\0');
  read_at(0, std::as_writable_bytes(std::span(prefix)));
  if (!prefix.starts_with(kMagic)) reject_npy(where, "it does not begin with \\x93NUMPY");
  if (size < 12) reject_npy(where, "the header is cut off");
  const std::uint64_t major = byte_at(prefix, 6), minor = byte_at(prefix, 7);
  if ((major != 1 && major != 2) || minor != 0) {
    reject_npy(where, "format version " + std::to_string(major) + "." + std::to_string(minor) +
                          "; 1.0 and 2.0 are read");
  }
  std::uint64_t header_size = byte_at(prefix, 8) | byte_at(prefix, 9) << 8;
  if (major == 2) header_size |= byte_at(prefix, 10) << 16 | byte_at(prefix, 11) << 24;
  const std::uint64_t header_start = major == 1 ? 10 : 12;
  if (header_size > kMaxHeader) reject_npy(where, "a header over 64 KiB");
  if (header_size > size - header_start) reject_npy(where, "the header is cut off");

  std::string header(header_size, '\0');
  read_at(header_start, std::as_writable_bytes(std::span(header)));
  NpyArray array;
  HeaderParser(header, where).parse(array);
  const std::uint64_t data_size = size - header_start - header_size;
  const std::optional<std::uint64_t> expected =
      checked_product(array.shape, npy_item_size(array.dtype));
  if (expected != data_size) {
    reject_npy(where, std::to_string(data_size) + " bytes of data where the shape needs " +
                          (expected ? std::to_string(*expected) : "more than 2^64"));
  }
  array.bytes.resize(data_size);
  read_at(header_start + header_size, array.bytes);
  const bool bad_bool =
      array.dtype == NpyType::kBool && std::any_of(array.bytes.begin(), array.bytes.end(),
                                                   [](std::byte b) { return b > std::byte{1}; });
  if (bad_bool) reject_npy(where, "a bool that is neither 0 nor 1");
  return array;
}

// Calls visit(index, value) with every item in its own type.
template <typename Item, typename Visit>
void visit_items(const NpyArray& array, Visit visit) {
  for (std::size_t i = 0; i < array.bytes.size() / sizeof(Item); ++i) {
    Item item;
    std::memcpy(&item, array.bytes.data() + i * sizeof(Item), sizeof(Item));
    visit(i, item);
  }
}

template <typename Visit>
void visit_any(const NpyArray& array, Visit visit) {
  switch (array.dtype) {
    case NpyType::kBool:
    case NpyType::kUint8:
      return visit_items<std::uint8_t>(array, visit);
    case NpyType::kInt8:
      return visit_items<std::int8_t>(array, visit);
    case NpyType::kInt32:
      return visit_items<std::int32_t>(array, visit);
    case NpyType::kUint32:
      return visit_items<std::uint32_t>(array, visit);
    case NpyType::kInt64:
      return visit_items<std::int64_t>(array, visit);
    case NpyType::kFloat32:
      return visit_items<float>(array, visit);
    case NpyType::kFloat64:
      return visit_items<double>(array, visit);
  }
}

[[noreturn]] void reject_value(const std::string& where, std::size_t index,
                               const std::string& why) {
  throw BadInput(where + ": value " + std::to_string(index) + " " + why);
}

// Integers of magnitude up to 2^`bits` are the ones every float of that precision can hold.
template <int kBits, typename Item>
void require_exact(Item item, std::size_t index, const std::string& where) {
  constexpr std::int64_t kLimit = std::int64_t{1} << kBits;
  if (static_cast<std::int64_t>(item) > kLimit || static_cast<std::int64_t>(item) < -kLimit) {
    reject_value(where, index, "is an integer beyond 2^" + std::to_string(kBits));
  }
}

}  // namespace

std::size_t npy_item_size(NpyType type) { return row_of(type).size; }
std::string_view npy_type_name(NpyType type) { return row_of(type).name; }
std::string_view npy_type_descr(NpyType type) { return row_of(type).descr; }

std::int64_t NpyArray::size() const {
  return static_cast<std::int64_t>(bytes.size() / npy_item_size(dtype));
}

std::vector<double> NpyArray::to_float64(const std::string& where) const {
  std::vector<double> result(static_cast<std::size_t>(size()));
  visit_any(*this, [&](std::size_t i, auto item) {
    if constexpr (std::is_integral_v<decltype(item)>) require_exact<53>(item, i, where);
    result[i] = static_cast<double>(item);
  });
  return result;
}

std::vector<float> NpyArray::to_float32(const std::string& where) const {
  std::vector<float> result(static_cast<std::size_t>(size()));
  visit_any(*this, [&](std::size_t i, auto item) {
    if constexpr (std::is_integral_v<decltype(item)>) {
      require_exact<24>(item, i, where);
    } else if (std::isfinite(item) && std::isinf(static_cast<float>(item))) {
      reject_value(where, i, "is beyond float32");
    }
    result[i] = static_cast<float>(item);
  });
  return result;
}

std::vector<std::uint8_t> NpyArray::to_uint8(const std::string& where) const {
  if (dtype == NpyType::kFloat32 || dtype == NpyType::kFloat64) {
    throw BadInput(where + ": dtype " + std::string(npy_type_name(dtype)) +
                   " where integers are needed");
  }
  std::vector<std::uint8_t> result(static_cast<std::size_t>(size()));
  visit_any(*this, [&](std::size_t i, auto item) {
    const auto value = static_cast<std::int64_t>(item);
    if (value < 0 || value > 255) reject_value(where, i, "is outside [0, 255]");
    result[i] = static_cast<std::uint8_t>(value);
  });
  return result;
}

NpyArray parse_npy(std::string_view bytes, const std::string& where) {
  const auto read_at = [bytes](std::uint64_t offset, std::span<std::byte> out) {
    if (!out.empty()) std::memcpy(out.data(), bytes.data() + offset, out.size());
  };
  return read_array(bytes.size(), read_at, where);
}

NpyArray read_npy(const std::filesystem::path& path) {
  // O_NONBLOCK: a FIFO under this name must not hang the program
  const FileHandle file(path, O_RDONLY | O_NONBLOCK);
  return read_array(
      file.size(),
      [&file](std::uint64_t offset, std::span<std::byte> out) { file.read_at(offset, out); },
      path.string());
}

}  // namespace lockstep
