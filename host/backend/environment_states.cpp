#include "host/backend/environment_states.h"

namespace lockstep {
namespace {

/// Place of number s of an environment in [G][S][16].
std::int64_t lane_of(std::int64_t env, std::int64_t s, std::int64_t state_size) {
  return (env / kGroup * state_size + s) * kGroup + env % kGroup;
}

}  // namespace

void states_to_lanes(const EnvironmentStates& from, std::int64_t state_size, float* state,
                     std::int32_t* steps, float* score) {
  const float* next = from.state.data();
  for (std::size_t i = 0; i < from.steps.size(); ++i) {
    const auto env = static_cast<std::int64_t>(i);
    for (std::int64_t s = 0; s < state_size; ++s) state[lane_of(env, s, state_size)] = *next++;
    steps[env] = from.steps[i];
    if (!from.score.empty()) score[env] = from.score[i];
  }
}

EnvironmentStates states_from_lanes(std::int64_t num_envs, std::int64_t state_size,
                                    const float* state, const std::int32_t* steps,
                                    const float* score) {
  EnvironmentStates to;
  to.state.reserve(static_cast<std::size_t>(num_envs * state_size));
  for (std::int64_t env = 0; env < num_envs; ++env) {
    for (std::int64_t s = 0; s < state_size; ++s) {
      to.state.push_back(state[lane_of(env, s, state_size)]);
    }
  }
  to.steps.assign(steps, steps + num_envs);
  if (score != nullptr) to.score.assign(score, score + num_envs);
  return to;
}

}  // namespace lockstep
