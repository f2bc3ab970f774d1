// Tests of what it takes to tell of finished episodes, on the emulator: the memory of their log,
// and what is copied and waited for. What is told of them: episode_lists_test.cpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string_view>
#include <vector>

#include <cuemu/control.h>
#include "host/cuda/number_backend.h"
#include "host/errors.h"
#include "tests/support/cuda_backends.h"

namespace lockstep {
namespace episodes_test {

using testing::SizeIs;

/// A slot of the log takes 3 MB.
constexpr std::int64_t kWideSlotBytes = 40000 * (4 + 4 * 8)  // count, four lengths and scores
                                        + 40001 * 40         // sums over what was before
                                        + 5 * 8;             // listed

Config wide_config() {
  Config config = test::tiny_config(40000, 1);
  config.env = "corridor";
  config.horizon = 4;
  config.baseline = Baseline::kNone;
  config.policy = PolicyKind::kLinear;
  return config;
}

TEST(CudaEpisodes, TheLogOfEpisodesTakesAShareOfTheDevice) {
  const Config config = wide_config();
  std::size_t free = 0, total = 0;
  ASSERT_EQ(cudaMemGetInfo(&free, &total), cudaSuccess);
  CudaBackend backend = test::make_cuda_backend(config);
  backend.list_at_most(5);
  backend.upload(test::initial_state(config));
  backend.update(0, 1e-3);
  EXPECT_EQ(backend.slots(), static_cast<std::int64_t>(free) / 16 / kWideSlotBytes);
}

TEST(CudaEpisodes, TheLogIsShorterWhereTheRestHasNoRoom) {
  const Config config = wide_config();
  for (long n = 1; n < 10; ++n) {  // until the call that fails is the one for the memory
    CudaBackend backend = test::make_cuda_backend(config);
    backend.list_at_most(5);
    backend.upload(test::initial_state(config));
    cuemu_set_fail(n);
    bool failed = false;
    try {
      backend.update(0, 1e-3);
    } catch (const Error&) {
      failed = true;
    }
    cuemu_set_fail(0);
    if (failed) continue;
    EXPECT_EQ(backend.slots(), (64 << 20) / kWideSlotBytes);
    return;
  }
  FAIL() << "no failure was mended";
}

/// What a second batch, of three updates, copies and waits for.
struct Cost {
  std::int64_t bytes_to_host;
  long synchronisations;
};

Cost cost_of(const Config& config) {
  CudaBackend backend = test::make_cuda_backend(config);
  backend.list_at_most(5);
  backend.upload(test::initial_state(config));
  backend.update(0, 1e-3);  // allocates
  const cuemu::Counters before = cuemu_counters();
  for (const UpdateResult& result : backend.updates(3, std::vector<double>(3, 1e-3))) {
    EXPECT_GT(result.episodes, 5);
    EXPECT_THAT(result.scores, SizeIs(5));
  }
  const cuemu::Counters after = cuemu_counters();
  EXPECT_EQ(after.allocations, before.allocations);
  return {after.bytes_to_host - before.bytes_to_host,
          after.synchronisations - before.synchronisations};
}

TEST(CudaEpisodes, WhatIsCopiedDoesNotGrowWithTheEpisodes) {
  for (const char* env : {"cartpole", "corridor"}) {  // the latter's rewards differ
    SCOPED_TRACE(env);
    Config config = test::tiny_config(16, 9);
    config.env = env;
    config.horizon = 30;
    config.baseline = Baseline::kBatchMean;
    const Cost few = cost_of(config);
    config.envs = 64;
    const Cost many = cost_of(config);
    EXPECT_EQ(few.bytes_to_host, many.bytes_to_host);
    EXPECT_EQ(few.synchronisations, 1);
    EXPECT_EQ(many.synchronisations, 1);
  }
}

TEST(CudaEpisodes, ListsWithoutRoomAreRefusedWithTheirBytes) {
  Config config = test::tiny_config(64, 9);
  config.horizon = 40;
  config.baseline = Baseline::kBatchMean;
  CudaBackend backend(config, find_environment(config.env), *cuda::find_operations("cartpole"),
                      {.most_slots = 1});
  backend.list_at_most(5);
  backend.upload(test::initial_state(config));
  backend.update(0, 1e-3);
  backend.list_at_most(500);
  bool refused = false;
  for (long n = 1; !refused && n < 20; ++n) {  // until the call that fails is the one for the lists
    backend.upload(test::initial_state(config));
    cuemu_set_fail(n);
    cuemu_set_fail_error(cudaErrorMemoryAllocation);
    try {
      backend.update(0, 1e-3);
    } catch (const OutOfMemory& error) {
      refused = std::string_view(error.what()).starts_with("out of device memory: wanted ");
    } catch (const Error&) {
    }
    cuemu_set_fail(0);
    cuemu_set_fail_error(-1);
  }
  EXPECT_TRUE(refused);
  EXPECT_THAT(backend.update(0, 1e-3).lengths, SizeIs(testing::Gt(5u))) << "the next has room";
}

}  // namespace episodes_test
}  // namespace lockstep
