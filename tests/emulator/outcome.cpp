#include "tests/emulator/outcome.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

// A child that a sanitizer stops need not name functions: that takes longer than all the rest.
extern "C" const char* __asan_default_options() { return "symbolize=0"; }
extern "C" const char* __ubsan_default_options() { return "symbolize=0"; }
extern "C" const char* __tsan_default_options() { return "halt_on_error=1:symbolize=0"; }

namespace cuemu_test {
namespace {

constexpr int kWrongStatus = 10;
constexpr int kRefusedStatus = 11;
constexpr int kFailedStatus = 12;  // an EXPECT of the body: not one of the letters
constexpr int kEmulatorStatus = 86;
constexpr unsigned kSecondsToLive = 30;

[[noreturn]] void be_child(const Setup& setup, Body body) {
  ::alarm(kSecondsToLive);
  ::setenv("LS_EMULATOR_ORDER", setup.order, 1);
  ::setenv("LS_EMULATOR_SEED", std::to_string(setup.seed).c_str(), 1);
  ::setenv("LS_EMULATOR_RESIDENT", std::to_string(setup.resident).c_str(), 1);
  ::setenv("LS_EMULATOR_STRICT", setup.strict ? "1" : "0", 1);
  ::setenv("LS_EMULATOR_POISON", setup.poison ? "1" : "0", 1);
  const Finding finding = body();
  std::fflush(stdout);
  if (testing::Test::HasFailure()) std::_Exit(kFailedStatus);
  switch (finding) {
    case Finding::kRight:
      std::_Exit(0);
    case Finding::kWrongResult:
      std::_Exit(kWrongStatus);
    default:
      std::_Exit(kRefusedStatus);
  }
}

bool says(const std::string& text, const char* words) {
  return text.find(words) != std::string::npos;
}

char letter_of(int status, const std::string& text) {
  if (says(text, "AddressSanitizer:")) return kAddress;
  if (says(text, "runtime error:")) return kUndefined;
  if (says(text, "ThreadSanitizer: data race")) return kRace;
  if (says(text, "ThreadSanitizer: SEGV") || WIFSIGNALED(status)) return kCrash;
  switch (WEXITSTATUS(status)) {
    case 0:
      return kClean;
    case kWrongStatus:
      return kWrong;
    case kRefusedStatus:
      return kRefused;
    case kEmulatorStatus:
      return kStopped;
    default:
      return '?';
  }
}

}  // namespace

Outcome run_child(const Setup& setup, Body body) {
  int ends[2];
  if (::pipe(ends) != 0) std::abort();
  std::fflush(nullptr);  // or the child would print it again
  const pid_t child = ::fork();
  if (child < 0) std::abort();
  if (child == 0) {
    ::dup2(ends[1], STDOUT_FILENO);
    ::dup2(ends[1], STDERR_FILENO);
    ::close(ends[0]);
    ::close(ends[1]);
    be_child(setup, body);
  }
  ::close(ends[1]);
  Outcome outcome;
  char buffer[4096];
  for (ssize_t got = 0; (got = ::read(ends[0], buffer, sizeof buffer)) > 0;) {
    outcome.text.append(buffer, static_cast<std::size_t>(got));
  }
  ::close(ends[0]);
  int status = 0;
  ::waitpid(child, &status, 0);
  outcome.letter = letter_of(status, outcome.text);
  return outcome;
}

char run_seeds(Setup setup, int seeds, Body body) {
  std::string letters;
  for (setup.seed = 1; setup.seed <= seeds; ++setup.seed) {
    letters += run_child(setup, body).letter;
  }
  if (letters.find_first_not_of(letters[0]) == std::string::npos) return letters[0];
  return letters.find_first_not_of(".W") == std::string::npos ? kSometimes : '?';
}

}  // namespace cuemu_test
