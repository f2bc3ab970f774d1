// Tests for Pong through the real program: train, go on, evaluate, roll out, and every kind of bad
// input. Replay and films: replay_test.cpp, watch_test.cpp.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/process.h"

namespace lockstep {
namespace pong_test {

using nlohmann::json;
using test::Process;
using test::ProcessResult;
using ::testing::HasSubstr;
using Words = std::vector<std::string>;

class CliPong : public ::testing::Test {
 protected:
  ProcessResult run(const Words& arguments) const {
    return Process(LS_TEST_PROGRAM, arguments, folder_.path(), {}).wait();
  }
  json run_json(Words arguments) const {
    arguments.emplace_back("--json");
    const ProcessResult result = run(arguments);
    EXPECT_EQ(result.code, 0) << result.err;
    return json::parse(result.out);
  }
  /// A training of two small updates.
  json train(const Words& more) const {
    Words words = {"train", "pong", "--envs", "3", "--hidden", "16", "--updates", "2"};
    words.insert(words.end(), more.begin(), more.end());
    return run_json(words);
  }
  std::string weights(const std::string& run) const {
    return test::slurp(folder_ / (run + "/checkpoints/last/model.safetensors"));
  }
  std::string error(const Words& arguments) const {
    const ProcessResult result = run(arguments);
    EXPECT_THAT(result.out, testing::IsEmpty());
    const std::size_t line =
        result.err.find("lockstep: error: ");  // behind what train says of itself
    EXPECT_NE(line, std::string::npos) << result.err;
    return std::to_string(result.code) + " " +
           (line == std::string::npos ? "" : result.err.substr(line));
  }

  test::ScratchFolder folder_;
};

TEST_F(CliPong, TrainsGoesOnAndEvaluates) {
  const json whole = train({"--out", "a"});
  EXPECT_EQ(whole.at("episodes"), 6);
  EXPECT_LT(whole.at("mean_score"), 0);
  train({"--out", "b", "--updates", "1"});
  const json rest = run_json({"train", "--resume", "b", "--updates", "2"});
  EXPECT_EQ(rest.at("steps"), whole.at("steps"));
  EXPECT_EQ(weights("a"), weights("b"));
  EXPECT_THAT(test::slurp(folder_ / "a/config.toml"), HasSubstr("returns = \"point\"\n"));

  const Words eval = {"eval", "a", "--episodes", "20"};
  const json drawn = run_json(eval), again = run_json(eval);
  EXPECT_EQ(drawn.at("mean"), again.at("mean"));
  EXPECT_EQ(drawn.at("steps"), again.at("steps"));
  Words still = eval;
  still.insert(still.end(), {"--noops", "0"});
  const json same = run_json(still);  // greedy games from one start are all alike
  EXPECT_EQ(same.at("min"), same.at("max"));
  EXPECT_EQ(same.at("std"), 0);
}

TEST_F(CliPong, ThreadsAndInstructionSetsGiveTheSameWeights) {
  train({"--out", "a", "--threads", "1"});
  train({"--out", "b", "--threads", "3"});
  EXPECT_EQ(weights("a"), weights("b"));
  for (const char* isa : {"scalar", "avx2"}) {
    const ProcessResult result =
        Process(LS_TEST_PROGRAM,
                {"train", "pong", "--envs", "3", "--hidden", "16", "--updates", "2", "--out", isa},
                folder_.path(), {.environment = {std::string("LS_ISA=") + isa}})
            .wait();
    if (result.code == 3) continue;  // a CPU without it
    EXPECT_EQ(weights("a"), weights(isa)) << isa;
  }
}

TEST_F(CliPong, RolloutsSaveDifferencePictures) {
  const json result = run_json(
      {"rollout", "pong", "--envs", "2", "--steps", "30", "--hidden", "16", "--save", "t.npz"});
  EXPECT_EQ(result.at("steps"), 60);
  const std::string archive = test::slurp(folder_ / "t.npz");
  for (const char* name : {"obs.npy", "logits.npy", "action.npy", "reward.npy"}) {
    EXPECT_NE(archive.find(name), std::string::npos) << name;
  }
  EXPECT_NE(archive.find("'|i1', 'fortran_order': False, 'shape': (31, 2, 6400)"),
            std::string::npos);
  EXPECT_EQ(run_json({"rollout", "pong", "--envs", "20", "--steps", "30", "--policy", "random"})
                .at("steps"),
            600);
}

TEST_F(CliPong, BadInputIsNamedAndChangesNothing) {
  EXPECT_THAT(error({"train", "pong", "--frame-skip", "0"}),
              HasSubstr("2 lockstep: error: --frame-skip: 0 is not in [1, 60]"));
  EXPECT_THAT(error({"train", "pong", "--repeat-action-probability", "-0.1"}),
              HasSubstr("--repeat-action-probability: -0.1 is not in [0, 1]"));
  EXPECT_THAT(error({"train", "pong", "--noops", "256"}), HasSubstr("--noops: 256 is not in"));
  EXPECT_THAT(error({"train", "pong", "--max-pool"}),
              HasSubstr("2 lockstep: error: --max-pool: the"));
  EXPECT_THAT(error({"train", "pong", "--policy", "linear"}), HasSubstr("use mlp"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "runs"));

  train({"--out", "p"});
  run({"train", "cartpole", "--updates", "1", "--out", "c"});
  EXPECT_THAT(error({"train", "pong", "--init-from", "c", "--out", "x"}),
              HasSubstr("4 lockstep: error: c: tensor 'layer1.weight' has shape [128, 4], expected "
                        "[200, 6400]"));
  EXPECT_THAT(error({"train", "cartpole", "--init-from", "p", "--out", "x"}),
              HasSubstr("has shape [16, 6400], expected [128, 4]"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "x"));
  EXPECT_THAT(error({"rollout", "pong", "--policy", "run:c"}),
              HasSubstr("2 lockstep: error: env: pong is not the cartpole of c"));
  EXPECT_THAT(error({"eval", "p", "--max-pool"}), HasSubstr("2 lockstep: error: --max-pool: the"));
  EXPECT_THAT(error({"eval", "c", "--noops", "3"}), HasSubstr("2 lockstep: error: --noops"));
}

}  // namespace pong_test
}  // namespace lockstep
