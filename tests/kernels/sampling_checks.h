// Distributions of actions drawn by whole rollouts, for any number of draws: shared by
// sample_action_test.cpp and, with many more draws, sample_action_power_test.cpp.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <functional>
#include <vector>

#include "tests/support/play.h"
#include "tests/support/statistics.h"

namespace lockstep::test {

/// Counts of action 1 by place of its random word: [4 steps of a counter][16 lanes].
struct ActionCounts {
  static constexpr int kCells = 4 * kGroup;
  std::vector<double> ones = std::vector<double>(kCells);
  double draws = 0;  // a cell has draws / kCells

  void add(const Played& played) {
    const auto& record = played.record();
    for (std::int64_t g = 0; g < record.groups; ++g) {
      for (int t = 0; t < record.T; ++t) {
        const std::uint32_t bits = record.action_bits[g * record.T + t];
        for (std::uint32_t lane = 0; lane < kGroup; ++lane) {
          ones[static_cast<std::uint32_t>(t % 4) * kGroup + lane] += (bits >> lane) & 1u;
        }
      }
    }
    draws += static_cast<double>(record.groups) * kGroup * record.T;
  }
  double total() const {
    double sum = 0;
    for (const double count : ones) sum += count;
    return sum;
  }
  /// p-value of all cells having the probability p.
  double chi_square(double p) const {
    double x = 0;
    for (const double count : ones) {
      const double sigmas = binomial_sigmas(count, draws / kCells, p);
      x += sigmas * sigmas;
    }
    return chi_square_tail(x, kCells);
  }
};

/// Plays epochs until about `draws` actions were drawn.
using Player = std::function<Played(const PlaySettings&)>;
inline ActionCounts count_actions(double draws, const Player& player) {
  PlaySettings settings{.envs = 4096, .T = 500, .stream = {2024, 0}};
  ActionCounts counts;
  while (counts.draws < draws) {
    counts.add(player(settings));
    ++settings.stream.epoch;
  }
  return counts;
}

/// Whether counts agree with probability p at the false-alarm rate.
inline bool agrees(const ActionCounts& counts, double p) {
  return std::abs(binomial_sigmas(counts.total(), counts.draws, p)) <= kNormalBound &&
         counts.chi_square(p) >= kFalseAlarm;
}

inline double sigmoid(double logit) { return 1 / (1 + std::exp(-logit)); }
inline double logit_of(double p) { return std::log(p / (1 - p)); }

inline ActionCounts count_sampled(double logit, double draws) {
  return count_actions(draws, [&](const PlaySettings& settings) {
    return play_logit(static_cast<float>(logit), settings);
  });
}

/// Action 1 comes with the probability of its logit; the smallest bias that this many draws must
/// show is planted and shown.
inline void check_sampled(double logit, double draws) {
  const double p = sigmoid(logit);
  const ActionCounts counts = count_sampled(logit, draws);
  EXPECT_TRUE(agrees(counts, p)) << "logit " << logit << ": " << counts.total() << " of "
                                 << counts.draws << ", p-value " << counts.chi_square(p);
  const double bias = kDetectableSigmas * std::sqrt(p * (1 - p) / counts.draws);
  const ActionCounts biased = count_sampled(logit_of(p + bias), draws);
  EXPECT_FALSE(agrees(biased, p)) << "a bias of " << bias << " is not seen at logit " << logit;
}

/// Correlation of two equally long streams of fair bits, words of 16, in standard deviations.
class BitCorrelation {
 public:
  void add(std::uint16_t a, std::uint16_t b) {
    equal_ += std::popcount(static_cast<std::uint16_t>(~(a ^ b)));
    bits_ += 16;
  }
  double sigmas() const { return binomial_sigmas(equal_, bits_, 0.5); }

 private:
  double equal_ = 0, bits_ = 0;
};

/// Worst correlation over neighbouring environments (1, 16 and 32 apart), steps 1 to 4 apart, and
/// neighbouring epochs and seeds.
inline double worst_correlation(std::int64_t envs, const Player& player) {
  PlaySettings settings{.envs = envs, .T = 500, .stream = {77, 5}};
  const Played base = player(settings);
  settings.stream = {77, 6};
  const Played epoch = player(settings);
  settings.stream = {78, 5};
  const Played seed = player(settings);
  const auto& r = base.record();
  const auto word = [&](const Played& played, std::int64_t g, int t) {
    return played.record().action_bits[g * r.T + t];
  };
  BitCorrelation lane, group[2], lag[4], other[2];
  for (std::int64_t g = 0; g + 2 < r.groups; ++g) {
    for (int t = 0; t + 4 < r.T; ++t) {
      const std::uint16_t now = word(base, g, t);
      const std::uint32_t pair = now | static_cast<std::uint32_t>(word(base, g + 1, t)) << 16;
      lane.add(now, static_cast<std::uint16_t>(pair >> 1));
      for (int d = 0; d < 2; ++d) group[d].add(now, word(base, g + d + 1, t));
      for (int d = 0; d < 4; ++d) lag[d].add(now, word(base, g, t + d + 1));
      other[0].add(now, word(epoch, g, t));
      other[1].add(now, word(seed, g, t));
    }
  }
  double worst = std::abs(lane.sigmas());
  for (const auto* set : {group, other}) {
    for (int i = 0; i < 2; ++i) worst = std::max(worst, std::abs(set[i].sigmas()));
  }
  for (const BitCorrelation& c : lag) worst = std::max(worst, std::abs(c.sigmas()));
  return worst;
}

}  // namespace lockstep::test
