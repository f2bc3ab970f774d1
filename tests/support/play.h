// Rollouts of CartPole with random actions or a policy of one constant logit, kept for inspection.
// Test code only.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "host/backend/environments.h"
#include "host/backend/record.h"
#include "host/cpu/number_backend.h"

namespace lockstep::test {

struct PlaySettings {
  std::int64_t envs = 16;
  std::int32_t T = 500;
  RandomStream stream{1, 0};
  ActionChoice choice = ActionChoice::kSample;
  float epsilon = 0;
  bool obs = false;
  Isa isa = choose_isa();
  int threads = 1;
};

/// A recorded rollout with automatic reset.
class Played {
 public:
  Played(RolloutBuffers buffers, PlayResult result)
      : buffers_(std::move(buffers)), result_(std::move(result)) {}
  const Record<float>& record() const { return buffers_.record(); }
  const PlayResult& result() const { return result_; }
  std::uint32_t action(std::int64_t env, std::int32_t t) const {
    return (record().action_bits[word(env, t)] >> (env % kGroup)) & 1u;
  }
  bool ended(std::int64_t env, std::int32_t t) const {
    const int ends = record().terminated[word(env, t)] | record().truncated[word(env, t)];
    return ((ends >> (env % kGroup)) & 1) != 0;
  }
  float obs(std::int64_t env, std::int32_t t, int i) const {
    return record().obs[(word(env, t) * 4 + i) * kGroup + env % kGroup];
  }

 private:
  std::int64_t word(std::int64_t env, std::int32_t t) const {
    return env / kGroup * record().T + t;
  }
  RolloutBuffers buffers_;
  PlayResult result_;
};

inline Played play(const std::vector<float>& parameters, bool random,
                   const PlaySettings& settings) {
  Config config;
  config.policy = PolicyKind::kLinear;
  CpuBackend backend(config, find_environment("cartpole"),
                     {.isa = settings.isa, .threads = settings.threads});
  RolloutBuffers buffers(
      {.num_envs = settings.envs, .T = settings.T, .O = 4, .A = 2, .obs_and_logits = settings.obs});
  Record<float> record = buffers.record();
  PlayRequest request;
  request.num_envs = settings.envs;
  request.T = settings.T;
  request.episodic = false;
  request.random_policy = random;
  request.choice = settings.choice;
  request.epsilon = settings.epsilon;
  request.stream = settings.stream;
  PlayResult result = backend.play(parameters, request, &record);
  return {std::move(buffers), std::move(result)};
}

inline Played play_random(const PlaySettings& settings) { return play({}, true, settings); }

/// A linear policy without weights: action 1 has the log-odds `logit` in every state.
inline Played play_logit(float logit, const PlaySettings& settings) {
  return play({0, 0, 0, 0, 0, 0, 0, 0, 0, logit}, false, settings);
}

}  // namespace lockstep::test
