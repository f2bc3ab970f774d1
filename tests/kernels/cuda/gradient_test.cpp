// Tests for kernels/cuda/gradient.cuh: every integer sum against the CPU's, for every form of the
// policy, whatever the record kept, for batches around the sizes of groups, warps and blocks.
#include "kernels/cuda/gradient.cuh"

#include <gtest/gtest.h>

#include <algorithm>

#include "envs/cartpole.h"
#include "tests/support/corridor.h"
#include "tests/support/cuda_update.h"
#include "tests/support/dial.h"

namespace lockstep::test {
namespace gradient_test {

using cuda::LaunchShape;
using cuda::Mapping;

struct Policy {
  PolicyKind kind;
  int hidden;
  PolicyOptions options;
};
const Policy kPolicies[] = {
    {PolicyKind::kLinear, 0, {}},
    {PolicyKind::kMlp, 16, {}},
    {PolicyKind::kMlp, 1, {}},
    {PolicyKind::kMlp, 129, {}},                          // a chunk of one unit
    {PolicyKind::kMlp, 20, {Activation::kLeakyRelu, 0}},  // no dropout
    {PolicyKind::kMlp, 140, {Activation::kRelu, 0.5}},    // a bit a unit
    {PolicyKind::kMlp, 37, {Activation::kRelu, 0.2}},     // a word a unit
    {PolicyKind::kMlp, 70, {Activation::kLeakyRelu, 0.5}},
    {PolicyKind::kMlp, 131, {Activation::kLeakyRelu, 0.2}},
};

UpdateCase horizon(const Policy& policy, std::int64_t envs, int T) {
  UpdateCase c;
  c.kind = policy.kind;
  c.hidden = policy.hidden;
  c.options = policy.options;
  c.envs = envs;
  c.T = T;
  c.baseline = BaselineRule::kBatchMean;
  c.normalize = NormalizeRule::kBatch;
  c.entropy_coef = 0.01;
  return c;
}

template <class E>
void expect_equal(const UpdateCase& c, int block) {
  SCOPED_TRACE(std::string(E::kName) + ": " + text_of(c) + ", block " + std::to_string(block));
  CudaUpdate<E> u(c);
  u.estimate();
  u.upload_estimates();
  require_cuda(cuda::gradient<E>(u.args, {Mapping::kThread, block, 1}, nullptr));
  wait_for_device();
  const GradientSums expected = u.gradient(), actual = u.device_gradient();
  ASSERT_GT(u.cpu_returns.count, 0);
  EXPECT_EQ(actual.saturated, expected.saturated);
  int wrong = 0;
  for (std::size_t i = 0; i < expected.value.size(); ++i) {
    if (actual.value[i] != expected.value[i] && wrong++ == 0) {
      ADD_FAILURE() << "sum " << i << " is " << actual.value[i] << ", not " << expected.value[i];
    }
  }
  EXPECT_EQ(wrong, 0) << "of " << expected.value.size() << " sums";
}

static_assert(cuda::GradientShare<Dial, false>::kComponentChunks == 2);

TEST(CudaGradient, SumsWhatTheCpuSumsForEveryPolicy) {
  for (const Policy& policy : kPolicies) {
    for (const bool keep_logits : {true, false}) {
      UpdateCase c = horizon(policy, 6, 45);
      c.keep_logits = keep_logits;
      expect_equal<CartPole>(c, 64);
      expect_equal<Corridor>(c, 64);
      expect_equal<Dial>(c, 64);
      c = horizon(policy, 5, 500);
      c.episodic = true;
      c.keep_logits = keep_logits;
      expect_equal<CartPole>(c, 32);
    }
  }
}

TEST(CudaGradient, SumsWhatTheCpuSumsForEveryBatchAndBlock) {
  for (const std::int64_t envs : {1, 31, 32, 33, 255, 257, 1000}) {
    for (const int block : {32, 64, 128, 256}) {
      if (envs > 200 && block != 128) continue;
      const UpdateCase c = horizon(kPolicies[1], envs, envs == 1 ? 90 : envs > 200 ? 12 : 24);
      expect_equal<CartPole>(c, block);
      if (block == 64) expect_equal<Corridor>(c, block);
    }
  }
}

TEST(CudaGradient, TakesAdvantagesFromTheTableOfReturns) {
  for (const auto baseline : {BaselineRule::kNone, BaselineRule::kBatchMean,
                              BaselineRule::kTimeMean, BaselineRule::kRunningMean}) {
    for (const auto mode : {ReturnMode::kStepwise, ReturnMode::kFull}) {
      UpdateCase c = horizon(kPolicies[1], 18, 500);
      c.episodic = c.table = true;
      c.baseline = baseline;
      c.returns = mode;
      expect_equal<CartPole>(c, 64);
      c.T = Still::kMaxEpisodeSteps;
      expect_equal<Still>(c, 64);
    }
  }
}

/// A warp that walks through many sets of environments, full or nearly empty, sums the same.
TEST(CudaGradient, DoesNotDependOnTheEnvironmentsOfAWarp) {
  const UpdateCase c = horizon(kPolicies[6], 75, 24);
  CudaUpdate<CartPole> u(c);
  u.estimate();
  u.upload_estimates();
  const GradientSums expected = u.gradient();
  using Share = cuda::GradientShare<CartPole, false>;
  for (const int envs_per_warp : {1, 2, 4, 8, 16, 32}) {
    for (const unsigned blocks : {1u, 3u}) {
      u.sums.upload(std::vector<unsigned long long>(expected.value.size()));
      require_cuda(cuda::launch("gradient",
                                cuda::gradient_kernel<CartPole, PolicyForm::kGeneral, false, false>,
                                dim3(blocks), dim3(64), 2 * sizeof(Share::Scratch), nullptr, u.args,
                                cuda::GradientWork{envs_per_warp, 1}));
      wait_for_device();
      EXPECT_EQ(u.device_gradient(), expected) << envs_per_warp << " a warp, " << blocks;
    }
  }
}

/// An action of no probability was taken at every step.
void expect_no_wrap(std::int64_t envs, int T, int envs_per_warp) {
  UpdateCase c;
  c.envs = envs;
  c.T = T;
  c.gamma = 0;
  c.normalize = NormalizeRule::kNone;
  CudaUpdate<Still> u(c);
  const std::int64_t steps = u.record().groups * c.T;
  std::fill_n(u.record().logits, steps * kGroup, 80.0f);
  std::fill_n(u.record().action_bits, steps, std::uint16_t{0});
  u.logits.upload(std::vector<float>(static_cast<std::size_t>(steps * kGroup), 80.0f));
  u.action_bits.upload(std::vector<std::uint16_t>(static_cast<std::size_t>(steps)));
  u.estimate();
  u.upload_estimates();
  using Share = cuda::GradientShare<Still, false>;
  require_cuda(cuda::launch(
      "gradient", cuda::gradient_kernel<Still, PolicyForm::kRelu, false, false>, dim3(1), dim3(32),
      sizeof(Share::Scratch), nullptr, u.args, cuda::GradientWork{envs_per_warp, 1}));
  wait_for_device();
  const GradientSums sums = u.device_gradient();
  EXPECT_EQ(sums, u.gradient());
  EXPECT_GT(*std::max_element(sums.value.begin(), sums.value.end()), std::int64_t{1} << 31);
}

TEST(CudaGradient, SumsDoNotWrapWithEveryTermAtTheLimit) {
  expect_no_wrap(1, 600, 1);
  expect_no_wrap(32, 40, 32);
}

TEST(CudaGradient, RaisesTheFlagWhereTheCpuDoes) {
  for (const double factor : {1.0, 0.25, 0x1p-12}) {
    CudaUpdate<CartPole> u(horizon(kPolicies[1], 33, 40));
    u.plan.observation_limit[2] *= factor;
    u.args.plan = u.plan;
    u.estimate();
    u.upload_estimates();
    require_cuda(cuda::gradient<CartPole>(u.args, {Mapping::kThread, 64, 1}, nullptr));
    wait_for_device();
    EXPECT_EQ(u.device_gradient(), u.gradient());
    EXPECT_EQ(u.device_gradient().saturated, factor < 0.5);
  }
}

TEST(CudaGradient, UsesTheScalesOfItsRescaling) {
  UpdateCase c = horizon(kPolicies[1], 33, 40);
  c.bits_dropped = 3;
  expect_equal<CartPole>(c, 64);
}

TEST(CudaGradient, DoesNothingAfterAStop) {
  CudaUpdate<CartPole> u(horizon(kPolicies[1], 33, 40));
  u.estimate();
  u.upload_estimates();
  u.state.upload({cuda::UpdateState{5, 1, cuda::Stop::kReturnRange, 0, {}}});
  require_cuda(cuda::gradient<CartPole>(u.args, {Mapping::kThread, 64, 1}, nullptr));
  wait_for_device();
  for (const std::int64_t sum : u.device_gradient().value) EXPECT_EQ(sum, 0);
}

TEST(CudaGradient, OfTheRandomPolicyIsNothing) {
  CudaUpdate<CartPole> u(horizon(kPolicies[1], 33, 40));
  u.args.rollout.policy.form = PolicyForm::kRandom;
  EXPECT_EQ(cuda::gradient<CartPole>(u.args, {Mapping::kThread, 64, 1}, nullptr), cudaSuccess);
}

}  // namespace gradient_test
}  // namespace lockstep::test
