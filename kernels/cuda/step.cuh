// One step of every environment with the caller's actions, for Engine::step() and steppers.
//
// Mapping: a thread per environment, in the order of memory.
// Per environment: reads 4 S + 10 bytes (state, step and episode numbers, action, whether it has
// ended), writes 4 S + 4 O + 15. Limiter: memory, and the launch below some 10^5 environments.
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
  if (env < args.num_envs) step_pack<E, float>(args, env / kGroup, static_cast<int>(env % kGroup));
}

/// Steps or resets all environments. Stream: asynchronous on `stream`.
template <class E>
cudaError_t step_all(const StepBuffers& args, const LaunchShape& shape, cudaStream_t stream) {
  const dim3 grid = blocks_for_warps((args.num_envs + kWarp - 1) / kWarp, shape.block);
  return launch("step", step_kernel<E>, grid, dim3(static_cast<unsigned>(shape.block)), 0, stream,
                args);
}

}  // namespace lockstep::cuda
