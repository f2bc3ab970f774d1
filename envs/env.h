// What an environment is: a struct of constants and static functions, one header a game.
//
// An environment knows one instant of one environment; number types make it a batch. It does no
// I/O, holds no pointers, draws no random numbers itself (it is handed uniforms) and knows no time
// limit: the engine counts steps, truncates at kMaxEpisodeSteps and resets. Copy envs/cartpole.h to
// add one, then name it in CMake: lockstep_add_environment(). envs/README.md says more.
#pragma once

#include <concepts>
#include <type_traits>

#include "envs/host_device.h"
#include "envs/math.h"

namespace lockstep {

/// What one step gives back beside the new state.
template <class F>
struct StepResult {
  F reward;
  typename Lanes<F>::M terminated;  // the world ended the episode (never the time limit)
};

/// How actions are handed over: two actions as a mask (true = action 1), more as numbers.
template <class F, int kActions>
using ActionOf = std::conditional_t<kActions == 2, typename Lanes<F>::M, typename Lanes<F>::I>;

/// Constants and functions the engine relies on, checked for one number type.
template <class E, class F = float>
concept Env = requires(typename E::template State<F> state, const F (&uniform)[4],
                       F (&observation)[E::kObservationSize], F (&saved)[E::kStateSize],
                       ActionOf<F, E::kNumActions> action) {
  { E::kName } -> std::convertible_to<const char*>;
  { E::kSummary } -> std::convertible_to<const char*>;
  requires E::kNumActions >= 2 && E::kNumActions <= 64;
  requires E::kObservationSize >= 1 && E::kObservationSize <= 15;
  requires E::kMaxEpisodeSteps >= 1;
  requires E::kMinEpisodeSteps >= 1;  // a proven bound: start states are drawn that much ahead
  requires E::kMaxAbsReward >
  0;
  { E::kConstantReward } -> std::convertible_to<bool>;  // every step's reward is 1
  { E::kObservationLimit[E::kObservationSize - 1] } -> std::convertible_to<float>;
  { E::template reset<F>(uniform) } -> std::same_as<typename E::template State<F>>;
  { E::template step<F>(state, action) } -> std::same_as<StepResult<F>>;
  E::template observe<F>(state, observation);
  E::template save<F>(state, saved);
  { E::template restore<F>(saved) } -> std::same_as<typename E::template State<F>>;
};

}  // namespace lockstep
