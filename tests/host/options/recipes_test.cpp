// Tests for the recipes of host/options/recipes.cpp, through host/options/options.h.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "host/options/options.h"
#include "tests/support/option_errors.h"
#include "tests/support/scratch_folder.h"

namespace lockstep {
namespace recipes_test {

using test::Pairs;
using test::ScratchFolder;
using test::thrown_by;
using ::testing::Contains;

TEST(RecipeTest, ClassicIsTheTextbookSetup) {
  const Config c = resolve_config({{{"recipe", "classic"}}, {}});
  EXPECT_EQ(c.envs, 1);
  EXPECT_EQ(c.hidden, 128);
  EXPECT_EQ(c.dropout, 0.5);
  EXPECT_EQ(c.optimizer, OptimizerKind::kAdam);
  EXPECT_EQ(c.lr, 0.01);
  EXPECT_EQ(c.gamma, 0.99);
  EXPECT_EQ(c.normalize, Normalize::kEpisode);
  EXPECT_EQ(c.std_kind, StdKind::kSample);
  EXPECT_EQ(c.baseline, Baseline::kNone);
  EXPECT_EQ(c.init, Init::kKaimingUniform);
  EXPECT_EQ(c.episodes, 500);
  EXPECT_EQ(c.over, 25);
  EXPECT_EQ(c.until_score, 475);
  EXPECT_EQ(c.extra_updates, 0);
}

TEST(RecipeTest, LimitsGiveWayToWhateverLimitIsSet) {
  EXPECT_EQ(resolve_config({{}, {}}).updates, 1000);
  EXPECT_EQ(resolve_config({{{"steps", "5000"}}, {}}).updates, -1);
  EXPECT_EQ(resolve_config({{{"recipe", "classic"}}, {{"LS_UPDATES", "7"}}}).episodes, -1);
  // lifting one limit sets none
  const Config c = resolve_config({{{"recipe", "classic"}, {"updates", "none"}}, {}});
  EXPECT_EQ(c.updates, -1);
  EXPECT_EQ(c.episodes, 500);
}

TEST(RecipeTest, EveryRecipeResolvesAndIsAChoiceOfTheTable) {
  const auto choices = find_option("recipe")->value.choices;
  std::set<std::string_view> used;
  for (const Recipe& recipe : recipes()) {
    EXPECT_THAT(choices, Contains(recipe.name));
    used.insert(recipe.name);
    EXPECT_FALSE(recipe.summary.empty());
    const std::string env(recipe.env.empty() ? "cartpole" : recipe.env);
    const Config config =
        resolve_config({{{"env", env}, {"recipe", std::string(recipe.name)}}, {}});
    for (const auto& [name, text] : recipe.values) {
      Config expected;
      set_option(expected, *find_option(name), text, Origin{"recipe"});
      EXPECT_EQ(option_text(config, *find_option(name)), option_text(expected, *find_option(name)));
    }
  }
  EXPECT_EQ(used.size(), choices.size());
}

TEST(RecipeTest, BelongsToAnEnvironment) {
  const auto error = [](const char* env, const char* recipe) {
    return thrown_by([&] { resolve_config({{{"env", env}, {"recipe", recipe}}, {}}); });
  };
  EXPECT_EQ(error("cartpole", "sprint"),
            "2 --recipe: 'sprint' is no recipe of cartpole; there is: fast, classic, linear, a2c, "
            "ppo, large");
  EXPECT_EQ(error("pong", "linear"),
            "2 --recipe: 'linear' is no recipe of pong; there is: fast, sprint, best, classic, "
            "karpathy, a2c, ppo, large");
  EXPECT_EQ(resolve_config({{{"env", "pong"}}, {}}).hidden, 200);
  EXPECT_EQ(resolve_config({{}, {{"LS_ENV", "pong"}}}).returns, ReturnKind::kPoint);
}

TEST(RecipeTest, ADecayThatAUserAsksForBeginsAtOnce) {
  const auto start = [](Pairs flags, Pairs variables = {}) {
    flags.emplace_back("env", "pong");
    return resolve_config({std::move(flags), std::move(variables)}).lr_decay_start;
  };
  EXPECT_EQ(start({}), -1) << "the recipe's decay: when the threshold is reached";
  EXPECT_EQ(start({{"recipe", "best"}}), 250);
  EXPECT_EQ(start({{"lr-decay-updates", "80"}}), -1) << "the recipe's, longer";
  EXPECT_EQ(start({{"recipe", "classic"}, {"lr-decay", "exponential"}}), 0);
  EXPECT_EQ(start({{"recipe", "best"}, {"lr-decay", "linear"}}), 0);
  EXPECT_EQ(start({{"lr-decay", "exponential"}, {"lr-decay-start", "7"}}), 7);
  EXPECT_EQ(start({{"lr-decay", "linear"}, {"lr-decay-start", "none"}}), -1);
  EXPECT_EQ(start({}, {{"LS_LR_DECAY", "linear"}}), 0);
  const ScratchFolder folder;
  test::spill(folder / "c.toml", "env = \"pong\"\nlr-decay = \"exponential\"\n");
  EXPECT_EQ(start({{"config", (folder / "c.toml").string()}}), 0);
  // a run keeps what it began with
  const Config saved = resolve_config({{{"env", "pong"}}, {}});
  EXPECT_EQ(config_from_toml_text(to_toml(saved), "run").lr_decay_start, -1);
}

}  // namespace recipes_test
}  // namespace lockstep
