// How long a launch of a rollout may be. A card that also drives a display ends a kernel after some
// two seconds, and what else wants the card waits as long; the user decides how many steps there
// are.
#pragma once

#include <cstdint>

#include "host/cuda/environments.h"
#include "kernels/object_tables.h"
#include "kernels/trajectory.h"

namespace lockstep::cuda {

/// What a launch may take, estimated: a fifth of a second of a card that runs at 1 GHz, or a tenth
/// of a second of a fast one. The estimate may be wrong by a factor of five before it matters.
inline constexpr std::int64_t kLaunchCycles = 200'000'000;

/// Most steps of one launch of a rollout laid out as `shape`, at least 1; O numbers an observation,
/// A actions. LS_LAUNCH_STEPS, where it is set, instead.
/// Errors: InvalidArgument naming LS_LAUNCH_STEPS
std::int32_t launch_steps(const LaunchShape& shape, const PolicyView<float>& policy, int O, int A,
                          std::int64_t num_envs, int multiprocessors);
std::int32_t launch_steps(const TableLaunchShape& shape, const TableRolloutArgs& rollout);

}  // namespace lockstep::cuda
