// The option --math of the commands that play a policy, and how their results are labelled.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "host/cli/command.h"
#include "host/engine.h"

namespace lockstep::cli {

ArgumentRow math_row();
/// Errors: InvalidArgument naming the option and its values.
Math math_of(const Arguments& arguments);

/// "exact" or "dense".
std::string math_name(Math math);
/// The library behind the dense path and its version; null for the exact one.
nlohmann::ordered_json library_json(const std::string& library);
/// The line of the text result; none for the exact path.
std::string math_line(Math math, const std::string& library);

}  // namespace lockstep::cli
