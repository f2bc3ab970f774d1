// Small trainings with a critic on the CPU, in variants that take every way through its kernels.
// Test code only.
#pragma once

#include <iterator>
#include <memory>
#include <vector>

#include "host/backend/table_lists.h"
#include "host/cpu/actor_critic.h"
#include "host/cpu/table_actor_critic.h"
#include "host/options/options.h"
#include "tests/support/training.h"

namespace lockstep::test {

/// Small, with odd numbers everywhere.
inline Config ppo_config(std::int64_t envs = 37) {
  Config c = small_config(envs, 11);
  c.algorithm = Algorithm::kPpo;
  c.critic = Critic::kSeparate;
  c.critic_hidden = 13;
  c.horizon = 12;
  c.baseline = Baseline::kNone;
  c.normalize = Normalize::kMinibatch;
  c.gamma = 0.98;
  c.epochs = 2;
  c.minibatches = 3;
  c.lr = 3e-3;
  return c;
}

/// From pictures, with a value that shares their hidden layer.
inline void make_pong(Config& c) {
  c.env = "pong";
  c.critic = Critic::kShared;
  c.hidden = 21;
}

struct ActorCriticVariant {
  const char* name;
  void (*apply)(Config&);
};
inline constexpr ActorCriticVariant kActorCriticVariants[] = {
    {"PpoSeparate", [](Config&) {}},
    {"PpoSharedLeaky",
     [](Config& c) {
       c.critic = Critic::kShared;
       c.activation = Activation::kLeakyRelu;
       c.value_clip = 0.1;
       c.entropy_coef = 0.01;
       c.normalize = Normalize::kBatch;
       c.max_grad_norm = 0.5;
     }},
    {"PpoLinear",
     [](Config& c) {
       c.policy = PolicyKind::kLinear;
       c.critic = Critic::kShared;
       c.optimizer = OptimizerKind::kRmsprop;
       c.target_kl = 1e-4;
       c.epochs = 5;
     }},
    {"PpoSingleSteps", [](Config& c) { c.shuffle = Shuffle::kSteps; }},
    {"A2c",
     [](Config& c) {
       c.algorithm = Algorithm::kA2c;
       c.epochs = c.minibatches = 1;
       c.normalize = Normalize::kNone;
       c.gae_lambda = 1;
     }},
    // three actions, rewards that differ, and a limit of 20 steps
    {"Corridor",
     [](Config& c) {
       c.env = "corridor";
       c.horizon = 15;
       c.gamma = 0.9;
       c.max_grad_norm = 1;
       c.lr = 1e-3;
     }},
};
inline constexpr const ActorCriticVariant& kCorridorVariant = kActorCriticVariants[5];

/// The same from pictures.
inline constexpr ActorCriticVariant kPictureVariants[] = {
    {"Pong", [](Config& c) { make_pong(c); }},
    // games of a few steps, for some end within the six updates of a test
    {"PongLeaky",
     [](Config& c) {
       make_pong(c);
       c.activation = Activation::kLeakyRelu;
       c.frame_skip = {20, 20};
       c.horizon = 60;
       c.repeat_action_probability = 0.25;
       c.returns = ReturnKind::kPoint;
       c.value_clip = 0.1;
       c.entropy_coef = 0.01;
       c.normalize = Normalize::kBatch;
       c.max_grad_norm = 0.5;
     }},
    {"PongSingleSteps",
     [](Config& c) {
       make_pong(c);
       c.shuffle = Shuffle::kSteps;
     }},
};

inline std::vector<ActorCriticVariant> all_variants() {
  std::vector<ActorCriticVariant> all(std::begin(kActorCriticVariants),
                                      std::end(kActorCriticVariants));
  all.insert(all.end(), std::begin(kPictureVariants), std::end(kPictureVariants));
  return all;
}

inline Config config_of(const ActorCriticVariant& variant, std::int64_t envs = 37) {
  Config c = ppo_config(envs);
  variant.apply(c);
  validate(c);
  return c;
}

inline std::unique_ptr<CpuUpdates> new_actor_critic(const Config& config, const CpuTuning& tuning) {
  const EnvironmentEntry& environment = find_environment(config.env);
  if (environment.has_objects()) {
    return std::make_unique<TableActorCritic>(config, environment, tuning);
  }
  return std::make_unique<CpuActorCritic>(config, environment, tuning);
}

/// The last gradient in PolicyShape's layout.
inline std::vector<float> flat_gradient(const CpuUpdates& backend,
                                        const EnvironmentEntry& environment) {
  const std::span<const float> gradient = backend.gradient_view();
  if (!environment.has_objects()) return {gradient.begin(), gradient.end()};
  return from_table_layout(table_shape(*environment.facts->tables, backend.shape()),
                           gradient.data());
}

/// A backend with its initial state uploaded.
inline std::unique_ptr<CpuUpdates> start(const Config& config, const CpuTuning& tuning = {}) {
  auto backend = new_actor_critic(config, tuning);
  backend->upload(initial_state(config));
  return backend;
}

}  // namespace lockstep::test
