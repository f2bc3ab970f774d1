// The log of finished episodes, from a place per environment and number to one list in order.
//
// Thrust: an exclusive scan of the numbers of episodes gives each environment its place in the
// list, then every entry of the log moves there. Reads the log once (8 bytes an entry that is
// there, 4 a count), writes 8 bytes an episode. Lanes of neighbouring threads are neighbours in the
// log. Limiter: bandwidth, or the two launches. Where Thrust's device is the CPU, one thread of a
// kernel runs it: so it keeps the stream's order.
#pragma once

#include <thrust/execution_policy.h>
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/system_error.h>
#include <thrust/transform_scan.h>

#include <new>

#include "kernels/cuda/common.h"
#include "kernels/cuda/launch.cuh"

namespace lockstep::cuda {

/// Number of episodes of the i-th (update, environment); 0 beyond the last, where the scan's total
/// appears.
struct EpisodeCount {
  CompactArgs args;

  __host__ __device__ std::int64_t operator()(std::int64_t i) const {
    const std::int64_t slot = i / args.num_envs, env = i % args.num_envs;
    return slot < args.slots ? args.log.count[slot * args.log.lanes + env] : 0;
  }
};

/// Moves entry i of the log, if there is such an episode, to its place.
struct MoveEpisode {
  CompactArgs args;

  __host__ __device__ void operator()(std::int64_t i) const {
    const std::int64_t N = args.num_envs;
    const std::int64_t env = i % N, row = i / N;
    const std::int64_t number = row % args.log.capacity, slot = row / args.log.capacity;
    if (number >= args.log.count[slot * args.log.lanes + env]) return;
    const std::int64_t from = row * args.log.lanes + env;
    const std::int64_t to = args.offset[slot * N + env] + number;
    args.length[to] = args.log.length[from];
    if (args.score != nullptr) args.score[to] = args.log.score[from];
  }
};

struct AddCounts {
  __host__ __device__ std::int64_t operator()(std::int64_t a, std::int64_t b) const {
    return a + b;
  }
};

template <class Policy>
__host__ __device__ void compact_with(const Policy& policy, const CompactArgs& args) {
  const thrust::counting_iterator<std::int64_t> first(0);
  const std::int64_t lists = args.slots * args.num_envs;
  thrust::transform_exclusive_scan(policy, first, first + lists + 1, args.offset,
                                   EpisodeCount{args}, std::int64_t{0}, AddCounts{});
  thrust::for_each_n(policy, first, lists * args.log.capacity, MoveEpisode{args});
}

#if THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_CUDA

/// Shapes: CompactArgs
/// Result: bitwise; a permutation
/// Errors: those of the launches, cudaErrorMemoryAllocation
cudaError_t compact_episodes(const CompactArgs& args, cudaStream_t stream) {
  try {
    compact_with(thrust::cuda::par_nosync.on(stream), args);
  } catch (const thrust::system_error& error) {
    return static_cast<cudaError_t>(error.code().value());
  } catch (const std::bad_alloc&) {
    return cudaErrorMemoryAllocation;
  }
  return cudaGetLastError();
}

#else

LS_KERNEL(1) compact_kernel(CompactArgs args) { compact_with(thrust::seq, args); }

cudaError_t compact_episodes(const CompactArgs& args, cudaStream_t stream) {
  return launch("compact_episodes", compact_kernel, dim3(1), dim3(1), 0, stream, args);
}

#endif

}  // namespace lockstep::cuda
