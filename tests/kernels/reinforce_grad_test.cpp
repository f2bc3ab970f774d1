// Tests for kernels/reinforce_grad.h: one step's gradient, log-probability and entropy against a
// softmax in double and its differences, over the whole range of logits; and the places of sums.
#include "kernels/reinforce_grad.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <random>
#include <set>

#include "kernels/policy.h"
#include "tests/support/textbook_policy.h"

namespace lockstep::test {
namespace reinforce_grad_test {

/// A softmax over A logits in long double: probabilities, their logarithms, the entropy.
template <int A>
struct Softmax {
  long double p[A], log_p[A], entropy = 0;
  explicit Softmax(const double (&logits)[A]) {
    long double largest = logits[0], total = 0;
    for (const double z : logits) largest = std::max<long double>(largest, z);
    for (const double z : logits) total += std::exp(static_cast<long double>(z) - largest);
    for (int a = 0; a < A; ++a) {
      log_p[a] = static_cast<long double>(logits[a]) - largest - std::log(total);
      p[a] = std::exp(log_p[a]);
      entropy -= p[a] * log_p[a];
    }
  }
};

template <class F>
LogitGradient<F, 1> of_two(F z, bool action, F advantage, F entropy_coef) {
  const F logits[1] = {z};
  return logit_gradient(logits, action, advantage, entropy_coef);
}

// Extremes first: where e^-|z| is clamped, where it vanishes beside 1, around 0.
std::vector<float> grid() {
  std::vector<float> z = {0.0f,   -0.0f, 1e-30f, -1e-30f, 80.0f,
                          -80.0f, 83.0f, -83.0f, 17.0f,   -17.0f};
  for (int i = -4000; i <= 4000; ++i) z.push_back(static_cast<float>(i) * 0.02f);
  return z;
}

TEST(LogitGradientOfTwoActions, KeepsTheRelativePrecisionOfBothTails) {
  double worst = 0, worst_log = 0, worst_entropy = 0;
  for (const float z : grid()) {
    const Softmax<2> exact({0.0, static_cast<double>(z)});
    for (const bool action : {false, true}) {
      const auto g = of_two(z, action, 1.0f, 0.0f);
      const double expected = static_cast<double>(action ? -exact.p[0] : exact.p[1]);
      const double log_p = static_cast<double>(exact.log_p[action]);
      worst = std::max(worst, std::fabs(static_cast<double>(g.grad[0]) / expected - 1));
      EXPECT_EQ(g.grad[0] > 0, !action) << "the sign carries the action, z " << z;
      worst_log = std::max(worst_log, std::fabs(static_cast<double>(g.neg_log_prob) + log_p) /
                                          (1 + std::fabs(log_p)));
      worst_entropy = std::max(worst_entropy, std::fabs(static_cast<double>(g.entropy) -
                                                        static_cast<double>(exact.entropy)));
    }
  }
  std::printf("two actions: relative error of p - a %.1e, of log pi %.1e, of the entropy %.1e\n",
              worst, worst_log, worst_entropy);
  EXPECT_LE(worst, 7 * 0x1p-24);  // exp 2.4, sum, quotient, product; half an ulp each
  EXPECT_LE(worst_log, 4 * 0x1p-24);
  EXPECT_LE(worst_entropy, 4 * 0x1p-24);
}

TEST(LogitGradientOfTwoActions, IsTheDerivativeOfTheLoss) {
  for (double z = -8; z <= 8; z += 0.125) {
    for (const bool action : {false, true}) {
      for (const double entropy_coef : {0.0, 0.3}) {
        const auto loss = [&](const std::vector<double>& at) {
          const Softmax<2> s({0.0, at[0]});
          return -1.7 * static_cast<double>(s.log_p[action]) -
                 entropy_coef * static_cast<double>(s.entropy);
        };
        const double slope = finite_differences({z}, 1e-5, loss)[0];
        EXPECT_NEAR(of_two(z, action, 1.7, entropy_coef).grad[0], slope, 1e-9) << z;
      }
    }
  }
}

TEST(LogitGradientOfTwoActions, BoundsTheLogarithmInTheLog) {
  for (const float z : {200.0f, -200.0f, 1e30f}) {
    const auto g = of_two(z, z < 0, 1.0f, 0.0f);
    EXPECT_EQ(g.neg_log_prob, kMaxNegLogProb);
    EXPECT_TRUE(std::isfinite(g.grad[0]));
  }
}

TEST(LogitGradientOfThreeActions, EqualsSoftmaxInFloat) {
  std::mt19937_64 bits(1);
  double worst = 0, worst_sum = 0, worst_log = 0;
  for (int i = 0; i < 20000; ++i) {
    float logits[3];
    double wide[3];
    const float range = i % 3 == 0 ? 60.0f : 4.0f;
    for (int a = 0; a < 3; ++a) {
      logits[a] = range * (2 * uniform<float>(static_cast<std::uint32_t>(bits())) - 1);
      wide[a] = static_cast<double>(logits[a]);
    }
    const Softmax<3> exact(wide);
    const std::int32_t action = i % 3;
    const auto g = logit_gradient(logits, action, 1.0f, 0.0f);
    double sum = 0;
    for (int a = 0; a < 3; ++a) {
      const double expected = static_cast<double>(exact.p[a]) - (a == action ? 1 : 0);
      worst = std::max(worst, std::fabs(static_cast<double>(g.grad[a]) - expected));
      sum += static_cast<double>(g.grad[a]);
    }
    const double log_p = static_cast<double>(exact.log_p[action]);
    worst_sum = std::max(worst_sum, std::fabs(sum));
    worst_log = std::max(
        worst_log, std::fabs(static_cast<double>(g.neg_log_prob) + log_p) / (1 + std::fabs(log_p)));
  }
  std::printf("three actions: error of p - a %.1e, of their sum %.1e, of log pi %.1e\n", worst,
              worst_sum, worst_log);
  EXPECT_LE(worst, 8 * 0x1p-24);
  EXPECT_LE(worst_sum, 8 * 0x1p-24);
  EXPECT_LE(worst_log, 6 * 0x1p-24);
}

TEST(LogitGradientOfThreeActions, IsTheDerivativeOfTheLoss) {
  std::mt19937_64 bits(2);
  for (int i = 0; i < 300; ++i) {
    std::vector<double> at(3);
    for (double& z : at) z = 6 * (static_cast<double>(bits() >> 11) * 0x1p-53) - 3;
    const std::int32_t action = i % 3;
    const double entropy_coef = i % 2 == 0 ? 0.0 : 0.4;
    const auto loss = [&](const std::vector<double>& z) {
      const Softmax<3> s({z[0], z[1], z[2]});
      return 1.3 * static_cast<double>(s.log_p[action]) -
             entropy_coef * static_cast<double>(s.entropy);
    };
    const auto slope = finite_differences(at, 1e-5, loss);
    const double logits[3] = {at[0], at[1], at[2]};
    const auto g = logit_gradient(logits, action, -1.3, entropy_coef);
    for (std::size_t a = 0; a < 3; ++a) EXPECT_NEAR(g.grad[a], slope[a], 1e-9);
  }
}

TEST(LogitGradientOfThreeActions, OfTwoEqualsTheOneLogitForm) {
  // a third action of no probability leaves the two-action problem
  for (double z = -5; z <= 5; z += 0.25) {
    const double logits[3] = {0, z, -600};
    for (const std::int32_t action : {0, 1}) {
      const auto three = logit_gradient(logits, action, 0.9, 0.2);
      const auto two = of_two(z, action == 1, 0.9, 0.2);
      EXPECT_NEAR(three.grad[1], two.grad[0], 1e-14);
      EXPECT_NEAR(three.grad[0], -two.grad[0], 1e-14);
      EXPECT_NEAR(three.neg_log_prob, two.neg_log_prob, 1e-14);
      EXPECT_NEAR(three.entropy, two.entropy, 1e-14);
    }
  }
}

TEST(GradientLayout, GivesEverySumAPlaceOfItsOwn) {
  for (const bool has_kept : {false, true}) {
    for (const int units : {0, 8, 136}) {
      const GradientLayout layout{units, 9, has_kept};
      std::set<std::int64_t> places;
      std::int64_t count = 0;
      const auto take = [&](std::int64_t first, int n) {
        for (int i = 0; i < n; ++i) places.insert(first + i);
        count += n;
      };
      for (int unit = 0; unit < units; ++unit) {
        take(layout.active(unit), 9);
        if (has_kept) take(layout.kept(unit), 9);
      }
      take(layout.all(), 9);
      take(layout.loss(), 1);
      take(layout.entropy(), 1);
      EXPECT_EQ(static_cast<std::int64_t>(places.size()), count);
      EXPECT_EQ(count, layout.size());
      EXPECT_EQ(*places.begin(), 0);
      EXPECT_EQ(*places.rbegin(), count - 1);
    }
  }
}

TEST(GradientLayout, KeepsSumsOverKeptUnitsForLeakyDropoutAlone) {
  PolicyView<float> view{};
  view.form = PolicyForm::kGeneral;
  view.chain = 2;
  const auto has_kept = [&](std::uint32_t drop_below, float leak) {
    view.drop_below = drop_below;
    view.leak = leak;
    return gradient_layout(view, 4, 1).has_kept;
  };
  EXPECT_FALSE(has_kept(0, 0.01f));
  EXPECT_FALSE(has_kept(1000, 0.0f));
  EXPECT_TRUE(has_kept(1000, 0.01f));
  EXPECT_EQ(gradient_layout(view, 4, 1).units, 16);
  view.form = PolicyForm::kLinear;
  EXPECT_EQ(gradient_layout(view, 4, 1).units, 0);
}

}  // namespace reinforce_grad_test
}  // namespace lockstep::test
