// SIGINT and SIGTERM: the first asks for an orderly end, a second one ends at once.
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

/// 130 for SIGINT, 143 for SIGTERM.
int signal_exit_code(int signal);

}  // namespace lockstep::cli
