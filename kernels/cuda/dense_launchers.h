// The operations around the matrix products of the dense policy path on a CUDA device, as plain
// function pointers. They belong to no environment. A call launches on a stream and returns;
// nothing here allocates, copies or synchronises.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/dense.h"

namespace lockstep::cuda {

inline constexpr int kDenseBlock = 256;  // threads of a block, at most and usually

/// Launchers return the error of the launch, cudaSuccess if none. `block`: threads of a block, a
/// multiple of 32, at most kDenseBlock; it changes speed, never results.
struct DenseOperations {
  cudaError_t (*bias)(const BiasArgs& args, int block, cudaStream_t);
  cudaError_t (*sample)(const SampleArgs& args, int block, cudaStream_t);
  /// to[i] = from[i], i < count.
  cudaError_t (*widen)(const std::int8_t* from, float* to, std::int64_t count, int block,
                       cudaStream_t);
  cudaError_t (*tally)(const TallyArgs& args, int block, cudaStream_t);
};
extern const DenseOperations dense_operations;

}  // namespace lockstep::cuda
