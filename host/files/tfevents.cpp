// See tfevents.h. Fields of event.proto that are used: Event{1: wall_time double, 2: step varint,
// 3: file_version string, 5: Summary{1: Value{1: tag string, 2: simple_value float}}}.
#include "host/files/tfevents.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <charconv>
#include <cstdio>
#include <optional>
#include <utility>
#include <vector>

#include "host/errors.h"
#include "host/files/crc32c.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFilePrefix = "events.out.tfevents.";
constexpr std::uint64_t kMaxRecord = std::uint64_t{1} << 26;  // bytes; ours have some 60
constexpr std::size_t kFrame = 16;  // bytes around the data: length, its checksum, that of the data

enum WireType { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

void append_fixed(std::string& out, std::uint64_t value, int count) {
  for (int i = 0; i < count; ++i) out.push_back(static_cast<char>((value >> (8 * i)) & 0xff));
}

void append_varint(std::string& out, std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) out.push_back(static_cast<char>((value & 0x7f) | 0x80));
  out.push_back(static_cast<char>(value));
}

void append_tag(std::string& out, std::uint64_t field, WireType type) {
  append_varint(out, field << 3 | static_cast<std::uint64_t>(type));
}

void append_bytes(std::string& out, std::uint64_t field, std::string_view value) {
  append_tag(out, field, kBytes);
  append_varint(out, value.size());
  out.append(value);
}

void append_double(std::string& out, std::uint64_t field, double value) {
  append_tag(out, field, kFixed64);
  append_fixed(out, std::bit_cast<std::uint64_t>(value), 8);
}

std::string version_record(double wall_time) {
  std::string event;
  append_double(event, 1, wall_time);
  append_bytes(event, 3, "brain.Event:2");
  return tfrecord(event);
}

std::uint64_t fixed_at(std::string_view bytes, std::size_t offset, std::size_t count) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < count; ++i) {
    value |= std::uint64_t{static_cast<unsigned char>(bytes[offset + i])} << (8 * i);
  }
  return value;
}

// The data of the next record, which is still to be skipped; empty if it is torn or damaged, and at
// the end.
std::optional<std::string_view> next_record(ForwardReader& reader) {
  std::string_view bytes = reader.peek(kFrame);
  if (bytes.size() < kFrame || fixed_at(bytes, 8, 4) != masked_crc32c(bytes.substr(0, 8)))
    return {};
  const std::uint64_t length = fixed_at(bytes, 0, 8);
  if (length > kMaxRecord) return {};
  const auto size = static_cast<std::size_t>(length);
  bytes = reader.peek(size + kFrame);
  if (bytes.size() < size + kFrame) return {};
  const std::string_view data = bytes.substr(12, size);
  if (fixed_at(bytes, 12 + size, 4) != masked_crc32c(data)) return {};
  return data;
}

std::optional<std::uint64_t> take_varint(std::string_view& bytes) {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 64 && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    value |= std::uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return value;
  }
  return {};
}

// The step field of an event; 0 where it is absent, as protobuf has it. Empty if it is no event.
std::optional<std::int64_t> event_step(std::string_view event) {
  std::int64_t step = 0;
  while (!event.empty()) {
    const std::optional<std::uint64_t> key = take_varint(event);
    if (!key) return {};
    std::uint64_t skip = 0;
    switch (*key & 7) {
      case kVarint: {
        const std::optional<std::uint64_t> value = take_varint(event);
        if (!value) return {};
        if (*key >> 3 == 2) step = static_cast<std::int64_t>(*value);
        break;
      }
      case kFixed64:
        skip = 8;
        break;
      case kFixed32:
        skip = 4;
        break;
      case kBytes: {
        const std::optional<std::uint64_t> size = take_varint(event);
        if (!size) return {};
        skip = *size;
        break;
      }
      default:
        return {};
    }
    if (skip > event.size()) return {};
    event.remove_prefix(static_cast<std::size_t>(skip));
  }
  return step;
}

// Steps ascend within a file of ours, so that what is to be dropped is its end. Where only the
// version record is left, the whole file goes: runs that are resumed often would collect them.
void cut_back(const fs::path& path, std::int64_t last_step) {
  ForwardReader reader(path);
  std::uint64_t kept = 0;
  int records = 0;
  while (const std::optional<std::string_view> event = next_record(reader)) {
    const std::optional<std::int64_t> step = event_step(*event);
    if (!step || *step > last_step) break;
    kept += event->size() + kFrame;
    records = std::min(records + 1, 2);
    reader.skip(event->size() + kFrame);
  }
  std::error_code ignored;
  if (records < 2 && fs::remove(path, ignored)) return;
  if (kept != reader.size()) FileHandle(path, O_WRONLY).truncate(kept);
}

// Event files in the order TensorBoard reads them.
std::vector<fs::path> event_files(const fs::path& folder) {
  std::vector<fs::path> files;
  std::error_code error;
  fs::directory_iterator it(folder, error);
  for (const fs::directory_iterator end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.starts_with(kFilePrefix) && name.find(".tmp.") == std::string::npos) {
      files.push_back(it->path());
    }
  }
  if (error) throw IoError("cannot list " + folder.string() + ": " + error.message());
  std::sort(files.begin(), files.end());
  return files;
}

// The seconds in the name of an event file; 0 if there are none.
double time_of_name(const fs::path& file) {
  const std::string name = file.filename().string();
  std::uint32_t seconds = 0;  // until 2106
  std::from_chars(name.data() + kFilePrefix.size(), name.data() + name.size(), seconds);
  return seconds;
}

std::string new_file_name(double wall_time) {
  static std::atomic<int> next_number{0};
  std::array<char, 65> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0 || host[0] == '\0') {
    std::snprintf(host.data(), host.size(), "localhost");
  }
  std::array<char, 24> seconds{};  // ten digits, so that names sort by time
  std::snprintf(seconds.data(), seconds.size(), "%010lld", static_cast<long long>(wall_time));
  return std::string(kFilePrefix) + seconds.data() + "." + host.data() + "." +
         std::to_string(::getpid()) + "." + std::to_string(next_number++);
}

}  // namespace

std::string tfrecord(std::string_view data) {
  std::string record;
  record.reserve(data.size() + 16);
  append_fixed(record, data.size(), 8);
  append_fixed(record, masked_crc32c(record), 4);
  record.append(data);
  append_fixed(record, masked_crc32c(data), 4);
  return record;
}

EventWriter::EventWriter(const fs::path& folder, double wall_time) {
  open(folder / new_file_name(wall_time), wall_time);
}

EventWriter EventWriter::resume(const fs::path& folder, double wall_time, std::int64_t last_step) {
  const std::vector<fs::path> files = event_files(folder);
  for (const fs::path& file : files) cut_back(file, last_step);
  // behind the others also if the clock went back, or the process before was quick
  const double after = files.empty() ? 0 : time_of_name(files.back()) + 1;
  EventWriter writer;
  writer.open(folder / new_file_name(std::max(wall_time, after)), wall_time);
  return writer;
}

void EventWriter::open(const fs::path& path, double wall_time) {
  file_ = FileHandle(path, O_WRONLY | O_CREAT | O_EXCL | O_APPEND);
  buffer_ = version_record(wall_time);
  flush();
}

EventWriter::~EventWriter() {
  try {
    if (file_.is_open()) flush();
  } catch (const Error&) {
    // a destructor cannot report; close() does
  }
}

void EventWriter::add_scalar(std::string_view tag, std::int64_t step, double value,
                             double wall_time) {
  std::string scalar, summary, event;
  append_bytes(scalar, 1, tag);
  append_tag(scalar, 2, kFixed32);
  append_fixed(scalar, std::bit_cast<std::uint32_t>(static_cast<float>(value)), 4);
  append_bytes(summary, 1, scalar);
  append_double(event, 1, wall_time);
  append_tag(event, 2, kVarint);
  append_varint(event, static_cast<std::uint64_t>(step));
  append_bytes(event, 5, summary);
  buffer_ += tfrecord(event);
  if (buffer_.size() >= kLogBuffer) flush();
}

void EventWriter::flush() {
  // emptied first: after a failed write a second try would append behind a torn record
  const std::string records = std::exchange(buffer_, {});
  if (!records.empty()) file_.write(records);
}

void EventWriter::close() {
  flush();
  file_.close();
}

}  // namespace lockstep
