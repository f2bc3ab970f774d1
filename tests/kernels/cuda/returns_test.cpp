// Tests for kernels/cuda/returns.cuh: every bit of returns, baselines and their sums against the
// CPU's, in both forms, for batches around the sizes of groups, warps and blocks.
#include "kernels/cuda/returns.cuh"

#include <gtest/gtest.h>

#include <bit>

#include "envs/cartpole.h"
#include "tests/support/corridor.h"
#include "tests/support/cuda_update.h"
#include "tests/support/dial.h"

namespace lockstep::test {
namespace returns_test {

using cuda::LaunchShape;
using cuda::Mapping;

constexpr std::int64_t kSizes[] = {1, 31, 32, 33, 255, 257, 1000};
constexpr int kBlocks[] = {32, 64, 128, 256};

LaunchShape shape_of(int block) { return {Mapping::kThread, block, 1}; }

void expect_sums(const ReturnSums& expected, const cuda::SharedSums& actual) {
  const cuda::SharedSums e = CudaUpdate<CartPole>::shared(expected);
  ReturnSums sums;
  sums.squares_low = static_cast<std::int64_t>(actual.squares_low);
  sums.squares_high = static_cast<std::int64_t>(actual.squares_high);
  EXPECT_EQ(e.count, actual.count);
  EXPECT_EQ(e.sum, actual.sum);
  EXPECT_TRUE(squares_of(expected) == squares_of(sums));
  EXPECT_EQ(e.saturated, actual.saturated);
  EXPECT_EQ(e.largest, actual.largest);
}

template <class E>
void expect_record(const CudaUpdate<E>& u) {
  const auto bits = u.dev_valid.download();
  const auto values = u.dev_advantage.download();
  const auto lengths = u.length.download();
  int wrong = 0;
  for (std::int64_t env = 0; env < u.settings().envs; ++env) {
    const int played =
        u.settings().episodic ? lengths[static_cast<std::size_t>(env)] : u.settings().T;
    for (int t = 0; t < played; ++t) {
      const auto word = bits[static_cast<std::size_t>(env / kGroup * u.settings().T + t)];
      const bool valid = ((word >> (env % kGroup)) & 1) != 0;
      const float value = values[static_cast<std::size_t>(u.at(env, t))];
      const bool same =
          valid == u.valid(env, t) && (!valid || as_int(value) == as_int(u.advantage(env, t)));
      if (!same && wrong++ == 0) {
        ADD_FAILURE() << "environment " << env << ", step " << t << ": " << valid << " " << value
                      << " instead of " << u.valid(env, t) << " " << u.advantage(env, t);
      }
    }
  }
  EXPECT_EQ(wrong, 0);
}

/// Runs both operations on either side.
template <class E>
void expect_equal(const UpdateCase& c, int block) {
  SCOPED_TRACE(std::string(E::kName) + ": " + text_of(c) + ", block " + std::to_string(block));
  CudaUpdate<E> u(c);
  u.estimate();
  require_cuda(cuda::returns(u.args, shape_of(block), nullptr));
  require_cuda(cuda::baseline(u.args, shape_of(block), nullptr));
  wait_for_device();
  expect_sums(u.cpu_returns, u.returns.download()[0]);
  expect_sums(u.cpu_advantages, u.advantages.download()[0]);
  if (c.baseline == BaselineRule::kTimeMean) {
    EXPECT_EQ(u.time_sum.download(), u.cpu_time_sum);
    EXPECT_EQ(u.baseline.download(), u.cpu_baseline);
  }
  if (!c.table) expect_record(u);
}

UpdateCase horizon(std::int64_t envs, int T) {
  UpdateCase c;
  c.envs = envs;
  c.T = T;
  return c;
}
UpdateCase whole_episodes(std::int64_t envs, bool table) {
  UpdateCase c;
  c.envs = envs;
  c.T = 500;
  c.episodic = true;
  c.table = table;
  return c;
}

TEST(CudaReturns, EqualTheCpusForEveryBatchAndBlock) {
  for (const std::int64_t envs : kSizes) {
    for (const int block : kBlocks) {
      if (envs > 200 && block != 64) continue;
      UpdateCase c = horizon(envs, envs > 200 ? 40 : 150);
      c.baseline = block == 64 ? BaselineRule::kBatchMean : BaselineRule::kTimeMean;
      expect_equal<Corridor>(c, block);
      if (block != 64) continue;
      expect_equal<CartPole>(c, block);
    }
  }
}

TEST(CudaReturns, EqualTheCpusForEveryBaselineAndNormalisation) {
  for (const auto baseline : {BaselineRule::kNone, BaselineRule::kBatchMean,
                              BaselineRule::kTimeMean, BaselineRule::kRunningMean}) {
    for (const auto normalize : {NormalizeRule::kNone, NormalizeRule::kScale, NormalizeRule::kBatch,
                                 NormalizeRule::kEpisode}) {
      for (const auto mode : {ReturnMode::kStepwise, ReturnMode::kFull}) {
        UpdateCase c = horizon(34, 40);
        c.baseline = baseline;
        c.normalize = normalize;
        c.returns = mode;
        c.sample_std = mode == ReturnMode::kFull;
        expect_equal<Corridor>(c, 64);
        expect_equal<CartPole>(c, 32);
        if (baseline != BaselineRule::kTimeMean && mode == ReturnMode::kFull) continue;
        c = whole_episodes(5, false);
        c.baseline = baseline;
        c.normalize = normalize;
        c.returns = mode;
        expect_equal<CartPole>(c, 32);
        if (normalize == NormalizeRule::kEpisode) continue;
        c.table = true;
        expect_equal<CartPole>(c, 128);
      }
    }
  }
}

TEST(CudaReturns, OfWholeEpisodesFollowFromTheirLengths) {
  int number = 0;
  for (const std::int64_t envs : kSizes) {
    const int block = kBlocks[number++ % 4];
    if (envs == 32 || envs == 255) continue;  // the table knows no warps of environments
    UpdateCase c = whole_episodes(envs, true);
    c.baseline = BaselineRule::kTimeMean;
    c.gamma = block == 64 ? 1.0f : 0.99f;
    expect_equal<CartPole>(c, block);
    c.T = Still::kMaxEpisodeSteps;  // as long as all of its episodes
    expect_equal<Still>(c, block);
  }
}

TEST(CudaReturns, OfARolloutWithoutAFinishedEpisodeAreNone) {
  UpdateCase c = horizon(40, 5);  // no episode is that short
  c.baseline = BaselineRule::kBatchMean;
  expect_equal<CartPole>(c, 32);
}

/// How many chunks time is cut into changes nothing: each ends in the middle of an episode.
TEST(CudaReturns, DoNotDependOnTheChunksOfTime) {
  UpdateCase c = horizon(50, 300);
  c.baseline = BaselineRule::kTimeMean;
  CudaUpdate<CartPole> u(c);
  u.estimate();
  for (const int chunk : {32, 64, 96, 128, 320}) {
    SCOPED_TRACE("chunk " + std::to_string(chunk));
    u.returns.upload({cuda::SharedSums{}});
    u.time_sum.upload(std::vector<std::int64_t>(300));
    const dim3 grid(2, static_cast<unsigned>((300 + chunk - 1) / chunk));
    require_cuda(cuda::launch("returns", cuda::returns_kernel<ReturnMode::kStepwise>, grid,
                              dim3(32), 0, nullptr, u.args, chunk));
    wait_for_device();
    EXPECT_EQ(u.time_sum.download(), u.cpu_time_sum);
    u.advantages.upload({cuda::SharedSums{}});
    require_cuda(cuda::launch("baseline", cuda::baseline_kernel<false>, grid, dim3(32), 0, nullptr,
                              u.args, chunk));
    wait_for_device();
    expect_sums(u.cpu_returns, u.returns.download()[0]);
    expect_sums(u.cpu_advantages, u.advantages.download()[0]);
    expect_record(u);
  }
}

TEST(CudaReturns, OutOfRangeRaiseTheFlag) {
  for (const float value : {1e30f, std::numeric_limits<float>::quiet_NaN()}) {
    UpdateCase c = horizon(33, 80);
    CudaUpdate<Corridor> u(c);
    auto rewards = u.reward.download();
    rewards[static_cast<std::size_t>(u.at(32, 3))] = value;
    u.reward.upload(rewards);
    u.record().reward[u.at(32, 3)] = value;
    u.estimate();
    require_cuda(cuda::returns(u.args, shape_of(64), nullptr));
    require_cuda(cuda::baseline(u.args, shape_of(64), nullptr));
    wait_for_device();
    EXPECT_EQ(u.returns.download()[0].saturated, 1u);
    expect_sums(u.cpu_returns, u.returns.download()[0]);
    expect_sums(u.cpu_advantages, u.advantages.download()[0]);
  }
}

TEST(CudaReturns, DoNothingAfterAStop) {
  for (const bool table : {false, true}) {
    CudaUpdate<CartPole> u(whole_episodes(20, table));
    u.state.upload({cuda::UpdateState{5, 1, cuda::Stop::kSaturated, 0, {}}});
    require_cuda(cuda::returns(u.args, shape_of(64), nullptr));
    require_cuda(cuda::baseline(u.args, shape_of(64), nullptr));
    wait_for_device();
    EXPECT_EQ(u.returns.download()[0].count, 0u);
    EXPECT_EQ(u.advantages.download()[0].count, 0u);
  }
}

}  // namespace returns_test
}  // namespace lockstep::test
