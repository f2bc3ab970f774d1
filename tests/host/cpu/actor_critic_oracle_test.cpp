// Tests for host/cpu/actor_critic and its kernels against updates in double: advantages, every
// pass's minibatch and loss, the last gradient, the parameters and what is told.
// tests/python/torch_actor_critic.py holds more of them against PyTorch.
#include <gtest/gtest.h>

#include <algorithm>
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

constexpr std::size_t kStates = 6;  // of the corridor, but for its ends
/// Cell and prize of state i: cells -1, 0 and 1, of each first the one with the prize at the left.
std::vector<double> state_of(std::size_t i) {
  return {static_cast<double>(i / 2) - 1, i % 2 == 0 ? -1.0 : 1.0};
}

/// V of every state under the policy of some parameters, in episodes that no limit cuts: what the
/// Bellman equation leaves standing.
std::vector<double> exact_values(const test::DoubleActorCritic& network,
                                 const std::vector<double>& parameters, double gamma) {
  std::vector<double> value(kStates);
  for (double change = 1; change > 1e-13;) {
    change = 0;
    for (std::size_t i = 0; i < kStates; ++i) {
      const std::vector<double> obs = state_of(i);
      const auto log_prob = test::log_softmax(network(parameters, obs).logits);
      double now = 0;
      for (int action = 0; action < 3; ++action) {
        Corridor::State<double> state{obs[0], obs[1]};
        const auto step = Corridor::step<double>(state, action);
        const int next = static_cast<int>(state.cell + 1) * 2 + static_cast<int>(i % 2);
        const double rest = step.terminated ? 0.0 : value[static_cast<std::size_t>(next)];
        now += std::exp(log_prob[static_cast<std::size_t>(action)]) * (step.reward + gamma * rest);
      }
      change = std::max(change, std::abs(now - value[i]));
      value[i] = now;
    }
  }
  return value;
}

// The policy stands still: of every update a critic of its own keeps its step, the policy does not.
// Some 30 % of the episodes are cut by their limit of 20 steps, and all by the ends of updates.
TEST(ActorCriticOracle, TheCriticOfAPolicyThatStandsStillLearnsItsExactValues) {
  for (const double lambda : {0.0, 0.95, 1.0}) {
    Config config = ppo();
    config.env = "corridor";
    config.critic_hidden = 32;
    config.envs = 512;
    config.horizon = 16;
    config.epochs = 1;
    config.minibatches = 4;
    config.gae_lambda = lambda;
    config.optimizer = OptimizerKind::kAdam;
    const auto backend = test::fresh_actor_critic(config);
    const PolicyShape shape = backend->shape();
    const test::DoubleActorCritic network(shape, config.activation);
    const std::int64_t policys = shape.actor().size();
    TrainingState state = backend->download();
    state.parameters[static_cast<std::size_t>(policys - 2)] += 2;  // bias of the action to stay
    const std::vector<float> fixed = state.parameters;
    backend->upload(state);

    constexpr std::uint32_t kUpdates = 200, kAveraged = kUpdates / 2;
    std::vector<double> value(
        kStates);  // mean of the later half, whose steps get smaller and smaller
    std::int64_t episodes = 0, cut = 0;
    for (std::uint32_t u = 0; u < kUpdates; ++u) {
      const UpdateResult result = backend->update(u, 0.01 * (1 - u / double{kUpdates}));
      episodes += result.episodes;
      cut += std::count(result.lengths.begin(), result.lengths.end(), Corridor::kMaxEpisodeSteps);
      state = backend->download();
      std::copy_n(fixed.begin(), policys, state.parameters.begin());
      backend->upload(state);
      for (std::size_t i = 0; i < kStates && u >= kUpdates - kAveraged; ++i) {
        value[i] += network(test::widened(state.parameters), state_of(i)).value / kAveraged;
      }
    }
    EXPECT_GT(cut, episodes / 5);
    EXPECT_LT(cut, episodes / 2);
    const auto want = exact_values(network, test::widened(fixed), config.gamma);
    for (std::size_t i = 0; i < kStates; ++i) {
      EXPECT_NEAR(value[i], want[i], 0.01) << "lambda " << lambda << ", state " << i;
    }
    const auto [least, most] = std::minmax_element(want.begin(), want.end());
    EXPECT_GT(*most - *least, 0.5);
  }
}

}  // namespace actor_critic_oracle_test
}  // namespace lockstep
