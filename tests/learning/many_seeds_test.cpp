// Tests for the recipes (host/options/recipes.cpp) over many seeds. The seeds are fixed and the
// arithmetic is exact, so each verdict is the same on every machine; the distributions are printed,
// and recorded in bench/results/.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/learning/learning.h"

namespace lockstep {
namespace many_seeds_test {

using testing::Each;
using testing::Ge;
using testing::IsEmpty;
using testing::Pair;

TEST(ManySeeds, FastReaches475InAllOf1000) {
  const test::Learning l = test::learn("fast", 1, 1000, 0, "500");
  test::print("fast", l);
  EXPECT_THAT(l.unsolved, IsEmpty());
  EXPECT_LE(test::quantile(l.updates, 0.5), 15);
  EXPECT_LE(test::quantile(l.steps, 0.95), 72000);
}

TEST(ManySeeds, TheGreedyPolicyOfFastScores495InAllOf100) {
  const test::Learning l = test::learn("fast", 1, 100, 100, "500");
  test::print("fast", l);
  EXPECT_THAT(l.fresh, Each(Pair(Ge(495.0), testing::_)));
}

TEST(ManySeeds, LinearReaches475InAllOf300) {
  const test::Learning l = test::learn("linear", 1, 300, 0, "500");
  test::print("linear", l);
  EXPECT_THAT(l.unsolved, IsEmpty());
}

// The textbook script with its textbook limit: a distribution, not a promise.
TEST(ManySeeds, ClassicMostlySolvesWithin500Episodes) {
  const test::Learning l = test::learn("classic", 1, 100, 0);
  test::print("classic", l);
  EXPECT_GE(l.updates.size(), 70u);
}

}  // namespace many_seeds_test
}  // namespace lockstep
