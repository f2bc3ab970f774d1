// Environments that go on from rollout to rollout, as a rollout's registers have them: read at its
// start, written at its end. The arrays are CarriedEpisodes of trajectory.h.
#pragma once

#include "kernels/rollout_step.h"

namespace lockstep {

/// Where a pack's part of a carried array begins, `fields` values an environment.
template <class F, class T>
LS_HD T* carried_lanes(T* array, std::int64_t env, int fields) {
  return array + env / kGroup * fields * kGroup + env % kGroup;
}

/// The episode that a pack of environments from `env` on is in the middle of.
template <class E, class F>
LS_HD void resume_carried(const CarriedEpisodes<typename Lanes<F>::Scalar>& carried,
                          std::int64_t env, Episode<E, F>& episode, Scores<F>& scores) {
  F saved[E::kStateSize];
  const auto* state = carried_lanes<F>(carried.state, env, E::kStateSize);
  for (int s = 0; s < E::kStateSize; ++s) saved[s] = Lanes<F>::load(state + s * kGroup);
  episode.state = E::template restore<F>(saved);
  episode.steps = Lanes<F>::load(carried.steps + env);
  if constexpr (!E::kConstantReward) scores.running = Lanes<F>::load(carried.score + env);
}

template <class E, class F>
LS_HD void save_carried(const CarriedEpisodes<typename Lanes<F>::Scalar>& carried, std::int64_t env,
                        const Episode<E, F>& episode, const Scores<F>& scores) {
  F saved[E::kStateSize];
  E::template save<F>(episode.state, saved);
  auto* state = carried_lanes<F>(carried.state, env, E::kStateSize);
  for (int s = 0; s < E::kStateSize; ++s) store(state + s * kGroup, saved[s]);
  store(carried.steps + env, episode.steps);
  if constexpr (!E::kConstantReward) store(carried.score + env, scores.running);
}

}  // namespace lockstep
