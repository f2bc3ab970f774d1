// What the host asks of a CUDA device beside the operations of an environment.
#pragma once

#include "kernels/cuda/launchers.h"
#include "kernels/score_sum.h"

namespace lockstep::cuda {

/// Whether the current device can run the kernels of this build; starts its context.
/// Errors: cudaErrorNoKernelImageForDevice, cudaErrorInvalidDeviceFunction: no code for it
cudaError_t check_architecture();
/// Whether the driver makes the current device's kernels from PTX of this build, once for every
/// user and driver: tens of seconds.
/// Errors: as check_architecture()
cudaError_t compiles_kernels(bool& from_ptx);

/// Of finished episodes: how many, their steps, and with differing rewards their score.
struct EpisodeSums {
  std::int64_t episodes, steps;
  ScoreSum score;
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
  std::byte* working;        // [working_bytes], of working_memory() at least
  std::int64_t working_bytes;
};

/// Bytes that compact_episodes() works in with as many slots and environments, or fewer; starts
/// nothing.
cudaError_t working_memory(const CompactArgs& args, std::int64_t& bytes);
/// Stream: asynchronous; allocates nothing
/// Errors: those of the launches; cudaErrorMemoryAllocation if it has too little to work in
cudaError_t compact_episodes(const CompactArgs& args, cudaStream_t stream);

}  // namespace lockstep::cuda
