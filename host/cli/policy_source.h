// Where a command's policy comes from: a run folder, a checkpoint, or a bare safetensors file.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "host/cli/command.h"
#include "host/config.h"
#include "host/tensor.h"

namespace lockstep::cli {

struct PolicySource {
  std::vector<NamedTensor> tensors;
  Config config;  // of the run; policy kind and hidden units as the tensors have them
};

/// Reads weights and, for a run folder or one of its checkpoints, the run's settings. `fallback`
/// gives the environment and activation of a bare file.
/// Errors: BadInput for anything unreadable, damaged or of a shape no policy has.
PolicySource load_policy(const std::filesystem::path& path, const Config& fallback);

/// Errors: InvalidArgument if the line gives an option (env, activation, hidden) another value than
/// the policy at `path` has. `call` holds the values of the line.
void require_agreement(const Arguments& arguments, const Config& call, const PolicySource& source,
                       const std::string& path);

}  // namespace lockstep::cli
