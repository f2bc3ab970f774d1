// Tests for kernels/advantage_step.h, actor_critic_step.h and cpu/actor_critic.h together: over
// every possible course of an episode, advantages and gradients of A2C and PPO are on average what
// the policy gradient theorem and the bias of generalised advantage estimation say.
#include <gtest/gtest.h>

#include <cstdio>

#include "tests/support/critic_oracle.h"
#include "tests/support/oracle_worlds.h"

namespace lockstep::test {
namespace critic_oracle_test {

constexpr double kMostRelative = 1e-7;
constexpr double kLeastOfABias = 1e-2;

template <class E>
class CriticOracleTest : public testing::Test {};
using Worlds = testing::Types<CartPole, Corridor>;
class WorldNames {
 public:
  template <class E>
  static std::string GetName(int) {
    return E::kName;
  }
};
TYPED_TEST_SUITE(CriticOracleTest, Worlds, WorldNames);

struct CriticNetwork {
  const char* name;
  int hidden;  // 0: linear
  int critic;  // units of its own; 0: shared
  Activation activation;
};
constexpr CriticNetwork kCritics[] = {
    {"linear", 0, 0, Activation::kRelu},
    {"ReLU, shared", 6, 0, Activation::kRelu},
    {"ReLU, separate", 6, 4, Activation::kRelu},
    {"leaky ReLU, shared", 5, 0, Activation::kLeakyRelu},
    {"leaky ReLU, separate", 5, 9, Activation::kLeakyRelu},
};
const CriticNetwork& shared() { return kCritics[1]; }

template <class E>
CriticOracle<E> oracle_of(const CriticNetwork& network) {
  const PolicyShape shape{network.hidden == 0 ? PolicyKind::kLinear : PolicyKind::kMlp,
                          E::kObservationSize,
                          E::kNumActions,
                          network.hidden,
                          false,
                          network.critic};
  return {world_tree<E>(), shape, network.activation, 1};
}

std::vector<double> minus(std::vector<double> a, const std::vector<double>& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] -= b[i];
  return a;
}
double norm(const std::vector<double>& a) {
  double squares = 0;
  for (const double x : a) squares += x * x;
  return std::sqrt(squares);
}

TYPED_TEST(CriticOracleTest, WhateverTheCriticSaysTheGradientIsThatOfTheReturn) {
  for (const CriticNetwork& network : kCritics) {
    auto oracle = oracle_of<TypeParam>(network);
    const auto truth = oracle.value_gradient();  // 0 of the critic's own numbers
    CriticEstimator estimator;
    const double error = relative_l2(oracle.expectation(estimator).gradient, truth);
    std::printf("%-9s %-21s %.1e\n", TypeParam::kName, network.name, error);
    EXPECT_LE(error, kMostRelative) << network.name;
    estimator.losses.clip = 0.2;  // the first pass of PPO, whose ratios are 1, is A2C's
    EXPECT_LE(relative_l2(oracle.expectation(estimator).gradient, truth), kMostRelative)
        << network.name;
    estimator.gamma = 0.9;
    const auto discounted = oracle.fixed_gradient(oracle.advantages(estimator));
    EXPECT_LE(relative_l2(oracle.expectation(estimator).gradient, discounted), kMostRelative)
        << network.name;
  }
}

TYPED_TEST(CriticOracleTest, AnExactValueStandsForTheRestOfACutEpisode) {
  auto oracle = oracle_of<TypeParam>(shared());
  const auto truth = oracle.value_gradient();
  const auto error = [&](const CriticEstimator& estimator) {
    return relative_l2(oracle.expectation(estimator).gradient, truth);
  };
  CriticEstimator exact;
  exact.piece = 4;
  exact.beyond = oracle.exact_values(1.0);
  for (const bool truncates : {false, true}) {
    exact.truncates = truncates;
    EXPECT_LE(error(exact), kMostRelative);
    CriticEstimator none = exact, wrong = exact;
    none.beyond.assign(exact.beyond.size(), 0.0);
    wrong.beyond.clear();
    std::printf("%-9s %s: nothing for the rest %.1e, a wrong value %.1e\n", TypeParam::kName,
                truncates ? "truncated" : "end of update", error(none), error(wrong));
    EXPECT_GE(error(none), kLeastOfABias);
    EXPECT_GE(error(wrong), kLeastOfABias);
  }
}

TYPED_TEST(CriticOracleTest, AdvantagesHaveTheMeansOfTheirClosedForm) {
  auto oracle = oracle_of<TypeParam>(shared());
  for (const double gamma : {1.0, 0.9}) {
    for (const double lambda : {0.0, 0.5, 0.95, 1.0}) {
      for (const int piece : {0, 4}) {
        CriticEstimator estimator;
        estimator.gamma = gamma;
        estimator.lambda = lambda;
        estimator.piece = piece;
        const auto want = oracle.advantages(estimator);
        const auto got = oracle.expectation(estimator).advantage;
        double most = 0;
        for (std::size_t i = 0; i < want.size(); ++i) {
          for (std::size_t a = 0; a < want[i].size(); ++a) {
            most = std::max(most, std::abs(got[i][a] - want[i][a]));
          }
        }
        EXPECT_LE(most, 1e-12) << "gamma " << gamma << ", lambda " << lambda << ", " << piece;
      }
    }
  }
}

TYPED_TEST(CriticOracleTest, ASmallerLambdaIsBiasedByTheErrorsOfTheCritic) {
  for (const CriticNetwork& network : kCritics) {
    auto oracle = oracle_of<TypeParam>(network);
    const auto truth = oracle.value_gradient();
    for (const double lambda : {0.0, 0.8}) {
      CriticEstimator estimator;
      estimator.lambda = lambda;
      const auto bias = oracle.fixed_gradient(oracle.bias(estimator));
      const auto got = minus(oracle.expectation(estimator).gradient, truth);
      std::printf("%-9s %-21s lambda %.1f: bias %.1e of the gradient\n", TypeParam::kName,
                  network.name, lambda, norm(bias) / norm(truth));
      EXPECT_GE(norm(bias), kLeastOfABias * norm(truth)) << network.name;
      EXPECT_LE(norm(minus(got, bias)), kMostRelative * norm(truth)) << network.name;
      estimator.value = oracle.exact_values(1.0);
      EXPECT_LE(relative_l2(oracle.expectation(estimator).gradient, truth), kMostRelative)
          << network.name << ", a critic without error";
    }
  }
}

TYPED_TEST(CriticOracleTest, TheWholeLossHasTheGradientOfItsParts) {
  for (const CriticNetwork& network : kCritics) {
    auto oracle = oracle_of<TypeParam>(network);
    CriticEstimator estimator;
    estimator.gamma = 0.9;
    estimator.lambda = 0.8;
    estimator.piece = 4;
    estimator.losses = {.value_coef = 0.7, .entropy_coef = 0.3};
    const auto truth = oracle.fixed_gradient(oracle.advantages(estimator), estimator.losses,
                                             oracle.targets(estimator));
    EXPECT_LE(relative_l2(oracle.expectation(estimator).gradient, truth), kMostRelative)
        << network.name;
  }
}

}  // namespace critic_oracle_test
}  // namespace lockstep::test
