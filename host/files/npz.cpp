// See npy.h: the writer of .npz archives. Every entry is stored and carries zip64 fields, as
// NumPy's own archives do, so that sizes and offsets beyond 4 GiB need no second path. Format:
// PKWARE APPNOTE 6.3, sections 4.3.7, 4.3.12, 4.3.14-16, 4.5.3.
#include <cstring>

#include "host/errors.h"
#include "host/files/crc32c.h"
#include "host/files/npy.h"

namespace lockstep {
namespace {

constexpr std::uint32_t kInZip64 = 0xffffffffu;  // the real value stands in the zip64 field
constexpr std::uint16_t kVersion = 45;           // 4.5: zip64
constexpr std::uint16_t kUtf8Names = 1u << 11;
constexpr std::uint16_t kNoTime = 0, kNoDate = (1 << 5) | 1;  // 1980-01-01: same input, same bytes
constexpr std::size_t kNpyAlignment = 64;                     // bytes, as NumPy pads
constexpr std::size_t kNumpyMaxRank = 32;                     // NumPy's own limit before version 2

// Appends integers in little-endian order.
class ZipRecord {
 public:
  ZipRecord& u16(std::uint64_t value) { return append(value, 2); }
  ZipRecord& u32(std::uint64_t value) { return append(value, 4); }
  ZipRecord& u64(std::uint64_t value) { return append(value, 8); }
  ZipRecord& text(std::string_view value) {
    bytes_.append(value);
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  ZipRecord& append(std::uint64_t value, int count) {
    for (int i = 0; i < count; ++i) bytes_.push_back(static_cast<char>((value >> (8 * i)) & 0xff));
    return *this;
  }
  std::string bytes_;
};

std::string npy_header(NpyType type, const std::vector<std::int64_t>& shape) {
  std::string text =
      "{'descr': '" + std::string(npy_type_descr(type)) + "', 'fortran_order': False, 'shape': (";
  for (std::size_t i = 0; i < shape.size(); ++i) {
    text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  }
  text += shape.size() == 1 ? ",), }" : "), }";
  constexpr std::size_t kPrefix = 10;  // magic, version, length
  const std::size_t used = kPrefix + text.size() + 1;
  text.append((kNpyAlignment - used % kNpyAlignment) % kNpyAlignment, ' ').push_back('\n');
  ZipRecord record;
  record.text("\x93NUMPY").u16(1).u16(text.size()).text(text);
  return record.bytes();
}

void require_shape(const std::string& name, NpyType type, const std::vector<std::int64_t>& shape,
                   std::size_t bytes) {
  std::uint64_t expected = npy_item_size(type);
  bool valid = shape.size() <= kNumpyMaxRank;
  for (const std::int64_t dimension : shape) {
    valid = valid && dimension >= 0 &&
            !__builtin_mul_overflow(expected, static_cast<std::uint64_t>(dimension), &expected);
  }
  require(valid && expected == bytes,
          "array '" + name + "' has a shape that does not match its data");
}

}  // namespace

NpzWriter::NpzWriter(const std::filesystem::path& path) : file_(path) {}

void NpzWriter::add(const std::string& name, NpyType type, const std::vector<std::int64_t>& shape,
                    std::span<const std::byte> bytes) {
  require(!name.empty() && name.size() < 256 && name.find('/') == std::string::npos &&
              names_.insert(name).second,
          "array name '" + name + "' is taken, empty, too long or has a '/'");
  require_shape(name, type, shape, bytes.size());
  const std::string header = npy_header(type, shape);
  Entry entry{.name = name + ".npy"};
  entry.crc = crc32_zip(bytes, crc32_zip(header));
  entry.size = header.size() + bytes.size();
  entry.offset = file_.size();

  ZipRecord local;
  local.u32(0x04034b50).u16(kVersion).u16(kUtf8Names).u16(0).u16(kNoTime).u16(kNoDate);
  local.u32(entry.crc).u32(kInZip64).u32(kInZip64).u16(entry.name.size()).u16(20);
  local.text(entry.name).u16(1).u16(16).u64(entry.size).u64(entry.size);
  file_.write(local.bytes());
  file_.write(header);
  file_.write(bytes);
  entries_.push_back(std::move(entry));
}

void NpzWriter::add(const std::string& name, const std::vector<std::int64_t>& shape,
                    std::span<const float> values) {
  add(name, NpyType::kFloat32, shape, std::as_bytes(values));
}

void NpzWriter::add(const std::string& name, const std::vector<std::int64_t>& shape,
                    std::span<const double> values) {
  add(name, NpyType::kFloat64, shape, std::as_bytes(values));
}

void NpzWriter::add(const std::string& name, const std::vector<std::int64_t>& shape,
                    std::span<const std::int64_t> values) {
  add(name, NpyType::kInt64, shape, std::as_bytes(values));
}

void NpzWriter::add(const std::string& name, const std::vector<std::int64_t>& shape,
                    std::span<const std::uint8_t> values, NpyType type) {
  require(type == NpyType::kUint8 || type == NpyType::kBool, "bytes are saved as uint8 or bool");
  add(name, type, shape, std::as_bytes(values));
}

void NpzWriter::close() {
  require(!entries_.empty(), "an .npz archive needs at least one array");
  const std::uint64_t directory_offset = file_.size();
  for (const Entry& entry : entries_) {
    ZipRecord central;
    central.u32(0x02014b50).u16(kVersion).u16(kVersion).u16(kUtf8Names).u16(0);
    central.u16(kNoTime).u16(kNoDate).u32(entry.crc).u32(kInZip64).u32(kInZip64);
    central.u16(entry.name.size()).u16(28).u16(0).u16(0).u16(0).u32(0).u32(kInZip64);
    central.text(entry.name).u16(1).u16(24).u64(entry.size).u64(entry.size).u64(entry.offset);
    file_.write(central.bytes());
  }
  const std::uint64_t end_offset = file_.size();
  ZipRecord end;
  end.u32(0x06064b50).u64(44).u16(kVersion).u16(kVersion).u32(0).u32(0).u64(entries_.size());
  end.u64(entries_.size()).u64(end_offset - directory_offset).u64(directory_offset);
  end.u32(0x07064b50).u32(0).u64(end_offset).u32(1);
  end.u32(0x06054b50).u16(0).u16(0).u16(0xffff).u16(0xffff).u32(kInZip64).u32(kInZip64).u16(0);
  file_.write(end.bytes());
  file_.commit();
}

}  // namespace lockstep
