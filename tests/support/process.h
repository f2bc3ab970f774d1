// Runs the real program in a folder of its own and tells exit code, stdout and stderr. Test code
// only. The environment is the test's own without LS_* variables, except LS_ISA, and without CUDA:
// a test that wants a plug-in sets LS_PLUGIN_DIR to its folder.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/support/scratch_folder.h"

extern char** environ;

namespace lockstep::test {

struct ProcessOptions {
  std::vector<std::string> environment{};  // "NAME=value"
  std::string output{};                    // stdout goes to this file instead
  rlim_t max_file_size = RLIM_INFINITY;    // bytes; a write beyond it is SIGXFSZ or EFBIG
  std::vector<int> ignored{};              // signals the program inherits as ignored; else none
};

struct ProcessResult {
  int code = -1;  // exit code, or 128 + signal
  std::string out, err;
};

/// A running program. Its working folder is `folder`; stdout and stderr are files in `logs`.
class Process {
 public:
  Process(const std::filesystem::path& program, std::vector<std::string> arguments,
          const std::filesystem::path& folder, const ProcessOptions& options = {}) {
    out_ = options.output.empty() ? (logs_ / "out").string() : options.output;
    std::vector<std::string> words = {program.string()};
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<std::string> environment = options.environment;
    environment.emplace_back("LS_PLUGIN_DIR=/nonexistent");  // the first of two counts
    for (char** entry = environ; *entry != nullptr; ++entry) {
      const std::string_view text = *entry;
      if (!text.starts_with("LS_") || text.starts_with("LS_ISA=")) environment.emplace_back(text);
    }
    const std::vector<char*> argv = pointers(words), envp = pointers(environment);
    const std::string err = (logs_ / "err").string();
    pid_ = fork();
    if (pid_ != 0) return;
    // the child: nothing but system calls
    const int out_file = open(out_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    const int err_file = open(err.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    const rlimit limit = {options.max_file_size, options.max_file_size};
    for (int number = 1; number < NSIG; ++number) signal(number, SIG_DFL);
    for (const int number : options.ignored) signal(number, SIG_IGN);
    const bool ready = dup2(out_file, STDOUT_FILENO) >= 0 && dup2(err_file, STDERR_FILENO) >= 0 &&
                       chdir(folder.c_str()) == 0 && setrlimit(RLIMIT_FSIZE, &limit) == 0;
    if (ready) execve(argv[0], argv.data(), envp.data());
    _exit(127);
  }
  ~Process() {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
  }
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  void send(int signal) { kill(pid_, signal); }
  std::string err() const { return slurp(logs_ / "err"); }

  /// Waits until `condition` holds. False if the program ended or three minutes passed before.
  template <typename Condition>
  bool wait_until(Condition&& condition) {
    for (const auto end = deadline(); std::chrono::steady_clock::now() < end; pause()) {
      if (condition()) return true;
      siginfo_t info{};
      const bool ended =
          waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
          info.si_pid == pid_;
      if (ended) return condition();
    }
    return false;
  }

  /// Waits for the end. After three minutes the program is killed and the test fails.
  ProcessResult wait() {
    const bool ended = wait_until([&] {
      siginfo_t info{};
      return waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
             info.si_pid == pid_;
    });
    EXPECT_TRUE(ended) << "the program does not end";
    if (!ended) kill(pid_, SIGKILL);
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = -1;
    ProcessResult result;
    result.code = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
    if (out_ == (logs_ / "out").string()) result.out = slurp(out_);
    result.err = err();
    return result;
  }

 private:
  static std::vector<char*> pointers(std::vector<std::string>& words) {
    std::vector<char*> result;
    for (std::string& word : words) result.push_back(word.data());
    result.push_back(nullptr);
    return result;
  }
  static std::chrono::steady_clock::time_point deadline() {
    return std::chrono::steady_clock::now() + std::chrono::minutes(3);
  }
  static void pause() { std::this_thread::sleep_for(std::chrono::milliseconds(1)); }

  ScratchFolder logs_;
  std::string out_;
  pid_t pid_ = -1;
};

}  // namespace lockstep::test
