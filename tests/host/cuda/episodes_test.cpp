// Tests of what it takes to tell of finished episodes, on the emulator: the memory of their log,
// and what is copied and waited for. What is told of them: cuda_episode_lists_test.cpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include <cuemu/control.h>
#include "host/cuda/number_backend.h"
#include "host/errors.h"
#include "tests/support/cuda_backends.h"

namespace lockstep {
namespace episodes_test {

using testing::SizeIs;

/// A slot of the log takes 2 MB.
constexpr std::int64_t kWideSlotBytes =
    40000 * (4 + 4 * 8 + 16);  // count, four lengths and scores, sums over what was before

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
  backend.upload(test::initial_state(config));
  backend.update(0, 1e-3);
  EXPECT_EQ(backend.slots(), static_cast<std::int64_t>(free) / 16 / kWideSlotBytes);
}

TEST(CudaEpisodes, TheLogIsShorterWhereTheRestHasNoRoom) {
  const Config config = wide_config();
  for (long n = 1; n < 10; ++n) {  // until the call that fails is the one for the memory
    CudaBackend backend = test::make_cuda_backend(config);
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

/// What a second batch of three updates copies and waits for.
struct Cost {
  std::int64_t bytes_to_host;
  long synchronisations;
  std::int64_t most_episodes;  // of an update
};

Cost cost_of(const Config& config) {
  CudaBackend backend = test::make_cuda_backend(config);
  backend.list_at_most(5);
  backend.upload(test::initial_state(config));
  const std::vector<double> rates(3, 1e-3);
  backend.updates(0, rates);  // allocates
  const cuemu::Counters before = cuemu_counters();
  std::int64_t most = 0;
  for (const UpdateResult& result : backend.updates(3, rates)) {
    EXPECT_GT(result.episodes, 5);
    EXPECT_THAT(result.scores, SizeIs(5));
    most = std::max(most, result.episodes);
  }
  const cuemu::Counters after = cuemu_counters();
  EXPECT_EQ(after.allocations, before.allocations);
  return {after.bytes_to_host - before.bytes_to_host,
          after.synchronisations - before.synchronisations, most};
}

TEST(CudaEpisodes, WhatIsCopiedDoesNotGrowWithTheEpisodes) {
  Config config = test::tiny_config(16, 9);
  config.horizon = 30;
  config.baseline = Baseline::kBatchMean;
  const Cost few = cost_of(config);
  config.envs = 64;
  const Cost many = cost_of(config);
  EXPECT_EQ(few.bytes_to_host, many.bytes_to_host);
  EXPECT_EQ(few.synchronisations, 1);
  EXPECT_EQ(many.synchronisations, 1);
}

TEST(CudaEpisodes, WhatIsCopiedOfDifferingRewardsGrowsWithTheEpisodesAlone) {
  Config config = test::tiny_config(64, 9);
  config.env = "corridor";
  config.horizon = 40;  // episodes, where each is a single step
  config.baseline = Baseline::kBatchMean;
  const Cost cost = cost_of(config);
  const std::int64_t lists = 3 * cost.most_episodes * 8;  // lengths and scores
  constexpr std::int64_t kRest = 2560;                    // weights, state, log, sums, gaps
  ASSERT_LT(2 * (lists + kRest), 3 * 64 * 40 * 8) << "the places for episodes";
  EXPECT_GE(cost.bytes_to_host, lists);
  EXPECT_LE(cost.bytes_to_host, lists + kRest);
  EXPECT_EQ(cost.synchronisations, 2);
}

}  // namespace episodes_test
}  // namespace lockstep
