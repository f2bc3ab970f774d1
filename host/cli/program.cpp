// The one place where exceptions become exit codes; see program.h.
#include "host/cli/program.h"

#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <system_error>

#include "host/cli/output.h"
#include "host/cli/parser.h"
#include "host/cli/signals.h"
#include "host/errors.h"

namespace lockstep::cli {
namespace {

int fail(ExitCode code, const std::string& message) {
  print_error(message);
  return static_cast<int>(code);
}

/// Exit code for the exception being handled, after its message.
int report_exception() {
  try {
    throw;
  } catch (const Error& error) {
    return fail(error.exit_code(), error.what());
  } catch (const std::bad_alloc&) {
    return fail(ExitCode::kOutOfMemory, "out of memory");
  } catch (const std::system_error& error) {  // std::filesystem's and streams' too
    return fail(ExitCode::kIo, error.what());
  } catch (const std::exception& error) {
    return fail(ExitCode::kRunFailure, error.what());
  } catch (...) {
    return fail(ExitCode::kRunFailure, "unknown failure");
  }
}

int run(int argc, const char* const* argv) {
  const ParsedLine line = parse_command_line(argc, argv);
  if (line.command != nullptr) return line.command->run(*line.arguments);
  print(line.text);
  return static_cast<int>(ExitCode::kOk);
}

}  // namespace

int run_program(int argc, const char* const* argv) {
  std::signal(SIGXFSZ, SIG_IGN);  // a file over the limit (ulimit -f) is an I/O error like others
  int code = 0;
  try {
    code = run(argc, argv);
    flush_output();
    if (code == 0 && caught_signal() == SIGPIPE) code = signal_exit_code(SIGPIPE);
  } catch (...) {
    std::fflush(stdout);  // results printed before the failure still count
    code = report_exception();
  }
  return code;
}

}  // namespace lockstep::cli
