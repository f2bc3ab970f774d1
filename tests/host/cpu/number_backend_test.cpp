// Tests for host/cpu/number_backend.h: what an update reports, what it leaves alone, what it does
// on errors, and that it allocates nothing. Bits across instruction sets and threads:
// tests/parity/; gradients and estimators: gradient_test.cpp, estimate_test.cpp.
#include "host/cpu/number_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <malloc.h>  // declares what is defined below; another test of the batch may read it later

#include <atomic>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "host/errors.h"
#include "tests/support/compare.h"
#include "tests/support/training.h"

#ifndef __has_feature
#define __has_feature(name) 0  // how clang tells; g++ defines macros
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || \
    __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define COUNTS_ALLOCATIONS 0  // the sanitizer owns malloc
#else
#define COUNTS_ALLOCATIONS 1
namespace {
std::atomic<int> allocations{0};
}
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void* malloc(std::size_t n) {
  ++allocations;
  return __libc_malloc(n);
}
void* calloc(std::size_t n, std::size_t size) {
  ++allocations;
  return __libc_calloc(n, size);
}
void* realloc(void* p, std::size_t n) {
  ++allocations;
  return __libc_realloc(p, n);
}
void* aligned_alloc(std::size_t alignment, std::size_t n) {
  ++allocations;
  return __libc_memalign(alignment, n);
}
}
#endif

namespace lockstep {
namespace number_backend_test {

using testing::Each;
using testing::IsEmpty;
using testing::SizeIs;

TEST(CpuBackend, AllocatesNothingFromTheFirstToTheLastStepOfAnUpdate) {
#if COUNTS_ALLOCATIONS
  for (const int threads : {1, 3}) {
    for (const Store store : {Store::kLogits, Store::kRecompute}) {
      Config config = test::small_config(100);
      config.store = store;
      config.baseline = Baseline::kTimeMean;
      CpuBackend backend =
          test::make_cpu_backend(config, {test::available_isas().back(), threads, 0});
      for (std::uint32_t update = 0; update < 2; ++update) backend.update(update, config.lr);
      std::vector<float> counted_at_all(1);
      const int before = allocations;
      counted_at_all.resize(1000);
      ASSERT_EQ(allocations, before + 1);
      for (std::uint32_t update = 2; update < 4; ++update) {
        const int start = allocations;
        backend.rollout(update);
        const int rollout = allocations;
        backend.credit();
        const int estimate = allocations;
        backend.gradient();
        const int gradient = allocations;
        backend.take_step(config.lr, 1.0);
        const int apply = allocations;
        EXPECT_EQ(rollout - start, 0) << threads << " threads";
        EXPECT_EQ(estimate - rollout, 0) << threads << " threads";
        EXPECT_EQ(gradient - estimate, 0) << threads << " threads";
        EXPECT_EQ(apply - gradient, 0) << threads << " threads";
      }
    }
  }
#else
  GTEST_SKIP() << "not counted in a sanitized build";
#endif
}

TEST(CpuBackend, ListsTheLastEpisodesAndSumsUpAll) {
  const Config config = test::small_config(37);
  const UpdateResult all = test::make_cpu_backend(config).update(0, config.lr);
  CpuBackend backend = test::make_cpu_backend(config);
  backend.list_at_most(5);
  const UpdateResult last = backend.update(0, config.lr);
  EXPECT_THAT(last.lengths, testing::ElementsAreArray(all.lengths.data() + 32, 5));
  EXPECT_THAT(last.scores, testing::ElementsAreArray(all.scores.data() + 32, 5));
  EXPECT_EQ(last.episodes, 37);
  EXPECT_EQ(last.length_sum, all.steps);
  EXPECT_EQ(last.score_sum, static_cast<double>(all.steps)) << "a point a step";
  EXPECT_EQ(last.policy_loss, all.policy_loss);
  backend.list_at_most(0);
  EXPECT_THAT(backend.update(1, config.lr).scores, IsEmpty());
}

TEST(CpuBackend, ReportsEveryEpisodeOfAnEpisodicUpdateInTheOrderOfEnvironments) {
  const Config config = test::small_config(37);
  CpuBackend backend = test::make_cpu_backend(config);
  const UpdateResult result = backend.update(0, config.lr);
  ASSERT_THAT(result.scores, SizeIs(37));
  ASSERT_THAT(result.lengths, SizeIs(37));
  const Record<float>& r = backend.record();
  std::int64_t steps = 0;
  for (std::int64_t env = 0; env < 37; ++env) {
    int length = 0;
    for (int t = 0; t < r.steps[env / kGroup]; ++t) {
      length += (r.valid[env / kGroup * r.T + t] >> (env % kGroup)) & 1;
    }
    EXPECT_EQ(result.lengths[static_cast<std::size_t>(env)], length);
    EXPECT_EQ(result.scores[static_cast<std::size_t>(env)], static_cast<float>(length));
    steps += length;
  }
  EXPECT_EQ(result.steps, steps);
  EXPECT_EQ(result.cut_steps(), 0);
  EXPECT_GT(result.grad_norm, 0);
  EXPECT_NEAR(result.entropy, std::log(2.0), 0.05);  // the first policy is nearly flat
}

Config horizon_config(std::int64_t horizon) {
  Config config = test::small_config(33);
  config.horizon = horizon;
  config.baseline = Baseline::kBatchMean;
  return config;
}

TEST(CpuBackend, CountsWhatTheHorizonCutAndLeavesItOutOfTheGradient) {
  const Config config = horizon_config(60);
  CpuBackend backend = test::make_cpu_backend(config), other = test::make_cpu_backend(config);
  const UpdateResult result = backend.update(0, config.lr);
  EXPECT_EQ(result.steps, 33 * 60);
  const Record<float>& r = backend.record();
  std::vector<float> scores;
  std::int64_t cut = 0;
  for (std::int64_t env = 0; env < 33; ++env) {
    int length = 0;
    for (int t = 0; t < 60; ++t) {
      const std::int64_t step = env / kGroup * r.T + t;
      ++length;
      if ((((r.terminated[step] | r.truncated[step]) >> (env % kGroup)) & 1) == 0) continue;
      scores.push_back(static_cast<float>(length));
      length = 0;
    }
    cut += length;
  }
  EXPECT_EQ(result.scores, scores);
  EXPECT_EQ(result.cut_steps(), cut);
  EXPECT_GT(cut, 33);
  EXPECT_GT(scores.size(), 33u);

  // whatever stands in the steps that were cut, the gradient is the same
  other.rollout(0);
  other.credit();
  const Record<float>& q = other.record();
  for (std::int64_t group = 0; group < q.groups; ++group) {
    for (int t = 0; t < 60; ++t) {
      for (int lane = 0; lane < kGroup; ++lane) {
        const std::int64_t step = group * q.T + t;
        if (((q.valid[step] >> lane) & 1) != 0) continue;
        for (int o = 0; o < 4; ++o) q.obs[(step * 4 + o) * kGroup + lane] = 1e3f;
        q.logits[step * kGroup + lane] = -7;
        q.advantage[step * kGroup + lane] = 1e6f;
      }
    }
  }
  other.gradient();
  EXPECT_TRUE(test::same_bits(other.gradient_view(), backend.gradient_view()));
}

void expect_same_state(const TrainingState& a, const TrainingState& b) {
  EXPECT_TRUE(test::same_bits<float>(a.parameters, b.parameters));
  EXPECT_TRUE(test::same_bits<float>(a.first_moment, b.first_moment));
  EXPECT_TRUE(test::same_bits<float>(a.second_moment, b.second_moment));
  EXPECT_EQ(a.beta1_power, b.beta1_power);
  EXPECT_EQ(a.beta2_power, b.beta2_power);
  EXPECT_EQ(a.running_mean, b.running_mean);
}

TEST(CpuBackend, LearnsNothingWhereNoEpisodeFinished) {
  for (const Baseline baseline : {Baseline::kBatchMean, Baseline::kRunningMean}) {
    Config config = horizon_config(60);
    config.baseline = baseline;
    CpuBackend first = test::make_cpu_backend(config);
    first.update(0, config.lr);
    config.horizon = 7;  // no episode is that short
    CpuBackend backend = test::make_cpu_backend(config);
    backend.upload(first.download());
    const UpdateResult result = backend.update(1, config.lr);
    EXPECT_THAT(result.scores, IsEmpty());
    EXPECT_EQ(result.steps, 33 * 7);
    EXPECT_EQ(result.cut_steps(), 33 * 7);
    expect_same_state(backend.download(), first.download());
  }
}

TEST(CpuBackend, AnErrorLeavesTheStateOfBeforeTheUpdate) {
  Config config = horizon_config(60);
  config.baseline = Baseline::kRunningMean;
  CpuBackend backend = test::make_cpu_backend(config), other = test::make_cpu_backend(config);
  backend.update(0, config.lr);
  other.update(0, config.lr);
  for (const double lr : {1e38, std::nan(""), HUGE_VAL}) {
    EXPECT_THROW(backend.update(1, lr), NumericError) << lr;
    expect_same_state(backend.download(), other.download());
  }
  backend.update(1, config.lr);
  other.update(1, config.lr);
  expect_same_state(backend.download(), other.download());
}

TEST(CpuBackend, RefusesWeightsThatAreNotFinite) {
  for (const float bad : {std::nanf(""), HUGE_VALF}) {
    for (const std::size_t place : {0u, 70u, 100u, 113u}) {
      const Config config = test::small_config(5);
      CpuBackend backend = test::make_cpu_backend(config);
      TrainingState state = backend.download();
      state.parameters[place] = bad;
      backend.upload(state);
      EXPECT_THROW(backend.update(0, config.lr), NumericError) << bad << " at " << place;
      EXPECT_TRUE(test::same_bits<float>(backend.download().parameters, state.parameters));
    }
  }
}

TEST(CpuBackend, PlayingLeavesTheTrainingAlone) {
  const Config config = test::small_config(20);
  CpuBackend plain = test::make_cpu_backend(config), disturbed = test::make_cpu_backend(config);
  const auto weights = initial_parameters(plain.shape(), Init::kKaimingUniform, 99);
  for (std::uint32_t update = 0; update < 4; ++update) {
    plain.update(update, config.lr);
    disturbed.play(weights, {.num_envs = 50, .T = 500, .stream = {3, kEvaluationEpoch}}, nullptr);
    disturbed.update(update, config.lr);
  }
  expect_same_state(plain.download(), disturbed.download());
}

TEST(CpuBackend, ThePartsAreTheUpdate) {
  const Config config = test::small_config(20);
  CpuBackend whole = test::make_cpu_backend(config), parts = test::make_cpu_backend(config);
  for (std::uint32_t update = 0; update < 3; ++update) {
    const UpdateResult result = whole.update(update, config.lr);
    parts.rollout(update);
    parts.credit();
    EXPECT_EQ(parts.gradient(), result.rescalings);
    parts.take_step(config.lr, result.grad_norm);
  }
  expect_same_state(whole.download(), parts.download());
}

TEST(CpuBackend, ScoresOfOtherRewardsAreTheSumsOfTheRecordedOnes) {
  for (const std::int64_t horizon : {0, 30}) {
    Config config = test::small_config(18, 8);
    config.env = "corridor";
    config.horizon = horizon;
    config.baseline = Baseline::kNone;
    CpuBackend backend = test::make_cpu_backend(config);
    const UpdateResult result = backend.update(0, config.lr);
    const Record<float>& r = backend.record();
    std::vector<float> scores;
    for (std::int64_t env = 0; env < 18; ++env) {
      float score = 0;
      for (int t = 0; t < r.steps[env / kGroup]; ++t) {
        const std::int64_t step = env / kGroup * r.T + t;
        if (((r.valid[step] >> (env % kGroup)) & 1) == 0) break;
        score += r.reward[step * kGroup + env % kGroup];
        if ((((r.terminated[step] | r.truncated[step]) >> (env % kGroup)) & 1) == 0) continue;
        scores.push_back(score);
        score = 0;
      }
    }
    EXPECT_EQ(result.scores, scores);
    EXPECT_THAT(result.scores, testing::Not(Each(result.scores[0])));
  }
}

}  // namespace number_backend_test
}  // namespace lockstep
