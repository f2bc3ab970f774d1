// One environment stepped alone from any state, in float32 or in the reference float64: what
// `lockstep replay` runs. Baseline code, compiled once per environment; not a fast path.
#pragma once

#include "kernels/environment_facts.h"
#include "kernels/rollout_step.h"

namespace lockstep::cpu {

template <class E>
concept HasReplayArithmetic = requires {
  typename E::ReplayArithmetic;
};
template <class E>
concept HasReferenceArithmetic = requires {
  typename E::ReferenceArithmetic;
};

template <class E>
struct ReplayBatch {
  static constexpr int S = E::kStateSize;
  static constexpr int O = E::kObservationSize;

  static void reset(const RandomStream& stream, std::uint32_t env, double* state) {
    float saved[S];
    E::template save<float>(start_state<E, float>(stream, env, 0u), saved);
    for (int s = 0; s < S; ++s) state[s] = static_cast<double>(saved[s]);
  }

  template <class Real>
  static typename E::template State<Real> read(const double* state) {
    Real values[S];
    for (int s = 0; s < S; ++s) values[s] = static_cast<Real>(state[s]);
    return E::template restore<Real>(values);
  }

  template <class Real, class Step>
  static void step_as(double* state, std::uint8_t action, float* reward, std::uint8_t* terminated,
                      Step step) {
    auto current = read<Real>(state);
    StepResult<Real> result;
    if constexpr (E::kNumActions == 2) {
      result = step(current, action != 0);
    } else {
      result = step(current, static_cast<std::int32_t>(action));
    }
    Real saved[S];
    E::template save<Real>(current, saved);
    for (int s = 0; s < S; ++s) state[s] = static_cast<double>(saved[s]);
    *reward = static_cast<float>(result.reward);
    *terminated = result.terminated ? 1 : 0;
  }

  static void step(double* state, std::uint8_t action, bool float64, float* reward,
                   std::uint8_t* terminated) {
    if (float64) {
      if constexpr (HasReferenceArithmetic<E>) {
        step_as<double>(state, action, reward, terminated, [](auto& current, auto a) {
          return E::template step<double, typename E::ReferenceArithmetic>(current, a);
        });
      }
      return;
    }
    step_as<float>(state, action, reward, terminated, [](auto& current, auto a) {
      if constexpr (HasReplayArithmetic<E>) {
        return E::template step<float, typename E::ReplayArithmetic>(current, a);
      } else {
        return E::template step<float>(current, a);
      }
    });
  }

  /// Gymnasium's observation: the state rounded to float32.
  static void observe(const double* state, float* obs) {
    float values[O];
    E::template observe<float>(read<float>(state), values);
    for (int o = 0; o < O; ++o) obs[o] = values[o];
  }
};

}  // namespace lockstep::cpu

#define LS_INSTANTIATE_REPLAY(name, Type)                                             \
  namespace lockstep::cpu {                                                           \
  extern const EnvironmentFacts environment_facts_##name;                             \
  const EnvironmentFacts environment_facts_##name = {                                 \
      Type::kName,                                                                    \
      Type::kSummary,                                                                 \
      Type::kStateSize,                                                               \
      Type::kStateSize,                                                               \
      Type::kObservationSize,                                                         \
      Type::kNumActions,                                                              \
      Type::kMaxEpisodeSteps,                                                         \
      Type::kMinEpisodeSteps,                                                         \
      Type::kConstantReward,                                                          \
      Type::kMaxAbsReward,                                                            \
      Type::kObservationLimit,                                                        \
      {ReplayBatch<Type>::reset, ReplayBatch<Type>::step, ReplayBatch<Type>::observe, \
       HasReferenceArithmetic<Type>},                                                 \
      watch_facts<Type>()};                                                           \
  }
