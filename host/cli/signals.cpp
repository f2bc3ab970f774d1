// See signals.h.
#include "host/cli/signals.h"

#include <unistd.h>

#include <atomic>

namespace lockstep::cli {
namespace {

volatile std::sig_atomic_t stop_signal = 0;
volatile std::sig_atomic_t asked = false;  // by somebody: INT or TERM
std::atomic<void (*)()> last_act = nullptr;
static_assert(decltype(last_act)::is_always_lock_free);  // so that a handler may read it

constexpr int kStopSignals[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGXCPU, SIGPIPE};

void on_signal(int signal) {
  if (stop_signal == 0) stop_signal = signal;
  // The others repeat themselves, and nobody is in a hurry: HUP comes from the terminal and from
  // the shell, XCPU every second, PIPE at every write.
  if (signal != SIGINT && signal != SIGTERM) return;
  if (!asked) {
    asked = true;
    return;
  }
  if (void (*const act)() = last_act.load(); act != nullptr) act();
  _exit(128 + signal);
}

}  // namespace

const volatile std::sig_atomic_t* catch_stop_signals() {
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;  // files are being written; nobody waits for input
  for (const int signal : kStopSignals) {
    struct sigaction inherited {};
    sigaction(signal, nullptr, &inherited);
    if (inherited.sa_handler != SIG_IGN) sigaction(signal, &action, nullptr);
  }
  return &stop_signal;
}

void set_last_act(void (*act)()) { last_act.store(act); }

int caught_signal() { return stop_signal; }

int signal_exit_code(int signal) { return 128 + signal; }

}  // namespace lockstep::cli
