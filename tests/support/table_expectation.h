// The mean over every course of the short Pong of what the table kernels estimate from one: each is
// played by the kernels and counts with the probability that a dense network gives it. Test code.
#pragma once

#include <functional>
#include <random>
#include <string>

#include "tests/support/pong_tree.h"
#include "tests/support/table_reference.h"

namespace lockstep::cpu {
extern const TableOperations tables_rail_pong_scalar, tables_rail_pong_avx2,
    tables_rail_pong_avx512;
extern const TableOperations tables_short_pong_scalar, tables_short_pong_avx2,
    tables_short_pong_avx512;
}  // namespace lockstep::cpu

namespace lockstep::test {

/// The operations of one instruction set: a rollout of every course, and of free games.
struct ShortOperations {
  const cpu::TableOperations *rails, *free;
};
/// Of the instruction sets this machine has.
inline std::vector<ShortOperations> usable_short_tables() {
  std::vector<ShortOperations> all = {
      {&cpu::tables_rail_pong_scalar, &cpu::tables_short_pong_scalar}};
  for (const cpu::TableOperations* of_pong : usable_tables()) {
#if defined(LS_HAVE_AVX2)
    if (std::string(of_pong->isa) == "avx2") {
      all.push_back({&cpu::tables_rail_pong_avx2, &cpu::tables_short_pong_avx2});
    }
#endif
#if defined(LS_HAVE_AVX512)
    if (std::string(of_pong->isa) == "avx512") {
      all.push_back({&cpu::tables_rail_pong_avx512, &cpu::tables_short_pong_avx512});
    }
#endif
  }
  return all;
}

#ifndef LS_TABLE_ORACLE_HIDDEN
#define LS_TABLE_ORACLE_HIDDEN 24  // a word of activity bits is not full, a slice neither
#endif
inline constexpr int kHidden = LS_TABLE_ORACLE_HIDDEN;
inline constexpr double kKinkMargin = 2e-7;  // beyond the rounding of a float h

inline const PongTree& tree() {
  static const PongTree the_tree;
  return the_tree;
}
inline double dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (std::size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}
inline double distance(const std::vector<double>& got, const std::vector<double>& want) {
  double off = 0;
  for (std::size_t i = 0; i < got.size(); ++i) off += (got[i] - want[i]) * (got[i] - want[i]);
  return std::sqrt(off / dot(want, want));
}

/// A network with opinions, floats in double, none of whose units is at its kink anywhere.
inline PongNetwork draw_network(double leak) {
  PongNetwork net{{}, kHidden, (kHidden + kSliceUnits - 1) / kSliceUnits * kSliceUnits, leak};
  std::mt19937_64 bits(11);
  const auto uniform = [&] { return static_cast<double>(bits() >> 11) * 0x1p-52 - 1; };
  double nearest_kink = 0;
  while (nearest_kink < kKinkMargin) {
    net.parameters.assign(static_cast<std::size_t>((ObjectPong::kPixels + 1) * net.padded), 0);
    for (int p = 0; p <= ObjectPong::kPixels; ++p) {
      for (int j = 0; j < kHidden; ++j) {
        const double w = uniform() * (p < ObjectPong::kPixels ? 0.15 : 2 / std::sqrt(kHidden));
        net.parameters[static_cast<std::size_t>(p * net.padded + j)] =
            static_cast<double>(static_cast<float>(w));
      }
    }
    nearest_kink = 1;
    tree().logits(net, &nearest_kink);
  }
  return net;
}
inline const PongNetwork& network(bool leaky) {
  static const PongNetwork relu = draw_network(0), leak = draw_network(0.125);
  return leaky ? leak : relu;
}

/// An estimator, and what a faulty one does differently.
struct TableEstimator {
  PongCredit credit;
  double baseline = 0;
  std::function<void(TableRun&)> before_returns, after_returns;
  bool unlikely_courses_count_alike = false;
};

inline TableSettings short_settings(const PongNetwork& net, std::int64_t envs) {
  TableSettings s;
  s.envs = envs;
  s.T = kShortSteps;
  s.hidden = net.hidden;
  s.leak = static_cast<float>(net.leak);
  s.game.max_steps = kShortSteps;
  return s;
}
inline void set_parameters(TableRun& run, const PongNetwork& net) {
  for (std::int64_t i = 0; i < run.count(); ++i) {
    run.parameters[i] = static_cast<float>(net.parameters[static_cast<std::size_t>(i)]);
  }
  run.build();
}
/// Of the expected score: the kernels descend a loss that is a mean over episodes.
inline std::vector<double> ascent(TableRun& run, double scale) {
  std::vector<double> g(static_cast<std::size_t>(run.count()));
  for (std::int64_t i = 0; i < run.count(); ++i) {
    g[static_cast<std::size_t>(i)] = -scale * static_cast<double>(run.gradient_[i]);
  }
  return g;
}

/// The probability of each course, shared by the numbers that differ only beyond its end.
inline std::vector<double> course_weights(const std::vector<double>& z) {
  std::vector<double> weight(kShortCourses);
  for (int c = 0; c < kShortCourses; ++c) {
    double p = 1;
    const int steps = tree().follow(
        c, [&](std::size_t node, int action) { p *= PongTree::probability(z[node], action); });
    weight[static_cast<std::size_t>(c)] = std::ldexp(p, steps - kShortSteps);
  }
  return weight;
}

/// Plays every course through the kernels, once.
inline void play_courses(TableRun& run) {
  run.set.game.max_noops = kShortCourses - 1;
  run.set.game.noops_in_turn = true;
  run.play(0, ActionChoice::kSample, true);
  for (std::int64_t c = 0; c < kShortCourses; ++c) {
    for (int t = 0; t < kShortSteps; ++t) {
      std::uint16_t& bits = run.actions[c / kGroup * kShortSteps + t];
      const auto bit = static_cast<std::uint16_t>(1u << (c % kGroup));
      const bool action = ((c >> t) & 1) != 0;
      bits = static_cast<std::uint16_t>(action ? bits | bit : bits & ~bit);
    }
  }
}

/// The mean over courses of what the kernels estimate from one.
inline std::vector<double> expectation(const cpu::TableOperations& rails, const PongNetwork& net,
                                       const TableEstimator& estimator) {
  TableSettings s = short_settings(net, kShortCourses);
  s.gamma = static_cast<float>(estimator.credit.gamma);
  s.reset_at_points = estimator.credit.reset_at_points;
  s.incoming_only = estimator.credit.incoming_only;
  TableRun run(rails, s);
  set_parameters(run, net);
  play_courses(run);
  if (estimator.before_returns) estimator.before_returns(run);
  run.estimate();
  EXPECT_TRUE(run.in_range);
  const auto weight = course_weights(tree().logits(net));
  run.moments_ = {0, 1};
  run.largest = 0;
  for (std::int64_t c = 0; c < kShortCourses; ++c) {
    const double share = estimator.unlikely_courses_count_alike
                             ? 1.0 / kShortCourses
                             : weight[static_cast<std::size_t>(c)];
    for (int t = 0; t < kShortSteps; ++t) {
      float& a = run.advantage[step_at(run, c, t)];
      a = static_cast<float>((static_cast<double>(a) - estimator.baseline) * share);
      run.largest = std::max(run.largest, std::fabs(static_cast<double>(a)));
    }
  }
  if (estimator.after_returns) estimator.after_returns(run);
  EXPECT_EQ(run.games_.episodes, kShortCourses);
  EXPECT_TRUE(run.gradient());
  return ascent(run, kShortCourses);
}

}  // namespace lockstep::test
