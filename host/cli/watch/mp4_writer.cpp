// MP4 films by an ffmpeg process; see film.h. It reads pictures from a socket (whose other end
// gives an error instead of SIGPIPE when it dies) and writes into memory, so that whatever happens
// leaves no file behind.
#include <fcntl.h>
#include <fmt/format.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include "host/cli/watch/film.h"
#include "host/errors.h"
#include "host/files/durable_file.h"

extern char** environ;

namespace lockstep::cli {
namespace {

[[noreturn]] void throw_ffmpeg_failed(const char* what, int error) {
  throw RunFailure(fmt::format("--mp4: {}: {}", what, std::generic_category().message(error)));
}

/// A file descriptor that closes itself and that no child inherits unasked.
class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {
    if (fd < 0) throw_ffmpeg_failed("cannot talk to ffmpeg", errno);
  }
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  void close() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
  }

 private:
  int fd_;
};

class SpawnActions {
 public:
  SpawnActions() {
    posix_spawn_file_actions_init(&actions_);
    posix_spawnattr_init(&attributes_);
    // a group of its own: Ctrl-C is for us, who then ends it
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETPGROUP);
  }
  ~SpawnActions() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;
  void give(const Descriptor& from, int as) {
    posix_spawn_file_actions_adddup2(&actions_, from.get(), as);
  }
  /// Errors: that of posix_spawnp(), 0 if there is none.
  int spawn(std::vector<std::string>& words, pid_t& pid) {
    posix_spawn_file_actions_addopen(&actions_, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    std::vector<char*> argv;
    argv.reserve(words.size() + 1);
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    return posix_spawnp(&pid, argv[0], &actions_, &attributes_, argv.data(), environ);
  }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

std::string content(const Descriptor& file) {
  std::string bytes;
  char part[1 << 16];
  ssize_t size = 0;
  while ((size = ::pread(file.get(), part, sizeof part, static_cast<off_t>(bytes.size()))) > 0) {
    bytes.append(part, static_cast<std::size_t>(size));
  }
  return bytes;
}

class Mp4Writer final : public FilmWriter {
 public:
  Mp4Writer(const std::filesystem::path& path, const FilmShape& shape)
      : shape_(shape),
        file_(path),
        film_(memfd_create("film", MFD_CLOEXEC)),
        messages_(memfd_create("messages", MFD_CLOEXEC)),
        pictures_(connect()) {}
  ~Mp4Writer() override {
    if (pid_ <= 0) return;
    kill(pid_, SIGKILL);
    wait();
  }

  void add(const Picture& picture) override {
    require_shape(picture, shape_);
    const std::uint8_t* at = picture.rgb.data();
    const std::uint8_t* const end = at + picture.rgb.size();
    while (at < end) {
      const ssize_t sent =
          ::send(pictures_.get(), at, static_cast<std::size_t>(end - at), MSG_NOSIGNAL);
      if (sent >= 0) {
        at += sent;
      } else if (errno != EINTR) {
        finish_process();  // it has ended, and its message says more than ours
        throw_ffmpeg_failed("ffmpeg takes no more pictures", errno);
      }
    }
  }

  void finish() override {
    finish_process();
    file_.write(content(film_));
    file_.commit();
  }

 private:
  /// Starts ffmpeg; returns our end of the socket.
  int connect() {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
      throw_ffmpeg_failed("socketpair", errno);
    const Descriptor theirs(ends[1]);
    constexpr int kFilm = 3;
    std::vector<std::string> words = {
        "ffmpeg",
        "-loglevel",
        "error",
        "-y",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-s",
        fmt::format("{}x{}", shape_.width, shape_.height),
        "-r",
        fmt::format("{}", shape_.frames_per_second),
        "-i",
        "pipe:0",
        "-vf",
        "pad=ceil(iw/2)*2:ceil(ih/2)*2",  // H.264 stores colours for squares of four pixels
        "-c:v",
        "libx264",
        "-crf",
        "18",
        "-pix_fmt",
        "yuv420p",
        "-movflags",
        "+faststart",
        "-f",
        "mp4",
        fmt::format("/proc/self/fd/{}", kFilm)};
    SpawnActions actions;
    actions.give(theirs, STDIN_FILENO);
    actions.give(messages_, STDERR_FILENO);
    actions.give(film_, kFilm);
    const int error = actions.spawn(words, pid_);
    if (error == 0) return ends[0];
    pid_ = -1;
    ::close(ends[0]);
    if (error != ENOENT) throw_ffmpeg_failed("cannot start ffmpeg", error);
    throw DeviceUnavailable("--mp4 needs ffmpeg (Debian: ffmpeg), and there is none in PATH");
  }

  int wait() {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
    return status;
  }

  /// Errors: RunFailure with the last line ffmpeg wrote.
  void finish_process() {
    pictures_.close();
    const int status = wait();
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return;
    std::string said = content(messages_);
    while (!said.empty() && said.back() == '\n') said.pop_back();
    said.erase(0, said.rfind('\n') + 1);
    throw RunFailure("--mp4: ffmpeg failed" + (said.empty() ? said : ": " + said));
  }

  FilmShape shape_;
  DurableFile file_;
  Descriptor film_, messages_;
  pid_t pid_ = -1;
  Descriptor pictures_;
};

}  // namespace

std::unique_ptr<FilmWriter> mp4_writer(const std::filesystem::path& path, const FilmShape& shape) {
  return std::make_unique<Mp4Writer>(path, shape);
}

}  // namespace lockstep::cli
