// One step of every environment of objects with the caller's actions, seen as a difference of two
// pictures of int8.
//
// Mapping: a warp per environment. Its lanes all play the game, from the same words of memory and
// to the same numbers; each writes its share of the pixels, and the first one what else there is.
// Per environment: reads and writes 4 S + 4 k + 16 bytes, and the pixels that change, some hundred;
// all P where pictures are drawn whole. Limiter: the latency of a game's frames.
// Stack: numbers of a game and pixels of a row that are chosen by an index, cached.
//
// budget: picture_step_kernel<ObjectPong> registers<=128 spills<=0 stack<=352
#pragma once

#include "kernels/cuda/table_launchers.h"
#include "kernels/cuda/warp.cuh"
#include "kernels/picture_step.h"

namespace lockstep::cuda {

/// The lanes of a warp, on one environment.
struct WarpTeam {
  static constexpr bool kAlone = false;
  static constexpr int kLanes = kWarp;
  int lane;
  LS_HD void sync() const { LS_SYNC_WARP(); }
  /// Calls visit(pixel) for each pixel of a row that is this lane's.
  template <class E, class Visit>
  LS_HD void each_pixel(int row, const Visit& visit) const {
    std::uint16_t pixel[E::kMaxRowPixels];
    const int pixels = E::pixels(row, pixel);
    for (int i = lane; i < pixels; i += kLanes) visit(pixel[i]);
  }
};

template <class E>
LS_KERNEL(kMaxBlock)
picture_step_kernel(const __grid_constant__ StepBuffers args,
                    const __grid_constant__ GameOptions options) {
  const std::int64_t env = warp_in_grid();
  if (env < args.num_envs) picture_step<E, std::int8_t>(args, options, env, WarpTeam{lane_index()});
}

/// Steps or resets all environments. Stream: asynchronous on `stream`. block: threads of a block,
/// a multiple of 32, at most kMaxBlock; it changes speed, never results.
template <class E>
cudaError_t picture_step_all(const StepBuffers& args, const GameOptions& options, int block,
                             cudaStream_t stream) {
  return launch("picture_step", picture_step_kernel<E>, blocks_for_warps(args.num_envs, block),
                dim3(static_cast<unsigned>(block)), 0, stream, args, options);
}

}  // namespace lockstep::cuda
