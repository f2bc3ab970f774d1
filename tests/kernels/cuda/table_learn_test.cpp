// Tests for kernels/cuda/table_{returns,weigh,gradient}.cuh: what the passes over the record write
// against the CPU's operations, bit for bit, for batches around the sizes of groups, warps and
// blocks.
#include <gtest/gtest.h>

#include <cstdlib>
#include <limits>

#include "tests/support/cuda_table_checks.h"

namespace lockstep::test {
namespace table_learn_test {

// ---- returns, baseline, weigh ----

LearnCase around(std::int64_t envs, int block) {
  LearnCase c;
  c.envs = envs;
  c.launch.block = block;
  c.launch.gradient_block = block + 32;
  return c;
}

/// The passes over the record, on either side.
void expect_weighed(const LearnCase& c) {
  SCOPED_TRACE(text_of(c));
  CudaTableUpdate u(c);
  u.estimate();
  ASSERT_GT(u.cpu_returns.count, 0);
  ASSERT_NE(u.cpu_returns.sum, 0);
  estimate(u);
  expect_shared(u.returns.download()[0], u.cpu_returns, "returns");
  expect_shared(u.advantages.download()[0], u.cpu_advantages, "advantages");
  EXPECT_EQ(static_cast<std::int64_t>(u.totals.download()[0].episodes), u.run.games_.episodes);
  EXPECT_EQ(static_cast<std::int64_t>(u.totals.download()[0].steps), u.recorded_steps());
  expect_steps(u, u.advantage, u.run.advantage, "advantage");
  u.weigh();
  weigh(u);
  ASSERT_FALSE(u.cpu_totals.saturated);
  const cuda::TableTotals totals = u.totals.download()[0];
  EXPECT_EQ(static_cast<std::int64_t>(totals.loss), u.cpu_totals.loss);
  EXPECT_EQ(static_cast<std::int64_t>(totals.entropy), u.cpu_totals.entropy);
  EXPECT_EQ(totals.saturated, 0u);
  expect_steps(u, u.quantised, u.run.quantised, "g");
  if (c.leak != 0) expect_steps(u, u.quantised_leak, u.run.quantised_leak, "leak times g");
  for (const auto sum : u.sums.download()) ASSERT_EQ(sum, 0u);
}

TEST(CudaTableReturns, EqualTheCpusForEveryBatchAndBlock) {
  for (const std::int64_t envs : {1, 5, 17, 33}) {
    for (const int block : {32, 64, 128, 256}) {
      LearnCase c = around(envs, block);
      c.leak = block == 64 ? 0.01f : 0;
      c.incoming_only = block == 128;
      expect_weighed(c);
    }
  }
}

TEST(CudaTableReturns, EqualTheCpusForEveryOption) {
  for (const BaselineRule baseline :
       {BaselineRule::kNone, BaselineRule::kBatchMean, BaselineRule::kRunningMean}) {
    for (const NormalizeRule normalize : {NormalizeRule::kNone, NormalizeRule::kScale,
                                          NormalizeRule::kBatch, NormalizeRule::kEpisode}) {
      LearnCase c;
      c.max_steps = cuda::kShortChunk;  // an episode begins where a chunk does
      c.baseline = baseline;
      c.normalize = normalize;
      c.entropy_coef = 0.02;
      c.reset_at_points = normalize != NormalizeRule::kScale;
      c.incoming_only = normalize == NormalizeRule::kEpisode;
      c.sample_std = baseline == BaselineRule::kBatchMean;
      c.bits_dropped = 2;
      expect_weighed(c);
    }
  }
}

TEST(CudaTableReturns, EqualTheCpusForWholeEpisodes) {
  LearnCase c;
  c.episodic = true;
  c.T = c.max_steps = 70;
  expect_weighed(c);
  c.reset_at_points = false;
  expect_weighed(c);
}

TEST(CudaTableReturns, RefuseABaselineByTime) {
  CudaTableUpdate u{LearnCase{}};
  u.args.plan.baseline = BaselineRule::kTimeMean;
  EXPECT_EQ(cuda::table_baseline(u.args, u.settings().launch, nullptr), cudaErrorInvalidValue);
}

// Many lanes take long chunks of time; more steps than all bits hold lose one.
TEST(CudaTableReturns, EqualTheCpusInLargeBatches) {
  LearnCase c = around(cuda::kManyLanes, 256);
  c.T = 45;
  c.normalize = NormalizeRule::kScale;
  expect_weighed(c);
}

TEST(CudaTableWeigh, LosesABitForEveryDoublingOfTheStepsBeyondTheMost) {
  CudaTableUpdate u{LearnCase{}};
  u.estimate();
  u.upload_estimates();
  const auto scale = [&](std::int64_t steps) {
    cuda::TableTotals batch{};
    batch.episodes = 1;
    batch.steps = static_cast<unsigned long long>(steps);
    u.totals.upload({batch});
    weigh(u);
    return u.step.download()[0].gradient.scale;
  };
  const float most = u.gradient_args().scale;
  EXPECT_EQ(scale(kMaxTableSteps), most);
  EXPECT_EQ(scale(kMaxTableSteps + kGroup), most / 2);
  EXPECT_EQ(scale(2 * kMaxTableSteps), most / 2);
  EXPECT_EQ(scale(2 * kMaxTableSteps + kGroup), most / 4);
}

// ---- accumulate ----

void expect_accumulated(CudaTableUpdate& u) {
  SCOPED_TRACE(text_of(u.settings()));
  u.gradient();
  require_cuda(cuda::table_accumulate<ObjectPong>(u.args, u.settings().launch, nullptr));
  wait_for_device();
  expect_sums(u);
}
void expect_accumulated(const LearnCase& c) {
  CudaTableUpdate u(c);
  u.estimate();
  u.weigh();
  u.upload_estimates();
  weigh(u);
  expect_accumulated(u);
}

TEST(CudaTableAccumulate, EqualsTheCpusForEveryBatchAndBlock) {
  for (const std::int64_t envs : {1, 5, 17, 33}) {
    for (const int block : {32, 224}) {
      LearnCase c = around(envs, block);
      c.leak = block == 32 ? 0.01f : 0;
      c.launch.multiprocessors = static_cast<std::int32_t>(2 * envs);  // parts of the batch
      expect_accumulated(c);
    }
  }
}

TEST(CudaTableAccumulate, EqualsTheCpusForEveryNumberOfUnits) {
  for (const int hidden : {1, 16, 17, 40, 64, 200}) {
    LearnCase c;
    c.hidden = hidden;
    c.leak = hidden == 40 ? 0.01f : 0;
    c.incoming_only = hidden == 64;
    expect_accumulated(c);
  }
}

// A device with less shared memory sums fewer units a block.
TEST(CudaTableAccumulate, EqualsTheCpusOnEveryDevice) {
  for (const DeviceKind& kind : kDeviceKinds) {
    const DeviceOfKind device(kind);
    SCOPED_TRACE(kind.name);
    for (const float leak : {0.0f, 0.01f}) {
      LearnCase c;
      c.hidden = 40;
      c.leak = leak;
      c.launch.shared_bytes = device.shared_bytes();
      expect_accumulated(c);
    }
  }
}

TEST(CudaTableAccumulate, IsRefusedWithLessSharedMemoryThanItNeeds) {
  CudaTableUpdate u{LearnCase{}};
  cuda::TableLaunchShape launch = u.settings().launch;
  constexpr int kLeast = cuda::least_accumulate_bytes<ObjectPong>(cuda::BlockUnits{});
  launch.shared_bytes = kLeast - 1;
  EXPECT_EQ(cuda::table_accumulate<ObjectPong>(u.args, launch, nullptr), cudaErrorInvalidValue);
  launch.shared_bytes = kLeast;
  EXPECT_EQ(cuda::table_accumulate<ObjectPong>(u.args, launch, nullptr), cudaSuccess);
  wait_for_device();
}

// Sums far beyond 32 bits, in either direction and back, and rows that everybody adds to:
// usual ones, the last of them among them, and rare ones.
TEST(CudaTableAccumulate, CarriesWhatDoesNotFitInto32Bits) {
  for (const float leak : {0.0f, 0.5f}) {
    LearnCase c;
    c.hidden = 40;
    c.leak = leak;
    c.envs = 33;
    c.launch.gradient_block = 256;
    const DeviceOfKind device(leak == 0 ? kUsualDevice : kDeviceKinds[1]);  // an odd unit
    c.launch.shared_bytes = device.shared_bytes();
    CudaTableUpdate u(c);
    u.estimate();
    u.weigh();
    TableRun& run = u.run;
    const auto limit = static_cast<std::int32_t>(kTableLimit);
    std::int64_t beyond = 0;
    for_steps(u, [&](std::size_t place, std::int64_t env, int t) {
      const auto at = static_cast<std::int64_t>(place);
      const std::int64_t step = env / kGroup * c.T + t, lane = env % kGroup;
      const auto r =
          random_words<std::uint32_t>({1, 2}, Purpose::kNoise, 0, static_cast<std::uint32_t>(env),
                                      static_cast<std::uint32_t>(t));
      const bool even = t % 2 == 0;
      run.quantised[at] = even ? limit : -limit;
      if (t % 3 == 0) run.quantised[at] = static_cast<std::int32_t>(r.w[0] % 1000) - 500;
      if (leak != 0) run.quantised_leak[at] = even ? -limit : limit;
      for (int w = 0; w < run.shape.words(); ++w) {
        run.active[(step * run.shape.words() + w) * kGroup + lane] =
            r.w[1] ^ (even ? 0x0ff0ff0fu : 0u);
      }
      for (int i = 0; i < 3; ++i) {  // few rows, 0 among them
        std::uint32_t row = (even ? 0u : 2u) + (r.w[2] >> (8 * i)) % 3u;
        if (i == 2 && t % 5 == 0) row = ObjectPong::kUsualRows - 1 + row;
        if (i == 2 && t % 15 == 3) row = ObjectPong::kRows - 1;
        run.shown[(step * 3 + i) * kGroup + lane] = static_cast<std::uint16_t>(row);
      }
      run.used[env] = run.length[env];
    });
    u.upload_estimates();
    weigh(u);
    u.quantised.upload(vector_of(run.quantised));
    if (leak != 0) u.quantised_leak.upload(vector_of(run.quantised_leak));
    u.active.upload(vector_of(run.active));
    u.shown.upload(vector_of(run.shown));
    expect_accumulated(u);
    bool up = false, down = false;
    for (const std::int64_t sum : u.cpu_sums) {
      up |= sum > std::int64_t{1} << 33;
      down |= sum < -(std::int64_t{1} << 33);
      beyond += std::llabs(sum) > std::numeric_limits<std::int32_t>::max();
    }
    EXPECT_TRUE(up && down);
    EXPECT_GT(beyond, 50);
  }
}

}  // namespace table_learn_test
}  // namespace lockstep::test
