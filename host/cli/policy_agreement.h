// A line that names both a policy and what the policy already settles.
#pragma once

#include <string>

#include "host/cli/command.h"
#include "host/cli/policy_source.h"

namespace lockstep::cli {

/// Errors: InvalidArgument if the line gives an option (env, activation, hidden) another value than
/// the policy at `path` has. `call` holds the values of the line.
void require_agreement(const Arguments& arguments, const Config& call, const PolicySource& source,
                       const std::string& path);

}  // namespace lockstep::cli
