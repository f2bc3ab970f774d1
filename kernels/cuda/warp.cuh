// Where a thread stands, and sums over a warp. Every lane of the warp calls a warp function at the
// same line; blocks and grids are one-dimensional and blocks are whole warps.
#pragma once

#include "kernels/cuda/launch.cuh"

namespace lockstep::cuda {

__device__ inline int lane_index() { return static_cast<int>(threadIdx.x) % kWarp; }
__device__ inline int warp_in_block() { return static_cast<int>(threadIdx.x) / kWarp; }
__device__ inline std::int64_t thread_in_grid() {
  return std::int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
}
__device__ inline std::int64_t warp_in_grid() { return thread_in_grid() / kWarp; }

/// The sum over the warp, in every lane. Order-free: integers.
template <class T>
__device__ inline T warp_sum(T value) {
  static_assert(std::is_integral_v<T>);
  for (int lanes = kWarp / 2; lanes > 0; lanes /= 2) {
    value += __shfl_xor_sync(kAllLanes, value, lanes);
  }
  return value;
}
/// The largest value of the warp, in every lane.
template <class T>
__device__ inline T warp_max(T value) {
  static_assert(std::is_integral_v<T>);
  for (int lanes = kWarp / 2; lanes > 0; lanes /= 2) {
    const T other = __shfl_xor_sync(kAllLanes, value, lanes);
    value = other > value ? other : value;
  }
  return value;
}

/// Adds 1 to histogram[bin] for every lane whose bin is not negative: one atomic for all lanes of a
/// bin, since most episodes of a trained policy have the same length.
__device__ inline void count_in_histogram(std::int32_t* histogram, std::int32_t bin) {
  const unsigned same = __match_any_sync(kAllLanes, bin);
  const bool first = __ffs(static_cast<int>(same)) == lane_index() + 1;
  if (first && bin >= 0) atomicAdd(histogram + bin, __popc(same));
}

/// Blocks that hold `warps` warps.
inline dim3 blocks_for_warps(std::int64_t warps, int block) {
  const int per_block = block / kWarp;
  return dim3(static_cast<unsigned>((warps + per_block - 1) / per_block));
}

}  // namespace lockstep::cuda
