// Tests for host/cli/record.h: a call repeated from its own record gives the same file.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/program_test.h"

namespace lockstep {
namespace record_test {

using json = nlohmann::ordered_json;
using test::Process;
using test::ProcessResult;
using ::testing::HasSubstr;

class RecordTest : public test::ProgramTest {
 protected:
  /// What the call tells with --json, its arrays in `file`.
  json call(Words words, const std::string& file, const Words& variables = {}) const {
    words.insert(words.end(), {"--device", "cpu", "--json", "--save", file});
    const ProcessResult result =
        Process(LS_TEST_PROGRAM, words, folder_.path(), {.environment = variables}).wait();
    EXPECT_EQ(result.code, 0) << result.err;
    return json::parse(result.out);
  }
  /// Calls again with nothing but the record, and compares the files.
  void expect_repeatable(const Words& words, const Words& variables = {}) const {
    SCOPED_TRACE(testing::PrintToString(words));
    const json record = call(words, "a.npz", variables).at("record");
    const std::string archive = test::slurp(folder_ / "a.npz");
    EXPECT_THAT(archive, HasSubstr(record.dump()));
    Words again = {record.at("command").get<std::string>()};
    for (const auto& [name, value] : record.at("options").items()) {
      const bool positional = name == "path" || (name == "env" && record.at("command") != "eval");
      again.push_back((positional ? "" : "--" + name + "=") + value.get<std::string>());
    }
    EXPECT_EQ(call(again, "b.npz").at("record"), record);
    EXPECT_TRUE(test::slurp(folder_ / "b.npz") == archive) << record.dump(1);
  }
};

TEST_F(RecordTest, RolloutsAreRepeatedFromTheirRecords) {
  const Words small = {"--envs", "5", "--steps", "60"};
  const auto rollout = [&](Words words) {
    words.insert(words.begin(), "rollout");
    words.insert(words.end(), small.begin(), small.end());
    return words;
  };
  expect_repeatable(rollout({"cartpole"}));
  expect_repeatable(rollout({"cartpole", "--policy", "random", "--seed", "9", "--repeats", "3"}));
  expect_repeatable(rollout({"cartpole", "--policy", "linear", "--init", "normal", "--mode",
                             "epsilon=0.25", "--math", "dense"}));
  expect_repeatable(rollout({"pong", "--hidden", "16", "--activation", "leaky_relu"}));
  expect_repeatable(rollout({"pong", "--hidden", "16", "--noops", "3", "--frame-skip", "2-4",
                             "--repeat-action-probability", "0.25", "--mode", "greedy"}));
  expect_repeatable(
      rollout({"pong", "--hidden", "16", "--math", "dense", "--max-pool", "--seed", "7"}));
  run({"train", "pong", "--quiet", "--envs", "3", "--hidden", "16", "--updates", "1", "--out", "p",
       "--device", "cpu"});
  expect_repeatable(rollout({"pong", "--policy", "run:p"}));
}

TEST_F(RecordTest, VariablesAreInTheRecord) {
  expect_repeatable({"rollout"}, {"LS_ENV=pong", "LS_ENVS=3", "LS_STEPS=40", "LS_NOOPS=5",
                                  "LS_HIDDEN=8", "LS_MODE=greedy", "LS_SEED=4"});
}

TEST_F(RecordTest, WhatWasNotGivenIsInTheRecordToo) {
  const json record =
      call({"rollout", "pong", "--envs", "1", "--steps", "1"}, "a.npz").at("record");
  EXPECT_EQ(record.at("recipe"), "fast");
  for (const auto& [name, value] :
       std::vector<std::pair<const char*, const char*>>{{"noops", "29"},
                                                        {"frame-skip", "4"},
                                                        {"repeat-action-probability", "0.0"},
                                                        {"hidden", "200"},
                                                        {"init", "normal"},
                                                        {"seed", "1"},
                                                        {"mode", "sample"},
                                                        {"math", "exact"}}) {
    EXPECT_EQ(record.at("options").at(name), value) << name;
  }
}

TEST_F(RecordTest, EvaluationsAreRepeatedFromTheirRecords) {
  run({"train", "cartpole", "--quiet", "--updates", "2", "--out", "c", "--device", "cpu"});
  run({"train", "pong", "--quiet", "--envs", "3", "--hidden", "16", "--updates", "1", "--out", "p",
       "--frame-skip", "2-4", "--device", "cpu"});
  expect_repeatable({"eval", "c", "--episodes", "20", "--mode", "epsilon=0.5", "--seed", "5"});
  expect_repeatable({"eval", "p", "--episodes", "4", "--starts", "each", "--noops", "3"});
  expect_repeatable({"eval", "p", "--episodes", "4"}, {"LS_NOOPS=0", "LS_MODE=sample"});
}

TEST_F(RecordTest, AnotherPolicyUnderTheSameNameShows) {
  const Words rollout = {"rollout", "cartpole", "--policy", "run:r", "--envs", "2", "--steps", "4"};
  const auto weights = [&](const char* seed) {
    run({"train", "--quiet", "--updates", "1", "--out", "r", "--force", "--device", "cpu", "--seed",
         seed});
    return call(rollout, "a.npz").at("record").at("weights_crc32c");
  };
  EXPECT_NE(weights("1"), weights("2"));
  EXPECT_TRUE(call({"rollout", "cartpole", "--policy", "random"}, "a.npz")
                  .at("record")
                  .at("weights_crc32c")
                  .is_null());
}

}  // namespace record_test
}  // namespace lockstep
