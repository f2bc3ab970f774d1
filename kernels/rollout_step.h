// One step of one environment (or one pack of them): physics, time limit, automatic reset.
// The rollout, its replay in the backward pass and Engine::step() all go through here.
#pragma once

#include "envs/env.h"
#include "kernels/philox.h"
#include "kernels/trajectory.h"

namespace lockstep {

/// An environment in the middle of an episode.
template <class E, class F>
struct Episode {
  typename E::template State<F> state;
  typename Lanes<F>::I steps;   // steps done in this episode
  typename Lanes<F>::U number;  // of this episode within the epoch
  typename Lanes<F>::M alive;   // lane is in use and, in episodic mode, not finished
};

/// What one step tells, restricted to lanes that were alive.
template <class F>
struct StepOutcome {
  F reward;
  typename Lanes<F>::M terminated;
  typename Lanes<F>::M truncated;
  typename Lanes<F>::M ended;
};

/// Start state of an episode.
/// Random: purpose reset, index = number of the episode within the epoch; four uniforms.
template <class E, class F>
LS_HD typename E::template State<F> start_state(const RandomStream& stream,
                                                typename Lanes<F>::U env,
                                                typename Lanes<F>::U number) {
  const auto r = random_words(stream, Purpose::kReset, 0, env, number);
  const F u[4] = {uniform<F>(r.w[0]), uniform<F>(r.w[1]), uniform<F>(r.w[2]), uniform<F>(r.w[3])};
  return E::template reset<F>(u);
}

template <class E, class F>
LS_HD typename E::template State<F> select_state(typename Lanes<F>::M m,
                                                 const typename E::template State<F>& a,
                                                 const typename E::template State<F>& b) {
  F from_a[E::kStateSize], from_b[E::kStateSize];
  E::template save<F>(a, from_a);
  E::template save<F>(b, from_b);
  for (int i = 0; i < E::kStateSize; ++i) from_a[i] = select(m, from_a[i], from_b[i]);
  return E::template restore<F>(from_a);
}

/// Steps the environment and counts; no reset. Both terminated and truncated may hold.
template <class E, class F>
LS_HD StepOutcome<F> advance(Episode<E, F>& episode, ActionOf<F, E::kNumActions> action) {
  using I = typename Lanes<F>::I;
  using M = typename Lanes<F>::M;
  const StepResult<F> result = E::template step<F>(episode.state, action);
  episode.steps = episode.steps + I(1);
  const M terminated = result.terminated & episode.alive;
  const M truncated = (episode.steps >= I(E::kMaxEpisodeSteps)) & episode.alive;
  const M ended = terminated | truncated;
  return {result.reward, terminated, truncated, ended};
}

/// Puts lanes whose episode ended at the start of their next one.
template <class E, class F>
LS_HD void restart(Episode<E, F>& episode, typename Lanes<F>::M ended,
                   const typename E::template State<F>& start) {
  using I = typename Lanes<F>::I;
  using U = typename Lanes<F>::U;
  episode.state = select_state<E, F>(ended, start, episode.state);
  episode.steps = select(ended, I(0), episode.steps);
  episode.number = episode.number + select(ended, U(1u), U(0u));
}

/// Steps between two draws of start states, see draw_every().
template <class E>
inline constexpr int kDrawAhead = draw_every(E::kMinEpisodeSteps);

/// Rewards of an environment in a rollout; unused where every step's reward is 1.
template <class F>
struct Scores {
  F running;   // of the episode under way
  F finished;  // summed over finished episodes
};

/// Steps and adds the reward to the running score.
template <class E, class F>
LS_HD StepOutcome<F> advance_and_score(Episode<E, F>& episode, Scores<F>& scores,
                                       ActionOf<F, E::kNumActions> action) {
  const StepOutcome<F> out = advance<E, F>(episode, action);
  if constexpr (!E::kConstantReward) scores.running = scores.running + out.reward;
  return out;
}

/// Moves the running score of episodes that ended to the finished ones.
template <class E, class F>
LS_HD void close_scores(Scores<F>& scores, typename Lanes<F>::M ended) {
  if constexpr (!E::kConstantReward) {
    scores.finished = select(ended, scores.finished + scores.running, scores.finished);
    scores.running = select(ended, F(0), scores.running);
  }
}

/// After the step of an episodic rollout. A finished lane stands still: nothing it computes can
/// overflow, and its steps remain.
template <class E, class F>
LS_HD void stand_still(Episode<E, F>& episode, const Episode<E, F>& before,
                       typename Lanes<F>::M ended) {
  episode.state = select_state<E, F>(before.alive, episode.state, before.state);
  episode.steps = select(before.alive, episode.steps, before.steps);
  episode.alive = before.alive & !ended;
}

/// What a rollout of t steps reports of an environment.
template <class F>
struct Finished {
  F score;                     // sum of rewards over finished episodes
  typename Lanes<F>::I steps;  // of finished episodes
  typename Lanes<F>::I episodes;
};

/// All steps but those of the episode under way belong to finished episodes.
template <class E, bool kEpisodic, class F>
LS_HD Finished<F> finished_of(const Episode<E, F>& episode, const Scores<F>& scores, int t) {
  using I = typename Lanes<F>::I;
  Finished<F> out;
  if constexpr (kEpisodic) {
    out.episodes = select(episode.alive, I(0), I(1));
    out.steps = select(episode.alive, I(0), episode.steps);
  } else {
    out.episodes = as_signed(episode.number);
    out.steps = I(t) - episode.steps;
  }
  out.score = E::kConstantReward ? to_real<F>(out.steps) : scores.finished;
  return out;
}

}  // namespace lockstep
