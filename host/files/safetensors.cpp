// See safetensors.h. The header is read by nlohmann's event parser, which is iterative and keeps no
// tree, into a small state machine that knows the one structure allowed; a scan before it bounds
// what its lexer may have to buffer.
#include "host/files/safetensors.h"

#include <fcntl.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "host/errors.h"
#include "host/files/crc32c.h"
#include "host/files/durable_file.h"
#include "host/text.h"

namespace lockstep {
namespace {

static_assert(std::endian::native == std::endian::little, "the file format is little-endian");

constexpr std::uint64_t kPrefixSize = 8;  // bytes of the header's length
constexpr std::string_view kMetadataKey = "__metadata__";

// Copies bytes [offset, offset + out.size()) of the source; the range was checked before.
using ReadAt = std::function<void(std::uint64_t offset, std::span<std::byte> out)>;

struct TensorEntry {
  std::string name;
  std::vector<std::int64_t> shape;
  std::uint64_t begin = 0, end = 0;  // bytes after the header
  bool has_dtype = false, has_shape = false, has_offsets = false;
};

// Collects the tensors of the header; every handler returns false, with `reason` set, at the first
// thing that is not as the format has it. Depth 1: names, 2: fields of a tensor or metadata,
// 3: inside a list.
class HeaderHandler : public nlohmann::json_sax<nlohmann::json> {
 public:
  std::string reason;
  bool foreign_dtype = false;  // the reason is one that a valid file may have
  std::vector<TensorEntry> entries;

  bool start_object(std::size_t) override {
    if (depth_ == 0) return ++depth_, true;
    if (depth_ != 1) return fail("an object where none belongs" + of_entry());
    if (!in_metadata_) {
      if (entries.size() == kMaxTensors)
        return fail("over " + std::to_string(kMaxTensors) + " tensors");
      entries.push_back({.name = key_, .shape = {}});
    }
    return ++depth_, true;
  }

  bool end_object() override {
    if (--depth_ == 1 && !in_metadata_) {
      const TensorEntry& entry = entries.back();
      if (!entry.has_dtype || !entry.has_shape || !entry.has_offsets) {
        return fail("dtype, shape or data_offsets is missing" + of_entry());
      }
    }
    return true;
  }

  bool key(std::string& name) override {
    if (depth_ == 1) {
      if (!names_.insert(name).second) return fail("duplicate name '" + excerpt(name) + "'");
      key_ = name;
      in_metadata_ = name == kMetadataKey;
      return true;
    }
    field_ = name;
    if (in_metadata_) return true;
    TensorEntry& entry = entries.back();
    bool* seen = name == "dtype"          ? &entry.has_dtype
                 : name == "shape"        ? &entry.has_shape
                 : name == "data_offsets" ? &entry.has_offsets
                                          : nullptr;
    if (seen == nullptr) return fail("unknown field '" + excerpt(name) + "'" + of_entry());
    if (*seen) return fail("duplicate field '" + name + "'" + of_entry());
    *seen = true;
    return true;
  }

  bool string(std::string& value) override {
    if (depth_ == 2 && in_metadata_) return true;
    if (depth_ != 2 || field_ != "dtype") return fail("a string where none belongs" + of_entry());
    if (value != "F32") {
      foreign_dtype = true;
      return fail("dtype " + excerpt(value) + of_entry() + " is not supported, convert to F32");
    }
    return true;
  }

  bool start_array(std::size_t) override {
    if (depth_ != 2 || in_metadata_ || field_ == "dtype") {
      return fail("a list where none belongs" + of_entry());
    }
    offsets_seen_ = 0;
    return ++depth_, true;
  }

  bool end_array() override {
    --depth_;
    if (field_ == "data_offsets" && offsets_seen_ != 2) {
      return fail("data_offsets must be two numbers" + of_entry());
    }
    return true;
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (depth_ != 3) return fail("a number where none belongs" + of_entry());
    TensorEntry& entry = entries.back();
    if (field_ == "shape") {
      if (!std::in_range<std::int64_t>(value)) return fail("dimension over 2^63" + of_entry());
      if (entry.shape.size() == kMaxTensorRank) {
        return fail("over " + std::to_string(kMaxTensorRank) + " dimensions" + of_entry());
      }
      entry.shape.push_back(static_cast<std::int64_t>(value));
      return true;
    }
    (offsets_seen_++ == 0 ? entry.begin : entry.end) = value;
    return true;
  }

  bool number_integer(number_integer_t) override { return fail("negative number" + of_entry()); }
  bool number_float(number_float_t, const string_t& text) override {
    return fail("'" + excerpt(text) + "' is not a 64-bit integer" + of_entry());
  }
  bool null() override { return fail("null where none belongs" + of_entry()); }
  bool boolean(bool) override { return fail("true or false where none belongs" + of_entry()); }
  bool binary(binary_t&) override { return fail("binary data"); }
  bool parse_error(std::size_t position, const std::string&,
                   const nlohmann::json::exception&) override {
    return fail("not JSON at byte " + std::to_string(position) + " of the header");
  }

 private:
  bool fail(std::string text) {
    reason = std::move(text);
    return false;
  }
  std::string of_entry() const { return key_.empty() ? "" : " (tensor '" + excerpt(key_) + "')"; }

  int depth_ = 0, offsets_seen_ = 0;
  bool in_metadata_ = false;
  std::string key_, field_;
  std::set<std::string> names_;
};

[[noreturn]] void reject_tensors(const std::string& where, const std::string& reason) {
  throw BadInput(where + ": not a valid safetensors file: " + reason);
}

// Rejects what the JSON lexer would take too lightly (a NUL byte ends its input, a byte order mark
// is skipped) and tokens that would make its buffer large.
void scan_header(std::string_view header, const std::string& where) {
  if (header.empty() || header.front() != '{')
    reject_tensors(where, "the header does not begin with '{'");
  std::size_t token = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < header.size(); ++i) {
    const char c = header[i];
    if (static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n' && c != '\r') {
      reject_tensors(where, "control character at byte " + std::to_string(i) + " of the header");
    }
    const bool escape = in_string && c == '\\';
    if (c == '"') in_string = !in_string;
    if (escape) ++i;
    const bool separator =
        !in_string && std::string_view(" \t\n\r{}[]:,\"").find(c) != std::string_view::npos;
    token = separator ? 0 : token + (escape ? 2 : 1);
    if (token > kMaxHeaderToken) {
      reject_tensors(where,
                     "a string or number over " + std::to_string(kMaxHeaderToken) + " bytes");
    }
  }
}

std::vector<TensorEntry> parse_header(std::string_view header, const std::string& where) {
  scan_header(header, where);
  HeaderHandler handler;
  const bool parsed = nlohmann::json::sax_parse(header.begin(), header.end(), &handler);
  if (handler.foreign_dtype) throw BadInput(where + ": " + handler.reason);
  if (!parsed) reject_tensors(where, handler.reason);
  return std::move(handler.entries);
}

// Bytes of the tensor by its shape; empty where the product does not fit.
std::optional<std::uint64_t> byte_count(const std::vector<std::int64_t>& shape) {
  std::uint64_t count = sizeof(float);
  for (const std::int64_t dimension : shape) {
    if (__builtin_mul_overflow(count, static_cast<std::uint64_t>(dimension), &count)) return {};
  }
  return count;
}

// The tensors, ordered by position, must follow each other without a hole from 0 to `data_size`.
void check_layout(std::vector<TensorEntry>& entries, std::uint64_t data_size,
                  const std::string& where) {
  std::stable_sort(entries.begin(), entries.end(), [](const TensorEntry& a, const TensorEntry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  std::uint64_t position = 0;
  for (const TensorEntry& entry : entries) {
    const std::string name = "tensor '" + excerpt(entry.name) + "'";
    if (entry.end < entry.begin) reject_tensors(where, name + " ends before it begins");
    if (entry.end > data_size) reject_tensors(where, name + " reaches past the end of the file");
    if (entry.begin < position) reject_tensors(where, name + " overlaps the one before it");
    if (entry.begin > position) reject_tensors(where, "a hole before " + name);
    const std::optional<std::uint64_t> expected = byte_count(entry.shape);
    if (!expected) reject_tensors(where, name + " has a shape whose size overflows");
    if (*expected != entry.end - entry.begin) {
      reject_tensors(where, name + " has " + std::to_string(entry.end - entry.begin) +
                                " bytes where its shape needs " + std::to_string(*expected));
    }
    position = entry.end;
  }
  if (position != data_size) {
    reject_tensors(where, std::to_string(data_size - position) + " bytes after the last tensor");
  }
}

std::vector<NamedTensor> read_tensors(std::uint64_t size, const ReadAt& read_at,
                                      const std::string& where) {
  if (size < kPrefixSize) reject_tensors(where, "shorter than 8 bytes");
  std::array<std::byte, kPrefixSize> prefix{};
  read_at(0, prefix);
  const auto header_size = std::bit_cast<std::uint64_t>(prefix);
  if (header_size > kMaxSafetensorsHeader) {
    reject_tensors(where, "a header of " + std::to_string(header_size) + " bytes; at most " +
                              std::to_string(kMaxSafetensorsHeader) + " are allowed");
  }
  if (header_size > size - kPrefixSize)
    reject_tensors(where, "the header reaches past the end of the file");

  std::vector<TensorEntry> entries;
  {
    std::string header(header_size, '\0');
    read_at(kPrefixSize, std::as_writable_bytes(std::span(header)));
    entries = parse_header(header, where);
  }
  const std::uint64_t data_start = kPrefixSize + header_size;
  check_layout(entries, size - data_start, where);

  std::vector<NamedTensor> tensors;
  tensors.reserve(entries.size());
  for (TensorEntry& entry : entries) {
    std::vector<float> data((entry.end - entry.begin) / sizeof(float));
    read_at(data_start + entry.begin, std::as_writable_bytes(std::span(data)));
    tensors.push_back({std::move(entry.name), std::move(entry.shape), std::move(data)});
  }
  return tensors;
}

void check_seal(const FileHandle& file, std::uint64_t size, const FileSeal& seal) {
  const std::string where = file.path().string();
  if (size != seal.size) {
    throw BadInput(where + " is damaged: " + std::to_string(size) + " bytes where " +
                   std::to_string(seal.size) + " were saved");
  }
  std::array<std::byte, 1 << 14> block;
  std::uint32_t crc = 0;
  for (std::uint64_t offset = 0; offset < size; offset += block.size()) {
    const std::size_t count =
        static_cast<std::size_t>(std::min<std::uint64_t>(block.size(), size - offset));
    file.read_at(offset, std::span(block).first(count));
    crc = crc32c(std::span<const std::byte>(block).first(count), crc);
  }
  if (crc != seal.crc32c) throw BadInput(where + " is damaged: its CRC-32C does not match");
}

void check_serializable(const std::vector<NamedTensor>& tensors) {
  std::set<std::string> names;
  require(tensors.size() <= kMaxTensors,
          "too many tensors; at most " + std::to_string(kMaxTensors) + " are allowed");
  for (const NamedTensor& tensor : tensors) {
    require(tensor.name != kMetadataKey && tensor.name.size() <= kMaxHeaderToken / 8 &&
                names.insert(tensor.name).second,
            "tensor name '" + tensor.name.substr(0, 80) + "' is taken, reserved or too long");
    require(
        tensor.shape.size() <= kMaxTensorRank,
        "tensor '" + tensor.name + "' has over " + std::to_string(kMaxTensorRank) + " dimensions");
    const bool positive = std::all_of(tensor.shape.begin(), tensor.shape.end(),
                                      [](std::int64_t dimension) { return dimension >= 0; });
    require(positive && byte_count(tensor.shape) == tensor.data.size() * sizeof(float),
            "tensor '" + tensor.name + "' has a shape that does not match its data");
  }
}

}  // namespace

std::string serialize_safetensors(const std::vector<NamedTensor>& tensors,
                                  const std::map<std::string, std::string>& metadata) {
  check_serializable(tensors);
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header[std::string(kMetadataKey)] = metadata;
  std::uint64_t offset = 0;
  for (const NamedTensor& tensor : tensors) {
    const std::uint64_t end = offset + tensor.data.size() * sizeof(float);
    header[tensor.name] = {
        {"dtype", "F32"}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
    offset = end;
  }
  std::string text = header.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  text.resize((text.size() + 7) / 8 * 8, ' ');
  require(text.size() <= kMaxSafetensorsHeader, "tensor names and metadata over 1 MiB");

  std::string bytes;
  bytes.reserve(kPrefixSize + text.size() + offset);
  const std::uint64_t header_size = text.size();
  bytes.append(reinterpret_cast<const char*>(&header_size), sizeof header_size).append(text);
  for (const NamedTensor& tensor : tensors) {
    bytes.append(reinterpret_cast<const char*>(tensor.data.data()),
                 tensor.data.size() * sizeof(float));
  }
  return bytes;
}

std::vector<NamedTensor> parse_safetensors(std::string_view bytes, const std::string& where) {
  const auto read_at = [bytes](std::uint64_t offset, std::span<std::byte> out) {
    if (!out.empty()) std::memcpy(out.data(), bytes.data() + offset, out.size());
  };
  return read_tensors(bytes.size(), read_at, where);
}

std::vector<NamedTensor> read_safetensors(const std::filesystem::path& path, const FileSeal* seal) {
  // O_NONBLOCK: a FIFO under this name must not hang the program
  const FileHandle file(path, O_RDONLY | O_NONBLOCK);
  const std::uint64_t size = file.size();
  if (seal != nullptr) check_seal(file, size, *seal);
  return read_tensors(
      size, [&file](std::uint64_t offset, std::span<std::byte> out) { file.read_at(offset, out); },
      path.string());
}

std::string find_non_finite(const std::vector<NamedTensor>& tensors) {
  for (const NamedTensor& tensor : tensors) {
    for (std::size_t i = 0; i < tensor.data.size(); ++i) {
      if (!std::isfinite(tensor.data[i]))
        return excerpt(tensor.name) + "[" + std::to_string(i) + "]";
    }
  }
  return "";
}

void check_finite(const std::vector<NamedTensor>& tensors, const std::string& where) {
  const std::string found = find_non_finite(tensors);
  if (!found.empty()) throw BadInput(where + ": " + found + " is NaN or infinite");
}

}  // namespace lockstep
