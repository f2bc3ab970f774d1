// Tests for kernels/reinforce_grad.h, kernels/cpu/returns.h and kernels/cpu/gradient.h together:
// the expected REINFORCE gradient, over every possible course of an episode, is the gradient of the
// expected return; and the faults people make in it do not pass.
#include <gtest/gtest.h>

#include <cstdio>

#include "tests/support/oracle_worlds.h"

namespace lockstep::test {
namespace policy_gradient_oracle_test {

constexpr double kMostRelative = 1e-7;
constexpr double kLeastOfAFault = 1e-2;

template <class E>
class PolicyGradientOracle : public testing::Test {};
using Worlds = testing::Types<CartPole, Corridor>;
class WorldNames {
 public:
  template <class E>
  static std::string GetName(int) {
    return E::kName;
  }
};
TYPED_TEST_SUITE(PolicyGradientOracle, Worlds, WorldNames);

TYPED_TEST(PolicyGradientOracle, WorldIsWorthEnumerating) {
  const auto tree = world_tree<TypeParam>();
  int terminated = 0;
  double probability = 0;
  for (const Course& course : tree.courses()) {
    terminated += course.terminated;
    probability += std::pow(1.0 / TypeParam::kNumActions, static_cast<double>(course.node.size()));
  }
  const int all = static_cast<int>(tree.courses().size());
  std::printf("%s: %d courses of up to %d steps, %d of them end before the horizon\n",
              TypeParam::kName, all, tree.horizon(), terminated);
  EXPECT_GT(terminated, 10);
  EXPECT_GT(all - terminated, 10);
  EXPECT_NEAR(probability, 1.0, 1e-12);
}

TYPED_TEST(PolicyGradientOracle, ReinforceIsUnbiased) {
  for (const Network& network : kNetworks) {
    auto oracle = make_oracle<TypeParam>(network);
    const auto truth = oracle.value_gradient(1.0);
    const double error = relative_l2(oracle.expectation({}), truth);
    std::printf("%-9s %-24s %.1e\n", TypeParam::kName, network.name, error);
    EXPECT_LE(error, kMostRelative) << network.name;
  }
}

TYPED_TEST(PolicyGradientOracle, FullReturnsEstimateTheDiscountedValue) {
  Estimator<TypeParam> full;
  full.mode = ReturnMode::kFull;
  full.gamma = 0.9;
  for (const Network& network : kNetworks) {
    auto oracle = make_oracle<TypeParam>(network);
    EXPECT_LE(relative_l2(oracle.expectation(full), oracle.value_gradient(0.9)), kMostRelative)
        << network.name;
  }
}

TYPED_TEST(PolicyGradientOracle, DiscountedStepwiseReturnsFollowThePolicyGradientTheorem) {
  Estimator<TypeParam> stepwise;
  stepwise.gamma = 0.9;
  for (const Network& network : kNetworks) {
    auto oracle = make_oracle<TypeParam>(network);
    const auto truth = oracle.surrogate_gradient(0.9);
    const double error = relative_l2(oracle.expectation(stepwise), truth);
    EXPECT_LE(error, kMostRelative) << network.name;
  }
}

/// A mistake in the estimator, and the network it is tried on.
template <class E>
struct Fault {
  const char* name;
  const Network& network;
  std::function<void(Estimator<E>&)> plant;
};

template <class E>
std::vector<Fault<E>> faults() {
  constexpr int O = E::kObservationSize, A = E::kNumActions;
  const Network& relu = kNetworks[1];
  const Network& dropout = kNetworks[3];
  const auto layer2 = [&](int hidden) { return static_cast<std::size_t>(hidden * (O + 1)); };
  std::vector<Fault<E>> list = {
      {"reward-to-go begins one step late", relu,
       [](auto& e) {
         e.after_returns = [](auto& r, int length) {
           for (int t = 0; t < length; ++t) {
             r.advantage[t * kGroup] = t + 1 < length ? r.advantage[(t + 1) * kGroup] : 0;
           }
         };
       }},
      {"immediate reward instead of return", relu, [](auto& e) { e.gamma = 0; }},
      {"discount slips from 1 to 0.95", relu, [](auto& e) { e.gamma = 0.95; }},
      {"sampling temperature 1.25", relu, [](auto& e) { e.temperature = 1.25; }},
      {"baseline depends on the action", relu,
       [](auto& e) {
         e.after_returns = [](auto& r, int length) {
           for (int t = 0; t < length; ++t) r.advantage[t * kGroup] -= r.reward[t * kGroup];
         };
       }},
      {"divided by steps instead of episodes", relu,
       [](auto& e) {
         e.after_returns = [](auto& r, int length) {
           for (int t = 0; t < length; ++t) r.advantage[t * kGroup] /= length;
         };
       }},
      {"last reward lost", relu,
       [](auto& e) {
         e.before_returns = [](auto& r, int length) { r.reward[(length - 1) * kGroup] = 0; };
       }},
      {"truncated episodes left out", relu,
       [](auto& e) {
         e.after_returns = [](auto& r, int length) {
           if (r.terminated[length - 1] == 0) r.steps[0] = 0;
         };
       }},
      {"actions swapped", relu,
       [](auto& e) {
         e.after_returns = [](auto& r, int length) {
           for (int t = 0; t < length; ++t) {
             if (A == 2) {
               r.action_bits[t] ^= 1;
             } else {
               r.action[t * kGroup] = static_cast<std::uint8_t>(A - 1 - r.action[t * kGroup]);
             }
           }
         };
       }},
      {"observation of the next step", relu,
       [](auto& e) {
         e.after_returns = [](auto& r, int length) {
           for (int i = 0; i < (length - 1) * O; ++i) r.obs[i * kGroup] = r.obs[(i + O) * kGroup];
         };
       }},
      {"logits of the previous step", relu,
       [](auto& e) {
         e.after_returns = [](auto& r, int length) {
           constexpr int Z = logits_of(A);
           for (int i = length * Z - 1; i >= Z; --i) {
             r.logits[i * kGroup] = r.logits[(i - Z) * kGroup];
           }
         };
       }},
      {"ReLU's mask forgotten", relu, [](auto& e) { e.ignores_relu = true; }},
      {"dropout's scale forgotten", dropout, [](auto& e) { e.drop_scale_power = 0; }},
      {"dropout's scale applied twice", dropout, [](auto& e) { e.drop_scale_power = 2; }},
      {"dropout masks of another update", dropout, [](auto& e) { e.epoch_shift = 1; }},
  };
  list.push_back({"rows of the output layer exchanged", relu, [=](auto& e) {
                    e.after_gradient = [=](auto& g) {
                      const auto H = static_cast<std::size_t>(relu.hidden);
                      const std::size_t first = layer2(relu.hidden), last = first + (A - 1) * H;
                      for (std::size_t j = 0; j < H; ++j) std::swap(g[first + j], g[last + j]);
                    };
                  }});
  list.push_back({"gradient of the hidden bias dropped", relu, [=](auto& e) {
                    e.after_gradient = [=](auto& g) {
                      for (int j = 0; j < relu.hidden; ++j) {
                        g[static_cast<std::size_t>(relu.hidden * O + j)] = 0;
                      }
                    };
                  }});
  list.push_back({"gradient of the output bias dropped", relu, [](auto& e) {
                    e.after_gradient = [](auto& g) {
                      for (std::size_t a = 1; a <= A; ++a) g[g.size() - a] = 0;
                    };
                  }});
  return list;
}

TYPED_TEST(PolicyGradientOracle, EveryPlantedFaultShows) {
  const auto list = faults<TypeParam>();
  ASSERT_GE(list.size(), 10u);
  for (const auto& fault : list) {
    auto oracle = make_oracle<TypeParam>(fault.network);
    const auto truth = oracle.value_gradient(1.0);
    Estimator<TypeParam> estimator;
    fault.plant(estimator);
    const double error = relative_l2(oracle.expectation(estimator), truth);
    std::printf("%-9s %-40s %.1e\n", TypeParam::kName, fault.name, error);
    EXPECT_GE(error, kLeastOfAFault) << fault.name;
  }
}

/// --normalize episode is an option, not a fault; what it costs is a bias.
TYPED_TEST(PolicyGradientOracle, CentringWithinTheEpisodeIsBiased) {
  auto oracle = make_oracle<TypeParam>(kNetworks[1]);
  Estimator<TypeParam> centred;
  centred.after_returns = [](auto& r, int length) {
    double mean = 0;
    for (int t = 0; t < length; ++t) mean += r.advantage[t * kGroup] / length;
    for (int t = 0; t < length; ++t) r.advantage[t * kGroup] -= mean;
  };
  EXPECT_GE(relative_l2(oracle.expectation(centred), oracle.value_gradient(1.0)), kLeastOfAFault);
}

/// Why the reward must depend on the action.
TEST(ConstantReward, HidesAnOffByOneInTheRewardToGo) {
  const CartPole::State<double> start{0.1, 0.3, 0.12, 0.4};
  const TrajectoryTree<CartPole> tree(start, LS_ORACLE_DEPTH,
                                      [](const double*, int, double own) { return own; });
  GradientOracle<CartPole> oracle(tree, {PolicyKind::kMlp, 4, 2, 6}, {}, 1);
  Estimator<CartPole> late;
  faults<CartPole>()[0].plant(late);
  const double error = relative_l2(oracle.expectation(late), oracle.value_gradient(1.0));
  EXPECT_LE(error, kMostRelative) << "the fault is there, but a constant reward cannot show it";
}

}  // namespace policy_gradient_oracle_test
}  // namespace lockstep::test
