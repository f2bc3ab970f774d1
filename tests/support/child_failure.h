// What a call throws or returns, here or in a child that is held to less than this process.
#pragma once

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <string>

#include "host/errors.h"

namespace lockstep::test {

constexpr uid_t kNobody = 65534;

// "<exit code> <message>" of what the call throws; empty if it does not.
inline std::string failure(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return std::to_string(static_cast<int>(error.exit_code())) + " " + error.what();
  }
  return "";
}

// What `body` returns in a child process.
inline int in_child(const std::function<int()>& body) {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(body());
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// Why root cannot become another user here, as in a container of one user; empty if it can, or is
// not root. A test that needs in_limited_child() is skipped for it.
inline std::string no_other_user() {
  if (::getuid() != 0) return "";
  const int error = in_child([] { return ::setuid(kNobody) == 0 ? 0 : errno; });
  return error == 0 ? "" : std::string("setuid(65534): ") + std::strerror(error);
}

// What `body` returns in a child without root's rights that may write files up to `limit` bytes.
// The signal for a file over the limit is ignored, so write() fails.
inline int in_limited_child(rlim_t limit, const std::function<int()>& body) {
  return in_child([&] {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit bytes{limit, limit};
    if (::setrlimit(RLIMIT_FSIZE, &bytes) != 0) return 100;
    if (::getuid() == 0 && ::setuid(kNobody) != 0) return 101;
    return body();
  });
}

// What `call` throws in such a child.
inline std::string failure_in_child(const std::function<void()>& call, rlim_t file_limit) {
  int ends[2];
  if (::pipe(ends) != 0) return "no pipe";
  const int code = in_limited_child(file_limit, [&] {
    const std::string text = failure(call);
    return ::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0
                                                                                           : 102;
  });
  ::close(ends[1]);
  std::string text;
  char buffer[256];
  for (ssize_t n; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(n));
  }
  ::close(ends[0]);
  return code == 0 ? text : "the child failed";
}

}  // namespace lockstep::test
