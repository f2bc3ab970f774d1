// The rollout of a policy with a critic, a thread per environment: rollout.cuh's, with the value of
// every state, the value of the state behind the last step of an update or of a truncated episode,
// and episodes that go on from update to update.
//
// Before it what the update may have to go back to is kept: parameters, moments and environments.
// Written per step and environment beside what rollout.cuh says: 4 bytes of value, 4 O of
// observation. Limiter: issue; the kernel of parts serves rollouts in one launch as well.
// budget: critic_keep_kernel<.*> registers<=32 spills<=0
// budget: critic_rollout_kernel<CartPole, .*> registers<=72 spills<=0
#pragma once

#include "kernels/cuda/critic_steps.cuh"
#include "kernels/cuda/rollout.cuh"

namespace lockstep::cuda {

/// Keeps what an update begins with.
template <int kBlock>
LS_KERNEL(kBlock)
critic_keep_kernel(const __grid_constant__ ActorCriticUpdateArgs args) {
  const UpdateArgs& update = args.update;
  if (update.state->stop != Stop::kRunning) return;  // the whole grid
  for_each_kept(args, thread_in_grid(), std::int64_t{gridDim.x} * blockDim.x,
                [](auto& now, auto& kept) { kept = now; });
  if (thread_in_grid() == 0) args.batch->before = update.state->running;
}

template <class E, PolicyForm kForm, bool kShared>
LS_KERNEL(kMaxBlock)
critic_rollout_kernel(const __grid_constant__ PlayArgs play) {
  constexpr int Y = logits_of(E::kNumActions) + 1;
  LS_DYNAMIC_SHARED(float, units);
  LS_SHARED(scratch, WarpScratch<1>[kMaxBlock / kWarp]);
  if (!is_running(play)) return;  // the whole grid
  const std::int64_t first = warp_in_grid() * kWarp;
  const bool plays = first < play.rollout.num_envs;
  WarpScratch<1>& mine = scratch[warp_in_block()];
  if constexpr (kShared) {
    const PaddedPolicy policy = padded_policy<E::kObservationSize, Y>(play.rollout.policy, units);
    if (plays) play_warp<E, kForm, false, true, 1, true>(play, policy, mine, first);
  } else {
    if (plays) play_warp<E, kForm, false, true, 1, true>(play, play.rollout.policy, mine, first);
  }
}

template <class E>
cudaError_t play_critic_part(const PlayArgs& play, const LaunchShape& shape, cudaStream_t stream) {
  constexpr int O = E::kObservationSize, Y = logits_of(E::kNumActions) + 1;
  const PolicyView<float>& policy = play.rollout.policy;
  const dim3 grid = blocks_for_warps((play.rollout.num_envs + kWarp - 1) / kWarp, shape.block);
  const auto start = [&](auto kernel, std::size_t bytes) {
    return launch("critic_rollout", kernel, grid, dim3(static_cast<unsigned>(shape.block)), bytes,
                  stream, play);
  };
  if (policy.form == PolicyForm::kLinear) {
    return start(critic_rollout_kernel<E, PolicyForm::kLinear, false>, 0);
  }
  constexpr std::size_t kScratch = sizeof(WarpScratch<1>) * (kMaxBlock / kWarp);
  const std::size_t bytes = padded_bytes<O, Y>(policy);
  const bool fits = bytes + kScratch <= kPlainShared;
  if (policy.form == PolicyForm::kRelu) {
    return fits ? start(critic_rollout_kernel<E, PolicyForm::kRelu, true>, bytes)
                : start(critic_rollout_kernel<E, PolicyForm::kRelu, false>, 0);
  }
  return fits ? start(critic_rollout_kernel<E, PolicyForm::kGeneral, true>, bytes)
              : start(critic_rollout_kernel<E, PolicyForm::kGeneral, false>, 0);
}

/// Keeps the state before the update, and plays its steps.
///
/// Result: bitwise equal to the CPU's for every launch shape
/// Stream: asynchronous
/// Errors: those of the launches, and as play_in_parts()
template <class E>
cudaError_t critic_rollout(const ActorCriticUpdateArgs& args, const LaunchShape& shape,
                           cudaStream_t stream) {
  const cudaError_t kept = launch("critic_keep", critic_keep_kernel<kMaxBlock>, kept_blocks(args),
                                  dim3(kMaxBlock), 0, stream, args);
  if (kept != cudaSuccess) return kept;
  return play_in_parts(play_args(args.update), shape.cut, [&](const PlayArgs& part) {
    return play_critic_part<E>(part, shape, stream);
  });
}

}  // namespace lockstep::cuda
