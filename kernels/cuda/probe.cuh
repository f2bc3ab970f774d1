// The smallest kernel there is: whether it can be had tells whether the others can.
#pragma once

#include "kernels/cuda/common.h"
#include "kernels/cuda/launch.cuh"

namespace lockstep::cuda {

LS_KERNEL(kWarp) probe_kernel() {}

cudaError_t check_architecture() {
  cudaFuncAttributes attributes{};
  return cudaFuncGetAttributes(&attributes, probe_kernel);
}

cudaError_t compiles_kernels(bool& from_ptx) {
  cudaFuncAttributes attributes{};
  const cudaError_t status = cudaFuncGetAttributes(&attributes, probe_kernel);
  from_ptx = attributes.ptxVersion < attributes.binaryVersion;
  return status;
}

}  // namespace lockstep::cuda
