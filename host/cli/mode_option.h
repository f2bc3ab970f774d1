// The option --mode of the commands that play a policy: how actions are chosen.
#pragma once

#include <string>

#include "host/cli/command.h"
#include "host/engine.h"

namespace lockstep::cli {

ArgumentRow mode_row(std::string fallback = "greedy");

struct Mode {
  ActionMode mode = ActionMode::kGreedy;
  double epsilon = 0;  // of kEpsilon
};
/// Errors: InvalidArgument naming the option and its values.
Mode mode_of(const Arguments& arguments);

}  // namespace lockstep::cli
