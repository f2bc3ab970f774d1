// A recorded trajectory walked once more for its gradient: observations and logits come from the
// record where it kept them, else from replaying the environment with the recorded actions.
#pragma once

#include "kernels/policy.h"
#include "kernels/rollout_step.h"

namespace lockstep {

/// Where a pack stands in its trajectory.
template <class E, class F>
struct Replay {
  Episode<E, F> episode;
  typename Lanes<F>::U env;
};

/// At the start of the trajectories of `env`; lanes not in use replay whatever their bits say.
template <class E, class F>
LS_HD Replay<E, F> start_replay(const RandomStream& stream, typename Lanes<F>::U env) {
  using I = typename Lanes<F>::I;
  using U = typename Lanes<F>::U;
  return {{start_state<E, F>(stream, env, U(0u)), I(0), U(0u), Lanes<F>::mask(~0u)}, env};
}

/// Takes the recorded action, and starts the next episode where one ended.
template <class E, class F>
LS_HD void replay_step(const RandomStream& stream, bool episodic, Replay<E, F>& replay,
                       ActionOf<F, E::kNumActions> action) {
  using U = typename Lanes<F>::U;
  const Episode<E, F> before = replay.episode;
  const auto out = advance<E, F>(replay.episode, action);
  if (episodic) {
    stand_still<E, F>(replay.episode, before, out.ended);
  } else if (any(out.ended)) {
    const auto start = start_state<E, F>(stream, replay.env, replay.episode.number + U(1u));
    restart<E, F>(replay.episode, out.ended, start);
  }
}

/// The action of step t of lanes [lane, lane + W) of a group.
template <class E, class F>
LS_HD ActionOf<F, E::kNumActions> recorded_action(const Record<typename Lanes<F>::Scalar>& record,
                                                  std::int64_t group, int lane, int t) {
  if constexpr (E::kNumActions == 2) {
    return Lanes<F>::mask(static_cast<std::uint32_t>(record.action_bits[group * record.T + t]) >>
                          lane);
  } else {
    std::int32_t action[Lanes<F>::W];
    const std::uint8_t* from = record.action + (group * record.T + t) * kGroup + lane;
    for (int i = 0; i < Lanes<F>::W; ++i) action[i] = from[i];
    return Lanes<F>::load(action);
  }
}

/// Loads fields [0, kFields) of step t, lanes [lane, lane + W) of a group.
template <class F, int kFields>
LS_HD void load_fields(const typename Lanes<F>::Scalar* field, std::int64_t step, int lane,
                       F (&to)[kFields]) {
  for (int i = 0; i < kFields; ++i) {
    to[i] = Lanes<F>::load(field + (step * kFields + i) * kGroup + lane);
  }
}

/// Observation and logits of step t, each from the record if it was kept. Without recorded
/// observations the replay advances, so steps are visited in order. `mask` is read where logits are
/// evaluated with dropout.
///
/// Result: bitwise the same whatever was kept.
template <class E, PolicyForm kForm, class F, class Mask>
LS_HD void visit_step(const GradientArgs<typename Lanes<F>::Scalar>& args, Replay<E, F>& replay,
                      Mask* mask, std::int64_t group, int lane, int t,
                      F (&obs)[1][E::kObservationSize], F (&logits)[1][logits_of(E::kNumActions)]) {
  const auto& record = args.record;
  const std::int64_t step = group * record.T + t;
  if (record.obs != nullptr) {
    load_fields<F>(record.obs, step, lane, obs[0]);
  } else {
    E::template observe<F>(replay.episode.state, obs[0]);
  }
  if (record.logits != nullptr) {
    load_fields<F>(record.logits, step, lane, logits[0]);
  } else {
    policy_logits<kForm, kForm == PolicyForm::kGeneral ? 1 : kPartials>(args.policy, obs, mask,
                                                                        logits);
  }
  if (record.obs == nullptr) {
    replay_step<E, F>(args.stream, args.episodic, replay,
                      recorded_action<E, F>(record, group, lane, t));
  }
}

}  // namespace lockstep
