// What a call throws, here or in a child that is held to less than this process.
#pragma once

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <string>

#include "host/errors.h"

namespace lockstep::test {

// "<exit code> <message>" of what the call throws; empty if it does not.
inline std::string failure(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return std::to_string(static_cast<int>(error.exit_code())) + " " + error.what();
  }
  return "";
}

// What `call` throws in a child without root's rights and with a limit on the size of files.
inline std::string failure_in_child(const std::function<void()>& call, rlim_t file_limit) {
  int ends[2];
  if (::pipe(ends) != 0) return "no pipe";
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{file_limit, file_limit};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) ::_exit(100);
    if (::getuid() == 0 && ::setuid(65534) != 0) ::_exit(101);
    const std::string text = failure(call);
    ::_exit(::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0
                                                                                            : 102);
  }
  ::close(ends[1]);
  std::string text;
  char buffer[256];
  for (ssize_t n; (n = ::read(ends[0], buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<std::size_t>(n));
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? text : "the child failed";
}

}  // namespace lockstep::test
