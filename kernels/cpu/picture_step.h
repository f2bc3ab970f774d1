// One step, in pictures, of every environment of a group with the caller's actions: plain code,
// compiled once.
#pragma once

#include "kernels/picture_step.h"

namespace lockstep::cpu {

/// T: int8 or float, the type of the pictures.
template <ObjectEnv E, class T>
void picture_step_group(const StepBuffers& args, const GameOptions& options, std::int64_t group) {
  const std::int64_t first = group * kGroup;
  for (std::int64_t env = first; env < first + kGroup && env < args.num_envs; ++env) {
    picture_step<E, T>(args, options, env, Alone{});
  }
}

}  // namespace lockstep::cpu
