// The ceiling of a CUDA device's multiply-add units; the kernel is in cuda_peak.cuh.
#pragma once

#include <cuda_runtime.h>

namespace lockstep::bench {

inline constexpr int kPeakBlock = 256;

/// Launches `rounds` rounds of multiply-add chains in every thread of `blocks` blocks. `out` is
/// device memory for one number.
/// Errors: those of the launch
[[nodiscard]] cudaError_t launch_fma_chains(float* out, int blocks, int rounds,
                                            cudaStream_t stream);

/// Floating-point operations that launch does.
double fma_flops(int blocks, int rounds);

}  // namespace lockstep::bench
