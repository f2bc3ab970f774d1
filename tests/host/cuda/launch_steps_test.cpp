// Tests for host/cuda/launch_steps.h: how long a launch may be, and that backends keep to it
// without a bit that differs.
#include "host/cuda/launch_steps.h"

#include <gtest/gtest.h>

#include <cuemu/control.h>
#include "host/cpu/table_backend.h"
#include "host/cuda/table_backend.h"
#include "host/errors.h"
#include "tests/support/cuda_backends.h"

namespace lockstep {
namespace launch_steps_test {

/// LS_LAUNCH_STEPS while it lives.
class LaunchSteps {
 public:
  explicit LaunchSteps(const char* steps) { setenv("LS_LAUNCH_STEPS", steps, 1); }
  ~LaunchSteps() { unsetenv("LS_LAUNCH_STEPS"); }
  LaunchSteps(const LaunchSteps&) = delete;
  LaunchSteps& operator=(const LaunchSteps&) = delete;
};

PolicyView<float> relu(int hidden) {
  PolicyView<float> policy{};
  policy.form = PolicyForm::kRelu;
  policy.hidden = hidden;
  return policy;
}

std::int32_t cartpole_steps(std::int64_t envs, int hidden, int multiprocessors) {
  const PolicyView<float> policy = relu(hidden);
  const Config config;
  const cuda::LaunchShape shape = cuda::choose_launch_shape(config, policy, envs, multiprocessors);
  return cuda::launch_steps(shape, policy, 4, 2, envs, multiprocessors);
}

std::int32_t pong_steps(std::int64_t envs, int hidden, int multiprocessors) {
  TableRolloutArgs rollout{};
  rollout.num_envs = envs;
  rollout.policy.shape.hidden = hidden;
  return cuda::launch_steps(cuda::choose_table_shape(Config{}, envs, multiprocessors, 99 << 10),
                            rollout);
}

TEST(LaunchSteps, UsualTrainingIsOneLaunchAndAMillionStepsAreMore) {
  for (const int multiprocessors : {10, 40, 132}) {  // a small card, a T4, an H200
    EXPECT_GE(cartpole_steps(1024, 128, multiprocessors), 500);
    EXPECT_LT(cartpole_steps(1024, 128, multiprocessors), 1'000'000);
    EXPECT_LT(pong_steps(64, 200, multiprocessors), 1'000'000);
  }
  EXPECT_GE(cartpole_steps(1 << 20, 128, 132), 500);
  EXPECT_GE(pong_steps(64, 200, 10), 16'302) << "the longest game of training";
  EXPECT_GE(pong_steps(8448, 200, 132), 16'302);
}

TEST(LaunchSteps, AreFewerTheMoreAStepTakes) {
  EXPECT_LT(cartpole_steps(1 << 20, 128, 10), cartpole_steps(1 << 20, 128, 132));
  EXPECT_LT(cartpole_steps(1 << 20, 128, 132), cartpole_steps(1 << 18, 128, 132));
  EXPECT_LT(cartpole_steps(1 << 18, 1024, 132), cartpole_steps(1 << 18, 128, 132));
  EXPECT_LT(pong_steps(1 << 16, 200, 40), pong_steps(1 << 10, 200, 40));
  EXPECT_LT(pong_steps(1 << 10, 1024, 40), pong_steps(1 << 10, 200, 40));
  EXPECT_EQ(cartpole_steps(std::int64_t{1} << 31, 4096, 1), 1) << "a step there must be";
}

TEST(LaunchSteps, TheVariableSaysHowManyAndIsChecked) {
  {
    const LaunchSteps steps("7");
    EXPECT_EQ(cartpole_steps(16, 128, 132), 7);
    EXPECT_EQ(pong_steps(16, 128, 132), 7);
  }
  {
    const LaunchSteps steps("");
    EXPECT_GT(cartpole_steps(16, 128, 132), 7);
  }
  for (const char* bad : {"0", "-1", "many", "3000000000"}) {
    const LaunchSteps steps(bad);
    try {
      cartpole_steps(16, 128, 132);
      ADD_FAILURE() << bad;
    } catch (const InvalidArgument& error) {
      EXPECT_NE(std::string(error.what()).find("LS_LAUNCH_STEPS"), std::string::npos);
    }
  }
}

void expect_same_play(const PlayResult& got, const PlayResult& want) {
  EXPECT_EQ(test::all_bits_of(got.score), test::all_bits_of(want.score));
  EXPECT_EQ(got.length, want.length);
  EXPECT_EQ(got.episodes, want.episodes);
  EXPECT_EQ(got.rows, want.rows);
}

/// Launches of a play that has the results of `cpu`.
template <class Cuda, class Cpu>
long launches_of(const Config& config, const PlayRequest& request, Cuda& cuda, Cpu& cpu) {
  const std::vector<float> parameters = test::initial_state(config).parameters;
  const PlayResult want = cpu.play(parameters, request, nullptr);
  const long before = cuemu_counters().launches;
  const PlayResult got = cuda.play(parameters, request, nullptr);
  const long launches = cuemu_counters().launches - before;
  expect_same_play(got, want);
  return launches;
}

TEST(LaunchSteps, ARolloutOfCartPoleTakesAsManyLaunchesAsItMust) {
  for (const GpuMapping mapping : {GpuMapping::kThread, GpuMapping::kLanes8}) {
    for (const bool episodic : {false, true}) {
      Config config = test::tiny_config(20, 12);
      config.mapping = mapping;
      CudaBackend cuda = test::make_cuda_backend(config);
      CpuBackend cpu(config, find_environment(config.env), {});
      PlayRequest request;
      request.num_envs = 37;
      request.T = episodic ? find_environment(config.env).facts->max_episode_steps : 100;
      request.episodic = episodic;
      request.choice = ActionChoice::kSample;
      request.stream = {77, 1};
      EXPECT_EQ(launches_of(config, request, cuda, cpu), 1);
      const LaunchSteps steps("7");
      EXPECT_EQ(launches_of(config, request, cuda, cpu), (request.T + 6) / 7);
    }
  }
}

TEST(LaunchSteps, ARolloutOfPongTakesAsManyLaunchesAsItMust) {
  for (const bool random : {false, true}) {
    for (const bool episodic : {false, true}) {
      Config config = test::tiny_config(18, 40);
      config.env = "shortpong";
      const EnvironmentEntry& environment = find_environment(config.env);
      CudaTableBackend cuda(config, environment, *cuda::find_table_operations("shortpong"), {});
      TableBackend cpu(config, environment, {.threads = 1});
      PlayRequest request;
      request.num_envs = 18;
      request.episodic = episodic;
      request.random_policy = random;
      request.choice = ActionChoice::kSample;
      request.game = game_options(config, environment, 0, false);
      request.T = episodic ? request.game.max_steps : 100;
      request.stream = {77, 1};
      const long whole = launches_of(config, request, cuda, cpu);
      const LaunchSteps steps("7");
      EXPECT_EQ(launches_of(config, request, cuda, cpu) - whole, (request.T + 6) / 7 - 1);
    }
  }
}

TEST(LaunchSteps, ARecordIsCutToo) {
  const Config config = test::tiny_config(20, 12);
  CudaBackend cuda = test::make_cuda_backend(config);
  PlayRequest request;
  request.num_envs = 32;
  request.T = 45;
  request.episodic = false;
  const RecordShape shape{.num_envs = 32, .T = 45, .O = 4, .A = 2, .obs_and_logits = true};
  const RolloutBuffers whole(shape), cut(shape);
  Record<float> want = whole.record(), got = cut.record();
  const std::vector<float> parameters = test::initial_state(config).parameters;
  cuda.play(parameters, request, &want);
  const LaunchSteps steps("7");
  cuda.play(parameters, request, &got);
  for_each_field(
      4, 2,
      [&](RecordField field, std::int64_t count, const auto* a, const auto* b) {
        if (a == nullptr) return;
        EXPECT_EQ(std::memcmp(a, b, static_cast<std::size_t>(count) * sizeof *a), 0)
            << static_cast<int>(field);
      },
      got, want);
}

TEST(LaunchSteps, TrainingHasTheSameBitsInLaunchesOfSevenSteps) {
  const LaunchSteps steps("7");
  for (const std::int64_t horizon : {0, 40}) {
    const std::vector<double> rates = {3e-3, 1e-3, 2e-3};
    Config config = test::tiny_config(18, 9);
    config.horizon = horizon;
    CudaBackend cuda = test::make_cuda_backend(config);
    CpuBackend cpu(config, find_environment(config.env), {});
    cuda.upload(test::initial_state(config));
    cpu.upload(test::initial_state(config));
    test::expect_same_updates(cuda, cpu, rates);
  }
  Config config = test::tiny_config(35, 9);
  config.env = "shortpong";
  config.returns = ReturnKind::kPoint;
  config.baseline = Baseline::kNone;
  config.normalize = Normalize::kBatch;
  config.gamma = 0.98;
  const std::vector<double> rates = {3e-3, 1e-3};
  const EnvironmentEntry& environment = find_environment(config.env);
  CudaTableBackend cuda(config, environment, *cuda::find_table_operations("shortpong"), {});
  TableBackend cpu(config, environment, {.threads = 1});
  cuda.upload(test::initial_state(config));
  cpu.upload(test::initial_state(config));
  test::expect_same_updates(cuda, cpu, rates);
}

}  // namespace launch_steps_test
}  // namespace lockstep
