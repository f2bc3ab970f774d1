// Tests for host/backend/dense_policy.h on the CPU: logits within the derived error bound of exact
// arithmetic, the same bits again, and rollouts that equal the exact path's wherever no sum rounds.
#include "host/backend/dense_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/cpu/dense.h"
#include "host/engine.h"
#include "host/errors.h"
#include "tests/support/compare.h"
#include "tests/support/dense_reference.h"
#include "tests/support/training.h"

namespace lockstep::test {
namespace dense_policy_test {

using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

CpuDense make_dense(const std::vector<DenseLayer>& layers, int threads = 1,
                    const std::string& env = "cartpole") {
  CpuDense device(find_environment(env), {.isa = choose_isa(), .threads = threads});
  device.set_layers(layers);
  return device;
}

/// The policy of a short training, as a checkpoint has it.
struct Trained {
  PolicyShape shape;
  std::vector<float> flat;

  Trained(const std::string& env, PolicyKind policy) {
    Config config = small_config(64, 64);
    config.env = env;
    config.policy = policy;
    config.init = Init::kKaimingUniform;  // biases too
    config.updates = 30;
    Engine engine(config);
    TrainHooks hooks;
    hooks.write_files = false;
    engine.train(hooks);
    shape = policy_shape(config, find_environment(env));
    flat = shape.flatten(engine.policy());
  }
  std::vector<DenseLayer> layers() const { return dense_layers(shape, flat, Activation::kRelu); }
};

struct Network {
  std::string name;
  std::vector<DenseLayer> layers;
};
std::vector<Network> networks() {
  return {{"cartpole mlp", Trained("cartpole", PolicyKind::kMlp).layers()},
          {"cartpole linear", Trained("cartpole", PolicyKind::kLinear).layers()},
          {"corridor mlp", Trained("corridor", PolicyKind::kMlp).layers()},
          {"4-64-32-3", random_network({4, 64, 32, 3}, DenseActivation::kRelu, 1)},
          {"leaky", random_network({4, 33, 3}, DenseActivation::kLeakyRelu, 2)}};
}

TEST(DensePolicyTest, LogitsAreWithinTheErrorBoundOfExactArithmetic) {
  for (const Network& network : networks()) {
    for (const std::int64_t N : {1, 255, 256, 257, 1000}) {
      const auto obs = random_observations(N, network.layers.front().in, 7);
      const auto got = make_dense(network.layers, 2).forward(obs);
      EXPECT_LE(worst_of_bound(got, reference_logits(network.layers, obs)), 1)
          << network.name << ", N " << N;
    }
  }
}

TEST(DensePolicyTest, TheBoundShowsPlantedFaults) {
  const auto obs = random_observations(1000, 4, 7);
  for (const std::vector<int>& sizes : {std::vector{4, 3}, {4, 64, 32, 3}}) {
    const auto layers = random_network(sizes, DenseActivation::kRelu, 3);
    const BoundedLogits want = reference_logits(layers, obs);
    for (const PlantedLayers& planted : planted_faults(layers)) {
      EXPECT_GT(worst_of_bound(make_dense(planted.layers).forward(obs), want), 1000)
          << planted.fault << ", " << sizes.size() - 1 << " layers";
    }
  }
}

TEST(DensePolicyTest, LogitsOfTheExactPathAreAsClose) {
  for (const PolicyKind kind : {PolicyKind::kMlp, PolicyKind::kLinear}) {
    for (const char* env : {"cartpole", "corridor"}) {
      const Trained trained(env, kind);
      Config config = small_config(100, 64);
      config.env = env;
      config.policy = kind;
      Engine engine(config);
      engine.set_policy(trained.shape.tensors(trained.flat));
      const Trajectory played = engine.rollout({.steps = 40, .keep = true}).trajectory;
      std::vector<float> seen = played.obs;  // without what follows the last step
      seen.resize(static_cast<std::size_t>(played.T * played.N * played.O));
      const BoundedLogits want = reference_logits(trained.layers(), seen);
      EXPECT_LE(worst_of_bound(played.logits, want), 1) << env;
      const auto dense = make_dense(trained.layers(), 1, env).forward(seen);
      EXPECT_LE(worst_of_bound(dense, want), 1) << env;
    }
  }
}

TEST(DensePolicyTest, TheSameCallGivesTheSameBits) {
  const auto layers = random_network({4, 64, 32, 3}, DenseActivation::kRelu, 4);
  const auto obs = random_observations(1000, 4, 8);
  const auto want = make_dense(layers).forward(obs);
  CpuDense device = make_dense(layers, 3);
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(same_bits(std::span<const float>(device.forward(obs)), std::span(want)));
  }
  // products have one shape whatever the batch: the rows before a cut do not change
  for (const std::size_t rows : {1, 300, 512}) {
    const auto cut = device.forward({obs.begin(), obs.begin() + static_cast<long>(4 * rows)});
    EXPECT_TRUE(same_bits(std::span<const float>(cut), std::span(want).first(3 * rows))) << rows;
  }
}

Engine unrounded_engine(const std::string& env, PolicyKind kind, Activation activation,
                        std::int64_t envs, int threads) {
  Config config = small_config(envs, 20);
  config.env = env;
  config.policy = kind;
  config.activation = activation;
  config.threads = threads;
  Engine engine(config);
  const PolicyShape shape = policy_shape(config, find_environment(env));
  engine.set_policy(shape.tensors(unrounded_parameters(shape)));
  return engine;
}

void expect_same_rollouts(Engine& engine, const std::string& name) {
  RolloutOptions options{.steps = 150, .repeats = 2, .keep = true};
  const RolloutResult exact = engine.rollout(options);
  options.math = Math::kDense;
  const RolloutResult dense = engine.rollout(options);
  EXPECT_EQ(exact.episodes, dense.episodes) << name;
  EXPECT_EQ(exact.mean_score, dense.mean_score) << name;
  const Trajectory &a = exact.trajectory, &b = dense.trajectory;
  EXPECT_TRUE(a.obs == b.obs && a.logits == b.logits) << name;
  EXPECT_TRUE(a.action == b.action && a.reward == b.reward) << name;
  EXPECT_TRUE(a.terminated == b.terminated && a.truncated == b.truncated) << name;
  EXPECT_NE(std::count(a.action.begin(), a.action.end(), 1), 0) << name;
  EXPECT_NE(std::count(a.action.begin(), a.action.end(), 0), 0) << name;
  EXPECT_GT(exact.episodes, 0) << name;
}

void expect_same_evaluations(Engine& engine, std::int64_t episodes, const std::string& name) {
  for (const ActionMode mode : {ActionMode::kGreedy, ActionMode::kSample, ActionMode::kEpsilon}) {
    EvalOptions options{.mode = mode, .epsilon = 0.25, .episodes = episodes, .index = 3};
    const EvalResult exact = engine.evaluate(options);
    options.math = Math::kDense;
    const EvalResult dense = engine.evaluate(options);
    EXPECT_TRUE(exact.scores == dense.scores && exact.lengths == dense.lengths)
        << name << ", mode " << static_cast<int>(mode);
  }
}

TEST(DensePathTest, EqualsTheExactPathWhereNoSumRounds) {
  for (const char* env : {"cartpole", "corridor"}) {
    for (const PolicyKind kind : {PolicyKind::kMlp, PolicyKind::kLinear}) {
      for (const Activation activation : {Activation::kRelu, Activation::kLeakyRelu}) {
        for (const std::int64_t envs : {1, 31, 33, 257, 600}) {
          Engine engine = unrounded_engine(env, kind, activation, envs, envs > 300 ? 3 : 1);
          const std::string name = std::string(env) + ", envs " + std::to_string(envs);
          expect_same_rollouts(engine, name);
          expect_same_evaluations(engine, envs, name);
        }
      }
    }
  }
}

TEST(DensePathTest, NamesItsLibrary) {
  Engine engine(small_config(16));
  EXPECT_EQ(engine.rollout({.steps = 2}).library, "");
  EXPECT_EQ(engine.evaluate({.episodes = 2}).library, "");
  EXPECT_THAT(engine.rollout({.steps = 2, .math = Math::kDense}).library, HasSubstr("OpenBLAS"));
  EXPECT_THAT(engine.evaluate({.episodes = 2, .math = Math::kDense}).library,
              HasSubstr("OpenBLAS"));
}

TEST(DensePathTest, RefusesWhatItCannotPlay) {
  Engine engine(small_config(16));
  EXPECT_THAT([&] { engine.rollout({.random_policy = true, .math = Math::kDense}); },
              ThrowsMessage<InvalidArgument>(HasSubstr("random actions need none")));
  auto device = make_dense(random_network({4, 1}, DenseActivation::kNone, 5));
  Record<float> record{};
  EXPECT_THAT([&] { play_dense(device, {.num_envs = 1, .T = 1}, 4, 2, &record); },
              ThrowsMessage<InvalidArgument>(HasSubstr("not whole episodes")));
  device.set_layers(random_network({4, 3}, DenseActivation::kNone, 5));
  EXPECT_THAT([&] { play_dense(device, {.num_envs = 1, .T = 1}, 4, 2, nullptr); },
              ThrowsMessage<InvalidArgument>(HasSubstr("do not fit the environment")));
}

TEST(DensePolicyTest, NamesTheLayerThatDoesNotFit) {
  const auto layers = random_network({4, 8, 3}, DenseActivation::kRelu, 6);
  const auto message_of = [&](auto&& change) {
    auto changed = layers;
    change(changed);
    return [changed] { require_consistent(changed); };
  };
  EXPECT_NO_THROW(require_consistent(layers));
  EXPECT_THAT(message_of([](auto& l) { l[1].in = 7; }),
              ThrowsMessage<InvalidArgument>(HasSubstr("layer 2 has 24 weights and 3 biases, "
                                                       "expected 21 and 3")));
  EXPECT_THAT(
      message_of([](auto& l) { l[1] = l[0]; }),
      ThrowsMessage<InvalidArgument>(HasSubstr("layer 2 takes 4 inputs, the one before gives 8")));
  EXPECT_THAT(message_of([](auto& l) { l[0].bias.clear(); }),
              ThrowsMessage<InvalidArgument>(HasSubstr("layer 1 has 32 weights and 0 biases")));
  EXPECT_THAT(message_of([](auto& l) { l.clear(); }),
              ThrowsMessage<InvalidArgument>(HasSubstr("no layers")));
  auto device = make_dense(layers);
  EXPECT_THAT([&] { device.forward(std::vector<float>(7)); },
              ThrowsMessage<InvalidArgument>(HasSubstr("7 observations for 4 inputs")));
}

TEST(BlasTest, AMissingLibraryIsNamedWithItsPackage) {
  EXPECT_THAT([] { Blas("libno-such-blas.so.0"); },
              ThrowsMessage<DeviceUnavailable>(
                  ::testing::AllOf(HasSubstr("libopenblas0"), HasSubstr("libno-such-blas.so.0"))));
  EXPECT_THAT([] { Blas("libm.so.6"); },
              ThrowsMessage<DeviceUnavailable>(HasSubstr("libm.so.6 has no cblas_sgemm")));
}

}  // namespace dense_policy_test
}  // namespace lockstep::test
