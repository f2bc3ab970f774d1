// Tests for host/cpu/actor_critic.h: the same bits in every way, episodes that go on, resumption,
// failures. The gradient's truth: tests/kernels/actor_critic_step_test.cpp for a step,
// actor_critic_oracle_test.cpp for whole updates.
#include "host/cpu/actor_critic.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <numeric>
#include <string>

#include "envs/cartpole.h"
#include "host/errors.h"
#include "tests/support/actor_critic.h"
#include "tests/support/compare.h"

namespace lockstep {
namespace actor_critic_test {

using test::ActorCriticVariant;
using test::all_variants;
using test::config_of;
using test::ppo_config;
using test::start;

/// Of an environment whose rewards differ: its running scores are carried too.
Config corridor_config(std::int64_t envs = 37) { return config_of(test::kCorridorVariant, envs); }

/// Figures that a critic adds, and the environments, beside what test::hash_training() hashes.
std::uint64_t hash_of(CpuUpdates& backend, const Config& config, int updates, int first = 0) {
  Fnv64 hash;
  for (int update = first; update < first + updates; ++update) {
    const UpdateResult r = backend.update(static_cast<std::uint32_t>(update), config.lr);
    const double figures[] = {r.policy_loss,        r.entropy,   r.grad_norm,    r.value_loss,
                              r.explained_variance, r.approx_kl, r.clip_fraction};
    hash.add(std::span<const double>(figures));
    hash.add(std::span(r.scores));
    hash.add(std::span(r.lengths));
    test::add_trajectory(hash, backend, config.envs, true);
  }
  const TrainingState state = backend.download();
  hash.add(std::span(state.parameters));
  hash.add(std::span(state.first_moment));
  hash.add(std::span(state.second_moment));
  hash.add(std::span(state.environments.state));
  hash.add(std::span(state.environments.steps));
  hash.add(std::span(state.environments.score));
  return hash.value();
}

TEST(ActorCritic, EveryWayGivesTheSameBits) {
  for (const ActorCriticVariant& variant : all_variants()) {
    const Config config = config_of(variant);
    const std::uint64_t want = hash_of(*start(config), config, 6);
    for (const Isa isa : test::available_isas()) {
      for (const int threads : {1, 3}) {
        for (const int groups : {0, 1}) {
          EXPECT_EQ(hash_of(*start(config, {isa, threads, groups}), config, 6), want)
              << variant.name << ", " << isa_name(isa) << ", " << threads << " threads";
        }
      }
    }
  }
}

TEST(ActorCritic, VariantsLearnDifferentThings) {
  std::vector<std::vector<float>> all;
  for (const ActorCriticVariant& variant : all_variants()) {
    const Config config = config_of(variant);
    auto backend = start(config);
    const auto before = backend->download().parameters;
    for (std::uint32_t update = 0; update < 3; ++update) backend->update(update, config.lr);
    const auto after = backend->download().parameters;
    const auto gradient = test::flat_gradient(*backend, find_environment(config.env));
    for (std::size_t i = 0; i < after.size(); ++i) {
      // all of them move, the critic's too, but for units that no step has switched on
      if (after[i] != before[i]) continue;
      EXPECT_EQ(gradient[i], 0.0f) << variant.name << " " << i;
    }
    EXPECT_FALSE(test::same_bits(std::span<const float>(after), std::span<const float>(before)));
    all.push_back(after);
  }
  EXPECT_NE(all[0], all[3]);  // tiles or single steps
  EXPECT_NE(all[6], all[8]);
}

TEST(ActorCritic, APassSeesThePolicyOfTheStepBefore) {
  Config config = ppo_config();
  config.minibatches = 1;
  config.epochs = 1;
  EXPECT_EQ(start(config)->update(0, config.lr).approx_kl, 0.0);
  config.epochs = 2;
  EXPECT_GT(start(config)->update(0, config.lr).approx_kl, 0.0);
}

TEST(ActorCritic, AnEpochLearnsFromEveryStepOnce) {
  // steps of the optimiser that are too small to change anything: what a whole batch tells is the
  // mean of what its minibatches do
  for (const Shuffle shuffle : {Shuffle::kTiles, Shuffle::kSteps}) {
    Config config = ppo_config(48);
    config.shuffle = shuffle;
    config.horizon = 16;  // four parts of one size
    config.normalize = Normalize::kNone;
    config.epochs = 1;
    config.minibatches = 1;
    auto whole = start(config);
    config.minibatches = 4;
    auto parts = start(config);
    const UpdateResult a = whole->update(0, 1e-20), b = parts->update(0, 1e-20);
    EXPECT_NEAR(b.entropy, a.entropy, 1e-6 * a.entropy);
    EXPECT_NEAR(b.value_loss, a.value_loss, 1e-6 * a.value_loss);
    EXPECT_NEAR(b.policy_loss, a.policy_loss, 1e-6 * std::abs(a.value_loss));
  }
}

TEST(ActorCritic, AdvantagesAreNormalisedOverWhatWasAskedFor) {
  std::vector<std::vector<float>> all;
  for (const Normalize normalize :
       {Normalize::kNone, Normalize::kScale, Normalize::kBatch, Normalize::kMinibatch}) {
    Config config = ppo_config();
    config.normalize = normalize;
    auto backend = start(config);
    backend->update(0, config.lr);
    for (const auto& other : all) EXPECT_NE(backend->download().parameters, other);
    all.push_back(backend->download().parameters);
  }
}

TEST(ActorCritic, EpisodesGoOnFromUpdateToUpdate) {
  Config config = ppo_config(20);
  config.horizon = 9;  // shorter than most episodes
  auto backend = start(config);
  std::vector<CartPole::State<float>> state(20);
  std::vector<std::int32_t> steps(20);
  std::int64_t finished = 0, spanning = 0;
  for (std::uint32_t update = 0; update < 20; ++update) {
    const UpdateResult result = backend->update(update, config.lr);
    EXPECT_EQ(result.steps, 20 * 9);
    EXPECT_EQ(result.cut_steps(), 0);
    std::size_t listed = 0;
    for (std::int64_t i = 0; i < 20; ++i) {
      const auto e = static_cast<std::size_t>(i);
      const RecordedEnv env(backend->steps(), 4, 2, i);
      for (int t = 0; t < 9; ++t) {
        float obs[4];
        CartPole::observe<float>(state[e], obs);
        for (int o = 0; o < 4 && steps[e] > 0; ++o) ASSERT_EQ(env.obs(t, o), obs[o]);
        const float seen[4] = {env.obs(t, 0), env.obs(t, 1), env.obs(t, 2), env.obs(t, 3)};
        if (steps[e] == 0) state[e] = CartPole::restore<float>(seen);
        CartPole::step<float>(state[e], env.action(t) != 0);
        ++steps[e];
        if ((env.terminated(t) | env.truncated(t)) == 0) continue;
        ASSERT_LT(listed, result.lengths.size());
        EXPECT_EQ(result.lengths[listed], steps[e]);
        EXPECT_EQ(result.scores[listed], static_cast<float>(steps[e]));
        spanning += steps[e] > t + 1 ? 1 : 0;
        ++listed;
        steps[e] = 0;
      }
    }
    EXPECT_EQ(listed, result.lengths.size());
    finished += static_cast<std::int64_t>(listed);
  }
  EXPECT_GT(finished, 100);
  EXPECT_GT(spanning, 50);
}

TEST(ActorCritic, ScoresOfOtherRewardsSpanUpdates) {
  const Config config = corridor_config(21);
  auto backend = start(config);
  std::vector<float> score(21);
  std::int64_t finished = 0;
  for (std::uint32_t update = 0; update < 10; ++update) {
    const UpdateResult result = backend->update(update, config.lr);
    std::size_t listed = 0;
    for (std::int64_t i = 0; i < 21; ++i) {
      const RecordedEnv env(backend->steps(), 2, 3, i);
      float& running = score[static_cast<std::size_t>(i)];
      for (int t = 0; t < config.horizon; ++t) {
        running += env.reward(t);  // dyadic: exact
        if ((env.terminated(t) | env.truncated(t)) == 0) continue;
        ASSERT_LT(listed, result.scores.size());
        EXPECT_EQ(result.scores[listed++], running);
        running = 0;
      }
    }
    EXPECT_EQ(listed, result.scores.size());
    finished += static_cast<std::int64_t>(listed);
    EXPECT_EQ(backend->download().environments.score, score);
  }
  EXPECT_GT(finished, 100);
}

TEST(ActorCritic, StartsAgainAsIfNothingHadBeen) {
  for (const Config& config : {ppo_config(), corridor_config()}) {
    auto backend = start(config);
    const UpdateResult first = backend->update(0, config.lr);
    backend->update(1, config.lr);
    backend->upload(test::initial_state(config));
    const UpdateResult again = backend->update(0, config.lr);
    EXPECT_EQ(again.scores, first.scores) << config.env;
    EXPECT_EQ(again.lengths, first.lengths) << config.env;
  }
}

TEST(ActorCritic, AnEnvironmentDoesNotDependOnThoseBesideIt) {
  auto few = start(ppo_config(5)), many = start(ppo_config(70));
  for (std::uint32_t update = 0; update < 3; ++update) {  // of the same weights
    few->rollout(update);
    many->rollout(update);
    for (std::int64_t i = 0; i < 5; ++i) {
      const RecordedEnv a(few->steps(), 4, 2, i), b(many->steps(), 4, 2, i);
      for (int t = 0; t < 12; ++t) {
        EXPECT_EQ(a.action(t), b.action(t));
        EXPECT_EQ(a.logit(t, 0), b.logit(t, 0));
        for (int o = 0; o < 4; ++o) EXPECT_EQ(a.obs(t, o), b.obs(t, o));
      }
    }
  }
}

TEST(ActorCritic, GoesOnFromItsStateWithTheSameBits) {
  for (const ActorCriticVariant& variant : all_variants()) {
    const Config config = config_of(variant);
    auto whole = start(config), first = start(config);
    hash_of(*whole, config, 3);
    const std::uint64_t want = hash_of(*whole, config, 3, 3);
    hash_of(*first, config, 3);
    const auto second = test::new_actor_critic(config, {});
    second->upload(first->download());
    EXPECT_EQ(hash_of(*second, config, 3, 3), want) << variant.name;
  }
}

void expect_failure_leaves(const Config& config, int updates) {
  SCOPED_TRACE(config.env + " after " + std::to_string(updates));
  auto backend = start(config), other = start(config);
  hash_of(*backend, config, updates);
  const TrainingState before = backend->download();
  EXPECT_THROW(backend->update(static_cast<std::uint32_t>(updates), 1e38), NumericError);
  const TrainingState after = backend->download();
  EXPECT_EQ(after.parameters, before.parameters);
  EXPECT_EQ(after.first_moment, before.first_moment);
  EXPECT_EQ(after.second_moment, before.second_moment);
  EXPECT_EQ(after.beta1_power, before.beta1_power);
  EXPECT_EQ(after.environments.state, before.environments.state);
  EXPECT_EQ(after.environments.steps, before.environments.steps);
  EXPECT_EQ(after.environments.score, before.environments.score);
  // and goes on as if nothing had been
  hash_of(*other, config, updates);
  EXPECT_EQ(hash_of(*backend, config, 2, updates), hash_of(*other, config, 2, updates));
}

TEST(ActorCritic, AFailureWithinAnUpdateLeavesTheStateOfBefore) {
  for (const Config& config :
       {ppo_config(), corridor_config(), config_of(test::kPictureVariants[0])}) {
    for (const int updates : {0, 3}) expect_failure_leaves(config, updates);
  }
}

TEST(ActorCritic, StopsBetweenEpochsWhereThePolicyHasMovedFarEnough) {
  Config config = ppo_config();
  config.epochs = 4;
  const auto moved = [&](double target) {
    config.target_kl = target;
    auto backend = start(config);
    backend->update(0, config.lr);
    return backend->download();
  };
  const TrainingState all = moved(1e9), one = moved(1e-9);
  config.epochs = 1;
  EXPECT_EQ(moved(1e9).parameters, one.parameters);
  EXPECT_NE(all.parameters, one.parameters);
  // four epochs of three minibatches are twelve steps of the optimiser
  EXPECT_NEAR(all.beta1_power, std::pow(0.9, 12), 1e-12);
  EXPECT_NEAR(one.beta1_power, std::pow(0.9, 3), 1e-12);
}

TEST(ActorCritic, TheCriticLearnsWhatFollows) {
  Config config = ppo_config(64);
  config.horizon = 64;
  config.minibatches = 4;
  config.epochs = 4;
  config.hidden = config.critic_hidden = 32;
  auto backend = start(config);
  const double first = backend->update(0, config.lr).explained_variance;
  double last = 0;
  for (std::uint32_t update = 1; update < 60; ++update) {
    last = backend->update(update, config.lr).explained_variance;
  }
  EXPECT_LT(first, 0.2);
  EXPECT_GT(last, 0.6);
}

}  // namespace actor_critic_test
}  // namespace lockstep
