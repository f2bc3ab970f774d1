// The versions of the CUDA rollout on the way from one operation per launch to what is shipped.
// Same arguments, same bits; what a version leaves undone costs the difference to the next one.
#pragma once

#include <span>

#include "kernels/cuda/launchers.h"

namespace lockstep::bench {

/// State between launches, for the versions that end a launch with every step. Device pointers,
/// [16 G] each; `state` is [S][16 G].
struct StepState {
  float* state;
  std::int32_t* steps;
  std::uint32_t* number;
  float* logit;
  std::uint8_t *action, *terminated, *truncated;
};

struct RolloutVersion {
  const char* name;
  const char* what;
  /// Plays CartPole with a ReLU network and automatic reset; everything on the stream.
  cudaError_t (*play)(const RolloutArgs<float>&, const StepState&, cudaStream_t);
};

/// From the first to the last.
std::span<const RolloutVersion> rollout_versions();

}  // namespace lockstep::bench
