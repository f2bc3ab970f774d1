// Builds the table of CUDA operations of one environment. A generated translation unit includes
// this header and the environment's, and uses LS_INSTANTIATE_CUDA(name, Type).
#pragma once

#include "kernels/cuda/critic_finish.cuh"
#include "kernels/cuda/critic_rollout.cuh"
#include "kernels/cuda/critic_sums.cuh"
#include "kernels/cuda/critic_weigh.cuh"
#include "kernels/cuda/finish.cuh"
#include "kernels/cuda/gradient.cuh"
#include "kernels/cuda/launchers.h"
#include "kernels/cuda/returns.cuh"
#include "kernels/cuda/rollout.cuh"
#include "kernels/cuda/step.cuh"

namespace lockstep::cuda {

template <class E>
cudaError_t play(const RolloutArgs<float>& args, const LaunchShape& shape, cudaStream_t stream) {
  return play_all<E>(play_args(args), shape, stream);
}
template <class E>
cudaError_t rollout(const UpdateArgs& args, const LaunchShape& shape, cudaStream_t stream) {
  return play_all<E>(play_args(args), shape, stream);
}

template <class E>
inline constexpr ActorCriticOperations kActorCritic = {critic_rollout<E>,    critic_credit,
                                                       critic_shuffle,       critic_weigh<E>,
                                                       critic_accumulate<E>, critic_finish};

}  // namespace lockstep::cuda

#define LS_INSTANTIATE_CUDA(name, Type)                                             \
  namespace lockstep::cuda {                                                        \
  extern const Operations operations_##name;                                        \
  const Operations operations_##name = {Type::kName,    sizeof(SavedEpisode<Type>), \
                                        play<Type>,     rollout<Type>,              \
                                        returns,        baseline,                   \
                                        gradient<Type>, finish,                     \
                                        step_all<Type>, &kActorCritic<Type>};       \
  }
