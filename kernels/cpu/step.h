// One step of every environment of a group with the caller's actions, for Engine::step() and
// steppers.
#pragma once

#include "kernels/step_pack.h"

namespace lockstep::cpu {

template <class E, class F>
void step_group(const StepBuffers& args, std::int64_t group) {
  for (int lane = 0; lane < kGroup; lane += Lanes<F>::W) step_pack<E, F>(args, group, lane);
}

}  // namespace lockstep::cpu
