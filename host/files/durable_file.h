// Files that are complete or invisible: written under a temporary name in the same folder, synced,
// renamed, and the folder synced. A failed write, fsync or close is a failed save and never retried
// (after a failed fsync the kernel may have dropped the pages). Also the plain reading and
// appending that the formats need. What is in the files is decided by the format modules, not here.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace lockstep {

/// Throws IoError "cannot <action> <path>: <what `error`, an errno, means>".
[[noreturn]] void throw_io(const std::string& action, const std::filesystem::path& path, int error);

/// False also where the path cannot be looked at.
bool is_folder(const std::filesystem::path& path);

/// An open file descriptor that closes itself. Calls are repeated on EINTR and on short transfers.
class FileHandle {
 public:
  FileHandle() = default;
  /// Opens with open(2) flags. Errors: IoError; BadInput when reading something that is not there.
  FileHandle(const std::filesystem::path& path, int flags, mode_t mode = 0644);
  ~FileHandle();
  FileHandle(FileHandle&& other) noexcept;
  FileHandle& operator=(FileHandle&& other) noexcept;

  bool is_open() const { return fd_ >= 0; }
  const std::filesystem::path& path() const { return path_; }
  /// Size in bytes. Errors: BadInput unless it is a regular file.
  std::uint64_t size() const;
  void write(std::string_view bytes);
  /// Fills `bytes` from `offset`. Errors: BadInput where the file ends earlier.
  void read_at(std::uint64_t offset, std::span<std::byte> bytes) const;
  void truncate(std::uint64_t size);
  void sync();
  /// Closes and reports what close(2) reports; the destructor cannot.
  void close();

 private:
  std::filesystem::path path_;
  int fd_ = -1;
};

/// Where `path` leads: its symbolic links followed, the last one also where nothing is there yet.
/// Errors: IoError (ELOOP, EACCES, ...).
std::filesystem::path resolve_links(std::filesystem::path path);

/// Reads a file of any size from front to back; keeps no more of it than is asked for.
/// Errors: BadInput if it is missing or no regular file; IoError.
class ForwardReader {
 public:
  explicit ForwardReader(const std::filesystem::path& path);

  std::uint64_t size() const { return size_; }
  /// What comes next: `count` bytes or more, fewer only at the end. Valid until the next call.
  std::string_view peek(std::size_t count);
  /// Goes on behind the first `count` bytes of what peek() returned.
  void skip(std::size_t count) { begin_ += count; }

 private:
  FileHandle file_;
  std::uint64_t size_, read_ = 0;  // bytes of the file, and of those in the buffer so far
  std::string buffer_;
  std::size_t begin_ = 0;  // of what was not skipped yet
};

/// One file, invisible under its name until commit() has made it durable.
///
/// Destroyed without commit(), it leaves nothing. An existing file is replaced in one step; a
/// symbolic link stays, and what it leads to is made or replaced. A device or a FIFO is never
/// replaced: it is written through as bytes come, which is why formats are written from front to
/// back. Opening a FIFO waits for its reader.
/// Not for two writers of one path at the same time.
/// Errors: IoError with path and reason (ENOSPC, EDQUOT, EFBIG, EROFS, ...) from every member, from
/// the constructor also for a folder or a socket.
class DurableFile {
 public:
  explicit DurableFile(const std::filesystem::path& path);
  ~DurableFile();
  DurableFile(const DurableFile&) = delete;
  DurableFile& operator=(const DurableFile&) = delete;

  void write(std::string_view bytes);
  void write(std::span<const std::byte> bytes);
  std::uint64_t size() const { return size_; }
  /// fsync, close, rename, fsync of the folder; on return the file survives a power loss. A device
  /// or a FIFO has all bytes.
  void commit();

 private:
  void flush();

  std::filesystem::path path_;       // links resolved
  std::filesystem::path temporary_;  // empty: written through
  FileHandle file_;
  std::string buffer_;
  std::uint64_t size_ = 0;
  bool committed_ = false;
};

/// A DurableFile with this content.
void write_file_durably(const std::filesystem::path& path, std::string_view content);

/// A whole folder, invisible under its name until commit() has made it durable.
///
/// It is written as `tmp.<pid>` beside its final place. Leftovers of processes that no longer live
/// are removed first. One writer per parent folder.
/// Errors: IoError. Nothing of the new folder is visible then, or, where only the last sync failed,
/// all of it, but it may not survive a power loss.
class DurableFolder {
 public:
  explicit DurableFolder(std::filesystem::path path);
  ~DurableFolder();
  DurableFolder(const DurableFolder&) = delete;
  DurableFolder& operator=(const DurableFolder&) = delete;

  void add_file(const std::string& name, std::string_view content);
  /// Makes the folder visible. An existing folder of this name is exchanged in one step; where the
  /// file system cannot do that, it stands as `<name>.old` until the new one is in place.
  void commit();

 private:
  std::filesystem::path path_, temporary_;
  bool committed_ = false;
};

/// Suffix of a folder that is being replaced on a file system without atomic exchange.
inline constexpr std::string_view kReplacedSuffix = ".old";

/// Points the symbolic link `link` at `target`, replacing an existing link in one step.
/// Does nothing where the file system has no symbolic links.
void replace_symlink(const std::filesystem::path& link, const std::filesystem::path& target);

/// Makes `folder` and its missing parents, durably. No error if it exists.
void create_folders(const std::filesystem::path& folder);

/// Makes the names inside `folder` durable.
void sync_folder(const std::filesystem::path& folder);

/// Removes a folder such that no half of it is ever visible under its name.
void remove_folder(const std::filesystem::path& folder);

/// The whole file. Errors: BadInput if it is missing, no regular file, or over `max_size` bytes.
std::string read_file(const std::filesystem::path& path, std::uint64_t max_size);

}  // namespace lockstep
