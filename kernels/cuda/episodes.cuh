// The log of finished episodes, from a place per environment and number to sums over each update
// and a list of its last episodes: what a host can take in while the device plays on, however many
// environments there are.
//
// An exclusive scan of the numbers of episodes and of what they sum up to gives each environment
// its place in the list, and the sums; then the entries that are listed move there. Reads the log
// once (4 bytes an episode, 8 with its score, 4 a count), writes and reads 40 bytes an environment.
// Lanes of neighbouring threads are neighbours in the log. Limiter: bandwidth, or the two launches.
// Thrust works in memory that it is given: by itself it allocates some at every call. Where its
// device is the CPU, one thread of a kernel runs it: so it keeps the stream's order.
#pragma once

#include <thrust/execution_policy.h>
#include <thrust/for_each.h>
#include <thrust/iterator/counting_iterator.h>
#include <thrust/system_error.h>
#include <thrust/transform_scan.h>

#include <cstddef>
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
    EpisodeSums sums{};
    if (slot >= args.slots || slot >= args.state->slot) return sums;
    sums.episodes = log.count[slot * log.lanes + env];
    for (std::int64_t number = 0; number < sums.episodes; ++number) {
      const std::int64_t place = (slot * log.capacity + number) * log.lanes + env;
      sums.steps += log.length[place];
      if (log.score != nullptr) sums.score = sums.score + ScoreSum::of(log.score[place]);
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
    const EpisodeSums total{end.episodes - first.episodes, end.steps - first.steps,
                            end.score - first.score};
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
    return {a.episodes + b.episodes, a.steps + b.steps, a.score + b.score};
  }
};

/// All that Thrust may allocate: one block at a time, which the caller keeps from call to call.
class KeptMemory {
 public:
  using value_type = std::byte;

  KeptMemory(std::byte* memory, std::int64_t bytes) : memory_(memory), bytes_(bytes) {}

  std::byte* allocate(std::size_t bytes) {
    wanted_ = static_cast<std::int64_t>(bytes);
    if (taken_ || wanted_ > bytes_) throw std::bad_alloc();
    taken_ = true;
    return memory_;
  }
  void deallocate(std::byte*, std::size_t) { taken_ = false; }

  std::int64_t wanted() const { return wanted_; }  // bytes, by the last call of allocate()

 private:
  std::byte* memory_;
  std::int64_t bytes_;
  std::int64_t wanted_ = 0;
  bool taken_ = false;
};

template <class Policy>
__host__ __device__ void compact_with(const Policy& policy, const CompactArgs& args) {
  const thrust::counting_iterator<std::int64_t> first(0);
  const std::int64_t lists = args.slots * args.num_envs;
  thrust::transform_exclusive_scan(policy, first, first + lists + 1, args.before, SumEpisodes{args},
                                   EpisodeSums{}, AddSums{});
  thrust::for_each_n(policy, first, lists, ListEpisodes{args});
}

#if THRUST_DEVICE_SYSTEM == THRUST_DEVICE_SYSTEM_CUDA

inline cudaError_t compact_in(KeptMemory& memory, const CompactArgs& args, cudaStream_t stream) {
  try {
    compact_with(thrust::cuda::par_nosync(memory).on(stream), args);
  } catch (const thrust::system_error& error) {
    return static_cast<cudaError_t>(error.code().value());
  } catch (const std::bad_alloc&) {
    return cudaErrorMemoryAllocation;
  }
  return cudaGetLastError();
}

#else

LS_KERNEL(1) compact_kernel(CompactArgs args) { compact_with(thrust::seq, args); }

/// One thread needs no memory; it is asked for as on a device, where a tile of some thousand items
/// has its state in it, and written.
inline cudaError_t compact_in(KeptMemory& memory, const CompactArgs& args, cudaStream_t stream) {
  const std::size_t bytes = (static_cast<std::size_t>(args.slots * args.num_envs) / 1024 + 1) * 64;
  try {
    const cudaError_t status = cudaMemsetAsync(memory.allocate(bytes), 0xff, bytes, stream);
    if (status != cudaSuccess) return status;
  } catch (const std::bad_alloc&) {
    return cudaErrorMemoryAllocation;
  }
  return launch("compact_episodes", compact_kernel, dim3(1), dim3(1), 0, stream, args);
}

#endif

// The scan asks for its memory before it launches anything, and gets as far as that.
cudaError_t working_memory(const CompactArgs& args, std::int64_t& bytes) {
  KeptMemory none(nullptr, 0);
  const cudaError_t status = compact_in(none, args, nullptr);
  bytes = none.wanted();
  return status == cudaErrorMemoryAllocation && bytes > 0 ? cudaSuccess : status;
}

/// Shapes: CompactArgs
/// Result: bitwise; a permutation, and sums of integers
cudaError_t compact_episodes(const CompactArgs& args, cudaStream_t stream) {
  KeptMemory memory(args.working, args.working_bytes);
  return compact_in(memory, args, stream);
}

}  // namespace lockstep::cuda
