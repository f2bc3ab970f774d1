// Tests for host/cpu/actor_critic and its kernels against updates in double: advantages, every
// pass's minibatch and loss, the last gradient, the parameters and what is told.
// tests/python/torch_actor_critic.py holds more of them against PyTorch.
#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "tests/support/actor_critic_reference.h"
#include "tests/support/corridor.h"

namespace lockstep {
namespace actor_critic_oracle_test {

struct Case {
  const char* name;
  Config config;
  int updates;
};

Config ppo() {
  Config c;
  c.algorithm = Algorithm::kPpo;
  c.env = "cartpole";
  c.critic = Critic::kSeparate;
  c.critic_hidden = 5;
  c.hidden = 6;
  c.envs = 20;
  c.horizon = 12;
  c.epochs = 2;
  c.minibatches = 3;
  c.clip = 0.05;
  c.gamma = 0.9;
  c.gae_lambda = 0.8;
  c.entropy_coef = 0.05;
  c.baseline = Baseline::kNone;
  c.normalize = Normalize::kMinibatch;
  c.optimizer = OptimizerKind::kSgd;
  c.lr = 0.3;
  return c;
}

Case separate() { return {"separate", ppo(), 3}; }
Case value_clip() {
  Case c{"value_clip", ppo(), 3};
  c.config.value_clip = 0.05;
  c.config.critic = Critic::kShared;
  c.config.normalize = Normalize::kBatch;
  c.config.std_kind = StdKind::kSample;
  c.config.max_grad_norm = 0.5;
  return c;
}
Case corridor() {
  Case c{"corridor", ppo(), 6};
  c.config.env = "corridor";
  c.config.activation = Activation::kLeakyRelu;
  c.config.critic = Critic::kShared;
  c.config.shuffle = Shuffle::kSteps;
  return c;
}
Case linear() {
  Case c{"linear", ppo(), 3};
  c.config.algorithm = Algorithm::kA2c;
  c.config.policy = PolicyKind::kLinear;
  c.config.critic = Critic::kShared;
  c.config.epochs = 1;
  c.config.normalize = Normalize::kScale;
  return c;
}

/// ||got - want|| / ||scale||
double relative(std::span<const float> got, const std::vector<double>& want,
                const std::vector<double>& scale) {
  double error = 0, size = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    error += std::pow(static_cast<double>(got[i]) - want[i], 2);
    size += scale[i] * scale[i];
  }
  return std::sqrt(error / size);
}

void expect_figure(const char* name, double got, double want) {
  EXPECT_NEAR(got, want, 1e-4 * std::max(std::abs(want), 1e-3)) << name;
}

class ActorCriticUpdate : public testing::TestWithParam<Case> {};

TEST_P(ActorCriticUpdate, IsThatOfDoubles) {
  const Config& config = GetParam().config;
  const auto backend = test::fresh_actor_critic(config);
  for (int u = 0; u < GetParam().updates; ++u) {
    SCOPED_TRACE("update " + std::to_string(u));
    const auto dump = test::dump_update(*backend, config, static_cast<std::uint32_t>(u), config.lr);
    const test::ActorCriticReference reference(backend->shape(), config, dump);
    double largest = 0;
    for (const double a : reference.advantages()) largest = std::max(largest, std::abs(a));
    for (std::size_t i = 0; i < dump.advantage.size(); ++i) {
      ASSERT_NEAR(static_cast<double>(dump.advantage[i]), reference.advantages()[i], 1e-5 * largest)
          << i;
    }
    const auto want = reference.learn(config.lr);
    EXPECT_LE(relative(dump.gradient, want.gradient, want.gradient), 1e-5);
    std::vector<double> change = want.parameters;
    for (std::size_t i = 0; i < change.size(); ++i) {
      change[i] -= static_cast<double>(dump.before.parameters[i]);
    }
    EXPECT_LE(relative(dump.after, want.parameters, change), 1e-4);
    expect_figure("policy loss", dump.told.policy_loss, want.told.policy);
    expect_figure("value loss", dump.told.value_loss, want.told.value);
    expect_figure("entropy", dump.told.entropy, want.told.entropy);
    expect_figure("divergence", dump.told.approx_kl, want.told.kl);
    expect_figure("clipped", dump.told.clip_fraction, want.told.clipped);
    expect_figure("norm", dump.told.grad_norm, want.grad_norm);
    if (config.algorithm == Algorithm::kPpo) {
      EXPECT_GT(dump.told.clip_fraction, 0.02);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Worlds, ActorCriticUpdate,
                         testing::Values(separate(), value_clip(), corridor(), linear()),
                         [](const auto& param) { return std::string(param.param.name); });

// What a value is taken of where an episode was cut, or the batch was.
TEST(ActorCriticOracle, ValuesBehindACutAreThoseOfTheStateReached) {
  Config config = corridor().config;
  config.lr = 1e-3;  // who learns to walk to an end is cut no more
  config.envs = 100;
  const auto backend = test::fresh_actor_critic(config);
  const test::DoubleActorCritic network(backend->shape(), config.activation);
  int cuts = 0;
  for (std::uint32_t u = 0; u < 10; ++u) {
    const auto dump = test::dump_update(*backend, config, u, config.lr);
    const auto before = test::widened(dump.before.parameters);
    for (std::size_t i = 0; i < dump.value.size(); ++i) {
      const std::vector<double> obs = test::widened(std::span(dump.obs).subspan(2 * i, 2));
      EXPECT_NEAR(static_cast<double>(dump.value[i]), network(before, obs).value, 1e-6);
      const bool last = i + static_cast<std::size_t>(dump.N) >= dump.value.size();
      if (dump.truncated[i] == 0 && !last) continue;
      Corridor::State<double> state{obs[0], obs[1]};
      Corridor::step<double>(state, dump.action[i]);
      const double reached = network(before, {state.cell, state.prize}).value;
      EXPECT_NEAR(static_cast<double>(dump.next_value[i]), reached, 1e-6);
      cuts += dump.truncated[i];
    }
  }
  EXPECT_GT(cuts, 3);
}

TEST(ActorCriticOracle, TheDivergenceEndsAnUpdateAfterAnyTimeOverTheBatch) {
  Config config = ppo();
  config.optimizer = OptimizerKind::kAdam;  // which counts its steps
  config.lr = 0.01;
  config.epochs = 5;
  const auto plain = test::fresh_actor_critic(config);
  EXPECT_EQ(test::dump_update(*plain, config, 0, config.lr).passes, 15);
  config.target_kl = 1e-9;
  const auto first = test::fresh_actor_critic(config);
  EXPECT_EQ(test::dump_update(*first, config, 0, config.lr).passes, 3);
}

}  // namespace actor_critic_oracle_test
}  // namespace lockstep
