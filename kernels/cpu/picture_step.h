// One step, in pictures, of every environment of a group with the caller's actions. The frames of
// games that go on are played in packs, by code of the instruction set (game_frames.h); whatever
// else a step may be is picture_step()'s, environment by environment, and so is all drawing: plain
// code, compiled once.
#pragma once

#include "kernels/cpu/row_runs.h"
#include "kernels/cpu/table_launchers.h"
#include "kernels/picture_step.h"

namespace lockstep::cpu {

/// One thread by itself, for picture_step().
template <ObjectEnv E>
struct Alone {
  const RowRuns<E>& runs = RowRuns<E>::get();
  static constexpr bool kAlone = true;
  static constexpr int kLanes = 1;
  static constexpr int lane = 0;
  LS_HD void sync() const {}
  template <class, class Visit>
  LS_HD void each_pixel(int row, const Visit& visit) const {
    runs.each_pixel(row, visit);
  }
};

/// Whether a step of environment `env` plays frames, is not its episode's last unless the game
/// ends with it, and goes from a picture that the table knows to another.
template <ObjectEnv E>
bool goes_on(const StepBuffers& args, const GameOptions& options, std::int64_t env) {
  const std::int32_t steps = args.steps[env] + 1;
  return args.ended[env] == 0 && steps < options.max_steps && in_table<E>(steps, options) &&
         args.shown[(2 * env + 1) * E::kObjects] >= 0;
}

/// frames: of the instruction set. T: int8 or float, the type of the pictures.
/// Result: bitwise picture_step() of every environment.
template <ObjectEnv E, class T>
void picture_step_group(const StepBuffers& args, const GameOptions& options, std::int64_t group,
                        PlayFrames frames) {
  constexpr int k = E::kObjects;
  const std::int64_t first = group * kGroup, left = args.num_envs - first;
  const int lanes = left < kGroup ? static_cast<int>(left) : kGroup;
  std::uint32_t played = 0;
  if (!args.reset_only && options.is_plain(E::kFrames) && !options.max_pool) {
    for (int i = 0; i < lanes; ++i) {
      played |= (goes_on<E>(args, options, first + i) ? 1u : 0u) << i;
    }
  }
  const Alone<E> alone;
  alignas(64) GameFrames now;
  if (played != 0) played = frames(args, group, played, now);
  for (int i = 0; i < lanes; ++i) {
    const std::int64_t env = first + i;
    if (((played >> i) & 1u) == 0) {
      picture_step<E, T>(args, options, env, alone);
      continue;
    }
    std::int32_t row[k], shown[2 * k];
    for (int o = 0; o < k; ++o) row[o] = static_cast<std::uint16_t>(now.row[o][i]);
    for (int o = 0; o < 2 * k; ++o) shown[o] = args.shown[env * 2 * k + o];
    show_rows<E>(row, false, static_cast<T*>(args.obs) + env * E::kPixels, shown, alone);
    for (int o = 0; o < 2 * k; ++o) args.shown[env * 2 * k + o] = shown[o];
    tell_step(args, env, now.reward[i], false, false, false);
    ++args.steps[env];
  }
}

}  // namespace lockstep::cpu
