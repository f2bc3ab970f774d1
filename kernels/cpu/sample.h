// The choice of actions from given logits on the CPU, a group of environments a call: Bernoulli for
// two actions, categorical for up to 64, greedy, epsilon-greedy. Compiled once per instruction set.
#pragma once

#include "kernels/dense.h"

namespace lockstep::cpu {

/// Chooses the actions of the 16 environments of a group. All arrays have room for whole groups.
template <class F>
void sample_group(const SampleArgs& args, std::int64_t group) {
  for (int lane = 0; lane < kGroup; lane += Lanes<F>::W) {
    sample_pack<F>(args, group * kGroup + lane);
  }
}

}  // namespace lockstep::cpu
