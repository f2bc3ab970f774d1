// Takes the command line apart. The only place that knows CLI11; values stay text here and are
// checked by the rows they belong to.
#pragma once

#include <optional>
#include <string>

#include "host/cli/command.h"

namespace lockstep::cli {

struct ParsedLine {
  const Command* command = nullptr;      // nullptr: print `text` and end
  std::optional<Arguments> arguments{};  // set with a command
  std::string text{};                    // help or version
};

/// Errors: InvalidArgument for unknown commands and options (with the nearest name) and for missing
/// values.
ParsedLine parse_command_line(int argc, const char* const* argv);

/// Help of one command, or of the program (nullptr).
std::string help_text(const Command* command);

}  // namespace lockstep::cli
