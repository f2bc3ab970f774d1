// What stands around the matrix products of the dense path: pictures as numbers, bias and
// activation, books of the episodes. The products are cuBLAS's; the choice of the action, with the
// last layer's bias, is sample.cuh.
//
// Fused: bias and activation of a layer, one pass over its values. Not fused: the products, which
// would want kernels of our own, and the layers with each other; the fused rollout of rollout.cuh
// is that. Mapping: tally a thread per environment; bias a thread per column, so that
// its bias is loaded once, walking rows: a warp's 32 columns of a row are one 128-byte line.
// Per environment and step: bias reads and writes 4 H bytes, tally reads 6 and
// updates at most 20. Limiter: bandwidth, and for small batches the launches.
#pragma once

#include "kernels/cuda/dense_launchers.h"
#include "kernels/cuda/warp.cuh"

namespace lockstep::cuda {

/// `columns`, a power of two, divides the block: threads of a block are [rows][columns].
// budget: bias_kernel registers<=32 spills<=0
static LS_KERNEL(kDenseBlock) bias_kernel(const __grid_constant__ BiasArgs args, int columns) {
  const int thread = static_cast<int>(threadIdx.x);
  const int rows_of_block = static_cast<int>(blockDim.x) / columns;
  const int column = static_cast<int>(blockIdx.y) * columns + thread % columns;
  if (column >= args.width) return;
  const float bias = args.bias[column];
  const std::int64_t stride = std::int64_t{gridDim.x} * rows_of_block;
  for (std::int64_t row = std::int64_t{blockIdx.x} * rows_of_block + thread / columns;
       row < args.rows; row += stride) {
    float& value = args.values[row * args.width + column];
    value = bias_and_activation<float>(value, bias, args.activation, args.leak);
  }
}

// budget: widen_kernel registers<=32 spills<=0
static LS_KERNEL(kDenseBlock) widen_kernel(const std::int8_t* from, float* to, std::int64_t count) {
  const std::int64_t stride = std::int64_t{gridDim.x} * blockDim.x;
  for (std::int64_t i = thread_in_grid(); i < count; i += stride)
    to[i] = static_cast<float>(from[i]);
}

// budget: tally_kernel registers<=24 spills<=0
static LS_KERNEL(kDenseBlock) tally_kernel(const __grid_constant__ TallyArgs args) {
  const std::int64_t env = thread_in_grid();
  if (env < args.num_envs) tally_item(args, env);
}

/// Blocks that hold a thread for each of `count` items.
inline dim3 blocks_for(std::int64_t count, int block) {
  return dim3(static_cast<unsigned>((count + block - 1) / block));
}

inline constexpr std::int64_t kMostBlocks =
    4096;  // some thirty a multiprocessor; the rest is the walk

inline cudaError_t widen(const std::int8_t* from, float* to, std::int64_t count, int block,
                         cudaStream_t stream) {
  dim3 grid = blocks_for(count, block);
  if (grid.x > kMostBlocks) grid.x = static_cast<unsigned>(kMostBlocks);
  return launch("widen", widen_kernel, grid, dim3(unsigned(block)), 0, stream, from, to, count);
}

inline cudaError_t bias(const BiasArgs& args, int block, cudaStream_t stream) {
  int columns = 1;
  while (columns < args.width && columns * 2 <= block && block % (columns * 2) == 0) columns *= 2;
  const std::int64_t rows_of_block = block / columns;
  const std::int64_t row_blocks = (args.rows + rows_of_block - 1) / rows_of_block;
  const dim3 grid(static_cast<unsigned>(row_blocks < kMostBlocks ? row_blocks : kMostBlocks),
                  static_cast<unsigned>((args.width + columns - 1) / columns));
  return launch("bias", bias_kernel, grid, dim3(unsigned(block)), 0, stream, args, columns);
}

inline cudaError_t tally(const TallyArgs& args, int block, cudaStream_t stream) {
  return launch("tally", tally_kernel, blocks_for(args.num_envs, block), dim3(unsigned(block)), 0,
                stream, args);
}

}  // namespace lockstep::cuda
