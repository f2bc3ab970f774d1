// Tests of what it takes to tell of finished episodes, on the emulator: the memory of their log,
// and what is copied and waited for. What is told of them: cuda_episode_lists_test.cpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cuemu/control.h>
#include "host/cuda_backend.h"
#include "tests/support/cuda_backends.h"

namespace lockstep {
namespace {

using testing::SizeIs;

TEST(CudaEpisodes, TheLogOfEpisodesTakesAShareOfTheDevice) {
  Config config = test::tiny_config(40000, 1);
  config.env = "corridor";
  config.horizon = 4;
  config.baseline = Baseline::kNone;
  config.policy = PolicyKind::kLinear;
  std::size_t free = 0, total = 0;
  ASSERT_EQ(cudaMemGetInfo(&free, &total), cudaSuccess);
  CudaBackend backend = test::make_cuda_backend(config);
  backend.upload(test::initial_state(config));
  backend.update(0, 1e-3);
  // count, four lengths and scores, sums over what was before
  const std::int64_t slot_bytes = 40000 * (4 + 4 * 8 + 16);
  EXPECT_EQ(backend.slots(), static_cast<std::int64_t>(free) / 16 / slot_bytes);
}

TEST(CudaEpisodes, WhatIsCopiedDoesNotGrowWithTheEpisodes) {
  const auto bytes = [](std::int64_t envs) {
    Config config = test::tiny_config(envs, 9);
    config.horizon = 30;
    config.baseline = Baseline::kBatchMean;
    CudaBackend backend = test::make_cuda_backend(config);
    backend.list_at_most(5);
    backend.upload(test::initial_state(config));
    const std::vector<double> rates(3, 1e-3);
    backend.updates(0, rates);  // allocates
    const cuemu::Counters before = cuemu_counters();
    for (const UpdateResult& result : backend.updates(3, rates)) {
      EXPECT_GT(result.episodes, 5);
      EXPECT_THAT(result.scores, SizeIs(5));
    }
    const cuemu::Counters after = cuemu_counters();
    EXPECT_EQ(after.synchronisations - before.synchronisations, 1);
    EXPECT_EQ(after.allocations, before.allocations);
    return after.bytes_to_host - before.bytes_to_host;
  };
  EXPECT_EQ(bytes(16), bytes(64));
}

}  // namespace
}  // namespace lockstep
