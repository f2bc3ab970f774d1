// See signals.h.
#include "host/cli/signals.h"

#include <unistd.h>

namespace lockstep::cli {
namespace {

volatile std::sig_atomic_t stop_signal = 0;

void on_signal(int signal) {
  if (stop_signal != 0) _exit(128 + signal);
  stop_signal = signal;
}

}  // namespace

const volatile std::sig_atomic_t* catch_stop_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;  // files are being written; nobody waits for input
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  return &stop_signal;
}

int caught_signal() { return stop_signal; }

int signal_exit_code(int signal) { return 128 + signal; }

}  // namespace lockstep::cli
