// The option --mode of the commands that play a policy: how actions are chosen.
#pragma once

#include "host/cli/command.h"
#include "host/engine.h"

namespace lockstep::cli {

ArgumentRow mode_row();
/// Sets the options' mode and epsilon. Errors: InvalidArgument naming the option and its values.
void set_mode(const Arguments& arguments, EvalOptions& options);

}  // namespace lockstep::cli
