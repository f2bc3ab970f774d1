// What tests hold an update of a table policy on a device to: the calls, and everything it writes
// against what the CPU computed, bit for bit.
#pragma once

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "envs/pong_objects.h"
#include "kernels/cuda/table_finish.cuh"
#include "kernels/cuda/table_gradient.cuh"
#include "kernels/cuda/table_returns.cuh"
#include "kernels/cuda/table_update.cuh"
#include "kernels/cuda/table_weigh.cuh"
#include "tests/support/cuda_table_update.h"

namespace lockstep::test {

// ---- the calls ----

/// Puts the passes on `stream`.
inline void estimate(CudaTableUpdate& u, cudaStream_t stream) {
  require_cuda(cuda::table_returns(u.args, u.settings().launch, stream));
  require_cuda(cuda::table_baseline(u.args, u.settings().launch, stream));
}
/// From weigh() to the end.
inline void learn(CudaTableUpdate& u, cudaStream_t stream) {
  const cuda::TableLaunchShape& launch = u.settings().launch;
  require_cuda(cuda::table_weigh(u.args, launch, stream));
  require_cuda(cuda::table_accumulate<ObjectPong>(u.args, launch, stream));
  require_cuda(cuda::table_finish(u.args, launch, stream));
  require_cuda(cuda::table_optimise(u.args, launch, stream));
}
inline void estimate(CudaTableUpdate& u) {
  estimate(u, nullptr);
  wait_for_device();
}
inline void weigh(CudaTableUpdate& u) {
  require_cuda(cuda::table_weigh(u.args, u.settings().launch, nullptr));
  wait_for_device();
}
inline void learn(CudaTableUpdate& u) {
  learn(u, nullptr);
  wait_for_device();
}

// ---- comparisons ----

/// Calls check(position in [G][T][16], environment, step) for every step that can be valid.
void for_steps(const CudaTableUpdate& u, const auto& check) {
  for (std::int64_t env = 0; env < u.settings().envs; ++env) {
    for (int t = 0; t < u.run.length[env]; ++t) {
      check(static_cast<std::size_t>(step_at(u.run, env, t)), env, t);
    }
  }
}
template <class T>
void expect_steps(const CudaTableUpdate& u, const CudaArray<T>& device, const Buffer<T>& cpu,
                  const char* what) {
  const std::vector<T> actual = device.download();
  int wrong = 0;
  for_steps(u, [&](std::size_t at, std::int64_t env, int t) {
    const T expected = cpu[static_cast<std::int64_t>(at)];
    if (std::memcmp(&actual[at], &expected, sizeof(T)) == 0 || wrong++ > 0) return;
    ADD_FAILURE() << what << " of environment " << env << ", step " << t << ": " << actual[at]
                  << " instead of " << expected;
  });
  EXPECT_EQ(wrong, 0) << what;
}
inline void expect_numbers(const CudaArray<float>& device, const Buffer<float>& cpu,
                           const char* what) {
  const std::vector<float> actual = device.download();
  ASSERT_EQ(static_cast<std::int64_t>(actual.size()), cpu.size()) << what;
  for (std::size_t i = 0; i < actual.size(); ++i) {
    const float expected = cpu[static_cast<std::int64_t>(i)];
    ASSERT_EQ(as_int(actual[i]), as_int(expected)) << what << " " << i;
  }
}
inline void expect_shared(const cuda::SharedSums& actual, const ReturnSums& expected,
                          const char* what) {
  const cuda::SharedSums e = CudaTableUpdate::shared(expected);
  ReturnSums sums;
  sums.squares_low = static_cast<std::int64_t>(actual.squares_low);
  sums.squares_high = static_cast<std::int64_t>(actual.squares_high);
  EXPECT_EQ(actual.count, e.count) << what;
  EXPECT_EQ(actual.sum, e.sum) << what;
  EXPECT_TRUE(squares_of(sums) == squares_of(expected)) << what;
  EXPECT_EQ(actual.saturated, e.saturated) << what;
  EXPECT_EQ(actual.largest, e.largest) << what;
}
inline void expect_sums(const CudaTableUpdate& u) {
  const auto actual = u.sums.download();
  ASSERT_EQ(actual.size(), u.cpu_sums.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    ASSERT_EQ(static_cast<std::int64_t>(actual[i]), u.cpu_sums[i])
        << "row " << i / static_cast<std::size_t>(u.run.shape.padded()) << ", unit "
        << i % static_cast<std::size_t>(u.run.shape.padded());
  }
}
inline void expect_log(const cuda::UpdateLog& actual, const cuda::UpdateLog& expected) {
  EXPECT_EQ(actual.episodes, expected.episodes);
  EXPECT_EQ(actual.valid_steps, expected.valid_steps);
  EXPECT_EQ(actual.policy_loss, expected.policy_loss);
  EXPECT_EQ(actual.entropy, expected.entropy);
  EXPECT_EQ(actual.grad_norm, expected.grad_norm);
  EXPECT_EQ(actual.rescalings, expected.rescalings);
}
inline void expect_parameters(const CudaTableUpdate& u) {
  expect_numbers(u.parameters, u.run.parameters, "parameter");
  expect_numbers(u.first_moment, u.run.first_moment, "first moment");
  expect_numbers(u.second_moment, u.run.second_moment, "second moment");
  expect_numbers(u.table, u.run.rows, "number of the table");
}
inline void expect_ready_for_the_next(const CudaTableUpdate& u, std::uint32_t epoch, int slot) {
  for (const auto* array : {&u.returns, &u.advantages}) {
    const cuda::SharedSums s = array->download()[0];
    EXPECT_EQ(s.count | s.sum | s.squares_low | s.squares_high, 0u);
    EXPECT_EQ(s.saturated | s.largest, 0u);
  }
  const cuda::TableTotals totals = u.totals.download()[0];
  EXPECT_EQ(totals.loss | totals.entropy | totals.episodes | totals.steps, 0u);
  EXPECT_EQ(totals.saturated | totals.broken | totals.blocks_done, 0u);
  const cuda::UpdateState state = u.state.download()[0];
  EXPECT_EQ(state.epoch, epoch);
  EXPECT_EQ(state.slot, slot);
  EXPECT_EQ(state.stop, cuda::Stop::kRunning);
  EXPECT_EQ(state.bits_dropped, 0);
  EXPECT_EQ(state.running.beta1_power, u.running.beta1_power);
  EXPECT_EQ(state.running.beta2_power, u.running.beta2_power);
  EXPECT_EQ(state.running.running_mean, u.running.running_mean);
}

}  // namespace lockstep::test
