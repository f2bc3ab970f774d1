// Environments in the middle of their episodes, between a checkpoint's rows and the kernels' lanes
// (CarriedEpisodes of kernels/trajectory.h).
#pragma once

#include <cstdint>

#include "host/backend/backend.h"

namespace lockstep {

/// Shapes: state [G][S][16], steps and score [16 G] out, as far as there are environments; a score
///         may be null where `from` has none
void states_to_lanes(const EnvironmentStates& from, std::int64_t state_size, float* state,
                     std::int32_t* steps, float* score);
/// The inverse, of N environments. score: null where every reward is 1
EnvironmentStates states_from_lanes(std::int64_t num_envs, std::int64_t state_size,
                                    const float* state, const std::int32_t* steps,
                                    const float* score);

}  // namespace lockstep
