// Where a command's policy comes from: a run folder, a checkpoint, or a bare safetensors file.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

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

}  // namespace lockstep::cli
