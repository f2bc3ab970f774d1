// The log of finished episodes, from a place per environment and number to sums over each update
// and a list of its last episodes: what a host can take in while the device plays on, however many
// environments there are.
//
// Thrust: an exclusive scan of the numbers of episodes and of their steps gives each environment
// its place in the list, and the sums; then the entries that are listed move there. Reads the log
// once (4 bytes an episode, 4 a count), writes and reads 16 bytes an environment. Lanes of
// neighbouring threads are neighbours in the log. Limiter: bandwidth, or the two launches. Where
// Thrust's device is the CPU, one thread of a kernel runs it: so it keeps the stream's order.
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

/// Episodes of the i-th (update, environment); none beyond the last, where the scan's total
/// appears.
struct SumEpisodes {
  CompactArgs args;

  __host__ __device__ EpisodeSums operator()(std::int64_t i) const {
    const EpisodeLog& log = args.log;
    const std::int64_t slot = i / args.num_envs, env = i % args.num_envs;
    EpisodeSums sums{0, 0};
    if (slot >= args.slots || slot >= args.state->slot) return sums;
    sums.episodes = log.count[slot * log.lanes + env];
    for (std::int64_t number = 0; number < sums.episodes; ++number) {
      sums.steps += log.length[(slot * log.capacity + number) * log.lanes + env];
    }
    return sums;
  }
};

/// Moves those episodes of the i-th (update, environment) that are listed to their places.
struct ListEpisodes {
  CompactArgs args;

  __host__ __device__ void operator()(std::int64_t i) const {
    const EpisodeLog& log = args.log;
    const std::int64_t N = args.num_envs;
    const std::int64_t slot = i / N, env = i % N;
    const EpisodeSums first = args.before[slot * N], end = args.before[(slot + 1) * N];
    const EpisodeSums total{end.episodes - first.episodes, end.steps - first.steps};
    if (env == 0) args.total[slot] = total;
    const std::int64_t unlisted = total.episodes > args.listed ? total.episodes - args.listed : 0;
    const std::int64_t count = args.before[i + 1].episodes - args.before[i].episodes;
    for (std::int64_t number = 0; number < count; ++number) {
      const std::int64_t place = args.before[i].episodes - first.episodes + number - unlisted;
      if (place < 0) continue;
      const std::int64_t from = (slot * log.capacity + number) * log.lanes + env;
      args.length[slot * args.listed + place] = log.length[from];
      if (args.score != nullptr) args.score[slot * args.listed + place] = log.score[from];
    }
  }
};

struct AddSums {
  __host__ __device__ EpisodeSums operator()(EpisodeSums a, EpisodeSums b) const {
    return {a.episodes + b.episodes, a.steps + b.steps};
  }
};

template <class Policy>
__host__ __device__ void compact_with(const Policy& policy, const CompactArgs& args) {
  const thrust::counting_iterator<std::int64_t> first(0);
  const std::int64_t lists = args.slots * args.num_envs;
  thrust::transform_exclusive_scan(policy, first, first + lists + 1, args.before, SumEpisodes{args},
                                   EpisodeSums{0, 0}, AddSums{});
  thrust::for_each_n(policy, first, lists, ListEpisodes{args});
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
