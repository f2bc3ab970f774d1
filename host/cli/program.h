// Runs the command that a command line names and turns what it throws into the exit code.
#pragma once

namespace lockstep::cli {

/// The whole program. Results go to stdout, everything else to stderr; an error is one line
/// "lockstep: error: ..." there. Returns the exit code, see host/errors.h.
int run_program(int argc, const char* const* argv);

}  // namespace lockstep::cli
