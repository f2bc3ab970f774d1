// Tests for host/cuda/actor_critic.h on the emulator: updates with a critic have the CPU's bits,
// whatever the learner, the policy, the minibatches and how the work is cut; the passes of an
// update do not wait for the host; failures go back to the update before; environments move between
// devices. The CPU's truth: tests/host/cpu/actor_critic_test.cpp and actor_critic_oracle_test.cpp.
#include "host/cuda/actor_critic.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cuemu/control.h>
#include "host/backend/cuda_plugin.h"
#include "host/errors.h"
#include "tests/support/actor_critic.h"
#include "tests/support/cuda_backends.h"

namespace lockstep {
namespace cuda_actor_critic_test {

using test::ppo_config;
using testing::ThrowsMessage;

const std::vector<double> kRates = {3e-3, 1e-3, 2e-3, 4e-3};

std::unique_ptr<CudaActorCritic> make_cuda(const Config& config,
                                           const EnvironmentEntry* environment = nullptr) {
  if (environment == nullptr) environment = &find_environment(config.env);
  auto backend = std::make_unique<CudaActorCritic>(
      config, *environment, *cuda::find_operations(environment->facts->name), CudaTuning{});
  backend->upload(test::initial_state(config));
  return backend;
}

/// Bits of the figures a critic adds; NaN equals itself.
std::vector<std::uint64_t> critic_figures(const UpdateResult& r) {
  std::vector<std::uint64_t> bits;
  for (const double figure : {r.value_loss, r.explained_variance, r.approx_kl, r.clip_fraction}) {
    bits.push_back(std::bit_cast<std::uint64_t>(figure));
  }
  bits.push_back(r.carried ? 1 : 0);
  return bits;
}

void expect_same_result(const UpdateResult& got, const UpdateResult& want) {
  test::expect_same_result(got, want);
  EXPECT_EQ(critic_figures(got), critic_figures(want));
}

void expect_same_state(const TrainingState& got, const TrainingState& want) {
  test::expect_same_state(got, want);
  EXPECT_EQ(test::all_bits_of(got.environments.state), test::all_bits_of(want.environments.state));
  EXPECT_EQ(got.environments.steps, want.environments.steps);
  EXPECT_EQ(test::all_bits_of(got.environments.score), test::all_bits_of(want.environments.score));
}

/// Runs the same updates on both, the device's in one batch, and compares all they tell.
template <class Cpu>
void expect_same_updates(CudaActorCritic& cuda, Cpu& cpu, std::span<const double> rates = kRates,
                         std::uint32_t first = 0) {
  const std::vector<UpdateResult> got = cuda.updates(first, rates);
  ASSERT_EQ(got.size(), rates.size());
  for (std::size_t i = 0; i < rates.size(); ++i) {
    SCOPED_TRACE("update " + std::to_string(first + i));
    expect_same_result(got[i], cpu.update(first + static_cast<std::uint32_t>(i), rates[i]));
  }
  EXPECT_EQ(test::all_bits_of(cuda.read_gradient()), test::all_bits_of(cpu.gradient_view()));
  expect_same_state(cuda.download(), cpu.download());
}

void check(const Config& config) {
  validate(config);
  auto cuda = make_cuda(config);
  auto cpu = test::start(config);
  expect_same_updates(*cuda, *cpu);
  const std::vector<double> rates = {1e-3, 2e-3};
  expect_same_updates(*cuda, *cpu, rates, 4);  // and goes on in another batch
}

class CudaActorCriticBits : public testing::TestWithParam<test::ActorCriticVariant> {};

TEST_P(CudaActorCriticBits, AreTheCpus) { check(test::config_of(GetParam())); }

INSTANTIATE_TEST_SUITE_P(Cpus, CudaActorCriticBits, testing::ValuesIn(test::kActorCriticVariants),
                         [](const auto& param) { return std::string(param.param.name); });

constexpr test::ActorCriticVariant kMore[] = {
    {"SharedRelu", [](Config& c) { c.critic = Critic::kShared; }},
    {"FourMinibatchesOfTheBatch",
     [](Config& c) {
       c.minibatches = 4;
       c.normalize = Normalize::kBatch;
       c.std_kind = StdKind::kSample;
     }},
    {"OneMinibatch",
     [](Config& c) {
       c.minibatches = 1;
       c.epochs = 3;
       c.normalize = Normalize::kScale;
     }},
    {"ClippedValuesAndTargetKl",
     [](Config& c) {
       c.clip = 0.002;
       c.value_clip = 0.05;
       c.target_kl = 2e-5;
       c.epochs = 4;
       c.entropy_coef = 0.02;
       c.optimizer = OptimizerKind::kSgd;
       c.momentum = 0.9;
     }},
    {"LeakyCorridor",
     [](Config& c) {
       c.env = "corridor";
       c.critic = Critic::kShared;
       c.activation = Activation::kLeakyRelu;
       c.shuffle = Shuffle::kSteps;
       c.max_grad_norm = 0.5;
     }},
    {"LinearCorridor",
     [](Config& c) {
       c.env = "corridor";
       c.critic = Critic::kShared;
       c.policy = PolicyKind::kLinear;
       c.algorithm = Algorithm::kA2c;
       c.epochs = 1;
       c.minibatches = 2;
     }},
    {"OneEnvironment",
     [](Config& c) {
       c.envs = 1;
       c.horizon = 40;
     }},
    {"ALongHorizon",  // several episodes of an environment in an update
     [](Config& c) {
       c.envs = 18;
       c.horizon = 130;
       c.epochs = 1;
     }},
    {"WeightsThatDoNotFitSharedMemory",
     [](Config& c) {
       c.envs = 17;
       c.horizon = 5;
       c.hidden = 900;
       c.critic_hidden = 800;
       c.epochs = 1;
     }},
};
INSTANTIATE_TEST_SUITE_P(More, CudaActorCriticBits, testing::ValuesIn(kMore),
                         [](const auto& param) { return std::string(param.param.name); });

TEST(CudaActorCritic, HowTheWorkIsCutChangesNothing) {
  Config config = ppo_config(70);
  auto cpu = test::start(config);
  std::vector<UpdateResult> want;
  for (std::uint32_t i = 0; i < 2; ++i) want.push_back(cpu->update(i, kRates[i]));
  const auto expect_same = [&] {
    auto cuda = make_cuda(config);
    for (std::uint32_t i = 0; i < 2; ++i) expect_same_result(cuda->update(i, kRates[i]), want[i]);
    expect_same_state(cuda->download(), cpu->download());
  };
  for (const GpuMapping mapping : {GpuMapping::kThread, GpuMapping::kLanes8}) {
    for (const std::int64_t block : {32, 96, 256}) {
      config.mapping = mapping;
      config.block_size = block;
      expect_same();
    }
  }
  ASSERT_EQ(setenv("LS_LAUNCH_STEPS", "5", 1), 0);  // of a rollout of twelve
  expect_same();
  unsetenv("LS_LAUNCH_STEPS");
  ASSERT_EQ(setenv("LS_SYNC_LAUNCHES", "1", 1), 0);
  expect_same();
  unsetenv("LS_SYNC_LAUNCHES");
}

TEST(CudaActorCritic, APassIsALaunchAndABatchWaitsOnce) {
  const Config config = ppo_config(18);  // two epochs of three minibatches
  auto backend = make_cuda(config);
  backend->update(0, 1e-3);  // allocates and captures
  for (const long updates : {1, 3}) {
    const cuemu::Counters before = cuemu_counters();
    const std::vector<double> lr(static_cast<std::size_t>(updates), 1e-3);
    backend->updates(1, lr);
    const cuemu::Counters after = cuemu_counters();
    EXPECT_EQ(after.allocations - before.allocations, 0);
    EXPECT_EQ(after.synchronisations - before.synchronisations, 1);
    // down: rates and state; up: state, parameters and log; lists, and what they are made in is
    // set; environments
    EXPECT_EQ(after.copies - before.copies, 5);
    // and what makes the lists
    EXPECT_EQ(after.launches - before.launches, updates * 6 + 1);
    // keep, rollout, advantages, moments; a shuffle an epoch; moments, weigh, sums, finish a pass
    EXPECT_EQ(after.kernels - before.kernels, updates * (4 + 2 + 6 * 4) + 1);
  }
}

TEST(CudaActorCritic, LeavesOutWhatComesBehindTheTargetDivergence) {
  Config config = ppo_config();
  config.epochs = 4;
  const auto moved = [&](double target) {
    config.target_kl = target;
    auto backend = make_cuda(config);
    backend->updates(0, std::vector<double>(2, config.lr));
    return backend->download();
  };
  // two updates of four epochs of three minibatches, or of one
  EXPECT_NEAR(moved(1e9).beta1_power, std::pow(0.9, 24), 1e-12);
  EXPECT_NEAR(moved(1e-9).beta1_power, std::pow(0.9, 6), 1e-12);
}

TEST(CudaActorCritic, SaturatedGradientsAreComputedAgainAsOnTheCpu) {
  const Config config = ppo_config();
  const test::UnderstatedWorld world("cartpole", 0x1p-7);
  auto cuda = make_cuda(config, &world.entry());
  CpuActorCritic cpu(config, world.entry(), {});
  cpu.upload(test::initial_state(config));
  expect_same_updates(*cuda, cpu);
  EXPECT_GT(cuda->update(4, 1e-3).rescalings, 6);
}

TEST(CudaActorCritic, AGradientThatStaysSaturatedStopsWithTheCpusWords) {
  const Config config = ppo_config();
  const test::UnderstatedWorld world("cartpole", 0x1p-30);
  auto backend = make_cuda(config, &world.entry());
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT([&] { backend->updates(0, kRates); },
                ThrowsMessage<NumericError>(numeric_error::kSaturated));
    expect_same_state(backend->download(), test::initial_state(config));
  }
}

TEST(CudaActorCritic, AFailureWithinAnUpdateLeavesTheStateOfBefore) {
  for (const char* env : {"cartpole", "corridor"}) {
    Config config = ppo_config();
    config.env = env;
    auto cuda = make_cuda(config);
    auto cpu = test::start(config);
    const auto results = cuda->updates(0, std::vector<double>{1e-3, 2e-3, 1e38, 1e-3});
    ASSERT_EQ(results.size(), 2u);
    for (std::uint32_t i = 0; i < 2; ++i) {
      expect_same_result(results[i], cpu->update(i, i == 0 ? 1e-3 : 2e-3));
    }
    expect_same_state(cuda->download(), cpu->download());
    std::string reason;
    try {
      cpu->update(2, 1e38);
    } catch (const NumericError& error) {
      reason = error.what();
    }
    EXPECT_THAT([&] { cuda->update(2, 1e38); }, ThrowsMessage<NumericError>(reason));
    expect_same_state(cuda->download(), cpu->download());
    expect_same_updates(*cuda, *cpu, kRates, 2);  // and goes on as if nothing had been
  }
}

TEST(CudaActorCritic, ValuesThatAreNotFiniteStopTheUpdate) {
  const Config config = ppo_config();
  auto cuda = make_cuda(config);
  cuda->update(0, 1e-3);
  TrainingState state = cuda->download();
  state.parameters.back() = std::numeric_limits<float>::infinity();  // the value's bias
  for (int i = 0; i < 2; ++i) {
    cuda->upload(state);
    EXPECT_THAT([&] { cuda->update(1, 1e-3); },
                ThrowsMessage<NumericError>(numeric_error::kAdvantage));
    expect_same_state(cuda->download(), state);
  }
}

TEST(CudaActorCritic, AnErrorIsForgottenWithTheStateItLeft) {
  Config config = ppo_config(16);
  config.epochs = 1;
  const std::vector<double> rates(2, 1e-3);
  auto plain = make_cuda(config);
  plain->update(0, 1e-3);
  const auto want = plain->updates(1, rates);
  int errors = 0;
  for (long n = 1;; ++n) {  // every call of a batch fails once
    SCOPED_TRACE("call " + std::to_string(n));
    auto backend = make_cuda(config);
    backend->update(0, 1e-3);
    cuemu_set_fail(n);
    bool failed = false;
    try {
      backend->updates(1, rates);
    } catch (const Error&) {
      failed = true;
    }
    cuemu_set_fail(0);
    if (!failed) break;
    ++errors;
    const auto got = backend->updates(1, rates);
    for (std::size_t i = 0; i < rates.size(); ++i) expect_same_result(got[i], want[i]);
    expect_same_state(backend->download(), plain->download());
  }
  EXPECT_GT(errors, 8);
}

TEST(CudaActorCritic, EnvironmentsMoveBetweenDevices) {
  for (const char* env : {"cartpole", "corridor"}) {
    Config config = ppo_config();
    config.env = env;
    auto whole = test::start(config);
    for (std::uint32_t i = 0; i < 6; ++i) whole->update(i, 2e-3);
    const std::vector<double> rates(3, 2e-3);
    auto cpu = test::start(config);
    for (std::uint32_t i = 0; i < 3; ++i) cpu->update(i, 2e-3);
    auto cuda = make_cuda(config);
    cuda->upload(cpu->download());
    cuda->updates(3, rates);
    expect_same_state(cuda->download(), whole->download());
    cuda->upload(test::initial_state(config));
    cuda->updates(0, rates);
    cpu->upload(cuda->download());
    for (std::uint32_t i = 3; i < 6; ++i) cpu->update(i, 2e-3);
    expect_same_state(cpu->download(), whole->download());
  }
}

TEST(CudaActorCritic, PlaysThePolicyWithoutItsCritic) {
  for (const Critic critic : {Critic::kShared, Critic::kSeparate}) {
    Config config = ppo_config();
    config.critic = critic;
    auto cuda = make_cuda(config);
    auto cpu = test::start(config);
    PlayRequest request;
    request.num_envs = 20;
    request.T = 60;
    request.stream = {3, 4};
    const auto parameters = cpu->download().parameters;
    EXPECT_EQ(cuda->play(parameters, request, nullptr).score,
              cpu->play(parameters, request, nullptr).score);
  }
}

TEST(CudaActorCritic, OfObjectsIsLearnedOnTheCpu) {
  Config config;
  config.env = "pong";
  config.critic = Critic::kShared;
  config.device = "auto";
  EXPECT_EQ(choose_device(config).cuda, -1);
  config.device = "cuda";
  EXPECT_THAT([&] { choose_device(config); },
              ThrowsMessage<DeviceUnavailable>(testing::HasSubstr("on the CPU alone so far")));
}

}  // namespace cuda_actor_critic_test
}  // namespace lockstep
