// Tests for host/cuda/number_backend.h on the emulator: what it computes has the CPU's bits,
// whatever the mapping and the batching; it waits for the device once a batch; and what stops it
// stops the CPU with the same words. All settings against each other: parity_test.cpp.
#include "host/cuda/number_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cuemu/control.h>
#include "host/engine.h"
#include "host/errors.h"
#include "host/files/fnv.h"
#include "tests/support/cuda_backends.h"

namespace lockstep {
namespace number_backend_test {

using testing::SizeIs;
using testing::ThrowsMessage;

const std::vector<double> kRates = {3e-3, 1e-3, 2e-3, 4e-3, 1e-3};

/// CartPole with few steps an update: the emulator takes its time for the 500 of a whole episode.
Config short_config(std::int64_t envs = 18, std::int64_t hidden = 9) {
  Config config = test::tiny_config(envs, hidden);
  config.horizon = 30;
  config.baseline = Baseline::kBatchMean;
  return config;
}

TEST(CudaBackend, UpdatesHaveTheBitsOfTheCpu) {
  for (const std::int64_t horizon : {0, 40}) {
    for (const char* env : {"cartpole", "corridor"}) {
      SCOPED_TRACE(std::string(env) + ", horizon " + std::to_string(horizon));
      Config config = test::tiny_config();
      config.env = env;
      config.horizon = horizon;
      config.baseline = horizon > 0 ? Baseline::kRunningMean : Baseline::kTimeMean;
      CudaBackend cuda = test::make_cuda_backend(config);
      CpuBackend cpu(config, find_environment(env), {});
      cuda.upload(test::initial_state(config));
      cpu.upload(test::initial_state(config));
      test::expect_same_updates(cuda, cpu, kRates);
      test::expect_same_updates(cuda, cpu, kRates, 5);
    }
  }
}

TEST(CudaBackend, LaunchesThatWaitForTheirEndHaveTheSameBits) {
  ASSERT_EQ(setenv("LS_SYNC_LAUNCHES", "1", 1), 0);
  const Config config = short_config();
  CudaBackend cuda = test::make_cuda_backend(config);
  CpuBackend cpu(config, find_environment("cartpole"), {});
  cuda.upload(test::initial_state(config));
  cpu.upload(test::initial_state(config));
  const cuemu::Counters before = cuemu_counters();
  test::expect_same_updates(cuda, cpu, kRates);
  const cuemu::Counters after = cuemu_counters();
  unsetenv("LS_SYNC_LAUNCHES");
  const long kernels = 5 * static_cast<long>(kRates.size());
  EXPECT_GE(after.launches - before.launches, kernels) << "one by one, not as a graph";
  EXPECT_GE(after.synchronisations - before.synchronisations, kernels);
}

TEST(CudaBackend, MappingAndBlockChangeNothing) {
  Config config = short_config(35, 20);
  CpuBackend cpu(config, find_environment("cartpole"), {});
  cpu.upload(test::initial_state(config));
  const auto want = cpu.update(0, 1e-3);
  for (const GpuMapping mapping : {GpuMapping::kThread, GpuMapping::kLanes8}) {
    for (const std::int64_t block : {32, 96, 256}) {
      config.mapping = mapping;
      config.block_size = block;
      CudaBackend cuda = test::make_cuda_backend(config);
      cuda.upload(test::initial_state(config));
      test::expect_same_result(cuda.update(0, 1e-3), want);
      test::expect_same_state(cuda.download(), cpu.download());
    }
  }
}

TEST(CudaBackend, TheFingerprintIsTheEngines) {
  Config config;
  config.env = "cartpole";
  config.envs = 33;
  config.hidden = 32;
  config.seed = 20200527;
  config.horizon = 96;
  config.gamma = 0.97;
  config.baseline = Baseline::kBatchMean;
  config.normalize = Normalize::kBatch;
  CudaBackend backend = test::make_cuda_backend(config);
  backend.upload(test::initial_state(config));
  Fnv64 hash;
  for (std::uint32_t update = 0; update < 2; ++update) {
    const UpdateResult result = backend.update(update, config.lr);
    hash.add(std::span(result.scores));
    const std::vector<float> gradient = backend.read_gradient();
    hash.add(std::span(gradient));
  }
  hash.add(std::span<const float>(backend.download().parameters));
  EXPECT_EQ(hash.value(), Engine::fingerprint());
}

/// What a call costs, besides kernels.
struct Cost {
  long allocations, synchronisations, copies;
  friend bool operator==(const Cost&, const Cost&) = default;
};

Cost cost_of(CudaBackend& backend, std::size_t updates) {
  const cuemu::Counters before = cuemu_counters();
  const std::vector<double> lr(updates, 1e-3);
  EXPECT_THAT(backend.updates(0, lr), SizeIs(updates));
  const cuemu::Counters after = cuemu_counters();
  EXPECT_EQ(after.launches - before.launches, static_cast<long>(updates));
  EXPECT_EQ(after.kernels - before.kernels, 5 * static_cast<long>(updates));
  return {after.allocations - before.allocations, after.synchronisations - before.synchronisations,
          after.copies - before.copies};
}

TEST(CudaBackend, ABatchOfUpdatesWaitsOnceAndCopiesOnce) {
  for (const char* env : {"cartpole", "corridor"}) {
    Config config = test::tiny_config(18, 4);
    config.env = env;
    CudaBackend backend = test::make_cuda_backend(config);
    backend.upload(test::initial_state(config));
    backend.update(0, 1e-3);  // allocates and captures
    // down: rates and state; up: state, parameters and log; lengths, and scores if they differ
    const long copies = std::string(env) == "corridor" ? 4 : 3;
    EXPECT_EQ(cost_of(backend, 1), (Cost{0, 1, copies}));
    EXPECT_EQ(cost_of(backend, 4), (Cost{0, 1, copies}));
  }
}

TEST(CudaBackend, DownloadingNeedsNoDevice) {
  const Config config = short_config();
  CudaBackend backend = test::make_cuda_backend(config);
  backend.upload(test::initial_state(config));
  backend.update(0, 1e-3);
  const long calls = cuemu_fallible_calls();
  backend.download();
  EXPECT_EQ(cuemu_fallible_calls(), calls);
}

TEST(CudaBackend, AnUploadReplacesTheState) {
  const Config config = short_config();
  CudaBackend backend = test::make_cuda_backend(config);
  backend.upload(test::initial_state(config));
  const UpdateResult first = backend.update(0, 1e-3);
  const TrainingState after = backend.download();
  backend.update(1, 1e-3);
  backend.upload(test::initial_state(config));
  test::expect_same_state(backend.download(), test::initial_state(config));
  test::expect_same_result(backend.update(0, 1e-3), first);
  test::expect_same_state(backend.download(), after);
}

TEST(CudaBackend, MoreUpdatesThanTheLogHasRoomForComeInParts) {
  Config config = test::tiny_config(16, 2);
  config.env = "corridor";
  const EnvironmentEntry& environment = find_environment(config.env);
  CudaBackend cuda(config, environment, *cuda::find_operations("corridor"), {.most_slots = 2});
  CpuBackend cpu(config, environment, {});
  cuda.upload(test::initial_state(config));
  cpu.upload(test::initial_state(config));
  EXPECT_THAT(cuda.updates(0, kRates), SizeIs(2));
  for (std::uint32_t i = 0; i < 2; ++i) cpu.update(i, kRates[i]);
  test::expect_same_updates(cuda, cpu, std::span(kRates).subspan(2), 2);
}

TEST(CudaBackend, SaturatedGradientsAreComputedAgainAsOnTheCpu) {
  for (const std::int64_t horizon : {0, 30}) {
    Config config = test::tiny_config();
    config.horizon = horizon;
    if (horizon > 0) config.baseline = Baseline::kBatchMean;
    const test::UnderstatedWorld world("cartpole", 0x1p-7);
    CudaBackend cuda = test::make_cuda_backend(config, world.entry());
    CpuBackend cpu(config, world.entry(), {});
    cuda.upload(test::initial_state(config));
    cpu.upload(test::initial_state(config));
    test::expect_same_updates(cuda, cpu, kRates);
    EXPECT_GT(cuda.update(5, 1e-3).rescalings, 0);
  }
}

TEST(CudaBackend, AGradientThatStaysSaturatedStopsWithTheCpusWords) {
  const Config config = short_config();
  const test::UnderstatedWorld world("cartpole", 0x1p-30);
  CudaBackend backend = test::make_cuda_backend(config, world.entry());
  backend.upload(test::initial_state(config));
  for (int i = 0; i < 2; ++i) {  // an error is no surprise twice
    EXPECT_THAT([&] { backend.updates(0, kRates); },
                ThrowsMessage<NumericError>(numeric_error::kSaturated));
    test::expect_same_state(backend.download(), test::initial_state(config));
  }
}

TEST(CudaBackend, UpdatesBeforeAFailureAreReturnedAndTheNextCallThrows) {
  const Config config = short_config();
  CudaBackend cuda = test::make_cuda_backend(config);
  CpuBackend cpu(config, find_environment("cartpole"), {});
  cuda.upload(test::initial_state(config));
  cpu.upload(test::initial_state(config));
  const std::vector<double> rates = {1e-3, 2e-3, 1e38, 1e-3, 1e-3};
  const auto results = cuda.updates(0, rates);
  ASSERT_THAT(results, SizeIs(2));
  for (std::uint32_t i = 0; i < 2; ++i) {
    test::expect_same_result(results[i], cpu.update(i, rates[i]));
  }
  test::expect_same_state(cuda.download(), cpu.download());
  // whatever it is called with: the failure has happened
  EXPECT_THAT([&] { cuda.update(2, 1e-3); },
              ThrowsMessage<NumericError>(numeric_error::kParameter));
  EXPECT_THROW(cpu.update(2, 1e38), NumericError);
  test::expect_same_state(cuda.download(), cpu.download());
  // with a rate that works it goes on from there
  test::expect_same_updates(cuda, cpu, kRates, 2);
}

TEST(CudaBackend, AnErrorIsForgottenWithTheStateItLeft) {
  const Config config = short_config(16, 4);
  const std::vector<double> rates(2, 1e-3);
  CudaBackend plain = test::make_cuda_backend(config);
  plain.upload(test::initial_state(config));
  plain.update(0, 1e-3);
  const auto want = plain.updates(1, rates);
  int errors = 0;
  for (long n = 1;; ++n) {  // every call of a batch fails once
    SCOPED_TRACE("call " + std::to_string(n));
    CudaBackend backend = test::make_cuda_backend(config);
    backend.upload(test::initial_state(config));
    backend.update(0, 1e-3);
    cuemu_set_fail(n);
    bool failed = false;
    try {
      backend.updates(1, rates);
    } catch (const Error&) {
      failed = true;
    }
    cuemu_set_fail(0);
    if (!failed) break;
    ++errors;
    const auto got = backend.updates(1, rates);
    for (std::size_t i = 0; i < rates.size(); ++i) test::expect_same_result(got[i], want[i]);
    test::expect_same_state(backend.download(), plain.download());
  }
  EXPECT_GT(errors, 5);
}

TEST(CudaBackend, ReturnsBeyondTheBoundStopTheUpdate) {
  const Config config = short_config();
  EnvironmentFacts facts = *find_environment("cartpole").facts;
  facts.max_abs_reward = 1e-6f;
  EnvironmentEntry entry = find_environment("cartpole");
  entry.facts = &facts;
  CudaBackend backend = test::make_cuda_backend(config, entry);
  backend.upload(test::initial_state(config));
  EXPECT_THAT([&] { backend.updates(0, kRates); },
              ThrowsMessage<NumericError>(numeric_error::kReturnRange));
  test::expect_same_state(backend.download(), test::initial_state(config));
}

TEST(CudaBackend, LearnsNothingWhereNoEpisodeFinished) {
  Config config = test::tiny_config(5);
  config.horizon = 7;  // shorter than any episode
  config.baseline = Baseline::kRunningMean;
  CudaBackend cuda = test::make_cuda_backend(config);
  CpuBackend cpu(config, find_environment("cartpole"), {});
  cuda.upload(test::initial_state(config));
  cpu.upload(test::initial_state(config));
  const auto results = cuda.updates(0, kRates);
  for (std::uint32_t i = 0; i < kRates.size(); ++i) {
    test::expect_same_result(results[i], cpu.update(i, kRates[i]));
    EXPECT_EQ(results[i].cut_steps(), 35);
  }
  test::expect_same_state(cuda.download(), test::initial_state(config));
}

TEST(ChooseLaunchShape, FollowsTheBatchAndTheConfiguration) {
  PolicyView<float> relu{};
  relu.form = PolicyForm::kRelu;
  relu.hidden = 128;
  PolicyView<float> wide = relu, linear = relu;
  wide.hidden = 129;
  linear.form = PolicyForm::kLinear;
  constexpr int kMultiprocessors = 132;
  Config config;
  const auto shape = [&](const PolicyView<float>& policy, std::int64_t envs) {
    return cuda::choose_launch_shape(config, policy, envs, kMultiprocessors);
  };
  using cuda::Mapping;
  EXPECT_EQ(shape(relu, 16).mapping, Mapping::kLanes8);
  EXPECT_EQ(shape(relu, 12671).mapping, Mapping::kLanes8);
  EXPECT_EQ(shape(relu, 12672).mapping, Mapping::kThread);
  EXPECT_EQ(shape(wide, 16).mapping, Mapping::kThread);
  EXPECT_EQ(shape(linear, 16).mapping, Mapping::kThread);
  EXPECT_EQ(shape(relu, 100000).envs_per_thread, 1);
  EXPECT_EQ(shape(relu, 200000).envs_per_thread, 4);
  EXPECT_EQ(shape(relu, 300000).envs_per_thread, 8);
  EXPECT_EQ(shape(linear, 300000).envs_per_thread, 1);
  EXPECT_EQ(shape(relu, 16).block, 32);
  EXPECT_EQ(shape(relu, 300000).block, 128);
  config.mapping = GpuMapping::kThread;
  config.block_size = 64;
  EXPECT_EQ(shape(relu, 16).mapping, Mapping::kThread);
  EXPECT_EQ(shape(relu, 300000).block, 64);
  config.mapping = GpuMapping::kLanes8;
  EXPECT_EQ(shape(relu, 300000).mapping, Mapping::kLanes8);
  EXPECT_EQ(shape(linear, 300000).mapping, Mapping::kThread);  // evaluation of random actions
}

TEST(CudaBackend, CountsBytesOfMoreThanTwoToThe31Records) {
  Config config = test::tiny_config(1 << 24);
  config.horizon = 1000;
  config.baseline = Baseline::kNone;
  CudaBackend backend = test::make_cuda_backend(config);
  backend.upload(test::initial_state(config));
  try {
    backend.update(0, 1e-3);
    FAIL() << "the emulator has no such memory";
  } catch (const OutOfMemory& error) {
    const std::string message = error.what();
    const std::size_t at = message.find("wanted ");
    ASSERT_NE(at, std::string::npos) << message;
    const double bytes = std::stod(message.substr(at + 7));
    // a step: logit and advantage, four bits; an environment: 125 episodes of 4 bytes, 16 bytes,
    // and 120 that are saved between launches
    const double expected = std::ldexp(1000 * 8.5 + 125 * 4 + 16 + 120, 24);
    EXPECT_NEAR(bytes / expected, 1, 1e-3) << message;
  }
}

TEST(CudaBackend, SaysOnceThatTheDriverCompilesItsKernels) {
  const auto said = [] {
    testing::internal::CaptureStderr();
    test::make_cuda_backend(short_config());
    return testing::internal::GetCapturedStderr();
  };
  EXPECT_EQ(said(), "") << "the device's own code needs no compiler";
  cuemu_set_ptx(1);
  EXPECT_THAT(said(), testing::HasSubstr("compiling kernels for this GPU"));
  EXPECT_EQ(said(), "");
  cuemu_set_ptx(0);
}

TEST(CudaBackend, IsNamedAfterItsDevice) {
  EXPECT_EQ(test::make_cuda_backend(test::tiny_config()).name().substr(0, 7), "cuda:0 ");
}

}  // namespace number_backend_test
}  // namespace lockstep
