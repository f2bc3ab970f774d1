// What the host asks of a CUDA device beside the operations of an environment.
#pragma once

#include "kernels/cuda/launchers.h"

namespace lockstep::cuda {

/// Whether the current device can run the kernels of this build; starts its context.
/// Errors: cudaErrorNoKernelImageForDevice, cudaErrorInvalidDeviceFunction: no code for it
cudaError_t check_architecture();
/// Whether the driver makes the current device's kernels from PTX of this build, once for every
/// user and driver: tens of seconds.
/// Errors: as check_architecture()
cudaError_t compiles_kernels(bool& from_ptx);

/// Of finished episodes: how many, and their steps.
struct EpisodeSums {
  std::int64_t episodes, steps;
};

/// The finished episodes of some updates: sums over all of them, and lists of each update's last
/// ones, by environment, then number within the environment.
struct CompactArgs {
  EpisodeLog log;
  const UpdateState* state;  // updates from its slot on were not finished: they have no episodes
  std::int32_t slots;        // of the log, from the first
  std::int64_t num_envs;     // N: lanes beyond have no episodes
  std::int64_t listed;       // episodes of an update in the lists, its last ones, at most
  EpisodeSums* before;       // [slots * N + 1] out: over all environments before
  EpisodeSums* total;        // [slots] out
  std::int32_t* length;      // [slots][listed] out, from the first listed on
  float* score;              // [slots][listed] out; null with a constant reward
};

/// Stream: asynchronous but for working memory the scan may take; call it between updates.
cudaError_t compact_episodes(const CompactArgs& args, cudaStream_t stream);

}  // namespace lockstep::cuda
