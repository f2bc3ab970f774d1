// Tests for the commands of host/cli/: what they print and write, through the real program.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "host/files/npy.h"
#include "tests/support/process.h"

namespace lockstep {
namespace commands_test {

using nlohmann::json;
using test::Process;
using test::ProcessOptions;
using test::ProcessResult;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Words = std::vector<std::string>;

class CliTest : public ::testing::Test {
 protected:
  ProcessResult run(const Words& arguments, const ProcessOptions& options = {}) const {
    ProcessResult result = Process(LS_TEST_PROGRAM, arguments, folder_.path(), options).wait();
    EXPECT_EQ(result.code, 0) << result.err;
    return result;
  }
  json run_json(Words arguments, const std::string& schema) const {
    arguments.insert(arguments.end(), {"--json"});
    const json document = json::parse(run(arguments).out);
    EXPECT_EQ(document.at("schema"), "lockstep." + schema + "/1");
    return document;
  }

  test::ScratchFolder folder_;
};

TEST_F(CliTest, HelpAndVersionGoToStdout) {
  EXPECT_THAT(run({"--version"}).out, ContainsRegex("^lockstep [0-9.]+\n"));
  EXPECT_THAT(run({"--help"}).out, HasSubstr("  train "));
  const ProcessResult help = run({"train", "--help"});
  EXPECT_THAT(help.err, IsEmpty());
  EXPECT_THAT(help.out, ContainsRegex("--lr X +learning rate \\(\\(0, inf\\); default 0.03\\)"));
  EXPECT_THAT(help.out, ContainsRegex("--extra-updates N .*\n.*default 20"));
  for (const char* command :
       {"eval", "rollout", "replay", "plot", "view", "render", "list", "info", "completion"}) {
    const std::string text = run({command, "--help"}).out;
    EXPECT_THAT(text, HasSubstr("usage: lockstep " + std::string(command)));
    EXPECT_EQ(run({"help", command}).out, text);
  }
  EXPECT_EQ(run({"help"}).out, run({"--help"}).out);
}

TEST_F(CliTest, HelpShowsWhatHoldsForTheNamedEnvironmentAndRecipe) {
  const auto has = [&](const Words& words, const std::string& option, const std::string& value,
                       const ProcessOptions& options = {}) {
    // of "--hidden N ... (...; default 200)", the text of the option up to the next one
    const std::string text = run(words, options).out;
    const std::size_t start = text.find("  --" + option + " "),
                      end = text.find("\n  --", start + 1);
    ASSERT_NE(start, std::string::npos) << option;
    EXPECT_THAT(text.substr(start, end - start), ContainsRegex("default[ \n]+" + value + "\\)"))
        << option;
  };
  for (const char* command : {"train", "rollout"}) {
    has({command, "pong", "--help"}, "noops", "29");
    has({command, "pong", "--help"}, "hidden", "200");
    has({command, "pong", "--help"}, "init", "normal");
    has({command, "--help"}, "noops", "0");
    has({command, "--help"}, "hidden", "128");
    has({command, "--help"}, "hidden", "200", {.environment = {"LS_ENV=pong"}});
  }
  has({"train", "pong", "--help"}, "envs", "32");
  has({"train", "pong", "--recipe", "karpathy", "--help"}, "optimizer", "rmsprop");
  has({"train", "cartpole", "--algorithm", "ppo", "--help"}, "epochs", "2");
  has({"help", "train", "pong", "--recipe", "sprint"}, "envs", "16");
  has({"rollout", "pong", "--help"}, "envs", "1024");  // its own
}

TEST_F(CliTest, TrainPrintsItsResultAndWritesTheNextRunFolder) {
  const ProcessResult first = run({"train", "cartpole"});
  EXPECT_THAT(first.out, HasSubstr("cartpole: solved\n"));
  EXPECT_THAT(first.out, ContainsRegex("threshold +475 reached at update [0-9]+, episode"));
  EXPECT_THAT(first.out, ContainsRegex("steps/s +[0-9.]+ [kMG]"));
  EXPECT_THAT(first.out, HasSubstr("environment steps\n"));  // the plot's axis
  EXPECT_THAT(first.out, ContainsRegex("run folder +runs/cartpole-1\n"));
  EXPECT_THAT(first.err, HasSubstr("lockstep: cartpole, 16 environments, mlp 128 relu, adam 0.03"));
  const ProcessResult second = run({"train", "--quiet", "--updates", "2"});
  EXPECT_THAT(second.err, IsEmpty());
  EXPECT_THAT(second.out, HasSubstr("cartpole: not solved\n"));
  EXPECT_THAT(second.out, ContainsRegex("threshold +475 not reached\n"));
  EXPECT_THAT(second.out, ContainsRegex("run folder +runs/cartpole-2\n"));
  EXPECT_THAT(second.out, Not(HasSubstr("environment steps\n")));
  EXPECT_THAT(folder_.names("runs/cartpole-2"),
              ::testing::IsSupersetOf({"config.toml", "run.json", "metrics.jsonl", "checkpoints"}));
}

TEST_F(CliTest, TrainJsonIsOneDocument) {
  const json solved = run_json({"train", "cartpole", "--quiet", "--seed", "3"}, "train");
  EXPECT_EQ(solved.at("seed"), 3);
  EXPECT_EQ(solved.at("stopped_by"), "threshold");
  EXPECT_EQ(solved.at("updates"), solved.at("reached").at("update").get<int>() + 20);
  EXPECT_GE(solved.at("mean_score"), 475);
  const json cut = run_json({"train", "--recipe", "classic", "--episodes", "12"}, "train");
  EXPECT_EQ(cut.at("episodes"), 12);
  EXPECT_EQ(cut.at("stopped_by"), "limit");
  EXPECT_TRUE(cut.at("reached").is_null());
}

TEST_F(CliTest, ClassicRecipePrintsItsLines) {
  const ProcessResult result = run({"train", "--recipe", "classic", "--until-score", "10"});
  EXPECT_THAT(result.out,
              ContainsRegex("(^|\n)\\| Episode:  10 \\| Mean Rewards: [ 0-9]{2}[0-9]\\.[0-9] \\|\n"
                            "\\| Episode:  20 \\| Mean Rewards: "));
  EXPECT_THAT(result.out, HasSubstr("\nReached reward threshold in 25 episodes\n"));
  EXPECT_THAT(run({"train", "--recipe", "classic", "--episodes", "30", "--quiet"}).out,
              Not(HasSubstr("| Episode")));
}

TEST_F(CliTest, SettingsComeFromFlagVariableAndFile) {
  test::spill(folder_ / "c.toml", "lr = 0.5\nenvs = 5\nover = 5\n");
  const std::string toml = run({"train", "--config", "c.toml", "--lr", "0.125", "--print-config"},
                               {.environment = {"LS_LR=0.25", "LS_ENVS=7"}})
                               .out;
  EXPECT_THAT(toml, HasSubstr("\nlr = 0.125\n"));
  EXPECT_THAT(toml, HasSubstr("\nenvs = 7\n"));
  EXPECT_THAT(toml, HasSubstr("\nover = 5\n"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "runs"));
  test::spill(folder_ / "again.toml", toml);
  EXPECT_EQ(run({"train", "--config", "again.toml", "--print-config"}).out, toml);
}

TEST_F(CliTest, AVariableOfNobodyIsNoted) {
  const ProcessResult result = run({"train", "--updates", "1"}, {.environment = {"LS_WIBBLE=1"}});
  EXPECT_THAT(result.err,
              HasSubstr("lockstep: note: LS_WIBBLE is not an option and has no effect\n"));
}

TEST_F(CliTest, SeedsPrintOneSummaryAndNoRunFolder) {
  const json summary = run_json({"train", "--seeds", "1..5", "--quiet"}, "train_seeds");
  EXPECT_EQ(summary.at("runs"), 5);
  EXPECT_EQ(summary.at("solved"), 5);
  EXPECT_LE(summary.at("steps").at("p5"), summary.at("steps").at("p50"));
  EXPECT_LE(summary.at("steps").at("p50"), summary.at("steps").at("p95"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "runs"));
  const json one = run_json({"train", "--quiet", "--seed", "2"}, "train");
  const json range = run_json({"train", "--seeds", "2..2", "--quiet"}, "train_seeds");
  EXPECT_EQ(range.at("updates").at("p50"), one.at("reached").at("update"));
  const ProcessResult unsolved =
      run({"train", "--seeds", "1..3", "--quiet", "--updates", "1", "--until-score", "1e6"});
  EXPECT_THAT(unsolved.out, HasSubstr("0 of 3 seeds reached 1e+06 (0.0 %)"));
  EXPECT_THAT(unsolved.out, HasSubstr("never"));
  EXPECT_THAT(unsolved.out, HasSubstr("not reached by seed 1 2 3\n"));
}

TEST_F(CliTest, EvalReadsRunsCheckpointsAndBareFiles) {
  run({"train", "--quiet", "--out", "r"});
  const json whole = run_json({"eval", "r", "--episodes", "50"}, "eval");
  EXPECT_EQ(whole.at("episodes"), 50);
  EXPECT_LE(whole.at("min"), whole.at("mean"));
  EXPECT_LE(whole.at("mean"), whole.at("max"));
  std::filesystem::copy(folder_ / "r/checkpoints/last/model.safetensors",
                        folder_ / "m.safetensors");
  std::filesystem::copy(folder_ / "r/checkpoints/last", folder_ / "moved");
  for (const char* path : {"r/checkpoints", "r/checkpoints/last", "moved", "m.safetensors"}) {
    json other = run_json({"eval", path, "--episodes", "50"}, "eval");
    for (const char* key : {"mean", "std", "min", "max", "quantiles", "steps"}) {
      EXPECT_EQ(other.at(key), whole.at(key)) << path << " " << key;
    }
  }
  const ProcessResult text = run({"eval", "r", "--mode", "epsilon=1", "--episodes", "200"});
  EXPECT_THAT(text.out, HasSubstr("cartpole: 200 episodes, epsilon=1\n"));
  EXPECT_THAT(text.out, HasSubstr("█"));
  // random actions keep the pole up for some twenty steps, whatever the policy
  const json random = run_json({"eval", "r", "--mode", "epsilon=1"}, "eval");
  EXPECT_GT(random.at("mean"), 18);
  EXPECT_LT(random.at("mean"), 27);
}

TEST_F(CliTest, RolloutSavesTrajectories) {
  run({"train", "--quiet", "--updates", "3", "--out", "r"});
  for (const char* policy : {"mlp", "linear", "random", "run:r"}) {
    const json result = run_json({"rollout", "cartpole", "--envs", "3", "--steps", "40", "--policy",
                                  policy, "--save", "t.npz"},
                                 "rollout");
    EXPECT_EQ(result.at("steps"), 120) << policy;
    EXPECT_EQ(result.at("saved"), "t.npz");
    const std::string archive = test::slurp(folder_ / "t.npz");
    for (const char* name : {"obs.npy", "action.npy", "reward.npy", "terminated.npy"}) {
      EXPECT_NE(archive.find(name), std::string::npos) << policy << " " << name;
    }
    EXPECT_EQ(archive.find("logits.npy") == std::string::npos, std::string(policy) == "random");
    EXPECT_NE(archive.find("(41, 3, 4)"), std::string::npos);
    EXPECT_NE(archive.find("final_obs.npy"), std::string::npos);
  }
}

TEST_F(CliTest, RolloutChoosesActionsAsEvalDoes) {
  run({"train", "--quiet", "--out", "r"});  // solved: greedily 500 steps, at random some twenty
  const auto score = [&](const char* mode) {
    const json result =
        run_json({"rollout", "--policy", "run:r", "--envs", "50", "--mode", mode}, "rollout");
    EXPECT_EQ(result.at("mode"), mode);
    return result.at("mean_score").get<double>();
  };
  EXPECT_GT(score("greedy"), 490);
  EXPECT_GT(score("epsilon=0"), 490);
  EXPECT_LT(score("epsilon=1"), 30);
}

/// The bytes of a little-endian .npy file.
std::string npy(const std::string& type, const std::string& shape, const std::string& data) {
  std::string header =
      "{'descr': '" + type + "', 'fortran_order': False, 'shape': (" + shape + "), }";
  header.resize(118 - 1, ' ');
  header += '\n';
  return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(header.size()) + '\0' + header +
         data;
}

TEST_F(CliTest, ReplayKeepsTheRankOfTheActions) {
  test::spill(folder_ / "one.npy", npy("|u1", "20,", std::string(20, '\1')));
  test::spill(folder_ / "two.npy", npy("|u1", "20, 2", std::string(40, '\1')));
  test::spill(folder_ / "start.npy", npy("<f8", "4,", std::string(32, '\0')));
  const json one = run_json({"replay", "cartpole", "--actions", "one.npy", "--initial", "start.npy",
                             "--dtype", "float64", "--save", "one.npz"},
                            "replay");
  EXPECT_EQ(one.at("steps"), 20);
  EXPECT_GT(one.at("terminated"), 0);  // pushing right all the time
  const std::string first = test::slurp(folder_ / "one.npz");
  EXPECT_NE(first.find("(21, 4)"), std::string::npos);
  EXPECT_NE(first.find("(20,)"), std::string::npos);
  EXPECT_NE(first.find("<f8"), std::string::npos);
  run({"replay", "--actions", "two.npy", "--save", "two.npz"});
  const std::string second = test::slurp(folder_ / "two.npz");
  EXPECT_NE(second.find("(21, 2, 4)"), std::string::npos);
  EXPECT_NE(second.find("(20, 2)"), std::string::npos);
  EXPECT_EQ(second.find("<f8"), std::string::npos);
}

TEST_F(CliTest, ReplayNamesWhatIsWrongWithItsArrays) {
  test::spill(folder_ / "a.npy", npy("|u1", "20, 2", std::string(40, '\1')));
  test::spill(folder_ / "big.npy", npy("|u1", "20,", std::string(20, '\2')));
  test::spill(folder_ / "s.npy", npy("<f8", "4,", std::string(32, '\0')));
  const auto error = [&](const char* actions, const char* initial) {
    const ProcessResult result =
        Process(LS_TEST_PROGRAM,
                {"replay", "--actions", actions, "--initial", initial, "--save", "o.npz"},
                folder_.path())
            .wait();
    EXPECT_EQ(result.code, 4);
    return result.err;
  };
  EXPECT_EQ(error("a.npy", "s.npy"), "lockstep: error: s.npy: shape [4] is not [2, 4]\n");
  EXPECT_EQ(error("s.npy", "s.npy").find("lockstep: error: s.npy"), 0u);
  EXPECT_EQ(error("big.npy", "s.npy").find("lockstep: error: big.npy"), 0u);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "o.npz"));
}

TEST_F(CliTest, PlotDrawsARun) {
  run({"train", "--quiet", "--out", "r"});
  const ProcessResult text = run({"plot", "r", "--svg", "c.svg"});
  EXPECT_THAT(text.out, HasSubstr("mean score of the last 25 episodes"));
  EXPECT_THAT(test::slurp(folder_ / "c.svg"), HasSubstr("</svg>"));
  const json curve = run_json({"plot", "r"}, "plot");
  EXPECT_EQ(curve.at("steps").size(), curve.at("mean_score").size());
  EXPECT_GE(curve.at("mean_score").back(), 475);
}

TEST_F(CliTest, ListAndInfoTellWhatThereIs) {
  const json list = run_json({"list"}, "list");
  EXPECT_EQ(list.at("environments")[0].at("name"), "cartpole");
  EXPECT_EQ(list.at("recipes").size(), 14u);
  EXPECT_EQ(list.at("optimizers").size(), 3u);
  const json adam = list.at("optimizers")[0], mlp = list.at("policies")[0];
  EXPECT_EQ(adam.at("defaults").at("lr"), "0.03");
  EXPECT_EQ(adam.at("defaults_of").at("pong").at("lr"), "0.01");
  EXPECT_EQ(mlp.at("defaults_of").at("cartpole").at("hidden"), "128");
  EXPECT_EQ(mlp.at("defaults_of").at("pong").at("hidden"), "200");
  EXPECT_FALSE(list.at("policies")[1].at("defaults_of").contains("pong"));  // no linear policy
  EXPECT_THAT(run({"list"}).out, HasSubstr("adam          lr=0.03 beta1=0.9"));
  EXPECT_THAT(run({"list"}).out, ContainsRegex("\n    pong      +lr=0.01 beta1=0.9"));
  const json info = run_json({"info"}, "info");
  EXPECT_THAT(info.at("fingerprint").get<std::string>(), ContainsRegex("^[0-9a-f]{16}$"));
  EXPECT_EQ(info.at("fingerprint_matches"), true);
  EXPECT_THAT(run({"info"}).out, HasSubstr(" (matches: a correct build)\n"));
  for (const char* isa : {"scalar", "avx2"}) {
    const ProcessResult result = Process(LS_TEST_PROGRAM, {"info", "--json"}, folder_.path(),
                                         {.environment = {std::string("LS_ISA=") + isa}})
                                     .wait();
    if (result.code == 3) continue;  // a CPU without it
    EXPECT_EQ(json::parse(result.out).at("fingerprint"), info.at("fingerprint")) << isa;
  }
}

TEST_F(CliTest, CompletionKnowsCommandsOptionsAndChoices) {
  const std::string bash = run({"completion", "bash"}).out;
  EXPECT_THAT(bash, HasSubstr("compgen -W 'train eval rollout"));
  EXPECT_THAT(bash, HasSubstr("train:--optimizer) COMPREPLY=($(compgen -W 'adam sgd rmsprop'"));
  EXPECT_THAT(run({"completion", "zsh"}).out, HasSubstr("'--optimizer=["));
  EXPECT_THAT(run({"completion", "fish"}).out, HasSubstr("-l optimizer -d "));
}

}  // namespace commands_test
}  // namespace lockstep
