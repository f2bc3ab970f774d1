// Runs the real program on a terminal of its own. Test code only.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include <utmp.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

namespace lockstep::test {

class PseudoTerminal {
 public:
  /// Starts the program in `folder` with a window of this size, by the environment's TERM=`kind`.
  PseudoTerminal(const std::filesystem::path& program, std::vector<std::string> arguments,
                 const std::filesystem::path& folder, int rows, int columns,
                 const char* kind = "xterm-256color") {
    winsize window{};
    window.ws_row = static_cast<unsigned short>(rows);
    window.ws_col = static_cast<unsigned short>(columns);
    std::vector<std::string> words = {program.string()};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);
    if (openpty(&fd_, &theirs_, nullptr, nullptr, &window) != 0) ADD_FAILURE() << "no pty";
    tcgetattr(theirs_, &before_);
    pid_ = fork();
    if (pid_ != 0) return;
    login_tty(theirs_);
    setenv("TERM", kind, 1);
    setenv("LS_PLUGIN_DIR", "/nonexistent", 1);
    if (chdir(folder.c_str()) == 0) execv(argv[0], argv.data());
    _exit(127);
  }
  ~PseudoTerminal() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    close(fd_);
    close(theirs_);
  }
  PseudoTerminal(const PseudoTerminal&) = delete;
  PseudoTerminal& operator=(const PseudoTerminal&) = delete;

  /// Reads until `text` has been written, at most a minute. False if the program ended before.
  bool read_until(const std::string& text) {
    while (output_.find(text) == std::string::npos) {
      if (!read_some()) return false;
    }
    return true;
  }
  /// Reads to the end; returns the exit code, or 128 + signal.
  int wait() {
    while (read_some()) {
    }
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
  }
  void press(const std::string& keys) {
    EXPECT_EQ(write(fd_, keys.data(), keys.size()), static_cast<ssize_t>(keys.size()));
  }
  void send(int signal) { kill(pid_, signal); }
  void resize(int rows, int columns) {
    winsize window{};
    window.ws_row = static_cast<unsigned short>(rows);
    window.ws_col = static_cast<unsigned short>(columns);
    ioctl(fd_, TIOCSWINSZ, &window);
  }
  /// Whether keys are read as before the program ran.
  bool keys_as_before() const {
    termios now{};
    tcgetattr(theirs_, &now);
    return now.c_lflag == before_.c_lflag && now.c_cc[VSUSP] == before_.c_cc[VSUSP] &&
           now.c_cc[VMIN] == before_.c_cc[VMIN];
  }
  const std::string& output() const { return output_; }

 private:
  /// False when the program has ended and everything is read.
  bool read_some() {
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (std::chrono::steady_clock::now() < end) {
      pollfd ready{fd_, POLLIN, 0};
      if (poll(&ready, 1, 20) > 0 && (ready.revents & POLLIN) != 0) {
        char part[4096];
        const ssize_t size = read(fd_, part, sizeof part);
        if (size <= 0) return false;
        output_.append(part, static_cast<std::size_t>(size));
        return true;
      }
      siginfo_t info{};
      if (waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) != 0 ||
          info.si_pid == pid_) {
        ready = {fd_, POLLIN, 0};
        if (poll(&ready, 1, 0) <= 0 || (ready.revents & POLLIN) == 0) return false;
      }
    }
    ADD_FAILURE() << "the program says nothing more";
    kill(pid_, SIGKILL);
    return false;
  }

  int fd_ = -1, theirs_ = -1;  // theirs stays open, so that nothing written is lost
  termios before_{};
  pid_t pid_ = -1;
  std::string output_;
};

}  // namespace lockstep::test
