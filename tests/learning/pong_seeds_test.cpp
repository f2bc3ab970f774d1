// Tests for Pong's recipes (host/options/recipes.cpp) over many seeds. The seeds are fixed and the
// arithmetic is exact, so each verdict is the same on every machine; the distributions are printed,
// and recorded in bench/results/.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/learning/learning.h"

namespace lockstep {
namespace pong_seeds_test {

using testing::Each;
using testing::Ge;
using testing::IsEmpty;
using testing::Pair;

constexpr EvalOptions kSampled{.mode = ActionMode::kSample, .episodes = 100};
constexpr EvalOptions kEveryStart{.episodes = 30, .noops_in_turn = true};

TEST(PongSeeds, FastReaches18AndKeepsItInFreshGamesInAllOf20) {
  const test::Learning l = test::learn("fast", 1, 20, 20, "", "pong", kSampled);
  test::print("fast", l);
  EXPECT_THAT(l.unsolved, IsEmpty());
  EXPECT_THAT(l.fresh, Each(Pair(Ge(18.0), testing::_)));
  EXPECT_LE(test::quantile(l.steps, 0.5), 4e6);
}

TEST(PongSeeds, SprintReaches18InAllOf20) {
  const test::Learning l = test::learn("sprint", 1, 20, 0, "", "pong");
  test::print("sprint", l);
  EXPECT_THAT(l.unsolved, IsEmpty());
  EXPECT_LE(test::quantile(l.steps, 0.5), 2e6);
}

TEST(PongSeeds, ClassicReaches18InAllOf5) {
  const test::Learning l = test::learn("classic", 1, 5, 0, "", "pong");
  test::print("classic", l);
  EXPECT_THAT(l.unsolved, IsEmpty());
}

TEST(PongSeeds, KarpathysReaches18InAllOf2) {
  const test::Learning l = test::learn("karpathy", 1, 2, 0, "", "pong");
  test::print("karpathy", l);
  EXPECT_THAT(l.unsolved, IsEmpty());
}

TEST(PongSeeds, BestWinsEveryGameFromEveryStart) {
  const test::Learning l = test::learn("best", 1, 1, 1, "", "pong", kEveryStart);
  test::print("best", l);
  EXPECT_EQ(l.fresh.front().first, 21.0);
}

}  // namespace pong_seeds_test
}  // namespace lockstep
