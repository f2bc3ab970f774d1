// The table policy's updates and plays on the emulated device against the CPU's, setting by
// setting: the same bits. A game of Pong is too long for an emulator to play many, so that most of
// it is short Pong; tests/kernels/cuda_table_*_test.cpp hold the kernels to longer stretches.
#include <gtest/gtest.h>

#include "host/cpu/table_backend.h"
#include "host/cuda/table_backend.h"
#include "host/errors.h"
#include "host/options/options.h"
#include "tests/support/cuda_backends.h"
#include "tests/support/cuda_devices.h"

namespace lockstep {
namespace table_parity_test {

Config short_config(std::int64_t envs = 35, std::int64_t hidden = 9) {
  Config config = test::tiny_config(envs, hidden);
  config.env = "shortpong";
  config.returns = ReturnKind::kPoint;
  config.baseline = Baseline::kNone;
  config.normalize = Normalize::kBatch;
  config.init = Init::kNormal;
  config.gamma = 0.98;
  return config;
}

CudaTableBackend make_cuda(const Config& config, const CudaTuning& tuning = {}) {
  return {config, find_environment(config.env), *cuda::find_table_operations(config.env.c_str()),
          tuning};
}
TableBackend make_cpu(const Config& config) {
  return {config, find_environment(config.env), {.threads = 1}};
}

void expect_same(const Config& config, std::span<const double> rates) {
  CudaTableBackend cuda = make_cuda(config);
  TableBackend cpu = make_cpu(config);
  cuda.upload(test::initial_state(config));
  cpu.upload(test::initial_state(config));
  test::expect_same_updates(cuda, cpu, rates);
}
constexpr double kRates[] = {3e-3, 1e-3, 2e-3};

class CudaTableParity : public testing::TestWithParam<std::tuple<OptimizerKind, Normalize>> {};

// One in so many combinations, a number that has no factor in common with those of choices; 1 is
// all of them.
#ifndef LS_PARITY_STRIDE
#define LS_PARITY_STRIDE 5
#endif

TEST_P(CudaTableParity, EverySettingHasTheBitsOfTheCpu) {
  int number =
      static_cast<int>(std::get<0>(GetParam())) + static_cast<int>(std::get<1>(GetParam()));
  for (const Baseline baseline : {Baseline::kNone, Baseline::kBatchMean, Baseline::kRunningMean}) {
    for (const ReturnKind returns : {ReturnKind::kPoint, ReturnKind::kStepwise}) {
      for (const Credit credit : {Credit::kAll, Credit::kIncoming}) {
        Config config = short_config();
        std::tie(config.optimizer, config.normalize) = GetParam();
        config.baseline = baseline;
        config.returns = returns;
        config.credit = credit;
        if (++number % LS_PARITY_STRIDE != 0) continue;
        config.activation = number % 3 == 0 ? Activation::kRelu : Activation::kLeakyRelu;
        config.horizon = number % 3 == 0 ? 40 : 0;
        config.std_kind = number % 5 == 0 ? StdKind::kSample : StdKind::kPopulation;
        config.entropy_coef = number % 4 == 0 ? 0.01 : 0;
        config.max_grad_norm = number % 3 == 1 ? 0.01 : 0;
        config.weight_decay = number % 2 == 1 ? 0.001 : 0;
        config.decoupled_weight_decay = number % 7 == 0 ? 0.1 : 0;
        if (config.optimizer != OptimizerKind::kAdam && number % 2 == 0) config.momentum = 0.9;
        config.block_size = number % 4 * 32;
        SCOPED_TRACE("number " + std::to_string(number));
        try {
          validate(config);
        } catch (const InvalidArgument&) {
          continue;  // a combination nobody can ask for
        }
        expect_same(config, kRates);
        if (HasFailure()) return;
      }
    }
  }
}
INSTANTIATE_TEST_SUITE_P(All, CudaTableParity,
                         testing::Combine(testing::Values(OptimizerKind::kAdam, OptimizerKind::kSgd,
                                                          OptimizerKind::kRmsprop),
                                          testing::Values(Normalize::kNone, Normalize::kScale,
                                                          Normalize::kBatch, Normalize::kEpisode)));

TEST(CudaTableBackend, LearnsInEverySizeOfNetworkAndBatch) {
  for (const std::int64_t hidden : {1, 16, 40, 200, 256, 512}) {
    SCOPED_TRACE(hidden);
    expect_same(short_config(5, hidden), {kRates, 1});
  }
  for (const std::int64_t envs : {1, 16, 17, 100}) {
    SCOPED_TRACE(envs);
    expect_same(short_config(envs, 16), {kRates, 2});
  }
}

// Kernels hold what a device has shared memory for: rows of the usual network, units of a block.
TEST(CudaTableBackend, LearnsTheSameOnEveryDevice) {
  for (const test::DeviceKind& kind : test::kDeviceKinds) {
    SCOPED_TRACE(kind.name);
    const test::DeviceOfKind device(kind);
    expect_same(short_config(17, 200), {kRates, 1});
  }
}

TEST(CudaTableBackend, NoiseAndStartsAreThoseOfTheCpu) {
  Config config = short_config(33, 16);
  config.frame_skip = {2, 4};
  config.repeat_action_probability = 0.25;
  config.noops = 12;
  expect_same(config, kRates);
}

TEST(CudaTableBackend, ABatchOfUpdatesIsCutIntoSlots) {
  const Config config = short_config();
  CudaTableBackend cuda = make_cuda(config, {.most_slots = 2});
  TableBackend cpu = make_cpu(config);
  cuda.upload(test::initial_state(config));
  cpu.upload(test::initial_state(config));
  const std::vector<double> rates(5, 2e-3);
  test::expect_same_updates(cuda, cpu, rates);
  EXPECT_EQ(cuda.slots(), 2);
}

TEST(CudaTableBackend, StateGoesFromOneToTheOther) {
  const Config config = short_config();
  CudaTableBackend cuda = make_cuda(config);
  TableBackend cpu = make_cpu(config);
  cuda.upload(test::initial_state(config));
  for (std::uint32_t update = 0; update < 3; ++update) {
    cuda.update(update, 2e-3);
    cpu.upload(cuda.download());
    test::expect_same_state(cpu.download(), cuda.download());
    cuda.upload(cpu.download());
  }
  cpu.upload(cuda.download());
  test::expect_same_updates(cuda, cpu, kRates, 3);
}

TEST(CudaTableBackend, AStepThatWouldOverflowLeavesTheStateAndSaysWhy) {
  Config config = short_config(5, 16);
  config.optimizer = OptimizerKind::kSgd;
  config.momentum = 0.9;
  CudaTableBackend cuda = make_cuda(config);
  TableBackend cpu = make_cpu(config);
  TrainingState state = test::initial_state(config);
  state.first_moment[7] = 3e38f;
  cuda.upload(state);
  cpu.upload(state);
  for (const double lr : {1e30, 2.0}) {  // far beyond, and just
    EXPECT_THROW(cuda.update(0, lr), NumericError);
    EXPECT_THROW(cpu.update(0, lr), NumericError);
    test::expect_same_state(cuda.download(), state);
    test::expect_same_state(cpu.download(), state);
  }
}

TEST(CudaTableBackend, PlaysAndRecordsLikeTheCpu) {
  Config config = short_config(20, 40);
  CudaTableBackend cuda = make_cuda(config);
  TableBackend cpu = make_cpu(config);
  const std::vector<float> parameters = test::initial_state(config).parameters;
  for (const bool episodic : {false, true}) {
    for (const bool random : {false, true}) {
      for (const ActionChoice choice :
           {ActionChoice::kSample, ActionChoice::kGreedy, ActionChoice::kEpsilon}) {
        PlayRequest request;
        request.num_envs = 20;
        request.T = episodic ? 14 : 50;
        request.episodic = episodic;
        request.random_policy = random;
        request.choice = choice;
        request.epsilon = 0.3f;
        request.stream = {5, 3};
        request.game = game_options(config, find_environment(config.env), 0);
        const RecordShape shape{
            .num_envs = 20, .T = request.T, .O = 6400, .A = 2, .logits = true, .reward = true};
        RolloutBuffers buffers[2] = {RolloutBuffers(shape), RolloutBuffers(shape)};
        Record<float> record[2] = {buffers[0].record(), buffers[1].record()};
        const PlayResult got = cuda.play(parameters, request, &record[0]);
        const PlayResult want = cpu.play(parameters, request, &record[1]);
        ASSERT_EQ(got.score, want.score);
        ASSERT_EQ(got.length, want.length);
        ASSERT_EQ(got.episodes, want.episodes);
        const PlayResult alone[2] = {cuda.play(parameters, request, nullptr),
                                     cpu.play(parameters, request, nullptr)};
        for (const PlayResult& unseen : alone) {
          ASSERT_EQ(unseen.score, want.score);
          ASSERT_EQ(unseen.length, want.length);
          ASSERT_EQ(unseen.episodes, want.episodes);
        }
        for (std::int64_t env = 0; env < 20; ++env) {
          const std::int64_t group = env / kGroup, lane = env % kGroup;
          const int steps = episodic ? got.length[static_cast<std::size_t>(env)] : request.T;
          for (int t = 0; t < steps; ++t) {
            const std::int64_t word = group * request.T + t, at = word * kGroup + lane;
            const auto bit = [&](const std::uint16_t* words) { return (words[word] >> lane) & 1; };
            for (int i = 0; i < 3; ++i) {
              const auto row = static_cast<std::size_t>((word * 3 + i) * kGroup + lane);
              ASSERT_EQ(got.rows[row], want.rows[row]) << env << " " << t;
            }
            ASSERT_EQ(bit(record[0].action_bits), bit(record[1].action_bits));
            ASSERT_EQ(bit(record[0].terminated), bit(record[1].terminated));
            ASSERT_EQ(bit(record[0].truncated), bit(record[1].truncated));
            ASSERT_EQ(record[0].reward[at], record[1].reward[at]);
            if (random) continue;
            ASSERT_EQ(record[0].logits[at], record[1].logits[at]);
          }
        }
      }
    }
  }
}

TEST(CudaTableBackend, APongGameOfTheDeviceIsTheCpus) {
  Config config = short_config(2, 16);
  config.env = "pong";
  expect_same(config, {kRates, 1});
}

}  // namespace table_parity_test
}  // namespace lockstep
