// Builds the table of CUDA operations of one environment of objects. A generated translation unit
// includes this header and the environment's, and uses LS_INSTANTIATE_CUDA_TABLES(name, Type).
#pragma once

#include "kernels/cuda/picture_step.cuh"
#include "kernels/cuda/table_finish.cuh"
#include "kernels/cuda/table_gradient.cuh"
#include "kernels/cuda/table_launchers.h"
#include "kernels/cuda/table_returns.cuh"
#include "kernels/cuda/table_rollout.cuh"
#include "kernels/cuda/table_update.cuh"
#include "kernels/cuda/table_weigh.cuh"

namespace lockstep::cuda {

template <class E>
cudaError_t table_play_all(const TableRolloutArgs& args, const TableLaunchShape& shape,
                           cudaStream_t stream) {
  return play_table<E>(table_play(args), shape, stream);
}
template <class E>
cudaError_t table_rollout(const TableUpdateArgs& args, const TableLaunchShape& shape,
                          cudaStream_t stream) {
  return play_table<E>(table_play(args), shape, stream);
}

/// For networks of every size.
template <class E>
constexpr std::int32_t least_table_shared() {
  constexpr int kPlay = least_rollout_bytes<E>(), kSums = least_accumulate_bytes<E>(BlockUnits{});
  return kPlay > kSums ? kPlay : kSums;
}

}  // namespace lockstep::cuda

#define LS_INSTANTIATE_CUDA_TABLES(name, Type)                       \
  namespace lockstep::cuda {                                         \
  extern const TableOperations tables_##name;                        \
  const TableOperations tables_##name = {Type::kName,                \
                                         least_table_shared<Type>(), \
                                         sizeof(SavedGame<Type>),    \
                                         table_play_all<Type>,       \
                                         table_rollout<Type>,        \
                                         table_returns,              \
                                         table_baseline,             \
                                         table_weigh,                \
                                         table_accumulate<Type>,     \
                                         table_finish,               \
                                         table_optimise,             \
                                         table_build,                \
                                         picture_step_all<Type>};    \
  }
