// Errors of the library and the exit codes they become in the command line tool.
// kernels/ returns, host/ throws, host/cli/ turns the exception into an exit code: nothing else
// decides how a failure ends. Messages are one line: what, where, allowed range.
#pragma once

#include <stdexcept>
#include <string>

namespace lockstep {

/// Process exit codes; the table in docs/exit-codes.md is the same.
enum class ExitCode : int {
  kOk = 0,
  kRunFailure = 1,
  kUsage = 2,
  kDeviceUnavailable = 3,
  kBadInput = 4,
  kRegression = 5,
  kIo = 6,
  kNumeric = 7,
  kPeerLost = 8,
  kOutOfMemory = 9,
  kDeviceLost = 10,
  kInterrupted = 130,
  kTerminated = 143,
};

/// Base of everything the library throws on purpose.
class Error : public std::runtime_error {
 public:
  Error(ExitCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
  ExitCode exit_code() const noexcept { return code_; }

 private:
  ExitCode code_;
};

/// One exception type per exit code, so that callers can catch what they can handle.
template <ExitCode kCode>
class ErrorOf : public Error {
 public:
  explicit ErrorOf(const std::string& message) : Error(kCode, message) {}
};

using RunFailure = ErrorOf<ExitCode::kRunFailure>;
using InvalidArgument = ErrorOf<ExitCode::kUsage>;
using DeviceUnavailable = ErrorOf<ExitCode::kDeviceUnavailable>;
using BadInput = ErrorOf<ExitCode::kBadInput>;
using IoError = ErrorOf<ExitCode::kIo>;
using NumericError = ErrorOf<ExitCode::kNumeric>;
using OutOfMemory = ErrorOf<ExitCode::kOutOfMemory>;
using DeviceLost = ErrorOf<ExitCode::kDeviceLost>;

/// Throws InvalidArgument unless `condition`; `message` states the offending value and the range.
inline void require(bool condition, const std::string& message) {
  if (!condition) throw InvalidArgument(message);
}

}  // namespace lockstep
