// The choice of one action per environment from given logits: Bernoulli for two actions,
// categorical for up to 64, greedy and epsilon-greedy, with the last layer's bias.
//
// Fused: bias, choice and log-probability, one pass over the logits. Not fused: the random word is
// drawn anew every step, where the fused rollout's ten rounds of Philox serve four steps; the step
// is an argument here, and the words would have to be kept in memory. Mapping: a thread per
// environment; a row of logits belongs to one thread, so rows of Z > 1 logits are read in strides,
// which the L1 makes good. One kernel serves every number of actions: the sums of its softmax are
// an array in local memory that the L1 holds (128 KiB for the 512 threads of two blocks), written
// and read once; a kernel for each number, with the sums in registers, would be 62 of them for an
// operation that is a fraction of its matrix product. Per environment: reads and, with a bias,
// writes 4 Z bytes, writes 1 or 5.
#pragma once

#include "kernels/cuda/dense_launchers.h"
#include "kernels/cuda/warp.cuh"

namespace lockstep::cuda {

// budget: sample_kernel registers<=40 spills<=0 stack<=256
static LS_KERNEL(kDenseBlock) sample_kernel(const __grid_constant__ SampleArgs args) {
  const std::int64_t env = thread_in_grid();
  if (env < args.num_envs) sample_pack<float>(args, env);
}

inline cudaError_t sample(const SampleArgs& args, int block, cudaStream_t stream) {
  const dim3 grid(static_cast<unsigned>((args.num_envs + block - 1) / block));
  return launch("sample", sample_kernel, grid, dim3(unsigned(block)), 0, stream, args);
}

}  // namespace lockstep::cuda
