// What both rollout kernels share: their arguments, and what an environment leaves behind beside
// the record of its steps.
#pragma once

#include "kernels/carried_episodes.h"
#include "kernels/cuda/rollout_parts.cuh"
#include "kernels/cuda/warp.cuh"
#include "kernels/policy.h"
#include "kernels/rollout_step.h"

namespace lockstep::cuda {

struct PlayArgs {
  RolloutArgs<float> rollout;
  const UpdateState* state;  // of the update under way; null: evaluation
  EpisodeLog log;            // count null: not kept
  std::int32_t* histogram;   // ReturnTable's; null: not kept
  RolloutPart part;          // all steps, unless play_in_parts() says otherwise
};

inline PlayArgs play_args(const RolloutArgs<float>& args) {
  return {args, nullptr, {}, nullptr, {0, args.T, nullptr}};
}
inline PlayArgs play_args(const UpdateArgs& args) {
  return {args.rollout,
          args.state,
          args.episode_log,
          args.table_form && args.rollout.episodic ? args.table.histogram : nullptr,
          {0, args.rollout.T, nullptr}};
}

/// False if the updates stopped: then nothing is played.
__device__ inline bool is_running(const PlayArgs& play) {
  return play.state == nullptr || play.state->stop == Stop::kRunning;
}
/// The arguments with the epoch of the update under way.
__device__ inline RolloutArgs<float> rollout_of(const PlayArgs& play) {
  RolloutArgs<float> args = play.rollout;
  if (play.state != nullptr) args.stream.epoch = play.state->epoch;
  return args;
}

/// Start of environment `env`; lanes beyond the last one never count as alive.
template <class E>
__device__ inline Episode<E, float> first_episode(const RolloutArgs<float>& args,
                                                  std::int64_t env) {
  const auto id = static_cast<std::uint32_t>(env);
  return {start_state<E, float>(args.stream, id, 0u), 0, 0u, env < args.num_envs};
}

/// Evaluates a policy with a critic, which has no dropout: the value, and the logits.
template <PolicyForm kForm, class Policy, int O, int Z>
__device__ inline float logits_and_value(const Policy& policy, const float (&obs)[1][O],
                                         float (&logits)[1][Z]) {
  float outputs[1][Z + 1];
  policy_logits<kForm, 1, float>(policy, obs, static_cast<DropoutMask<float>*>(nullptr), outputs);
  for (int z = 0; z < Z; ++z) logits[0][z] = outputs[0][z];
  return outputs[0][Z];
}

/// An environment between two parts of a rollout.
template <class E>
struct SavedEpisode {
  Episode<E, float> episode;
  Scores<float> scores;
  PhiloxWords<std::uint32_t> words[4];  // of its actions; lanes8 draws four counters at once
  typename E::template State<float> next_start;  // if it is drawn ahead
  std::int32_t played;                           // steps of its warp
};

/// Where environment `env` is saved.
template <class E>
__device__ inline SavedEpisode<E>& saved_episode(const PlayArgs& play, std::int64_t env) {
  return static_cast<SavedEpisode<E>*>(play.part.saved)[env];
}
template <class E>
__device__ inline void save(SavedEpisode<E>& saved, const Episode<E, float>& episode,
                            const Scores<float>& scores) {
  saved.episode = episode;
  saved.scores = scores;
}
/// From a fresh start to where the part before stopped. Only what changes is read: what the
/// compiler sees to be constant takes no register of the loop.
template <class E, bool kEpisodic>
__device__ inline void resume(const SavedEpisode<E>& saved, Episode<E, float>& episode,
                              Scores<float>& scores) {
  episode.state = saved.episode.state;
  episode.steps = saved.episode.steps;
  if constexpr (kEpisodic) {
    episode.alive = saved.episode.alive;
  } else {
    episode.number = saved.episode.number;
  }
  if constexpr (!E::kConstantReward) scores = saved.scores;
}

/// Logs an episode that just ended, with automatic reset.
template <class E>
__device__ inline void log_episode(const PlayArgs& play, std::uint32_t env,
                                   const Episode<E, float>& episode, const Scores<float>& scores) {
  if (play.log.count == nullptr) return;
  const std::int64_t at =
      (std::int64_t{play.state->slot} * play.log.capacity + episode.number) * play.log.lanes + env;
  play.log.length[at] = episode.steps;
  if (play.log.score != nullptr) play.log.score[at] = scores.running;
}

/// Writes what is left of environment `env` after t steps; every lane of the warp calls it, `here`
/// marks those that have one.
template <class E, bool kEpisodic>
__device__ inline void leave(const PlayArgs& play, std::int64_t env, bool here,
                             const Episode<E, float>& episode, const Scores<float>& scores, int t) {
  // a lane beyond the last environment was never alive and has not finished anything
  const bool unused = env >= play.rollout.num_envs;
  Finished<float> finished = finished_of<E, kEpisodic, float>(episode, scores, t);
  if (here) {
    play.rollout.score[env] = finished.score;
    play.rollout.length[env] = finished.steps;
    play.rollout.episodes[env] = finished.episodes;
  }
  const std::int32_t count = unused ? 0 : finished.episodes;
  if (here && play.log.count != nullptr) {
    const std::int64_t slot = play.state->slot;
    play.log.count[slot * play.log.lanes + env] = count;
    if (kEpisodic && count > 0) {
      const std::int64_t at = slot * play.log.capacity * play.log.lanes + env;
      play.log.length[at] = finished.steps;
      if (play.log.score != nullptr) play.log.score[at] = finished.score;
    }
  }
  if (kEpisodic && play.histogram != nullptr) {
    count_in_histogram(play.histogram, here && count > 0 ? finished.steps : -1);
  }
}

}  // namespace lockstep::cuda
