// Tests for host/options/learner_rules.cpp: what an algorithm has no use for is refused with the
// reason, and what it is asked for with its recipe.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/options/options.h"
#include "tests/support/option_errors.h"

namespace lockstep {
namespace learner_rules_test {

using testing::HasSubstr;

using Flags = std::vector<std::pair<std::string, std::string>>;

Config resolve(Flags flags) { return resolve_config({std::move(flags), {}}); }

std::string error(Flags flags) {
  return test::thrown_by([&] { resolve(std::move(flags)); });
}

TEST(LearnerRules, AnAlgorithmComesWithItsRecipe) {
  const Config ppo = resolve({{"algorithm", "ppo"}});
  EXPECT_EQ(ppo.recipe, "ppo");
  EXPECT_EQ(ppo.algorithm, Algorithm::kPpo);
  EXPECT_NE(ppo.critic, Critic::kNone);
  EXPECT_GT(ppo.horizon, 0);
  EXPECT_EQ(resolve({{"recipe", "ppo"}}).algorithm, Algorithm::kPpo);
  EXPECT_EQ(resolve({{"algorithm", "a2c"}}).recipe, "a2c");
  EXPECT_EQ(resolve({{"algorithm", "reinforce"}}).recipe, "fast");
  EXPECT_EQ(resolve({{"algorithm", "ppo"}, {"lr", "0.25"}}).lr, 0.25);
  // a recipe of one's own choice stays
  EXPECT_THAT(error({{"algorithm", "ppo"}, {"recipe", "fast"}}),
              HasSubstr("2 --critic: none with --algorithm ppo leaves nothing"));
}

TEST(LearnerRules, ReinforceHasNoUseForACriticOrMinibatches) {
  EXPECT_THAT(error({{"critic", "shared"}}),
              HasSubstr("2 --critic: shared with --algorithm reinforce is not offered"));
  EXPECT_THAT(error({{"epochs", "2"}}), HasSubstr("2 --epochs: 2 with --algorithm reinforce"));
  EXPECT_THAT(error({{"minibatches", "2"}}), HasSubstr("2 --minibatches: 2 with"));
  EXPECT_THAT(error({{"normalize", "minibatch"}}), HasSubstr("has no minibatches"));
}

TEST(LearnerRules, ACriticHasNoUseForWhatItStandsFor) {
  const auto with = [](const char* name, const char* value) {
    return error({{"algorithm", "ppo"}, {name, value}});
  };
  EXPECT_THAT(with("critic", "none"), HasSubstr("leaves nothing to learn advantages from"));
  EXPECT_THAT(with("horizon", "0"), HasSubstr("2 --horizon: 0 with --algorithm ppo"));
  EXPECT_THAT(with("returns", "full"), HasSubstr("2 --returns: full with --algorithm ppo"));
  EXPECT_THAT(with("baseline", "batch_mean"), HasSubstr("the critic is the baseline"));
  EXPECT_THAT(with("normalize", "episode"), HasSubstr("has no whole episodes"));
  EXPECT_THAT(with("dropout", "0.5"), HasSubstr("2 --dropout: 0.5 with --algorithm ppo"));
  EXPECT_THAT(with("store", "recompute"), HasSubstr("2 --store: recompute with"));
  EXPECT_THAT(with("policy", "linear"), HasSubstr("--policy linear is not offered; use shared"));
  EXPECT_EQ(error({{"algorithm", "ppo"}, {"policy", "linear"}, {"critic", "shared"}}), "nothing");
  EXPECT_THAT(error({{"algorithm", "ppo"}, {"envs", "16"}, {"horizon", "4"}, {"minibatches", "5"}}),
              HasSubstr("2 --minibatches: 5 with --algorithm ppo is more than the 4"));
  EXPECT_THAT(error({{"algorithm", "a2c"}, {"epochs", "2"}}), HasSubstr("use 1, or ppo"));
  EXPECT_THAT(error({{"algorithm", "a2c"}, {"target-kl", "0.1"}}), HasSubstr("use none"));
}

TEST(LearnerRules, WhatHasNoEffectIsNoOption) {
  for (const auto& [name, value] : Flags{{"gae-lambda", "0.9"},
                                         {"value-coef", "1.5"},
                                         {"value-clip", "1.5"},
                                         {"clip", "0.1"},
                                         {"target-kl", "0.01"},
                                         {"shuffle", "steps"},
                                         {"critic-hidden", "8"}}) {
    EXPECT_EQ(
        error({{name, value}}),
        "2 --" + name + ": " + value + " with --algorithm reinforce has no effect; leave it away");
  }
  EXPECT_THAT(error({{"algorithm", "a2c"}, {"clip", "0.1"}}), HasSubstr("a2c has no effect"));
}

TEST(LearnerRules, AreToldOfWhereAValueWasGiven) {
  EXPECT_EQ(test::thrown_by([] {
              resolve_config({.flags = {}, .environment = {{"LS_CRITIC", "shared"}}});
            }),
            "2 LS_CRITIC: shared with --algorithm reinforce is not offered; use --algorithm a2c or "
            "ppo");
  EXPECT_THAT(error({{"algorithm", "a2c"}, {"recipe", "ppo"}}), HasSubstr("with --algorithm a2c"));
  EXPECT_THAT(error({{"algorithm", "a2c"}, {"recipe", "ppo"}}), HasSubstr("(set by recipe ppo)"));
  EXPECT_THAT(error({{"critic", "shared"}}), HasSubstr("2 --critic: shared"));
}

TEST(LearnerRules, ANormalisedAdvantageIsNotAlone) {
  const auto with = [](const char* envs, const char* horizon, const char* minibatches,
                       const char* normalize) {
    return error({{"algorithm", "ppo"},
                  {"envs", envs},
                  {"horizon", horizon},
                  {"minibatches", minibatches},
                  {"normalize", normalize}});
  };
  EXPECT_THAT(with("1", "4", "4", "minibatch"), HasSubstr("leaves an advantage of 0"));
  EXPECT_THAT(with("17", "4", "8", "minibatch"), HasSubstr("leaves an advantage of 0"));
  EXPECT_THAT(with("1", "1", "1", "batch"), HasSubstr("leaves an advantage of 0"));
  EXPECT_EQ(with("1", "4", "4", "none"), "nothing");
  EXPECT_EQ(with("1", "4", "4", "batch"), "nothing");
  EXPECT_EQ(with("1", "4", "2", "minibatch"), "nothing");
  EXPECT_EQ(with("18", "4", "8", "minibatch"), "nothing");
}

TEST(LearnerRules, ACriticBesideAPolicyOfAFileDoesNotBeginAsNothing) {
  EXPECT_EQ(error({{"init-from", "run"}, {"init", "zeros"}}), "nothing");
  EXPECT_THAT(error({{"algorithm", "ppo"}, {"init-from", "run"}, {"init", "zeros"}}),
              HasSubstr("2 --init: zeros with --policy mlp makes the gradient 0"));
}

TEST(LearnerRules, ACriticOfPicturesSharesTheirHiddenLayer) {
  EXPECT_THAT(error({{"env", "pong"}, {"algorithm", "ppo"}, {"critic", "separate"}}),
              HasSubstr("2 --critic: separate is not offered by the pictures of pong; use shared"));
  EXPECT_THAT(error({{"env", "pong"}, {"algorithm", "ppo"}, {"policy", "linear"}}),
              HasSubstr("2 --policy: linear is not offered by the pictures of pong"));
  for (const char* algorithm : {"a2c", "ppo"}) {
    EXPECT_EQ(resolve({{"env", "pong"}, {"algorithm", algorithm}}).recipe, algorithm);
  }
  EXPECT_EQ(error({{"env", "pong"}, {"algorithm", "ppo"}, {"returns", "point"}}), "nothing");
  // a point is for games, with a critic too
  EXPECT_THAT(error({{"algorithm", "ppo"}, {"returns", "point"}}),
              HasSubstr("2 --returns: point is for games with points"));
}

TEST(LearnerRules, AnEpisodeMayBeLongerThanAHorizonThatItGoesOnBeyond) {
  const Config ppo = resolve({{"algorithm", "ppo"}, {"horizon", "32"}});
  EXPECT_EQ(test::thrown_by([&] { validate_training(ppo); }), "nothing");
}

}  // namespace learner_rules_test
}  // namespace lockstep
