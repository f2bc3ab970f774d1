// Tests for what the real program says where nothing, or not all of it, was learned.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "tests/support/program_test.h"

namespace lockstep {
namespace learning_test {

using nlohmann::json;
using test::ProcessResult;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class CliLearning : public test::ProgramTest {
 protected:
  std::string error(Words arguments) const {
    arguments.insert(arguments.begin(), {"train", "--quiet"});
    return run(arguments, 2).err;
  }
};

/// A horizon within which no game of Pong ends.
const std::vector<std::string> kNoEpisode = {"train",     "pong", "--envs",    "2",
                                             "--hidden",  "8",    "--horizon", "60",
                                             "--updates", "2",    "--out",     "r"};

TEST_F(CliLearning, WhatCannotLearnIsRefusedAndLeavesNoRun) {
  EXPECT_THAT(error({"cartpole", "--envs", "1"}),
              HasSubstr("lockstep: error: --envs: 1 with --baseline time_mean makes every"));
  EXPECT_THAT(error({"cartpole", "--recipe", "linear", "--envs", "1"}),
              HasSubstr("error: --envs: 1 with --baseline time_mean"));
  EXPECT_THAT(error({"cartpole", "--gamma", "0", "--baseline", "batch_mean"}),
              HasSubstr("error: --gamma: 0.0 makes all returns of an update the same"));
  EXPECT_THAT(error({"cartpole", "--horizon", "128", "--baseline", "batch_mean"}),
              HasSubstr("error: --until-score: 475.0 is more than the 128.0"));
  EXPECT_THAT(error({"cartpole", "--seeds", "1..2", "--envs", "1"}), HasSubstr("error: --envs: 1"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "runs"));
}

TEST_F(CliLearning, WithoutAnEpisodeThereIsNoScore) {
  const ProcessResult text = run(kNoEpisode);
  EXPECT_THAT(text.out, ContainsRegex("episodes +0\n"));
  EXPECT_THAT(text.out, ContainsRegex("final score +none, for no episode ended\n"));
  EXPECT_THAT(text.out, ContainsRegex("no gradient +from 100 % of the steps, whose episodes "
                                      "--horizon 60 cut\n"));
  EXPECT_THAT(text.out, ContainsRegex("gradient +0 in every update: nothing was learned\n"));
  EXPECT_THAT(text.err, HasSubstr("lockstep: warning: 100 % of the steps had no gradient: "
                                  "--horizon 60 cut their episodes\n"));
  EXPECT_THAT(run({"plot", "r", "--svg", "c.svg"}).out, Not(HasSubstr("nan")));
  EXPECT_TRUE(run_json({"train", "--resume", "r", "--updates", "3"}).at("mean_score").is_null());

  Words words = kNoEpisode;
  words.back() = "j";
  const json told = run_json(words);
  EXPECT_TRUE(told.at("mean_score").is_null());
  EXPECT_EQ(told.at("gradient_updates"), 0);
  EXPECT_EQ(told.at("cut_steps"), 240);
  EXPECT_EQ(told.at("steps"), 240);
}

TEST_F(CliLearning, TheShareOfStepsThatAHorizonCutIsTold) {
  const json told = run_json({"train", "cartpole", "--quiet", "--horizon", "60", "--baseline",
                              "batch_mean", "--until-score", "60", "--updates", "3"});
  EXPECT_GT(told.at("cut_steps"), 0);
  EXPECT_LT(told.at("cut_steps"), told.at("steps"));
  EXPECT_EQ(told.at("gradient_updates"), 3);
  const ProcessResult whole = run({"train", "--updates", "2"});
  EXPECT_THAT(whole.out, Not(HasSubstr("no gradient")));
  EXPECT_THAT(whole.err, Not(HasSubstr("warning")));
}

TEST_F(CliLearning, ARolloutWithoutAnEpisodeHasNoScore) {
  const Words words = {"rollout", "cartpole", "--envs", "3", "--steps", "5"};
  EXPECT_THAT(run(words).out, ContainsRegex("episodes +0 ended, mean score none\n"));
  EXPECT_TRUE(run_json(words).at("mean_score").is_null());
}

TEST_F(CliLearning, SeedsWithoutAGradientAreNamed) {
  Words words = kNoEpisode;
  words.resize(words.size() - 2);
  words.insert(words.end(), {"--seeds", "3..4", "--quiet"});
  const ProcessResult text = run(words);
  EXPECT_THAT(text.out, HasSubstr("gradient 0 in every update of seed 3 4\n"));
  EXPECT_THAT(text.out, ContainsRegex("final score +none +none +none +none +none\n"));
  const json told = run_json(words);
  EXPECT_EQ(told.at("seeds_without_gradient"), json({3, 4}));
  EXPECT_TRUE(told.at("final_score").at("p50").is_null());
}

TEST_F(CliLearning, TheLastUpdateIsLoggedAndPlotted) {
  run({"train", "--quiet", "--updates", "5", "--log-every", "10", "--out", "r"});
  EXPECT_EQ(json::parse(run({"plot", "r", "--json"}).out).at("steps").size(), 1u);
}

TEST_F(CliLearning, ProgressIsPrintedAtAnIntervalOfItsOwn) {
  const auto lines = [](const std::string& text, const std::string& of) {
    std::size_t count = 0;
    for (std::size_t at = 0; (at = text.find(of, at)) != std::string::npos; ++at) ++count;
    return count;
  };
  const Words words = {"train", "--updates", "6", "--log-every", "4"};
  EXPECT_EQ(lines(run(words).err, "cartpole: update "), 0u);
  Words every = words;
  every.insert(every.end(), {"--print-every", "2"});
  const std::string err = run(every).err;
  EXPECT_EQ(lines(err, "cartpole: update "), 3u) << err;
  EXPECT_THAT(err, ContainsRegex("cartpole: update 2  episodes 32 "));
  Words classic = {"train", "--recipe", "classic", "--updates", "6", "--print-every", "3"};
  EXPECT_EQ(lines(run(classic).out, "| Episode:   "), 2u);
  every.emplace_back("--quiet");
  EXPECT_THAT(run(every).err, IsEmpty());
}

TEST_F(CliLearning, AfterResumeTheTimesSayWhoseTheyAre) {
  run({"train", "--quiet", "--updates", "4", "--out", "r"});
  EXPECT_THAT(run({"train", "--resume", "r", "--updates", "6"}).out,
              ContainsRegex("time +[0-9.]+ m?s, of these [0-9.]+ m?s since --resume\n"));
  const json told = run_json({"train", "--resume", "r", "--updates", "8"});
  EXPECT_GT(told.at("seconds"), told.at("process_seconds"));
  EXPECT_DOUBLE_EQ(told.at("steps_per_second"),
                   told.at("steps").get<double>() / told.at("seconds").get<double>());
}

TEST_F(CliLearning, StickyActionsOfPongAreNoted) {
  const Words words = {"train", "pong", "--envs", "2", "--hidden", "8", "--updates", "1"};
  EXPECT_THAT(run(words).err, Not(HasSubstr("note:")));
  Words sticky = words;
  sticky.insert(sticky.end(), {"--repeat-action-probability", "0.25"});
  EXPECT_THAT(run(sticky).err, HasSubstr("lockstep: note: the recipes of pong and their figures "
                                         "are for --repeat-action-probability 0; "));
  EXPECT_THAT(run({"list"}).out, ContainsRegex("sprint +pong: [^\n]*no sticky actions"));
}

}  // namespace learning_test
}  // namespace lockstep
