// One step of every environment with the caller's actions, for Engine::step().
//
// Mapping: a thread per environment, in the order of memory.
// Per environment: reads 4 S + 10 bytes (state, step and episode numbers, action, reset flag),
// writes 4 S + 8 O + 14. Limiter: memory, and the launch below some 10^5 environments.
//
// budget: step_kernel<CartPole> registers<=40 spills<=0
#pragma once

#include "kernels/cuda/launchers.h"
#include "kernels/cuda/warp.cuh"
#include "kernels/step_pack.h"

namespace lockstep::cuda {

template <class E>
LS_KERNEL(kMaxBlock)
step_kernel(const __grid_constant__ StepBuffers args) {
  const std::int64_t env = thread_in_grid();
  // lanes beyond the last environment are stepped too, as on the CPU: the buffers have room
  const std::int64_t lanes = (args.num_envs + kGroup - 1) / kGroup * kGroup;
  if (env < lanes) step_pack<E, float>(args, env / kGroup, static_cast<int>(env % kGroup));
}

/// Engine::step() for all environments. Stream: asynchronous on `stream`.
template <class E>
cudaError_t step_all(const StepBuffers& args, const LaunchShape& shape, cudaStream_t stream) {
  const dim3 grid = blocks_for_warps((args.num_envs + kWarp - 1) / kWarp, shape.block);
  return launch("step", step_kernel<E>, grid, dim3(static_cast<unsigned>(shape.block)), 0, stream,
                args);
}

}  // namespace lockstep::cuda
