// Tests for the recipes (host/options/recipes.cpp): that they learn, in a few seeds. Learning finds
// few bugs; it is here because it is what a user runs. Many seeds: many_seeds_test.cpp.
#include "tests/learning/learning.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lockstep {
namespace learning_test {

using testing::Each;
using testing::Ge;
using testing::IsEmpty;
using testing::Pair;

TEST(Recipe, FastSolvesAndStaysSolved) {
  const test::Learning l = test::learn("fast", 1, 20, 10);
  test::print("fast", l);
  EXPECT_THAT(l.unsolved, IsEmpty());
  EXPECT_LE(test::quantile(l.updates, 1), 100);
  EXPECT_THAT(l.fresh, Each(Pair(Ge(495.0), testing::_)));
}

TEST(Recipe, LinearSolves) {
  const test::Learning l = test::learn("linear", 1, 20, 0);
  test::print("linear", l);
  EXPECT_THAT(l.unsolved, IsEmpty());
  EXPECT_LE(test::quantile(l.updates, 1), 200);
}

TEST(Recipe, ClassicStopsAfter500Episodes) {
  const test::Learning l = test::learn("classic", 1, 5, 0);
  test::print("classic", l);
  EXPECT_GE(l.updates.size(), 3u);
  EXPECT_LE(test::quantile(l.episodes, 1), 500);
}

TEST(Recipe, PpoSolves) {
  const test::Learning l = test::learn("ppo", 1, 10, 0);
  test::print("ppo", l);
  EXPECT_THAT(l.unsolved, IsEmpty());
}

TEST(Recipe, LargeSolvesInFewStepsOfManyEnvironments) {
  const test::Learning l = test::learn("large", 1, 3, 0);
  test::print("large", l);
  EXPECT_THAT(l.unsolved, IsEmpty());
  EXPECT_LE(test::quantile(l.updates, 1), 30);
}

TEST(Recipe, A2cSolves) {
  const test::Learning l = test::learn("a2c", 1, 10, 0);
  test::print("a2c", l);
  EXPECT_THAT(l.unsolved, IsEmpty());
}

// One seed, and where it gets there: the same on every machine.
TEST(Recipe, FastTakesTheSameWayEverywhere) {
  ConfigSources sources;
  sources.flags = {{"seed", "1"}};
  Engine engine(resolve_config(sources));
  TrainHooks hooks;
  hooks.write_files = false;
  const TrainResult result = engine.train(hooks);
  EXPECT_EQ(result.reached_update, 15);
  EXPECT_EQ(result.steps, 204871);
}

}  // namespace learning_test
}  // namespace lockstep
