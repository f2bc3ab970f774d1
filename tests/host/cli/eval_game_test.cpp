// Tests for `lockstep eval` and `rollout` of a game, through the real program: how episodes start
// and go, what is saved of them, the dense path, and checkpoints of another environment.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/program_test.h"

namespace lockstep {
namespace eval_game_test {

using nlohmann::json;
using test::ProcessResult;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class EvalGameTest : public test::ProgramTest {
 protected:
  std::string error(const Words& arguments, int code) const { return run(arguments, code).err; }
  void train(const Words& more = {}) const {
    Words words = {"train", "pong",    "--updates", "3", "--envs",   "16", "--hidden",
                   "16",    "--quiet", "--out",     "r", "--device", "cpu"};
    words.insert(words.end(), more.begin(), more.end());
    run(words);
  }
  json eval(const Words& more) const {
    Words words = {"eval", "r", "--episodes", "30"};
    words.insert(words.end(), more.begin(), more.end());
    return run_json(words);
  }
};

TEST_F(EvalGameTest, EpisodesStartAsTheOptionsSay) {
  train();
  const json same = eval({"--noops", "0"});
  EXPECT_EQ(same.at("std"), 0);
  EXPECT_EQ(same.at("mean_length").get<double>() * 30, same.at("steps").get<double>());
  const json drawn = eval({}), each = eval({"--starts", "each"});
  EXPECT_NE(drawn.at("steps"), each.at("steps"));
  EXPECT_EQ(drawn.at("steps"), eval({"--noops", "29", "--starts", "drawn"}).at("steps"));
  EXPECT_EQ(each.at("steps"), eval({"--starts", "each", "--seed", "9"}).at("steps"));
  EXPECT_NE(drawn.at("steps"), eval({"--seed", "9"}).at("steps"));
}

TEST_F(EvalGameTest, StepsAreThoseOfTheRunUnlessGiven) {
  train({"--frame-skip", "8"});
  const json own = eval({}), eight = eval({"--frame-skip", "8"}),
             four = eval({"--frame-skip", "4"});
  EXPECT_EQ(own.at("steps"), eight.at("steps"));
  EXPECT_LT(own.at("steps").get<int>() * 3, four.at("steps").get<int>() * 2);
  EXPECT_NE(own.at("steps"), eval({"--repeat-action-probability", "0.5"}).at("steps"));
}

TEST_F(EvalGameTest, GamesAreSaved) {
  train();
  EXPECT_EQ(eval({"--save", "g.npz", "--noops", "0"}).at("saved"), "g.npz");
  const std::string games = test::slurp(folder_ / "g.npz");
  for (const char* text :
       {"'<f4', 'fortran_order': False, 'shape': (30,)",
        "'<i4', 'fortran_order': False, 'shape': (30,)", "score.npy", "length.npy", "noops.npy",
        "frames.npy", "action.npy", "'|u1', 'fortran_order': False, 'shape': (30, "}) {
    EXPECT_THAT(games, HasSubstr(text));
  }
  EXPECT_TRUE(eval({}).at("saved").is_null());
  EXPECT_THAT(run({"eval", "r", "--episodes", "2", "--save", "t.npz", "--device", "cpu"}).out,
              HasSubstr("saved         t.npz"));
  EXPECT_THAT(error({"eval", "r", "--save", "no/such/folder.npz"}, 6), HasSubstr("no/such"));
}

TEST_F(EvalGameTest, ThePathsPlayTheSameGames) {
  train();
  const json exact = eval({"--episodes", "6"}),
             dense = eval({"--episodes", "6", "--math", "dense"});
  EXPECT_EQ(dense.at("math"), "dense");
  EXPECT_THAT(dense.at("library"), HasSubstr("OpenBLAS"));
  EXPECT_EQ(dense.at("mean"), exact.at("mean"));
  EXPECT_EQ(dense.at("steps"), exact.at("steps"));
}

TEST_F(EvalGameTest, RolloutsOfBothPathsAreSavedAlike) {
  const auto saved = [&](const Words& math) {
    Words words = {"rollout",
                   "pong",
                   "--envs",
                   "3",
                   "--steps",
                   "20",
                   "--hidden",
                   "8",
                   "--frame-skip",
                   "2-4",
                   "--repeat-action-probability",
                   "0.25",
                   "--noops",
                   "9",
                   "--save",
                   "out.npz",
                   "--device",
                   "cpu",
                   "--math"};
    words.insert(words.end(), math.begin(), math.end());
    run(words);
    return test::slurp(folder_ / "out.npz");
  };
  const std::string dense = saved({"dense"}), exact = saved({"exact"});
  EXPECT_THAT(dense.substr(0, 400),
              HasSubstr("'|i1', 'fortran_order': False, 'shape': (21, 3, 6400)"));
  EXPECT_EQ(dense.size(), exact.size());
  // the pictures come first, behind the line of their shape
  const auto pictures = [](const std::string& file) {
    return file.substr(file.find('\n', file.find("NUMPY")) + 1, 21 * 3 * 6400);
  };
  EXPECT_TRUE(pictures(dense) == pictures(exact));
  EXPECT_FALSE(pictures(dense) == pictures(saved({"dense", "--max-pool"})));
}

TEST_F(EvalGameTest, RolloutsAreThoseOfTheRunUnlessGiven) {
  train({"--frame-skip", "8", "--repeat-action-probability", "0.5", "--noops", "7"});
  const auto options = [&](const Words& more) {
    Words words = {"rollout", "--policy", "run:r", "--envs", "2", "--steps", "4"};
    words.insert(words.end(), more.begin(), more.end());
    return run_json(words).at("record").at("options");
  };
  const auto expect_game = [](const json& got, const char* skip, const char* repeat,
                              const char* noops) {
    EXPECT_EQ(got.at("frame-skip"), skip);
    EXPECT_EQ(got.at("repeat-action-probability"), repeat);
    EXPECT_EQ(got.at("noops"), noops);
  };
  expect_game(options({}), "8", "0.5", "7");
  expect_game(options({"--frame-skip", "2-4"}), "2-4", "0.5", "7");
  expect_game(options({"--repeat-action-probability", "0", "--noops", "3"}), "8", "0.0", "3");
  expect_game(options({"pong", "--noops", "3"}), "8", "0.5", "3");
  EXPECT_THAT(error({"rollout", "cartpole", "--policy", "run:r"}, 2), HasSubstr("pong of r"));
}

TEST_F(EvalGameTest, WhatTablesCannotDoIsRefused) {
  train();
  const auto tables = HasSubstr(
      "--max-pool: the maximum of two frames is no sum of objects; use "
      "--math dense, which eval and rollout have");
  EXPECT_THAT(error({"eval", "r", "--max-pool"}, 2), tables);
  EXPECT_THAT(error({"rollout", "pong", "--max-pool"}, 2), tables);
  EXPECT_THAT(error({"train", "pong", "--max-pool", "--out", "n"}, 2), tables);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "n"));
  EXPECT_THAT(error({"eval", "r", "--frame-skip", "0"}, 2),
              HasSubstr("--frame-skip: 0 is not in [1, 60]"));
  EXPECT_THAT(error({"eval", "r", "--noops", "256"}, 2),
              HasSubstr("--noops: 256 is not in [0, 255]"));
  EXPECT_THAT(error({"eval", "r", "--starts", "every"}, 2),
              HasSubstr("--starts: 'every' is not one of drawn, each"));
  EXPECT_THAT(error({"eval", "r", "--repeat-action-probability", "1.5"}, 2),
              HasSubstr("--repeat-action-probability: 1.5 is not in [0, 1]"));
}

TEST_F(EvalGameTest, CheckpointsOfAnotherEnvironmentAreNamedByTheirShapes) {
  train();
  run({"train", "cartpole", "--updates", "1", "--hidden", "16", "--quiet", "--out", "c", "--device",
       "cpu"});
  namespace fs = std::filesystem;
  fs::copy_file(folder_ / "r/checkpoints/last/model.safetensors", folder_ / "pong.safetensors");
  fs::copy_file(folder_ / "c/checkpoints/last/model.safetensors", folder_ / "cart.safetensors");
  const auto pong_here = HasSubstr("'layer1.weight' has shape [16, 6400], expected [16, 4]");
  const auto cart_here = HasSubstr("'layer1.weight' has shape [16, 4], expected [16, 6400]");
  EXPECT_THAT(error({"eval", "pong.safetensors"}, 4), AllOf(pong_here, HasSubstr("pong.safetens")));
  EXPECT_THAT(error({"eval", "cart.safetensors", "--env", "pong"}, 4), cart_here);
  EXPECT_THAT(error({"train", "pong", "--hidden", "16", "--init-from", "c", "--out", "n"}, 4),
              cart_here);
  EXPECT_THAT(error({"train", "cartpole", "--hidden", "16", "--init-from", "r", "--out", "n"}, 4),
              pong_here);
  EXPECT_FALSE(fs::exists(folder_ / "n"));
  const json bare = run_json({"eval", "pong.safetensors", "--env", "pong", "--episodes", "30"});
  EXPECT_EQ(bare.at("steps"), eval({}).at("steps"));
  for (const Words& words : {Words{"--noops", "3"}, {"--starts", "each"}}) {
    EXPECT_THAT(error({"eval", "c", words[0], words[1]}, 2),
                HasSubstr(words[0] + ": cartpole is no game of frames"));
  }
  EXPECT_THAT(error({"eval", "c", "--max-pool", "--math", "dense"}, 2),
              HasSubstr("--max-pool: cartpole is no game of frames"));
  EXPECT_THAT(run({"eval", "c", "--episodes", "3", "--save", "c.npz", "--device", "cpu"}).out,
              Not(HasSubstr("error")));
  EXPECT_THAT(test::slurp(folder_ / "c.npz"), Not(HasSubstr("noops.npy")));
}

}  // namespace eval_game_test
}  // namespace lockstep
