// A long rollout in several launches, each short enough for the watchdog of a card with a display.
//
// A part plays steps [first, end) and leaves its environments in device memory for the next one:
// all that a lane has in registers between two steps, so that a cut may fall behind any step and no
// bit depends on it. Random words and start states drawn ahead go with it: to load them takes no
// register that the loop does not have anyway, to draw them again does.
#pragma once

#include "kernels/cuda/launch.cuh"
#include "kernels/cuda/launchers.h"

namespace lockstep::cuda {

struct RolloutPart {
  std::int32_t first, end;  // steps [first, end) of the rollout
  void* saved;              // RolloutCut::saved; null: this part is the whole

  /// `first`, in a form that tells the compiler it is not negative: remainders of steps are cheap.
  LS_HD std::int32_t begin() const { return first & 0x7fffffff; }
  /// Whether this part is the whole rollout.
  LS_HD bool whole() const { return saved == nullptr; }
  /// Whether environments start here.
  LS_HD bool starts() const { return first == 0; }
};

/// Calls launch_part(play) for one part after the other, play.part set, until all T steps are
/// launched; once for T = 0.
/// Errors: the first of launch_part's; cudaErrorInvalidValue where there must be more than one part
/// and no memory is there to save environments in.
template <class Play, class LaunchPart>
cudaError_t play_in_parts(Play play, const RolloutCut& cut, const LaunchPart& launch_part) {
  const std::int32_t T = play.rollout.T;
  if (T > cut.steps && (cut.saved == nullptr || cut.steps < 1)) return cudaErrorInvalidValue;
  const bool whole = T <= cut.steps;
  play.part = {0, whole ? T : cut.steps, whole ? nullptr : cut.saved};
  for (;;) {
    const cudaError_t status = launch_part(play);
    if (status != cudaSuccess || play.part.end == T) return status;
    play.part.first = play.part.end;
    play.part.end = T - play.part.first > cut.steps ? play.part.first + cut.steps : T;
  }
}

}  // namespace lockstep::cuda
