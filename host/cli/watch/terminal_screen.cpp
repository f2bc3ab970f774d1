// See terminal_screen.h.
#include "host/cli/watch/terminal_screen.h"

#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <system_error>

#include "host/cli/signals.h"
#include "host/errors.h"

namespace lockstep::cli {
namespace {

// xterm's private modes: 1049 the alternate screen, 25 the cursor
constexpr std::string_view kEnter = "\x1b[?1049h\x1b[?25l\x1b[2J";
constexpr std::string_view kLeave = "\x1b[0m\x1b[?25h\x1b[?1049l";

termios found_keys;  // as the constructor found them
volatile bool keys_changed = false;

void write_all(std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
    if (written >= 0) {
      text.remove_prefix(static_cast<std::size_t>(written));
    } else if (errno != EINTR) {
      throw IoError("cannot write to the terminal: " + std::generic_category().message(errno));
    }
  }
}

/// Runs in a signal handler too: system calls only, and none is repeated.
void restore() {
  [[maybe_unused]] const ssize_t ignored = ::write(STDOUT_FILENO, kLeave.data(), kLeave.size());
  if (keys_changed) tcsetattr(STDIN_FILENO, TCSANOW, &found_keys);
}

/// Keys come one by one, unseen; Ctrl-C still interrupts, Ctrl-Z does nothing.
bool take_keys() {
  if (tcgetattr(STDIN_FILENO, &found_keys) != 0) return false;
  termios quiet = found_keys;
  quiet.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  quiet.c_cc[VMIN] = 0;  // read() returns at once
  quiet.c_cc[VTIME] = 0;
  quiet.c_cc[VSUSP] = _POSIX_VDISABLE;
  keys_changed = tcsetattr(STDIN_FILENO, TCSANOW, &quiet) == 0;
  return keys_changed;
}

}  // namespace

void TerminalScreen::require_terminal() {
  const char* const kind = std::getenv("TERM");  // NOLINT(concurrency-mt-unsafe): nobody sets it
  require(isatty(STDOUT_FILENO) == 1,
          "standard output is not a terminal; `lockstep render` writes a film");
  require(kind == nullptr || std::string_view(kind) != "dumb",
          "TERM is dumb: this terminal cannot show pictures; `lockstep render` writes a film");
}

TerminalScreen::TerminalScreen() {
  require_terminal();
  set_last_act(restore);
  has_keys_ = take_keys();
  write_all(kEnter);
}

TerminalScreen::~TerminalScreen() {
  restore();
  set_last_act(nullptr);
  keys_changed = false;
}

TerminalSize TerminalScreen::size() const {
  winsize window{};
  const bool known = ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_row > 0;
  return known ? TerminalSize{window.ws_row, window.ws_col} : TerminalSize{24, 80};
}

void TerminalScreen::write(std::string_view text) { write_all(text); }

char TerminalScreen::key() {
  char key = 0;
  return has_keys_ && ::read(STDIN_FILENO, &key, 1) == 1 ? key : '\0';
}

}  // namespace lockstep::cli
