// The terminal while something plays on it: a screen of its own without a cursor, which is left as
// it was found, whatever ends the program short of SIGKILL.
#pragma once

#include <string_view>

#include "host/cli/watch/terminal_picture.h"

namespace lockstep::cli {

/// Standard output as a screen; one at a time. Needs catch_stop_signals() to have been called, so
/// that a first signal ends the caller's loop and a second one finds the terminal restored.
class TerminalScreen {
 public:
  /// Errors: InvalidArgument unless standard output is a terminal that can place its cursor.
  static void require_terminal();

  /// Errors: as require_terminal(); IoError.
  TerminalScreen();
  ~TerminalScreen();
  TerminalScreen(const TerminalScreen&) = delete;
  TerminalScreen& operator=(const TerminalScreen&) = delete;

  /// Rows and columns; 24 x 80 where the terminal does not know.
  TerminalSize size() const;
  /// Errors: IoError.
  void write(std::string_view text);
  /// A key that was pressed and not yet asked for, or 0. Keys are not shown.
  char key();

 private:
  bool has_keys_ = false;  // standard input is a terminal too
};

}  // namespace lockstep::cli
