// A batch played whole, and as two parts that know where they begin. Test code only.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "host/backend/record.h"
#include "tests/support/training.h"

namespace lockstep::test {

/// What a backend told of a rollout, and the record it filled.
struct RecordedPlay {
  PlayResult result;
  RolloutBuffers buffers;
};

inline RecordedPlay play_recorded(Backend& backend, const std::vector<float>& parameters,
                                  const PlayRequest& request, const EnvironmentEntry& environment) {
  const EnvironmentFacts& facts = *environment.facts;
  RecordedPlay play;
  play.buffers = RolloutBuffers({.num_envs = request.num_envs,
                                 .T = request.T,
                                 .O = facts.observation_size,
                                 .A = facts.num_actions,
                                 .obs_and_logits = !environment.has_objects(),
                                 .logits = true,
                                 .reward = !facts.constant_reward});
  Record<float> record = play.buffers.record();
  play.result = backend.play(parameters, request, &record);
  return play;
}

/// Everything that was recorded of environment `env`, as numbers.
inline std::vector<float> all_of(const RecordedPlay& play, const PlayRequest& request,
                                 const EnvironmentEntry& environment, std::int64_t env) {
  const EnvironmentFacts& facts = *environment.facts;
  const int O = facts.observation_size, Z = logits_of(facts.num_actions);
  const Record<float>& record = play.buffers.record();
  const RecordedEnv recorded(record, O, facts.num_actions, env);
  const auto i = static_cast<std::size_t>(env);
  std::vector<float> all = {play.result.score[i], static_cast<float>(play.result.length[i]),
                            static_cast<float>(play.result.episodes[i])};
  const std::int32_t steps = request.episodic ? play.result.length[i] : request.T;
  const int objects = environment.has_objects() ? facts.tables->shape.objects : 0;
  for (std::int32_t t = 0; t < steps; ++t) {
    for (int o = 0; record.obs != nullptr && o < O; ++o) all.push_back(recorded.obs(t, o));
    for (int z = 0; !request.random_policy && z < Z; ++z) all.push_back(recorded.logit(t, z));
    for (const int number : {recorded.action(t), recorded.terminated(t), recorded.truncated(t)}) {
      all.push_back(static_cast<float>(number));
    }
    all.push_back(recorded.reward(t));
    for (int k = 0; k < objects; ++k) {
      const std::int64_t at = (env / kGroup * request.T + t) * objects + k;
      all.push_back(play.result.rows[static_cast<std::size_t>(at * kGroup + env % kGroup)]);
    }
  }
  return all;
}

/// Expects of each environment of `request` what the environment of one of two parts does that has
/// the same number in the whole. The second part begins within a group of the whole.
inline void expect_parts_are_the_whole(Backend& backend, const std::vector<float>& parameters,
                                       PlayRequest request, const EnvironmentEntry& environment) {
  const PlayRequest whole_request = request;
  const std::int64_t N = request.num_envs, first = N / 2 - 1;
  ASSERT_NE(first % kGroup, 0);
  const RecordedPlay whole = play_recorded(backend, parameters, request, environment);
  int differing = 0, moved = 0;
  for (const std::int64_t begin : {std::int64_t{0}, first}) {
    request.num_envs = begin == 0 ? first : N - first;
    request.stream.first_env = whole_request.stream.first_env + static_cast<std::uint32_t>(begin);
    const RecordedPlay part = play_recorded(backend, parameters, request, environment);
    for (std::int64_t env = 0; env < request.num_envs; ++env) {
      const std::vector<float> got = all_of(part, request, environment, env);
      differing += got != all_of(whole, whole_request, environment, begin + env);
      moved += begin > 0 && got != all_of(whole, whole_request, environment, env);
    }
  }
  EXPECT_EQ(differing, 0) << environment.facts->name;
  EXPECT_GT(moved, 0) << "the second part is not the first one again";
}

/// The ways to play: actions of the policy, greedy and explored, and random ones; whole episodes,
/// automatic reset. With `parameters` of the policy.
inline void expect_parts_in_all_ways(Backend& backend, const std::vector<float>& parameters,
                                     const PlayRequest& request,
                                     const EnvironmentEntry& environment) {
  for (const ActionChoice choice :
       {ActionChoice::kSample, ActionChoice::kGreedy, ActionChoice::kEpsilon}) {
    for (const bool episodic : {false, true}) {
      SCOPED_TRACE(std::to_string(static_cast<int>(choice)) + (episodic ? " episodic" : ""));
      PlayRequest way = request;
      way.choice = choice;
      way.episodic = episodic;
      way.epsilon = 0.3f;
      expect_parts_are_the_whole(backend, parameters, way, environment);
    }
  }
  PlayRequest random = request;
  random.random_policy = true;
  random.episodic = false;
  expect_parts_are_the_whole(backend, parameters, random, environment);
}

}  // namespace lockstep::test
