// Tests for play() of host/cuda/number_backend.h on the emulator, against the CPU's bits.
#include <gtest/gtest.h>

#include "tests/support/cuda_backends.h"

namespace lockstep {
namespace play_test {

struct Case {
  const char* env;
  PolicyKind policy = PolicyKind::kMlp;
  Activation activation = Activation::kRelu;
  double dropout = 0;  // plays no part: play() drops nothing
  bool random = false;
};
constexpr Case kCases[] = {
    {.env = "cartpole"},
    {.env = "cartpole", .activation = Activation::kLeakyRelu, .dropout = 0.5},
    {.env = "cartpole", .policy = PolicyKind::kLinear},
    {.env = "cartpole", .random = true},
    {.env = "corridor"},
    {.env = "corridor", .random = true},
};

Config config_of(const Case& c) {
  Config config = test::tiny_config(20, 12);
  config.env = c.env;
  config.policy = c.policy;
  config.activation = c.activation;
  config.dropout = c.dropout;
  return config;
}

void expect_same_play(const PlayResult& got, const PlayResult& want) {
  EXPECT_EQ(test::all_bits_of(got.score), test::all_bits_of(want.score));
  EXPECT_EQ(got.length, want.length);
  EXPECT_EQ(got.episodes, want.episodes);
}

TEST(CudaPlay, WholeEpisodesHaveTheBitsOfTheCpu) {
  for (const Case& c : kCases) {
    const Config config = config_of(c);
    CudaBackend cuda = test::make_cuda_backend(config);
    CpuBackend cpu(config, find_environment(c.env), {});
    const std::vector<float> parameters = test::initial_state(config).parameters;
    for (const ActionChoice choice :
         {ActionChoice::kSample, ActionChoice::kGreedy, ActionChoice::kEpsilon}) {
      SCOPED_TRACE(std::string(c.env) + ", choice " + std::to_string(static_cast<int>(choice)));
      PlayRequest request;
      request.num_envs = 37;
      request.T = find_environment(c.env).facts->max_episode_steps;
      request.random_policy = c.random;
      request.choice = choice;
      request.epsilon = 0.3f;
      request.stream = {77, 1u << 31};
      const PlayResult got = cuda.play(parameters, request, nullptr);
      expect_same_play(got, cpu.play(parameters, request, nullptr));
      EXPECT_GE(got.seconds, 0);
    }
  }
}

TEST(CudaPlay, RecordsWhatTheCpuRecords) {
  for (const Case& c : kCases) {
    const Config config = config_of(c);
    const auto& facts = *find_environment(c.env).facts;
    const int O = facts.observation_size, A = facts.num_actions;
    CudaBackend cuda = test::make_cuda_backend(config);
    CpuBackend cpu(config, find_environment(c.env), {});
    PlayRequest request;
    request.num_envs = 48;  // whole groups: lanes of no environment are nobody's
    request.T = 45;
    request.episodic = false;
    request.random_policy = c.random;
    request.choice = ActionChoice::kSample;
    request.stream = {5, 3};
    const RecordShape shape{.num_envs = 48,
                            .T = 45,
                            .O = O,
                            .A = A,
                            .obs_and_logits = true,
                            .reward = !facts.constant_reward};
    const RolloutBuffers of_cuda(shape), of_cpu(shape);
    Record<float> got = of_cuda.record(), want = of_cpu.record();
    const std::vector<float> parameters = test::initial_state(config).parameters;
    expect_same_play(cuda.play(parameters, request, &got), cpu.play(parameters, request, &want));
    for_each_field(
        O, A,
        [&](RecordField field, std::int64_t count, const auto* a, const auto* b) {
          ASSERT_EQ(a == nullptr, b == nullptr) << static_cast<int>(field);
          if (a == nullptr || (c.random && field == RecordField::kLogits)) return;
          const auto bytes = static_cast<std::size_t>(count) * sizeof *a;
          EXPECT_EQ(std::memcmp(a, b, bytes), 0) << c.env << " " << static_cast<int>(field);
        },
        got, want);
  }
}

TEST(CudaPlay, LeavesTheTrainingAlone) {
  Config config = test::tiny_config();
  config.horizon = 30;
  config.baseline = Baseline::kRunningMean;
  CudaBackend one = test::make_cuda_backend(config), other = test::make_cuda_backend(config);
  one.upload(test::initial_state(config));
  other.upload(test::initial_state(config));
  const std::vector<double> rates = {1e-3, 1e-3};
  PlayRequest request;
  request.num_envs = 100;
  request.T = 500;
  for (std::uint32_t update = 0; update < 4; update += 2) {
    one.updates(update, rates);
    other.updates(update, rates);
    other.play(other.download().parameters, request, nullptr);
  }
  test::expect_same_state(one.download(), other.download());
}

}  // namespace play_test
}  // namespace lockstep
