// Tests for kernels/cuda/table_{finish,update}.cuh: gradient, parameters, moments, table, log and
// state after an update of a table policy against the CPU's operations, bit for bit; and that a
// failed update changes nothing.
#include <gtest/gtest.h>

#include <limits>

#include "tests/support/cuda_table_checks.h"

namespace lockstep::test {
namespace table_update_test {

using cuda::Stop;
using cuda::UpdateState;

// ---- whole updates ----

void expect_update(const LearnCase& c) {
  SCOPED_TRACE(text_of(c));
  CudaTableUpdate u(c);
  u.estimate();
  u.weigh();
  ASSERT_FALSE(u.cpu_totals.saturated);
  u.gradient();
  const cuda::UpdateLog log = u.cpu_log();
  ASSERT_GT(log.grad_norm, 0);
  u.apply();
  estimate(u);
  learn(u);
  expect_sums(u);
  expect_numbers(u.grad, u.run.gradient_, "gradient");
  expect_parameters(u);
  expect_log(u.log.download()[1], log);
  expect_ready_for_the_next(u, 4, 2);
}

TEST(CudaTableUpdate, StepsAsTheCpuDoesWithEveryOptimiser) {
  const OptimizerPlan plans[] = {
      kAdam,
      {OptimizerRule::kSgd, 0, 0, 0, 0.9, 0.9, 0.999, 0.99, 1e-8},
      {OptimizerRule::kRmsprop, 1e9, 0.1, 0, 0, 0.9, 0.999, 0.99, 1e-8},
  };
  for (const OptimizerPlan& optimizer : plans) {
    LearnCase c;
    c.optimizer = optimizer;
    c.baseline = BaselineRule::kRunningMean;
    c.leak = optimizer.rule == OptimizerRule::kSgd ? 0.01f : 0;
    expect_update(c);
  }
}

TEST(CudaTableUpdate, StepsAsTheCpuDoesForEveryNumberOfUnits) {
  for (const int hidden : {1, 40}) {
    LearnCase c;
    c.hidden = hidden;
    c.episodic = true;
    c.bits_dropped = 1;
    expect_update(c);
  }
}

TEST(CudaTableUpdate, StepsAsTheCpuDoesWithTheUsualNetwork) {
  LearnCase c;
  c.hidden = 200;
  c.envs = 5;
  c.T = 45;
  c.entropy_coef = 0.01;
  c.launch.gradient_block = 256;
  expect_update(c);
}

// What one leaves behind does not reach the next, and nothing of them waits for the host: the same
// record twice, without rollouts, as one captured graph.
TEST(CudaTableUpdate, OneFollowsAnotherWithoutTheHost) {
  LearnCase c;
  c.baseline = BaselineRule::kRunningMean;
  c.normalize = NormalizeRule::kScale;
  CudaTableUpdate u(c);
  cudaStream_t stream = nullptr;
  require_cuda(cudaStreamCreate(&stream));
  {
    const cuda::KernelLoading loading;
    estimate(u, stream);
    learn(u, stream);
  }
  require_cuda(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal));
  estimate(u, stream);
  learn(u, stream);
  cudaGraph_t graph = nullptr;
  require_cuda(cudaStreamEndCapture(stream, &graph));
  cudaGraphExec_t update = nullptr;
  require_cuda(cudaGraphInstantiate(&update, graph, 0));
  for (int i = 0; i < 2; ++i) require_cuda(cudaGraphLaunch(update, stream));
  require_cuda(cudaStreamSynchronize(stream));
  require_cuda(cudaGraphExecDestroy(update));
  require_cuda(cudaGraphDestroy(graph));
  require_cuda(cudaStreamDestroy(stream));
  for (std::size_t slot = 1; slot <= 2; ++slot) {
    u.estimate();
    u.weigh();
    u.gradient();
    expect_log(u.log.download()[slot], u.cpu_log());
    u.apply();
  }
  expect_parameters(u);
  expect_ready_for_the_next(u, 5, 3);
}

TEST(CudaTableUpdate, MakesATableOfOtherWeights) {
  CudaTableUpdate u{LearnCase{}};
  for (std::int64_t i = 0; i < u.run.count(); ++i) u.run.parameters[i] *= 1.5f;
  const CudaArray<float> weights(vector_of(u.run.parameters));
  u.run.build();
  require_cuda(cuda::table_build({u.run.shape, u.args.lights, weights.data(), u.args.rows},
                                 u.settings().launch, nullptr));
  wait_for_device();
  expect_numbers(u.table, u.run.rows, "number of the table");
}

TEST(CudaTableUpdate, WithoutAFinishedEpisodeLogsItAndLearnsNothing) {
  LearnCase c;
  c.T = c.max_steps - 1;
  CudaTableUpdate u(c);
  u.estimate();
  ASSERT_EQ(u.cpu_returns.count, 0);
  estimate(u);
  learn(u);
  expect_parameters(u);
  expect_log(u.log.download()[1], {});
  expect_ready_for_the_next(u, 4, 2);
}

// ---- updates that fail ----

/// Everything a failed update must leave alone, as bits.
std::vector<std::int32_t> snapshot(const CudaTableUpdate& u) {
  std::vector<std::int32_t> bits;
  for (const auto* array : {&u.parameters, &u.first_moment, &u.second_moment, &u.table}) {
    for (const float value : array->download()) bits.push_back(as_int(value));
  }
  const UpdateState state = u.state.download()[0];
  bits.push_back(static_cast<std::int32_t>(state.epoch));
  bits.push_back(state.slot);
  bits.push_back(state.running.running_mean == u.running.running_mean);
  bits.push_back(state.running.beta1_power == u.running.beta1_power);
  bits.push_back(static_cast<std::int32_t>(u.returns.download()[0].count));
  bits.push_back(static_cast<std::int32_t>(u.log.download()[1].valid_steps));
  return bits;
}

/// An update that `spoil` spoils after its estimates; the reason it stops for, having changed
/// nothing.
Stop stop_after(const auto& spoil) {
  LearnCase c;
  c.baseline = BaselineRule::kRunningMean;
  c.normalize = NormalizeRule::kNone;
  CudaTableUpdate u(c);
  u.estimate();
  u.upload_estimates();
  spoil(u);
  const auto before = snapshot(u);
  learn(u);
  EXPECT_EQ(snapshot(u), before);
  const Stop stop = u.state.download()[0].stop;
  estimate(u);  // the next one does nothing
  learn(u);
  EXPECT_EQ(snapshot(u), before);
  EXPECT_EQ(u.state.download()[0].stop, stop);
  return stop;
}

TEST(CudaTableUpdate, StopsWithTheReasonAndChangesNothing) {
  using Update = CudaTableUpdate;
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  EXPECT_EQ(stop_after([](Update& u) {
              u.cpu_returns.saturated = true;
              u.upload_estimates();
            }),
            Stop::kReturnRange);
  EXPECT_EQ(stop_after([](Update& u) {
              u.cpu_advantages.saturated = true;
              u.upload_estimates();
            }),
            Stop::kReturnRange);
  EXPECT_EQ(stop_after([](Update& u) {
              u.cpu_advantages.largest /= 16;
              u.upload_estimates();
            }),
            Stop::kSaturated);
  EXPECT_EQ(stop_after([](Update& u) {
              auto parameters = u.parameters.download();
              parameters[static_cast<std::size_t>(u.run.count() - 16)] = kInfinity;  // w2
              u.parameters.upload(parameters);
            }),
            Stop::kGradientNotFinite);
  EXPECT_EQ(stop_after([](Update& u) {
              auto v = u.second_moment.download();
              v[70000] = kInfinity;
              u.second_moment.upload(v);
            }),
            Stop::kParameterNotFinite);
  EXPECT_EQ(stop_after([](Update& u) {
              u.lr.upload({0.0, 1e39, 0.0, 0.0});
            }),
            Stop::kParameterNotFinite);
}

TEST(CudaTableUpdate, GoesOnWithSmallerScalesWhereTheGradientSaturated) {
  LearnCase c;
  c.leak = 0.01f;
  c.normalize = NormalizeRule::kNone;
  CudaTableUpdate u(c);
  u.estimate();
  u.cpu_advantages.largest /= 16;  // scales that are too large
  u.upload_estimates();
  learn(u);
  int dropped = 0;
  while (u.state.download()[0].stop == Stop::kSaturated && dropped < 10) {
    u.weigh();
    EXPECT_TRUE(u.cpu_totals.saturated);
    u.bits_dropped = ++dropped;
    u.set_state(Stop::kRunning, dropped);
    learn(u);
  }
  EXPECT_GE(dropped, 2);
  u.weigh();
  ASSERT_FALSE(u.cpu_totals.saturated);
  u.gradient();
  const cuda::UpdateLog log = u.cpu_log();
  u.apply();
  expect_sums(u);
  expect_numbers(u.grad, u.run.gradient_, "gradient");
  expect_parameters(u);
  expect_log(u.log.download()[1], log);
  expect_ready_for_the_next(u, 4, 2);
}

}  // namespace table_update_test
}  // namespace lockstep::test
