// What players of an arcade game may choose, by ALE's and Gymnasium's names: how many frames a step
// lasts, whether actions stick, how an episode starts. Numbers that are drawn come from the
// engine's counter-based generator (kernels/game_noise.h).
#pragma once

#include <cstdint>

#include "envs/host_device.h"

namespace lockstep {

inline constexpr int kMaxFrameSkip = 60;  // one second
inline constexpr int kMaxNoops = 255;

struct GameOptions {
  std::int32_t min_skip = 4, max_skip = 4;  // frames of a step; drawn for each where they differ
  std::uint32_t repeat_below = 0;  // 2^24 p: a frame repeats the action before with probability p
  std::int32_t max_noops = 0;      // an episode starts with 0..max_noops frames without an action
  bool noops_in_turn = false;      // environment i: i mod (max_noops + 1) of them; else drawn
  bool max_pool = false;           // pictures: the maximum of a step's last two; never of tables
  std::int32_t max_steps = 0;      // of an episode: truncation at that step

  /// Whether every step is `frames` frames of the action asked for.
  LS_HD constexpr bool is_plain(int frames) const {
    return min_skip == frames && max_skip == frames && repeat_below == 0;
  }
};

}  // namespace lockstep
