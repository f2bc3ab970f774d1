// How the kernels that train a table policy divide their work. Of the record, a thread takes an
// environment and a chunk of time; of parameters and rows, numbers in strides of the grid. Threads
// of a warp are neighbours in memory.
#pragma once

#include "kernels/cuda/shared_sums.cuh"
#include "kernels/cuda/table_launchers.h"
#include "kernels/returns_step.h"

namespace lockstep::cuda {

/// False for infinities and NaN.
template <class Real>
__device__ inline bool is_finite(Real value) {
  return value - value == Real(0);
}

/// How steps are cut: `blocks` blocks of environments, and as many again for each chunk of time.
struct TableCut {
  std::int32_t blocks;
  std::int32_t chunk;  // steps
};

// A short chunk hides the latency of a small batch; a long one reads less beyond its end.
inline constexpr int kShortChunk = 32, kLongChunk = 128;
inline constexpr std::int64_t kManyLanes = 4096;

inline int table_chunk(const TableRecord& record) {
  return record.steps.groups * kGroup < kManyLanes ? kShortChunk : kLongChunk;
}
/// `chunk` 0: a thread sees all of an environment.
inline TableCut table_cut(const TableRecord& record, int block, int chunk) {
  const std::int64_t lanes = record.steps.groups * kGroup;
  return {static_cast<std::int32_t>((lanes + block - 1) / block), chunk > 0 ? chunk
                                                                  : record.steps.T > 0
                                                                      ? record.steps.T
                                                                      : 1};
}
inline dim3 table_grid(const TableCut& cut, const TableRecord& record) {
  return dim3(static_cast<unsigned>(cut.blocks * ((record.steps.T + cut.chunk - 1) / cut.chunk)));
}

inline constexpr int kBlocksEach = 8;  // of a multiprocessor, where threads take numbers in strides

/// Blocks of kMaxBlock threads for so many numbers.
inline dim3 blocks_for_numbers(std::int64_t numbers, const TableLaunchShape& shape) {
  const std::int64_t blocks = (numbers + kMaxBlock - 1) / kMaxBlock;
  const std::int64_t most = std::int64_t{kBlocksEach} * shape.multiprocessors;
  return dim3(static_cast<unsigned>(blocks < most ? blocks : most));
}
/// Calls body(i) for the thread's numbers of [0, numbers).
template <class Body>
__device__ inline void for_numbers(std::int64_t numbers, Body body) {
  const std::int64_t threads = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = thread_in_grid(); i < numbers; i += threads) body(i);
}

/// Steps [first, end) of one environment.
struct TableSteps {
  PackCursor<float> pack;
  const TableUpdateArgs& args;
  std::int32_t length;      // steps of finished episodes: all that can be valid
  std::int32_t first, end;  // none: first >= end

  __device__ TableSteps(const TableUpdateArgs& update, std::int64_t env, int from, int chunk)
      : pack{update.rollout.record.steps, env / kGroup, static_cast<int>(env % kGroup)},
        args(update),
        length(env < update.rollout.num_envs ? update.rollout.length[env] : 0),
        first(from),
        end(from + chunk < length ? from + chunk : length) {}
  /// The steps of this thread.
  __device__ TableSteps(const TableUpdateArgs& update, const TableCut& cut)
      : TableSteps(
            update,
            std::int64_t{static_cast<int>(blockIdx.x) % cut.blocks} * blockDim.x + threadIdx.x,
            static_cast<int>(blockIdx.x) / cut.blocks * cut.chunk, cut.chunk) {}

  __device__ std::int64_t at(int t) const { return pack.at(t); }
  __device__ bool ended(int t) const { return pack.ended(t); }
  __device__ std::int32_t reward(int t) const { return args.rollout.record.reward[at(t)]; }
  /// Whether step t < length is in the gradient.
  __device__ bool valid(int t) const {
    return !args.incoming_only || pack.bits(args.rollout.record.incoming, t);
  }
};

}  // namespace lockstep::cuda
