// Tests for kernels/optimizer.h, and for the per-update factors CpuUpdates::take_step() hands to
// it: torch.optim's rules written down again in double.
#include "kernels/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "host/cpu/number_backend.h"
#include "tests/support/compare.h"
#include "tests/support/return_cases.h"

namespace lockstep {
namespace optimizer_test {

using test::Random;

/// torch.optim.{Adam, AdamW, SGD, RMSprop}, one parameter, as their documentation has them.
struct Reference {
  double momentum_buffer = 0, exp_avg = 0, exp_avg_sq = 0, square_avg = 0;
  int t = 0;

  double step(const Config& c, double lr, double grad, double theta) {
    ++t;
    grad += c.weight_decay * theta;
    theta -= lr * c.decoupled_weight_decay * theta;
    switch (c.optimizer) {
      case OptimizerKind::kAdam: {
        exp_avg = c.beta1 * exp_avg + (1 - c.beta1) * grad;
        exp_avg_sq = c.beta2 * exp_avg_sq + (1 - c.beta2) * grad * grad;
        const double m = exp_avg / (1 - std::pow(c.beta1, t));
        const double v = exp_avg_sq / (1 - std::pow(c.beta2, t));
        return theta - lr * m / (std::sqrt(v) + c.eps);
      }
      case OptimizerKind::kSgd:
        momentum_buffer = t == 1 ? grad : c.momentum * momentum_buffer + grad;
        return theta - lr * momentum_buffer;
      case OptimizerKind::kRmsprop:
        square_avg = c.alpha * square_avg + (1 - c.alpha) * grad * grad;
        momentum_buffer = c.momentum * momentum_buffer + grad / (std::sqrt(square_avg) + c.eps);
        return theta - lr * momentum_buffer;
    }
    return theta;
  }
};

/// Trains a few updates of a small policy and follows every parameter with the reference, given the
/// engine's own gradients; returns the relative L2 distance of the parameters' total movement.
double distance_after(const Config& base, int updates) {
  Config config = base;
  config.envs = 16;
  config.hidden = 8;
  CpuBackend backend(config, find_environment("cartpole"), {});
  TrainingState state;
  state.parameters = initial_parameters(backend.shape(), config.init, 3);
  state.first_moment = state.second_moment = std::vector<float>(state.parameters.size());
  backend.upload(state);
  std::vector<Reference> reference(state.parameters.size());
  const std::vector<double> start(state.parameters.begin(), state.parameters.end());
  std::vector<double> theta = start;
  for (int u = 0; u < updates; ++u) {
    const double lr = config.lr / (1 + u);  // a rate that changes
    const UpdateResult result = backend.update(static_cast<std::uint32_t>(u), lr);
    const auto gradient = backend.gradient_view();
    double scale = 1;
    if (config.max_grad_norm > 0) {
      scale = std::min(1.0, config.max_grad_norm / (result.grad_norm + 1e-6));
    }
    for (std::size_t i = 0; i < theta.size(); ++i) {
      theta[i] = reference[i].step(config, lr, scale * static_cast<double>(gradient[i]), theta[i]);
    }
  }
  const auto parameters = backend.download().parameters;
  std::vector<double> moved, want;
  for (std::size_t i = 0; i < theta.size(); ++i) {
    moved.push_back(static_cast<double>(parameters[i]) - start[i]);
    want.push_back(theta[i] - start[i]);
  }
  return test::relative_l2(moved, want);
}

class OptimizerRuleTest : public testing::TestWithParam<OptimizerKind> {
 protected:
  static Config config() {
    Config config;
    config.optimizer = GetParam();
    config.lr = GetParam() == OptimizerKind::kSgd ? 0.1 : 0.01;
    return config;
  }
  // float32 parameters of size 1 that move by some 0.1 in 30 steps: 30 roundings of 2^-25 each
  static constexpr double kBound = 1e-5;
};
std::string rule_name(const testing::TestParamInfo<OptimizerKind>& rule) {
  const char* const names[] = {"adam", "sgd", "rmsprop"};
  return names[static_cast<int>(rule.param)];
}
INSTANTIATE_TEST_SUITE_P(Rules, OptimizerRuleTest,
                         testing::Values(OptimizerKind::kAdam, OptimizerKind::kSgd,
                                         OptimizerKind::kRmsprop),
                         rule_name);

TEST_P(OptimizerRuleTest, FollowsPyTorchsRule) { EXPECT_LE(distance_after(config(), 30), kBound); }

TEST_P(OptimizerRuleTest, FollowsPyTorchsRuleWithMomentum) {
  Config c = config();
  c.momentum = 0.9;
  c.beta1 = 0.7;
  c.beta2 = 0.95;
  c.alpha = 0.9;
  EXPECT_LE(distance_after(c, 30), kBound);
}

TEST_P(OptimizerRuleTest, FollowsPyTorchsRuleWithWeightDecay) {
  Config c = config();
  c.weight_decay = 0.1;
  EXPECT_LE(distance_after(c, 30), kBound);
}

TEST_P(OptimizerRuleTest, FollowsDecoupledWeightDecay) {
  Config c = config();
  c.decoupled_weight_decay = 0.2;
  EXPECT_LE(distance_after(c, 30), kBound);
}

TEST_P(OptimizerRuleTest, FollowsClippingByTheNorm) {
  Config c = config();
  c.max_grad_norm = 0.5;
  c.eps = 1e-3;  // Adam and RMSProp do not see a scale without it
  EXPECT_LE(distance_after(c, 30), kBound);
}

TEST(OptimizerStepTest, IsElementwise) {
  // a parameter without gradient and history does not move; a NaN stays where it is
  OptimizerArgs args{};
  args.rule = OptimizerRule::kAdam;
  args.lr = 0.1f;
  args.shrink = args.grad_scale = args.bias_correction2 = 1;
  args.one_minus_beta1 = 0.1f;
  args.beta2 = 0.999f;
  args.one_minus_beta2 = 0.001f;
  args.eps = 1e-8f;
  float parameter = 0.5f, m = 0, v = 0;
  optimizer_step(args, 0, parameter, m, v);
  EXPECT_EQ(parameter, 0.5f);
  optimizer_step(args, std::numeric_limits<float>::quiet_NaN(), parameter, m, v);
  EXPECT_TRUE(std::isnan(parameter));
}

TEST(SumOfSquaresTest, IsTheSumToTheLastDigitsOfADouble) {
  Random random(1);
  for (const std::int64_t n : {0, 1, 255, 256, 257, 770, 10000}) {
    std::vector<float> values;
    long double want = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      values.push_back(static_cast<float>(random.uniform() - 0.5));
      want += static_cast<long double>(values.back()) * static_cast<long double>(values.back());
    }
    EXPECT_NEAR(sum_of_squares(values.data(), n), static_cast<double>(want),
                1e-14 * static_cast<double>(want));
  }
}

}  // namespace optimizer_test
}  // namespace lockstep
