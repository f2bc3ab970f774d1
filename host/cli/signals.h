// Signals that ask for an orderly end: INT, TERM, HUP, USR1, USR2, XCPU, PIPE. A second INT or TERM
// ends at once. What the program inherits as ignored stays so (nohup, background jobs).
#pragma once

#include <csignal>

namespace lockstep::cli {

/// Installs the handlers. Returns the flag that the first signal's number goes to.
const volatile std::sig_atomic_t* catch_stop_signals();

/// What a second signal does before it ends the process; null: nothing. `act` runs in a signal
/// handler: system calls only.
void set_last_act(void (*act)());

/// The signal caught so far, or 0.
int caught_signal();

/// 128 + signal, as shells have it.
int signal_exit_code(int signal);

}  // namespace lockstep::cli
