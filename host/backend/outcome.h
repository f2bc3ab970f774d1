// What a rollout on the CPU tells of its episodes: the buffers, and what is made of them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>

#include "host/backend/backend.h"
#include "host/backend/buffer.h"
#include "kernels/score_sum.h"

namespace lockstep {

/// Score, length and number of episodes of every lane of a rollout.
struct Outcome {
  Outcome() = default;
  explicit Outcome(std::int64_t num_envs)
      : score((num_envs + kGroup - 1) / kGroup * kGroup),
        length(score.size()),
        episodes(score.size()) {}

  /// Makes a rollout, of numbers or of objects, write here.
  template <class Args>
  void receive(Args& args) {
    args.score = score.data();
    args.length = length.data();
    args.episodes = episodes.data();
  }
  void copy_to(PlayResult& result, std::int64_t num_envs) const {
    result.score.assign(score.data(), score.data() + num_envs);
    result.length.assign(length.data(), length.data() + num_envs);
    result.episodes.assign(episodes.data(), episodes.data() + num_envs);
  }
  /// Finished episodes of all environments.
  std::int64_t count(std::int64_t num_envs) const {
    std::int64_t sum = 0;
    for (std::int64_t i = 0; i < num_envs; ++i) sum += episodes[i];
    return sum;
  }

  Buffer<float> score;
  Buffer<std::int32_t> length, episodes;
};

/// Steps, and scores and lengths of finished episodes, by environment, then time. reward(i): that
/// of place i of the record's [G][T][16]. `before`: what the first episodes had done before the
/// rollout; empty where it started them.
template <class Reward>
void collect_episodes(const Config& config, const Outcome& outcome, const Record<float>& r,
                      const Reward& reward, UpdateResult& result,
                      const EnvironmentStates& before = {}) {
  if (config.horizon == 0) {
    result.scores.assign(outcome.score.data(), outcome.score.data() + config.envs);
    result.lengths.assign(outcome.length.data(), outcome.length.data() + config.envs);
    for (const std::int32_t length : result.lengths) result.steps += length;
    return;
  }
  result.steps = config.envs * config.horizon;
  for (std::int64_t env = 0; env < config.envs; ++env) {
    const std::int64_t lane = env % kGroup;
    if (outcome.episodes[env] == 0) continue;
    const auto i = static_cast<std::size_t>(env);
    int first = before.steps.empty() ? 0 : -before.steps[i];
    float score = before.score.empty() ? static_cast<float>(-first) : before.score[i];
    for (int t = 0; t < r.T; ++t) {
      const std::int64_t step = env / kGroup * r.T + t;
      score += reward(step * kGroup + lane);
      if ((((r.terminated[step] | r.truncated[step]) >> lane) & 1) == 0) continue;
      result.scores.push_back(score);
      result.lengths.push_back(t + 1 - first);
      first = t + 1;
      score = 0;
    }
  }
}

inline double sum_of_scores(std::span<const float> scores) {
  ScoreSum sum;
  for (const float score : scores) sum = sum + ScoreSum::of(score);
  return sum.value();
}

/// Sums over the episodes listed, which are all that finished, and keeps the last `most` of them.
inline void sum_up_episodes(std::int64_t most, UpdateResult& result) {
  result.episodes = static_cast<std::int64_t>(result.scores.size());
  result.score_sum = sum_of_scores(result.scores);
  result.length_sum =
      std::accumulate(result.lengths.begin(), result.lengths.end(), std::int64_t{0});
  const std::int64_t unlisted = result.episodes - std::min(result.episodes, most);
  result.scores.erase(result.scores.begin(), result.scores.begin() + unlisted);
  result.lengths.erase(result.lengths.begin(), result.lengths.begin() + unlisted);
}

}  // namespace lockstep
