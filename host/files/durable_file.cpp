// See durable_file.h. Order of a commit: fsync of the content, rename, fsync of the folder; without
// the first fsync a power loss may leave the new name with no content.
#include "host/files/durable_file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <system_error>
#include <utility>
#include <vector>

#include "host/errors.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kTemporaryPrefix = "tmp.";
constexpr std::string_view kRemovedPrefix = "tmp.removed.";
constexpr std::size_t kBufferSize = 1 << 16;    // bytes; larger writes bypass the buffer
constexpr std::size_t kMaxTransfer = 1u << 30;  // Linux moves at most 2 GiB - 4 KiB a call

std::string error_text(int error) { return std::generic_category().message(error); }

template <typename Call>
auto retry_on_eintr(Call call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

fs::path parent_of(const fs::path& path) {
  const fs::path parent = path.parent_path();
  return parent.empty() ? fs::path(".") : parent;
}

// Whether the process of a leftover named `<prefix><pid>` is gone. Our own counts as gone: there is
// one writer per folder, and after a restart in a container the old pid is often ours.
bool is_stale(std::string_view name, std::string_view prefix) {
  if (!name.starts_with(prefix)) return false;
  name.remove_prefix(prefix.size());
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), pid);
  if (error != std::errc() || end != name.data() + name.size() || pid <= 0) return false;
  return pid == ::getpid() || (::kill(pid, 0) != 0 && errno == ESRCH);
}

// Removal of leftovers is tidying up: what cannot be removed is left, the save itself will say why.
void remove_stale(const fs::path& folder, std::string_view prefix) {
  std::error_code ignored;
  std::vector<fs::path> stale;
  for (fs::directory_iterator it(folder, ignored), end; !ignored && it != end;
       it.increment(ignored)) {
    if (is_stale(it->path().filename().string(), prefix)) stale.push_back(it->path());
  }
  for (const fs::path& path : stale) fs::remove_all(path, ignored);
}

std::string own_name(std::string_view prefix) {
  return std::string(prefix) + std::to_string(::getpid());
}

void rename_path(const fs::path& from, const fs::path& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0) throw_io("rename to", to, errno);
}

bool is_there(const fs::path& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0;
}

constexpr int kMaxLinks = 40;  // as the kernel

// Whether what is written to `path` goes through to what is there: to a device or a FIFO, and to an
// open file of a process (/dev/stdout, /proc/self/fd/1) that has no name `resolved` any more.
bool is_written_through(const fs::path& path, const fs::path& resolved) {
  struct stat status {
  }, named{};
  if (::stat(path.c_str(), &status) != 0) return false;  // nothing there, or opening it will tell
  if (S_ISDIR(status.st_mode)) throw_io("write", path, EISDIR);
  if (!S_ISREG(status.st_mode)) return true;
  return ::lstat(resolved.c_str(), &named) != 0 || named.st_dev != status.st_dev ||
         named.st_ino != status.st_ino;
}

// Between the two renames only `replaced` is there; readers know that name.
void replace_in_two_steps(const fs::path& from, const fs::path& to, const fs::path& replaced) {
  remove_folder(replaced);
  rename_path(to, replaced);
  if (std::rename(from.c_str(), to.c_str()) == 0) return;
  const int error = errno;
  rename_path(replaced, to);
  throw_io("rename to", to, error);
}

}  // namespace

void throw_io(const std::string& action, const fs::path& path, int error) {
  throw IoError("cannot " + action + " " + path.string() + ": " + error_text(error));
}

bool is_folder(const fs::path& path) {
  std::error_code ignored;
  return fs::is_directory(path, ignored);
}

FileHandle::FileHandle(const fs::path& path, int flags, mode_t mode)
    : path_(path),
      fd_(retry_on_eintr([&] { return ::open(path.c_str(), flags | O_CLOEXEC, mode); })) {
  if (fd_ >= 0) return;
  const int error = errno;
  const bool reading = (flags & O_ACCMODE) == O_RDONLY;
  if (reading && (error == ENOENT || error == ENOTDIR || error == ELOOP || error == ENAMETOOLONG)) {
    throw BadInput("cannot open " + path.string() + ": " + error_text(error));
  }
  throw_io(reading ? "open" : "create", path, error);
}

FileHandle::~FileHandle() {
  if (fd_ >= 0) ::close(fd_);
}

FileHandle::FileHandle(FileHandle&& other) noexcept
    : path_(std::move(other.path_)), fd_(std::exchange(other.fd_, -1)) {}

FileHandle& FileHandle::operator=(FileHandle&& other) noexcept {
  if (this == &other) return *this;
  if (fd_ >= 0) ::close(fd_);
  path_ = std::move(other.path_);
  fd_ = std::exchange(other.fd_, -1);
  return *this;
}

std::uint64_t FileHandle::size() const {
  struct stat status {};
  if (::fstat(fd_, &status) != 0) throw_io("read the size of", path_, errno);
  if (!S_ISREG(status.st_mode)) throw BadInput(path_.string() + " is not a regular file");
  return static_cast<std::uint64_t>(status.st_size);
}

void FileHandle::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t count = std::min(bytes.size(), kMaxTransfer);
    const ssize_t written = retry_on_eintr([&] { return ::write(fd_, bytes.data(), count); });
    if (written < 0) throw_io("write to", path_, errno);
    // a full device may accept 0 bytes without an error; that must not loop for ever
    if (written == 0) throw_io("write to", path_, ENOSPC);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

void FileHandle::read_at(std::uint64_t offset, std::span<std::byte> bytes) const {
  while (!bytes.empty()) {
    const std::size_t count = std::min(bytes.size(), kMaxTransfer);
    const ssize_t got = retry_on_eintr(
        [&] { return ::pread(fd_, bytes.data(), count, static_cast<off_t>(offset)); });
    if (got < 0) throw_io("read", path_, errno);
    if (got == 0) throw BadInput(path_.string() + " ends at byte " + std::to_string(offset));
    offset += static_cast<std::uint64_t>(got);
    bytes = bytes.subspan(static_cast<std::size_t>(got));
  }
}

void FileHandle::truncate(std::uint64_t size) {
  if (retry_on_eintr([&] { return ::ftruncate(fd_, static_cast<off_t>(size)); }) != 0) {
    throw_io("truncate", path_, errno);
  }
}

void FileHandle::sync() {
  if (retry_on_eintr([&] { return ::fsync(fd_); }) != 0) throw_io("sync", path_, errno);
}

void FileHandle::close() {
  if (fd_ < 0) return;
  // Linux frees the descriptor also on EINTR: no second call; the data was synced before.
  if (::close(std::exchange(fd_, -1)) != 0 && errno != EINTR) throw_io("close", path_, errno);
}

ForwardReader::ForwardReader(const fs::path& path)
    // O_NONBLOCK: a FIFO under this name must not hang the program
    : file_(path, O_RDONLY | O_NONBLOCK), size_(file_.size()) {}

std::string_view ForwardReader::peek(std::size_t count) {
  const std::size_t have = buffer_.size() - begin_;
  if (have < count && read_ < size_) {
    buffer_.erase(0, std::exchange(begin_, 0));
    const std::uint64_t wanted = std::max(count - have, kBufferSize);
    buffer_.resize(have + static_cast<std::size_t>(std::min(wanted, size_ - read_)));
    const std::span<char> more = std::span(buffer_).subspan(have);
    file_.read_at(read_, std::as_writable_bytes(more));
    read_ += more.size();
  }
  return std::string_view(buffer_).substr(begin_);
}

fs::path resolve_links(fs::path path) {
  for (int count = 0;; ++count) {
    std::error_code error;
    const fs::file_status status = fs::symlink_status(path, error);
    if (!fs::is_symlink(status)) return path;
    if (count == kMaxLinks) throw_io("follow the links of", path, ELOOP);
    const fs::path target = fs::read_symlink(path, error);
    if (error) throw_io("read the link", path, error.value());
    path = parent_of(path) / target;  // an absolute target stands for itself
  }
}

DurableFile::DurableFile(const fs::path& path) : path_(resolve_links(path)) {
  if (is_written_through(path, path_)) {
    file_ = FileHandle(path, O_WRONLY | O_TRUNC);
    return;
  }
  const std::string prefix = path_.filename().string() + ".tmp.";
  remove_stale(parent_of(path_), prefix);
  temporary_ = parent_of(path_) / own_name(prefix);
  file_ = FileHandle(temporary_, O_WRONLY | O_CREAT | O_EXCL);
}

DurableFile::~DurableFile() {
  if (!committed_ && !temporary_.empty()) ::unlink(temporary_.c_str());
}

void DurableFile::write(std::string_view bytes) {
  if (buffer_.size() + bytes.size() > kBufferSize) flush();
  size_ += bytes.size();
  if (bytes.size() >= kBufferSize) return file_.write(bytes);
  buffer_.append(bytes);
}

void DurableFile::write(std::span<const std::byte> bytes) {
  write(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

void DurableFile::flush() {
  file_.write(buffer_);
  buffer_.clear();
}

void DurableFile::commit() {
  flush();
  if (temporary_.empty()) {
    committed_ = true;
    return file_.close();
  }
  file_.sync();
  file_.close();
  rename_path(temporary_, path_);
  committed_ = true;
  sync_folder(parent_of(path_));
}

void write_file_durably(const fs::path& path, std::string_view content) {
  DurableFile file(path);
  file.write(content);
  file.commit();
}

DurableFolder::DurableFolder(fs::path path) : path_(std::move(path)) {
  if (!path_.has_filename()) path_ = path_.parent_path();  // "a/b/" means "a/b"
  const fs::path parent = parent_of(path_);
  create_folders(parent);
  remove_stale(parent, kTemporaryPrefix);
  remove_stale(parent, kRemovedPrefix);
  temporary_ = parent / own_name(kTemporaryPrefix);
  if (::mkdir(temporary_.c_str(), 0755) != 0) throw_io("make the folder", temporary_, errno);
}

DurableFolder::~DurableFolder() {
  std::error_code ignored;
  if (!committed_) fs::remove_all(temporary_, ignored);
}

void DurableFolder::add_file(const std::string& name, std::string_view content) {
  FileHandle file(temporary_ / name, O_WRONLY | O_CREAT | O_EXCL);
  file.write(content);
  file.sync();
  file.close();
}

void DurableFolder::commit() {
  const fs::path parent = parent_of(path_);
  fs::path replaced = path_;
  replaced += kReplacedSuffix;
  sync_folder(temporary_);
  if (!is_there(path_)) {
    rename_path(temporary_, path_);
    committed_ = true;
    sync_folder(parent);
  } else if (::renameat2(AT_FDCWD, temporary_.c_str(), AT_FDCWD, path_.c_str(), RENAME_EXCHANGE) ==
             0) {
    committed_ = true;  // from here on `temporary_` is the old folder
    sync_folder(parent);
    std::error_code ignored;
    fs::remove_all(temporary_, ignored);
  } else if (errno == EINVAL || errno == ENOSYS) {
    replace_in_two_steps(temporary_, path_, replaced);
    committed_ = true;
    sync_folder(parent);
  } else {
    throw_io("replace", path_, errno);
  }
  // also left by a process that was killed between its two renames
  if (is_there(replaced)) remove_folder(replaced);
}

void replace_symlink(const fs::path& link, const fs::path& target) {
  const std::string prefix = link.filename().string() + ".tmp.";
  const fs::path temporary = parent_of(link) / own_name(prefix);
  remove_stale(parent_of(link), prefix);
  if (::symlink(target.c_str(), temporary.c_str()) != 0) {
    if (errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS) return;
    throw_io("make the link", temporary, errno);
  }
  if (std::rename(temporary.c_str(), link.c_str()) != 0) {
    const int error = errno;
    ::unlink(temporary.c_str());
    throw_io("replace the link", link, error);
  }
}

void create_folders(const fs::path& folder) {
  struct stat status {};
  if (::stat(folder.c_str(), &status) == 0) {
    if (S_ISDIR(status.st_mode)) return;
    throw IoError("cannot make the folder " + folder.string() + ": " + error_text(ENOTDIR));
  }
  if (errno != ENOENT) throw_io("make the folder", folder, errno);
  const fs::path parent = parent_of(folder);
  if (parent != folder) create_folders(parent);
  if (::mkdir(folder.c_str(), 0755) != 0 && errno != EEXIST) {
    throw_io("make the folder", folder, errno);
  }
  sync_folder(parent);
}

void sync_folder(const fs::path& folder) {
  const int fd =
      retry_on_eintr([&] { return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (fd < 0) throw_io("open the folder", folder, errno);
  const int error = retry_on_eintr([&] { return ::fsync(fd); }) == 0 ? 0 : errno;
  ::close(fd);
  // file systems without a folder fsync say EINVAL
  if (error != 0 && error != EINVAL) throw_io("sync the folder", folder, error);
}

void remove_folder(const fs::path& folder) {
  if (!is_there(folder)) return;
  const fs::path parent = parent_of(folder);
  const fs::path temporary = parent / own_name(kRemovedPrefix);
  std::error_code error;
  fs::remove_all(temporary, error);
  rename_path(folder, temporary);
  fs::remove_all(temporary, error);
  if (error) throw_io("remove", folder, error.value());
}

std::string read_file(const fs::path& path, std::uint64_t max_size) {
  // O_NONBLOCK: a FIFO under this name must not hang the program
  const FileHandle file(path, O_RDONLY | O_NONBLOCK);
  const std::uint64_t size = file.size();
  if (size > max_size) {
    throw BadInput(path.string() + " has " + std::to_string(size) + " bytes; at most " +
                   std::to_string(max_size) + " are allowed");
  }
  std::string content(size, '\0');
  file.read_at(0, std::as_writable_bytes(std::span(content)));
  return content;
}

}  // namespace lockstep
