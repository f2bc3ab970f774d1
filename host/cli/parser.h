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

/// Errors: InvalidArgument for unknown commands and options (with a name that is near), for missing
/// values, and for those out of their row's range.
ParsedLine parse_command_line(int argc, const char* const* argv);

/// Help of the program.
std::string help_text();
/// Help of a command, with what holds for the environment and the recipe that `arguments` name.
std::string help_text(const Command& command, const Arguments& arguments);

}  // namespace lockstep::cli
