// Tests for host/cuda/dense.h: logits within the derived error bound, the same bits
// again, rollouts that equal the CPU's exact path wherever no sum rounds.
#include "host/cuda/dense.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/backend/environments.h"
#include "host/cpu/number_backend.h"
#include "tests/support/compare.h"
#include "tests/support/dense_reference.h"
#include "tests/support/training.h"

namespace lockstep::cuda {
extern const Operations operations_cartpole, operations_corridor;
}

namespace lockstep::test {
namespace dense_test {

using ::testing::HasSubstr;

CudaDense make_dense(const std::string& env = "cartpole") {
  return CudaDense(
      find_environment(env),
      {.numbers = env == "cartpole" ? &cuda::operations_cartpole : &cuda::operations_corridor});
}

TEST(CudaDensePolicyTest, LogitsAreWithinTheErrorBoundOfExactArithmetic) {
  CudaDense device = make_dense();
  EXPECT_THAT(device.library(), HasSubstr("cuBLAS 1"));
  for (const std::vector<int>& sizes :
       {std::vector{4, 1}, {2, 3}, {4, 128, 1}, {4, 64, 32, 3}, {4, 20, 300, 40, 7}}) {
    for (const auto activation : {DenseActivation::kRelu, DenseActivation::kLeakyRelu}) {
      const auto layers = random_network(sizes, activation, 11);
      device.set_layers(layers);
      for (const std::int64_t N : {1, 33, 1000}) {
        const auto obs = random_observations(N, sizes.front(), 12);
        EXPECT_LE(worst_of_bound(device.forward(obs), reference_logits(layers, obs)), 1)
            << sizes.size() - 1 << " layers, N " << N;
      }
    }
  }
}

TEST(CudaDensePolicyTest, TheBoundShowsPlantedFaults) {
  CudaDense device = make_dense();
  const auto obs = random_observations(300, 4, 7);
  const auto layers = random_network({4, 64, 32, 3}, DenseActivation::kRelu, 3);
  const BoundedLogits want = reference_logits(layers, obs);
  for (const PlantedLayers& planted : planted_faults(layers)) {
    device.set_layers(planted.layers);
    EXPECT_GT(worst_of_bound(device.forward(obs), want), 1000) << planted.fault;
  }
}

TEST(CudaDensePolicyTest, TheSameCallGivesTheSameBits) {
  const auto layers = random_network({4, 64, 32, 3}, DenseActivation::kRelu, 4);
  const auto obs = random_observations(500, 4, 8);
  CudaDense device = make_dense();
  device.set_layers(layers);
  const auto want = device.forward(obs);
  device.forward(random_observations(37, 4, 9));  // other sizes between do not matter
  EXPECT_TRUE(same_bits(std::span<const float>(device.forward(obs)), std::span(want)));
  CudaDense another = make_dense();
  another.set_layers(layers);
  EXPECT_TRUE(same_bits(std::span<const float>(another.forward(obs)), std::span(want)));
}

/// A rollout and its record, by either path.
struct Played {
  RolloutBuffers buffers;
  PlayResult result;
};

template <class Play>
Played play_with(const PlayRequest& request, const PolicyShape& shape, bool reward, Play&& play) {
  Played played;
  played.buffers = RolloutBuffers({.num_envs = request.num_envs,
                                   .T = request.T,
                                   .O = shape.O,
                                   .A = shape.A,
                                   .obs_and_logits = true,
                                   .reward = reward});
  Record<float> record = played.buffers.record();
  played.result = play(request, request.episodic ? nullptr : &record);
  return played;
}

void expect_same_record(const PolicyShape& shape, std::int64_t envs, const Played& dense,
                        const Played& exact) {
  const auto &a = dense.buffers.record(), &b = exact.buffers.record();
  const int Z = logits_of(shape.A);
  for (std::int64_t env = 0; env < envs; ++env) {
    const std::int64_t lane = env % kGroup;
    for (int t = 0; t < a.T; ++t) {
      const std::int64_t at = env / kGroup * a.T + t;
      for (int o = 0; o < shape.O; ++o) {
        const std::int64_t i = (at * shape.O + o) * kGroup + lane;
        ASSERT_EQ(a.obs[i], b.obs[i]) << "environment " << env << ", step " << t;
      }
      for (int z = 0; z < Z; ++z) {
        const std::int64_t i = (at * Z + z) * kGroup + lane;
        ASSERT_EQ(a.logits[i], b.logits[i]) << "environment " << env << ", step " << t;
      }
      const auto bit = [&](const std::uint16_t* words) { return (words[at] >> lane) & 1; };
      ASSERT_EQ(bit(a.terminated), bit(b.terminated)) << "environment " << env << ", step " << t;
      ASSERT_EQ(bit(a.truncated), bit(b.truncated)) << "environment " << env << ", step " << t;
      if (a.action_bits != nullptr) {
        ASSERT_EQ(bit(a.action_bits), bit(b.action_bits)) << "environment " << env;
      } else {
        ASSERT_EQ(a.action[at * kGroup + lane], b.action[at * kGroup + lane]);
        ASSERT_EQ(a.reward[at * kGroup + lane], b.reward[at * kGroup + lane]);
      }
    }
  }
}

void expect_equal_play(const std::string& env, PolicyKind kind, std::int64_t envs,
                       const PlayRequest& wanted) {
  Config config = small_config(envs, 20);
  config.env = env;
  config.policy = kind;
  CpuBackend exact(config, find_environment(env), {.isa = choose_isa(), .threads = 1});
  CudaDense dense = make_dense(env);
  const PolicyShape& shape = exact.shape();
  const auto flat = unrounded_parameters(shape);
  dense.set_layers(dense_layers(shape, flat, Activation::kRelu));
  PlayRequest request = wanted;
  request.num_envs = envs;
  const bool reward = env == "corridor";
  const Played a = play_with(request, shape, reward, [&](const auto& r, auto* record) {
    return play_dense(dense, r, shape.O, shape.A, record);
  });
  const Played b = play_with(request, shape, reward, [&](const auto& r, auto* record) {
    return exact.play(flat, r, record);
  });
  EXPECT_EQ(a.result.score, b.result.score);
  EXPECT_EQ(a.result.length, b.result.length);
  EXPECT_EQ(a.result.episodes, b.result.episodes);
  if (!request.episodic) expect_same_record(shape, envs, a, b);
}

TEST(CudaDensePathTest, EqualsTheExactPathWhereNoSumRounds) {
  for (const char* env : {"cartpole", "corridor"}) {
    for (const PolicyKind kind : {PolicyKind::kMlp, PolicyKind::kLinear}) {
      for (const std::int64_t envs : {1, 31, 33, 257}) {
        SCOPED_TRACE(std::string(env) + ", envs " + std::to_string(envs));
        expect_equal_play(env, kind, envs, {.T = 60, .episodic = false, .stream = {5, 9}});
        for (const auto choice :
             {ActionChoice::kSample, ActionChoice::kGreedy, ActionChoice::kEpsilon}) {
          expect_equal_play(env, kind, envs,
                            {.T = env[1] == 'a' ? 500 : 20,
                             .episodic = true,
                             .choice = choice,
                             .epsilon = 0.3f,
                             .stream = {6, kEvaluationEpoch}});
        }
      }
    }
  }
}

}  // namespace dense_test
}  // namespace lockstep::test
