// Writer of TensorBoard event files with scalars, and the cutting back of such files on resume.
// The few protobuf fields are encoded by hand; there is no protobuf dependency. Which scalars are
// written under which names is decided by the trainer.
// Format: TensorFlow core/util/event.proto, core/lib/io/record_writer.cc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "host/files/durable_file.h"

namespace lockstep {

/// Bytes that a log holds back before it hands them to the kernel; metrics.h does so too.
inline constexpr std::size_t kLogBuffer = 1 << 16;

/// One TFRecord: length, its masked CRC-32C, data, masked CRC-32C of the data.
std::string tfrecord(std::string_view data);

/// Appends scalars to an event file of one run folder.
///
/// Records are buffered; flush() hands them to the kernel whole, but does not sync: the log of the
/// last moments may be lost in a power failure, what is read is always whole records.
/// Errors: IoError.
class EventWriter {
 public:
  /// Starts a new file `events.out.tfevents.<time>.<host>.<pid>.<n>` in `folder`, which must exist.
  /// `wall_time` is in seconds since 1970.
  EventWriter(const std::filesystem::path& folder, double wall_time);
  /// Cuts the files of `folder`, each in one step, before the first record that is beyond
  /// `last_step`, damaged or no event, removes those without events, and goes on in a new file,
  /// which TensorBoard reads after them: it never looks again at one that it has left. Files may be
  /// larger than the memory.
  static EventWriter resume(const std::filesystem::path& folder, double wall_time,
                            std::int64_t last_step);
  /// Flushes; an error is lost here, so call close() first.
  ~EventWriter();
  EventWriter(EventWriter&&) noexcept = default;
  EventWriter& operator=(EventWriter&&) noexcept = default;

  void add_scalar(std::string_view tag, std::int64_t step, double value, double wall_time);
  void flush();
  void close();
  const std::filesystem::path& path() const { return file_.path(); }

 private:
  EventWriter() = default;
  void open(const std::filesystem::path& path, double wall_time);

  FileHandle file_;
  std::string buffer_;
};

}  // namespace lockstep
