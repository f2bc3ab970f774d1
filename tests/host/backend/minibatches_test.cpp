// Tests for host/backend/minibatches.h: every step of a batch is in one minibatch of an epoch.
#include "host/backend/minibatches.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

namespace lockstep {
namespace minibatches_test {

constexpr RandomStream kStream{7, 3};

/// How often each step of a group is in the tiles.
void count(std::span<const Tile16> tiles, std::int32_t T, std::vector<int>& times) {
  for (const Tile16& tile : tiles) {
    for (std::int32_t t = tile.begin; t < tile.end; ++t) {
      ++times[static_cast<std::size_t>(tile.group * T + t)];
    }
  }
}

TEST(Minibatches, ShareOutTheBatch) {
  for (const std::int64_t groups : {1, 3, 17}) {
    for (const std::int32_t T : {1, 7, 32}) {
      for (const std::int64_t n : {1, 2, 3, 7}) {
        if (n > groups * T) continue;
        Minibatches minibatches(groups, T, n);
        for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
          minibatches.shuffle(kStream, epoch);
          std::vector<int> times(static_cast<std::size_t>(groups * T));
          std::size_t least = SIZE_MAX, most = 0;
          for (std::int64_t m = 0; m < n; ++m) {
            const auto tiles = minibatches.tiles(m);
            EXPECT_FALSE(tiles.empty());
            least = std::min(least, tiles.size());
            most = std::max(most, tiles.size());
            count(tiles, T, times);
          }
          EXPECT_EQ(std::count(times.begin(), times.end(), 1), groups * T);
          EXPECT_LE(most - least, 1u);
        }
      }
    }
  }
}

TEST(Minibatches, TilesAreAsLongAsFourOfThemFit) {
  EXPECT_EQ(Minibatches(1, 128, 1).all().size(), 1u);  // the whole batch needs no tiles
  EXPECT_EQ(Minibatches(1, 128, 4).all().size(), 16u);
  EXPECT_EQ(Minibatches(256, 32, 8).all().size(), 256u);
  EXPECT_EQ(Minibatches(256, 32, 128).all().size(), 512u);
}

TEST(Minibatches, AreOthersInEveryEpochUpdateAndRun) {
  const auto order = [](const RandomStream& stream, std::int64_t epoch) {
    Minibatches minibatches(8, 16, 4);
    minibatches.shuffle(stream, epoch);
    std::vector<std::int64_t> places;
    for (const Tile16& tile : minibatches.all()) places.push_back(tile.group * 16 + tile.begin);
    return places;
  };
  std::set<std::vector<std::int64_t>> orders;
  for (const RandomStream& stream : {kStream, RandomStream{8, 3}, RandomStream{7, 4}}) {
    for (std::int64_t epoch = 0; epoch < 3; ++epoch) {
      orders.insert(order(stream, epoch));
      EXPECT_EQ(order(stream, epoch), order(stream, epoch));
    }
  }
  EXPECT_EQ(orders.size(), 9u);
}

TEST(Minibatches, ATileIsAnywhereEquallyOften) {
  constexpr std::int64_t kGroups = 16, kEpochs = 4000;
  Minibatches minibatches(kGroups, 8, 4);
  std::vector<int> in_first(kGroups);
  for (std::int64_t epoch = 0; epoch < kEpochs; ++epoch) {
    minibatches.shuffle(kStream, epoch);
    for (const Tile16& tile : minibatches.tiles(0))
      ++in_first[static_cast<std::size_t>(tile.group)];
  }
  // a quarter of 4,000, within five deviations of 27
  for (const int times : in_first) EXPECT_NEAR(times, 1000, 137);
}

TEST(SingleSteps, ShareOutTheBatchWithoutLanesOfNobody) {
  constexpr std::int64_t kEnvs = 21;
  constexpr std::int32_t kT = 9;
  SingleSteps steps(kEnvs, kT, 4);
  steps.shuffle(kStream, 0);
  std::vector<std::uint16_t> all(2 * kT), chosen(2 * kT);
  int total = 0;
  for (std::int64_t m = 0; m < 4; ++m) {
    steps.choose(m, chosen.data());
    for (std::size_t i = 0; i < all.size(); ++i) {
      EXPECT_EQ(all[i] & chosen[i], 0);
      all[i] = static_cast<std::uint16_t>(all[i] | chosen[i]);
      total += __builtin_popcount(chosen[i]);
    }
  }
  EXPECT_EQ(total, kEnvs * kT);
  for (std::size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i], i < kT ? 0xffff : 0x1f);
}

}  // namespace minibatches_test
}  // namespace lockstep
