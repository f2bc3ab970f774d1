// Tests for the operations of kernels/cpu/table_launchers.h together: over every course of a short
// Pong, each as likely as the policy makes it, the gradient they estimate is that of the expected
// score; and the faults people make in it do not pass.
#include <gtest/gtest.h>

#include <cstdio>

#include "tests/support/table_expectation.h"

namespace lockstep::test {
namespace table_oracle_test {

constexpr double kMostRelative = 1e-6;  // logits are floats: every term is off by some 2^-23
constexpr double kLeastOfAFault = 1e-2;

// ---- the oracle --------------------------------------------------------------------------------

TEST(PongTree, IsWorthEnumerating) {
  int ended = 0, scored = 0, conceded_twice = 0, both = 0;
  for (int c = 0; c < kShortCourses; ++c) {
    int won = 0, lost = 0;
    const int steps = tree().follow(c, [&](std::size_t node, int action) {
      const int reward = tree().nodes()[node].reward[static_cast<std::size_t>(action)];
      won += reward > 0, lost += reward < 0;
    });
    ended += steps < kShortSteps || won + lost == 2;
    scored += won == 1 && lost == 0;
    conceded_twice += lost == 2;
    both += won == 1 && lost == 1;
  }
  std::printf("%d sequences, %zu nodes; end by points: %d, won: %d, lost twice: %d, both: %d\n",
              kShortCourses, tree().nodes().size(), ended, scored, conceded_twice, both);
  for (const int n : {ended, kShortCourses - ended, scored, conceded_twice, both}) {
    EXPECT_GT(n, kShortCourses / 20);
  }
  for (const bool leaky : {false, true}) {
    double total = 0, least = 1, most = 0;
    const auto z = tree().logits(network(leaky));
    for (const double p : course_weights(z)) total += p;
    EXPECT_NEAR(total, 1, 1e-12);
    for (const double logit : z) {
      least = std::min(least, PongTree::probability(logit, 1));
      most = std::max(most, PongTree::probability(logit, 1));
    }
    EXPECT_LT(least, 0.3);  // it has opinions
    EXPECT_GT(most, 0.7);
  }
}

TEST(PongTree, GradientIsThatOfDifferences) {
  constexpr double kWidth = 1e-6;
  std::mt19937_64 bits(3);
  for (const bool leaky : {false, true}) {
    const PongNetwork& net = network(leaky);
    const auto z = tree().logits(net);
    const std::vector<double> whole = tree().gradient(net, {});
    const double length = std::sqrt(dot(whole, whole));
    std::vector<std::vector<double>> directions(3, std::vector<double>(whole.size()));
    for (std::size_t i = 0; i < whole.size(); ++i) {
      directions[0][i] = whole[i] / length;
      if (net.parameters[i] == 0) continue;  // padding
      for (std::size_t d = 1; d < 3; ++d) {
        directions[d][i] = static_cast<double>(bits() >> 11) * 0x1p-52 - 1;
      }
    }
    for (const auto& u : directions) {
      const auto moved = [&](double by) {
        PongNetwork other = net;
        for (std::size_t i = 0; i < u.size(); ++i) other.parameters[i] += by * u[i];
        return tree().logits(other);
      };
      const auto ahead = moved(kWidth), behind = moved(-kWidth);
      // a unit at its kink between the two costs some digits
      const double tolerance = 1e-5 * length * std::sqrt(dot(u, u));
      EXPECT_NEAR((tree().value(ahead) - tree().value(behind)) / (2 * kWidth), dot(whole, u),
                  tolerance);
      const PongCredit credits[] = {{}, {0.9, false, false}, {0.98, true, false}, {1, false, true}};
      for (const PongCredit& credit : credits) {
        EXPECT_NEAR((tree().surrogate(z, ahead, credit) - tree().surrogate(z, behind, credit)) /
                        (2 * kWidth),
                    dot(tree().gradient(net, credit), u), tolerance);
      }
    }
  }
}

// ---- the kernels against it --------------------------------------------------------------------

class TableOracle : public testing::TestWithParam<ShortOperations> {
 protected:
  void expect_estimates(const char* what, const TableEstimator& estimator) {
    for (const bool leaky : {false, true}) {
      const auto truth = tree().gradient(network(leaky), estimator.credit);
      const double error =
          distance(expectation(*GetParam().rails, network(leaky), estimator), truth);
      std::printf("%-32s %-10s %.1e\n", what, leaky ? "leaky ReLU" : "ReLU", error);
      EXPECT_LE(error, kMostRelative) << what;
    }
  }
};
INSTANTIATE_TEST_SUITE_P(Isas, TableOracle, testing::ValuesIn(usable_short_tables()),
                         [](const auto& isa) { return isa.param.rails->isa; });

TEST_P(TableOracle, KernelsPlayEveryCourse) {
  const PongNetwork& net = network(true);
  TableRun run(*GetParam().rails, short_settings(net, kShortCourses));
  set_parameters(run, net);
  play_courses(run);
  const auto z = tree().logits(net);
  for (int c = 0; c < kShortCourses; ++c) {
    int t = 0;
    const int steps = tree().follow(c, [&](std::size_t node, int action) {
      const auto& n = tree().nodes()[node];
      EXPECT_EQ(run.reward[step_at(run, c, t)], n.reward[static_cast<std::size_t>(action)]);
      EXPECT_EQ(bit_at(run, run.incoming, c, t), n.incoming);
      EXPECT_NEAR(static_cast<double>(run.logits[step_at(run, c, t)]), z[node], 2e-6);
      ++t;
    });
    ASSERT_EQ(run.length[c], steps) << c;
  }
}

TEST_P(TableOracle, ReinforceIsUnbiased) {
  expect_estimates("whole returns", {});
  TableEstimator with_baseline;
  with_baseline.baseline = 0.375;
  expect_estimates("the same, a constant subtracted", with_baseline);
}

TEST_P(TableOracle, ReturnsFollowThePolicyGradientTheoremHoweverTheyAreCut) {
  expect_estimates("discounted", {{0.9375, false, false}, 0, {}, {}, false});
  expect_estimates("cut at points", {{1, true, false}, 0, {}, {}, false});
  expect_estimates("discounted, cut", {{0.9375, true, false}, 0, {}, {}, false});
  expect_estimates("incoming ball alone", {{1, false, true}, 0, {}, {}, false});
  expect_estimates("the same, discounted, cut", {{0.9375, true, true}, 0, {}, {}, false});
}

/// The kernels' own choices instead of every course with its probability.
TEST_P(TableOracle, SampledGamesHaveThisMean) {
  const PongNetwork& net = network(false);
  const auto truth = tree().gradient(net, {});
  const double length = std::sqrt(dot(truth, truth));
  std::vector<double> u = truth;
  for (double& x : u) x /= length;

  const auto z = tree().logits(net), slope = tree().logit_slopes(net, u);
  double mean = 0, squares = 0;
  const auto weight = course_weights(z);
  for (int c = 0; c < kShortCourses; ++c) {
    double score = 0, along = 0, total = 0;
    tree().follow(c, [&](std::size_t node, int action) {  // later rewards count for earlier steps
      along += (action - PongTree::probability(z[node], 1)) * slope[node];
      const int reward = tree().nodes()[node].reward[static_cast<std::size_t>(action)];
      total += reward * along;
      score += reward;
    });
    mean += weight[static_cast<std::size_t>(c)] * total;
    squares += weight[static_cast<std::size_t>(c)] * total * total;
  }
  EXPECT_NEAR(mean, length, 1e-9 * length);

  constexpr std::int64_t kGames = 1 << 16;
  TableSettings s = short_settings(net, kGames);
  s.gamma = 1;
  s.reset_at_points = false;
  TableRun run(*GetParam().free, s);
  set_parameters(run, net);
  run.play(0, ActionChoice::kSample, true);
  run.estimate();
  run.moments_ = {0, 1};
  run.largest = 2;
  ASSERT_TRUE(run.gradient());
  const double deviation = std::sqrt((squares - mean * mean) / static_cast<double>(kGames));
  const double got = dot(ascent(run, 1), u);
  std::printf("%lld games: %.5f, exactly %.5f, standard deviation %.5f\n",
              static_cast<long long>(kGames), got, mean, deviation);
  EXPECT_LT(deviation, 0.02 * length);  // else it could not fail
  EXPECT_NEAR(got, mean, 4 * deviation);
}

/// A mistake, and the credit it is made with.
struct TableFault {
  const char* name;
  PongCredit credit;
  std::function<void(TableEstimator&)> plant;
};
/// Calls body(course, t, place of the step, place of the one after).
template <class Body>
void over_steps(TableRun& run, const Body& body) {
  for (std::int64_t c = 0; c < kShortCourses; ++c) {
    for (int t = 0; t < kShortSteps; ++t) body(c, t, step_at(run, c, t), step_at(run, c, t + 1));
  }
}
std::vector<TableFault> faults() {
  return {
      {"immediate reward instead of return", {}, [](auto& e) { e.credit.gamma = 0; }},
      {"discount slips from 1 to 0.95", {}, [](auto& e) { e.credit.gamma = 0.95; }},
      {"returns cut at points", {}, [](auto& e) { e.credit.reset_at_points = true; }},
      {"returns not cut at points",
       {1, true, false},
       [](auto& e) { e.credit.reset_at_points = false; }},
      {"steps without an incoming ball count",
       {1, false, true},
       [](auto& e) { e.credit.incoming_only = false; }},
      {"courses as likely as under no policy",
       {},
       [](auto& e) { e.unlikely_courses_count_alike = true; }},
      {"truncated episodes left out",
       {},
       [](auto& e) { e.before_returns = [](TableRun& run) { run.truncated.zero(); }; }},
      {"lost points forgotten",
       {},
       [](auto& e) {
         e.before_returns = [](TableRun& run) {
           over_steps(run, [&](auto, auto, auto at, auto) {
             run.reward[at] = std::max(run.reward[at], std::int8_t{0});
           });
         };
       }},
      {"actions swapped",
       {},
       [](auto& e) {
         e.after_returns = [](TableRun& run) {
           for (std::int64_t i = 0; i < run.actions.size(); ++i) run.actions[i] ^= 0xffff;
         };
       }},
      {"logits of the step after",
       {},
       [](auto& e) {
         e.after_returns = [](TableRun& run) {
           over_steps(run, [&](auto, int t, auto at, auto later) {
             if (t + 1 < kShortSteps) run.logits[at] = run.logits[later];
           });
         };
       }},
      {"rows of the step after",
       {},
       [](auto& e) {
         e.after_returns = [](TableRun& run) {
           const std::int64_t step = run.shape.objects * kGroup;
           for (std::int64_t i = 0; i + step < run.shown.size(); ++i) {
             if (i / step % kShortSteps + 1 < kShortSteps) run.shown[i] = run.shown[i + step];
           }
         };
       }},
      {"every unit counts as active",
       {},
       [](auto& e) {
         e.after_returns = [](TableRun& run) {
           for (std::int64_t i = 0; i < run.active.size(); ++i) run.active[i] = ~0u;
         };
       }},
  };
}

TEST_P(TableOracle, EveryPlantedFaultShows) {
  const PongNetwork& net = network(false);
  for (const TableFault& fault : faults()) {
    TableEstimator estimator;
    estimator.credit = fault.credit;
    const auto truth = tree().gradient(net, estimator.credit);
    fault.plant(estimator);
    const double error = distance(expectation(*GetParam().rails, net, estimator), truth);
    std::printf("%-40s %.1e\n", fault.name, error);
    EXPECT_GE(error, kLeastOfAFault) << fault.name;
  }
}

}  // namespace table_oracle_test
}  // namespace lockstep::test
