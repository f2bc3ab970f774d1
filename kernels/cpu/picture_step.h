// One step, in pictures, of every environment of a group with the caller's actions. Drawing is
// nothing beside the product of a picture with a network: plain code, compiled once.
#pragma once

#include "kernels/picture_step.h"

namespace lockstep::cpu {

template <ObjectEnv E>
void picture_step_group(const StepBuffers& args, const GameOptions& options, std::int64_t group) {
  const std::int64_t first = group * kGroup;
  for (std::int64_t env = first; env < first + kGroup && env < args.num_envs; ++env) {
    picture_step<E>(args, options, env);
  }
}

}  // namespace lockstep::cpu
