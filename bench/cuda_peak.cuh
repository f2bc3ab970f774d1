// The ceiling of the multiply-add units: every thread runs independent chains, so that each
// scheduler can issue one a cycle. Nothing is read; a sum is stored where the compiler cannot know
// it unneeded.
#pragma once

#include "bench/cuda_peak.h"
#include "kernels/cuda/launch.cuh"

namespace lockstep::bench {
namespace {

constexpr int kChains = 16;  // in flight: four times the latency of one

LS_KERNEL(kPeakBlock) fma_chains_kernel(float* out, int rounds, float factor) {
  float x[kChains];
  for (int i = 0; i < kChains; ++i) x[i] = static_cast<float>(i + static_cast<int>(threadIdx.x));
  for (int round = 0; round < rounds; ++round) {
    for (int i = 0; i < kChains; ++i) x[i] = __builtin_fmaf(x[i], factor, 0.5f);
  }
  float sum = 0;
  for (int i = 0; i < kChains; ++i) sum = sum + x[i];
  if (sum == -1.0f) *out = sum;  // chains of positive numbers never get there
}

}  // namespace

double fma_flops(int blocks, int rounds) {
  return 2.0 * kChains * kPeakBlock * static_cast<double>(blocks) * rounds;
}

cudaError_t launch_fma_chains(float* out, int blocks, int rounds, cudaStream_t stream) {
  return cuda::launch("fma_chains", fma_chains_kernel, dim3(static_cast<unsigned>(blocks)),
                      dim3(kPeakBlock), 0, stream, out, rounds, 0.99f);
}

}  // namespace lockstep::bench
