// Tests for kernels/cuda/finish.cuh: parameters, moments, weights, log and state after an update
// against the CPU's formulas, bit for bit; and that a failed update changes nothing.
#include "kernels/cuda/finish.cuh"

#include <gtest/gtest.h>

#include <limits>

#include "envs/cartpole.h"
#include "tests/support/corridor.h"
#include "tests/support/cuda_update.h"
#include "tests/support/dial.h"

namespace lockstep::test {
namespace finish_test {

using cuda::Stop;
using cuda::UpdateState;

UpdateCase small_case(PolicyKind kind = PolicyKind::kMlp, int hidden = 37) {
  UpdateCase c;
  c.kind = kind;
  c.hidden = hidden;
  c.baseline = BaselineRule::kRunningMean;
  c.normalize = NormalizeRule::kBatch;
  c.entropy_coef = 0.01;
  return c;
}

/// Everything before finish(), as the CPU computes it.
template <class E>
void upload_sums(CudaUpdate<E>& u, const GradientSums& sums) {
  u.upload_estimates();
  std::vector<unsigned long long> bits;
  for (const std::int64_t sum : sums.value) bits.push_back(static_cast<unsigned long long>(sum));
  u.sums.upload(bits);
  u.saturated.upload({sums.saturated ? 1u : 0u});
  if (u.args.time_sum != nullptr) u.time_sum.upload(u.cpu_time_sum);
}

/// What an optimiser has.
struct Parameters {
  std::vector<float> parameter, m, v;
  bool operator==(const Parameters&) const = default;
};
template <class E>
Parameters download(const CudaUpdate<E>& u) {
  return {u.dev_parameters.download(), u.first_moment.download(), u.second_moment.download()};
}

template <class T>
void expect_same(const std::vector<T>& actual, const std::vector<T>& expected, const char* what) {
  ASSERT_EQ(actual.size(), expected.size());
  for (std::size_t i = 0; i < actual.size(); ++i) {
    ASSERT_EQ(actual[i], expected[i]) << what << " " << i;
  }
}

template <class E>
std::vector<float> gradient_of(CudaUpdate<E>& u, const GradientSums& sums) {
  const auto cpu = u.gradient_args();
  std::vector<float> grad(u.parameters().size());
  const FinishArgs<float, FixedPoint> finish{u.packed().view(),
                                             u.layout(),
                                             sums.value.data(),
                                             cpu.scale,
                                             E::kObservationSize,
                                             E::kNumActions,
                                             u.packed().drop_scale(),
                                             std::max(static_cast<double>(u.episodes()), 1.0),
                                             grad.data()};
  for (int position = 0; position < finish.layout.units; ++position) finish_unit(finish, position);
  finish_output(finish);
  return grad;
}

void expect_cleared(const auto& array, const char* what) {
  for (const auto value : array.download()) ASSERT_EQ(value, 0) << what;
}

template <class E>
void expect_ready_for_the_next(const CudaUpdate<E>& u, const RunningState& running) {
  expect_cleared(u.sums, "sums");
  expect_cleared(u.saturated, "saturated");
  expect_cleared(u.time_sum, "time_sum");
  if (u.settings().table) expect_cleared(u.histogram, "histogram");
  for (const auto* sums : {&u.returns, &u.advantages}) {
    const cuda::SharedSums s = sums->download()[0];
    EXPECT_EQ(s.count | s.sum | s.squares_low | s.squares_high, 0u);
    EXPECT_EQ(s.saturated | s.largest, 0u);
  }
  const UpdateState state = u.state.download()[0];
  EXPECT_EQ(state.epoch, u.settings().stream.epoch + 1);
  EXPECT_EQ(state.slot, 2);
  EXPECT_EQ(state.stop, Stop::kRunning);
  EXPECT_EQ(state.bits_dropped, 0);
  EXPECT_EQ(state.running.beta1_power, running.beta1_power);
  EXPECT_EQ(state.running.beta2_power, running.beta2_power);
  EXPECT_EQ(state.running.running_mean, running.running_mean);
}

template <class E>
void expect_update(const UpdateCase& c, const OptimizerPlan& optimizer) {
  SCOPED_TRACE(std::string(E::kName) + ": " + text_of(c) + ", rule " +
               std::to_string(static_cast<int>(optimizer.rule)));
  CudaUpdate<E> u(c);
  u.plan.optimizer = optimizer;
  u.args.plan = u.plan;
  u.estimate();
  const GradientSums sums = u.gradient();
  ASSERT_FALSE(sums.saturated);
  upload_sums(u, sums);
  Parameters expected = download(u);
  require_cuda(cuda::finish(u.args, nullptr));
  wait_for_device();

  const std::vector<float> grad = gradient_of(u, sums);
  const auto P = static_cast<std::int64_t>(grad.size());
  expect_same(u.grad.download(), grad, "gradient");
  const double norm = std::sqrt(sum_of_squares(grad.data(), P));
  ASSERT_GT(norm, 0.0);
  RunningState running = u.running;
  advance_running_mean(u.plan, u.cpu_returns, running);
  const OptimizerArgs args = optimizer_args(optimizer, 0.01, norm, running);
  for (std::size_t i = 0; i < grad.size(); ++i) {
    optimizer_step(args, grad[i], expected.parameter[i], expected.m[i], expected.v[i]);
  }
  const Parameters actual = download(u);
  expect_same(actual.parameter, expected.parameter, "parameter");
  expect_same(actual.m, expected.m, "first moment");
  expect_same(actual.v, expected.v, "second moment");

  u.packed().pack(expected.parameter);
  const PolicyView<float> view = u.packed().view();
  const std::vector<float> units = u.units.download();
  expect_same(units, {view.units, view.units + units.size()}, "unit number");
  expect_same(u.output_bias.download(), {view.output_bias, view.output_bias + CudaUpdate<E>::Z},
              "output bias");

  const cuda::UpdateLog log = u.log.download()[1];
  const auto place = [&](std::int64_t i) { return sums.value[static_cast<std::size_t>(i)]; };
  const auto cpu = u.gradient_args();
  EXPECT_EQ(log.episodes, u.episodes());
  EXPECT_EQ(log.valid_steps, u.cpu_returns.count);
  EXPECT_EQ(log.policy_loss, FixedPoint::value(place(u.layout().loss()), cpu.loss_scale) /
                                 static_cast<double>(u.episodes()));
  EXPECT_EQ(log.entropy, FixedPoint::value(place(u.layout().entropy()), cpu.entropy_scale) /
                             static_cast<double>(u.cpu_returns.count));
  EXPECT_EQ(log.grad_norm, norm);
  EXPECT_EQ(log.rescalings, c.bits_dropped);
  expect_ready_for_the_next(u, running);
}

const OptimizerPlan kAdam{OptimizerRule::kAdam, 0.5, 0.01, 0.1, 0, 0.9, 0.999, 0.99, 1e-8};
const OptimizerPlan kSgd{OptimizerRule::kSgd, 0, 0, 0, 0.9, 0.9, 0.999, 0.99, 1e-8};
const OptimizerPlan kRmsprop{OptimizerRule::kRmsprop, 1e9, 0, 0, 0, 0.9, 0.999, 0.99, 1e-8};

TEST(CudaFinish, StepsAsTheCpuDoesForEveryPolicy) {
  for (const OptimizerPlan& optimizer : {kAdam, kSgd, kRmsprop}) {
    for (const int hidden : {1, 37, 128, 300}) {
      UpdateCase c = small_case(PolicyKind::kMlp, hidden);
      expect_update<CartPole>(c, optimizer);
      c.options = {Activation::kLeakyRelu, 0.2};
      c.bits_dropped = 2;
      expect_update<Corridor>(c, optimizer);
    }
    expect_update<CartPole>(small_case(PolicyKind::kLinear), optimizer);
    expect_update<Corridor>(small_case(PolicyKind::kLinear), optimizer);
  }
}

TEST(CudaFinish, CountsEpisodesByTheirLengthsInTableForm) {
  UpdateCase c = small_case();
  c.episodic = c.table = true;
  c.T = 500;
  c.baseline = BaselineRule::kTimeMean;
  for (const std::int64_t envs : {1, 33, 300}) {
    c.envs = envs;
    expect_update<CartPole>(c, kAdam);
  }
  c.T = Still::kMaxEpisodeSteps;  // as long as all of its episodes
  expect_update<Still>(c, kAdam);
}

/// Everything a failed update must leave alone, as bits; NaN compares equal to itself.
template <class E>
std::vector<std::int32_t> snapshot(const CudaUpdate<E>& u) {
  std::vector<std::int32_t> bits;
  for (const auto* array :
       {&u.dev_parameters, &u.first_moment, &u.second_moment, &u.units, &u.output_bias}) {
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

/// An update that `spoil` spoils; the reason it stops for, having changed nothing.
Stop stop_after(const auto& spoil) {
  CudaUpdate<CartPole> u(small_case());
  u.estimate();
  upload_sums(u, u.gradient());
  spoil(u);
  const auto before = snapshot(u);
  require_cuda(cuda::finish(u.args, nullptr));
  wait_for_device();
  EXPECT_EQ(snapshot(u), before);
  const Stop stop = u.state.download()[0].stop;
  require_cuda(cuda::finish(u.args, nullptr));  // the next one does nothing
  wait_for_device();
  EXPECT_EQ(snapshot(u), before);
  EXPECT_EQ(u.state.download()[0].stop, stop);
  return stop;
}

TEST(CudaFinish, StopsWithTheReasonAndChangesNothing) {
  using Update = CudaUpdate<CartPole>;
  const auto saturate_returns = [](Update& u) {
    u.cpu_returns.saturated = true;
    u.upload_estimates();
  };
  const auto saturate_advantages = [](Update& u) {
    u.cpu_advantages.saturated = true;
    u.upload_estimates();
  };
  const auto saturate_gradient = [](Update& u) { u.saturated.upload({1u}); };
  const auto set_unit = [](float value) {
    return [value](Update& u) {
      auto units = u.units.download();
      units[0] = value;
      u.units.upload(units);
    };
  };
  const auto set_moment = [](Update& u) {
    auto v = u.second_moment.download();
    v[200] = std::numeric_limits<float>::infinity();
    u.second_moment.upload(v);
  };
  const auto set_rate = [](Update& u) { u.lr.upload({0, 1e39, 0}); };
  EXPECT_EQ(stop_after(saturate_returns), Stop::kReturnRange);
  EXPECT_EQ(stop_after(saturate_advantages), Stop::kReturnRange);
  EXPECT_EQ(stop_after(saturate_gradient), Stop::kSaturated);
  EXPECT_EQ(stop_after(set_unit(std::numeric_limits<float>::quiet_NaN())),
            Stop::kGradientNotFinite);
  EXPECT_EQ(stop_after(set_unit(std::numeric_limits<float>::infinity())), Stop::kGradientNotFinite);
  EXPECT_EQ(stop_after(set_rate), Stop::kParameterNotFinite);
  EXPECT_EQ(stop_after(set_moment), Stop::kParameterNotFinite);
  // the first reason counts
  EXPECT_EQ(stop_after([&](Update& u) {
              saturate_gradient(u);
              saturate_returns(u);
            }),
            Stop::kReturnRange);
  EXPECT_EQ(stop_after([&](Update& u) {
              set_rate(u);
              saturate_gradient(u);
            }),
            Stop::kSaturated);
}

TEST(CudaFinish, LeavesCleanSumsForTheGradientWithSmallerScales) {
  CudaUpdate<CartPole> u(small_case());
  u.estimate();
  upload_sums(u, u.gradient());
  u.saturated.upload({1u});
  require_cuda(cuda::finish(u.args, nullptr));
  wait_for_device();
  expect_cleared(u.sums, "sums");
  expect_cleared(u.saturated, "saturated");
}

TEST(CudaFinish, WithoutAFinishedEpisodeLogsItAndLearnsNothing) {
  UpdateCase c = small_case();
  c.T = 5;
  CudaUpdate<CartPole> u(c);
  u.estimate();
  ASSERT_EQ(u.cpu_returns.count, 0);
  upload_sums(u, u.gradient());
  const Parameters before = download(u);
  require_cuda(cuda::finish(u.args, nullptr));
  wait_for_device();
  EXPECT_EQ(download(u), before);
  const cuda::UpdateLog log = u.log.download()[1];
  EXPECT_EQ(log.episodes, 0);
  EXPECT_EQ(log.valid_steps, 0);
  EXPECT_EQ(log.grad_norm, 0.0);
  expect_ready_for_the_next(u, u.running);
}

}  // namespace finish_test
}  // namespace lockstep::test
