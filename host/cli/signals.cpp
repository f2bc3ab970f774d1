// See signals.h.
#include "host/cli/signals.h"

#include <unistd.h>

#include <atomic>

namespace lockstep::cli {
namespace {

volatile std::sig_atomic_t stop_signal = 0;
std::atomic<void (*)()> last_act = nullptr;
static_assert(decltype(last_act)::is_always_lock_free);  // so that a handler may read it

void on_signal(int signal) {
  if (stop_signal != 0) {
    if (void (*const act)() = last_act.load(); act != nullptr) act();
    _exit(128 + signal);
  }
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

void set_last_act(void (*act)()) { last_act.store(act); }

int caught_signal() { return stop_signal; }

int signal_exit_code(int signal) { return 128 + signal; }

}  // namespace lockstep::cli
