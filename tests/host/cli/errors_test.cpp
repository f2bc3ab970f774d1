// Tests for host/cli/program.h: every failure is one line on stderr and its own exit code.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/process.h"

namespace lockstep {
namespace errors_test {

using test::Process;
using test::ProcessOptions;
using test::ProcessResult;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;
using ::testing::StartsWith;
using Words = std::vector<std::string>;

class CliErrorTest : public ::testing::Test {
 protected:
  ProcessResult run(const Words& arguments, const ProcessOptions& options = {}) const {
    return Process(LS_TEST_PROGRAM, arguments, folder_.path(), options).wait();
  }
  /// "<exit code> <stderr without its prefix>", for a failure that prints nothing else.
  std::string error(const Words& arguments, const ProcessOptions& options = {}) const {
    const ProcessResult result = run(arguments, options);
    EXPECT_THAT(result.out, IsEmpty());
    const std::string prefix = "lockstep: error: ";
    EXPECT_TRUE(result.err.starts_with(prefix) && result.err.find('\n') == result.err.size() - 1)
        << "not one error line: " << result.err;
    if (result.err.size() <= prefix.size()) return std::to_string(result.code);
    return std::to_string(result.code) + " " +
           result.err.substr(prefix.size(), result.err.size() - prefix.size() - 1);
  }

  test::ScratchFolder folder_;
};

TEST_F(CliErrorTest, UsageErrorsExitWith2) {
  EXPECT_EQ(error({}), "2 no command; see lockstep --help");
  EXPECT_EQ(error({"trian"}), "2 unknown command 'trian'; the nearest is 'train'");
  EXPECT_EQ(error({"train", "--epocs", "3"}),
            "2 unknown option '--epocs'; the nearest is '--epochs'");
  EXPECT_THAT(error({"--quiet", "train"}),
              StartsWith("2 option '--quiet' stands behind its command: train and eval"));
  EXPECT_EQ(error({"--quite", "train"}), "2 unknown option '--quite'");
  EXPECT_EQ(error({"train", "--learning-rate", "1"}),
            "2 unknown option '--learning-rate'; the nearest is '--lr'");
  EXPECT_EQ(error({"train", "--env", "pong"}), "2 option '--env': env is given without dashes");
  EXPECT_EQ(error({"train", "--wibble"}), "2 unknown option '--wibble'");
  EXPECT_EQ(error({"wibble"}), "2 unknown command 'wibble'");
  EXPECT_EQ(error({"help", "evaluate"}), "2 unknown command 'evaluate'; the nearest is 'eval'");
  EXPECT_EQ(error({"train", "--device", "CUDA"}),
            "2 --device: 'CUDA' is not one of auto, cpu, cuda, cuda:N; the nearest is 'cuda'");
  EXPECT_EQ(error({"train", "cartpol"}),
            "2 env: 'cartpol' is not one of cartpole, pong; the nearest is 'cartpole'");
  EXPECT_EQ(error({"train", "cartpole", "pong"}), "2 unexpected argument 'pong'");
  EXPECT_EQ(error({"train", "--lr"}), "2 --lr: no value given");
  EXPECT_EQ(error({"train", "--lr="}), "2 --lr: no value after '='");
  EXPECT_EQ(error({"train", "--lr", "nan"}), "2 --lr: nan is not in (0, inf)");
  EXPECT_EQ(error({"train", "--lr", "-1"}), "2 --lr: -1 is not in (0, inf)");
  EXPECT_EQ(error({"train", "--envs", "0"}), "2 --envs: 0 is not in [1, 16777216]");
  EXPECT_EQ(error({"train", "--envs=two"}), "2 --envs: 'two' is not an integer in [1, 16777216]");
  EXPECT_EQ(error({"train", "--json=maybe"}), "2 --json: 'maybe' is not one of true, false");
  EXPECT_EQ(error({"train", "--init", "zeros"}),
            "2 --init: zeros with --policy mlp makes the gradient 0; use xavier_uniform or "
            "kaiming_uniform");
  EXPECT_EQ(error({"train", "--lr", "line\nbreak"}),
            "2 --lr: 'line?break' is not a number in (0, inf)");
  EXPECT_EQ(error({"eval"}), "2 missing argument path");
  EXPECT_EQ(error({"eval", "x", "--mode", "epsilon=2"}), "2 --mode: 2 is not in [0, 1]");
  EXPECT_EQ(error({"eval", "x", "--mode", "gredy"}),
            "2 --mode: 'gredy' is not one of greedy, sample, epsilon; the nearest is 'greedy'");
  EXPECT_EQ(error({"rollout", "--policy", "run:"}),
            "2 --policy: run: needs a path, such as run:runs/cartpole-1");
  EXPECT_EQ(error({"replay"}), "2 --actions: a .npy file is required");
  EXPECT_EQ(error({"completion", "ksh"}),
            "2 shell: 'ksh' is not one of bash, zsh, fish; the nearest is 'zsh'");
}

TEST_F(CliErrorTest, VariablesAreNamedInErrors) {
  EXPECT_EQ(error({"train"}, {.environment = {"LS_LR=nan"}}), "2 LS_LR: nan is not in (0, inf)");
  EXPECT_EQ(error({"train"}, {.environment = {"LS_EPISODS=3"}}),
            "2 unknown variable 'LS_EPISODS'; the nearest is 'LS_EPISODES'");
  EXPECT_EQ(error({"rollout"}, {.environment = {"LS_THREADS=-1"}}),
            "2 LS_THREADS: -1 is not in [0, 4096]");
}

TEST_F(CliErrorTest, AnUnavailableDeviceExitsWith3) {
  EXPECT_THAT(error({"train", "--quiet", "--device", "cuda"}), HasSubstr("3 --device cuda: "));
}

TEST_F(CliErrorTest, BadFilesExitWith4) {
  test::spill(folder_ / "typo.toml", "seed = 1\nlog_every = 2\n");
  test::spill(folder_ / "type.toml", "envs = \"many\"\n");
  test::spill(folder_ / "syntax.toml", "envs = \n");
  test::spill(folder_ / "cut.safetensors", std::string("\x40\0\0\0\0\0\0\0{\"", 10));
  test::spill(folder_ / "cut.npy", "\x93NUMPY");
  EXPECT_EQ(error({"train", "--config", "typo.toml"}),
            "4 typo.toml:2: unknown key 'log_every'; the nearest is 'log-every'");
  EXPECT_EQ(error({"train", "--config", "type.toml"}),
            "4 type.toml:1: envs: a string is not in [1, 16777216]");
  EXPECT_THAT(error({"train", "--config", "syntax.toml"}), HasSubstr("4 syntax.toml:1: "));
  EXPECT_THAT(error({"train", "--config", "missing.toml"}),
              HasSubstr("4 cannot open missing.toml"));
  EXPECT_THAT(error({"train", "--resume", "missing"}),
              HasSubstr("4 cannot open missing/config.toml"));
  EXPECT_THAT(error({"train", "--quiet", "--init-from", "cut.safetensors"}),
              HasSubstr("4 cut.safetensors: "));
  EXPECT_THAT(error({"eval", "cut.safetensors"}), HasSubstr("4 cut.safetensors: "));
  EXPECT_THAT(error({"eval", "."}), HasSubstr("4 "));
  EXPECT_THAT(error({"plot", "missing"}), HasSubstr("4 cannot open missing/config.toml"));
  EXPECT_THAT(error({"replay", "--actions", "cut.npy", "--save", "o.npz"}), HasSubstr("4 cut.npy"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "o.npz"));
}

TEST_F(CliErrorTest, AnotherShapeOfWeightsExitsWith4) {
  ASSERT_EQ(run({"train", "--quiet", "--updates", "1", "--out", "r"}).code, 0);
  EXPECT_EQ(error({"train", "--quiet", "--hidden", "64", "--init-from", "r", "--out", "s"}),
            "4 r: tensor 'layer1.weight' has shape [128, 4], expected [64, 4]");
}

TEST_F(CliErrorTest, AnExistingRunIsKept) {
  ASSERT_EQ(run({"train", "--quiet", "--updates", "1", "--out", "r"}).code, 0);
  const std::string before = test::slurp(folder_ / "r/metrics.jsonl");
  EXPECT_EQ(error({"train", "--quiet", "--updates", "2", "--out", "r"}),
            "2 --out: r already holds a run; choose another folder or replace it with --force");
  EXPECT_EQ(test::slurp(folder_ / "r/metrics.jsonl"), before);
  EXPECT_EQ(run({"train", "--quiet", "--updates", "2", "--out", "r", "--force"}).code, 0);
}

TEST_F(CliErrorTest, OutputThatCannotBeWrittenExitsWith6) {
  EXPECT_THAT(error({"train", "--quiet", "--updates", "1", "--out", "/dev/null/run"}),
              MatchesRegex("6 cannot create /dev/null.*: Not a directory"));
  EXPECT_THAT(error({"rollout", "--envs", "1", "--save", "/nonexistent/x.npz"}),
              MatchesRegex("6 cannot create /nonexistent/x.npz.*: No such file or directory"));
  EXPECT_EQ(error({"list"}, {.output = "/dev/full"}),
            "6 cannot write to standard output: No space left on device");
}

TEST_F(CliErrorTest, AFullDiskExitsWith6AndLeavesNoHalfCheckpoint) {
  const ProcessResult full =
      run({"train", "--quiet", "--updates", "3", "--out", "r"}, {.max_file_size = 2048});
  EXPECT_EQ(full.code, 6);
  EXPECT_THAT(full.err, HasSubstr("lockstep: error: cannot write to"));
  const std::filesystem::path checkpoints = folder_ / "r/checkpoints";
  if (std::filesystem::exists(checkpoints)) {
    EXPECT_THAT(folder_.names("r/checkpoints"), IsEmpty());
  }
  const auto record = nlohmann::json::parse(test::slurp(folder_ / "r/run.json"));
  EXPECT_EQ(record.at("status"), "failed");
  EXPECT_THAT(record.at("error").get<std::string>(), testing::HasSubstr("File too large"));
}

TEST_F(CliErrorTest, DivergenceExitsWith7AndKeepsTheLastGoodCheckpoint) {
  EXPECT_EQ(error({"train", "--quiet", "--lr", "1e38", "--out", "r"}),
            "7 a parameter became NaN or infinite; too large: --lr 1e+38");
  EXPECT_EQ(run({"eval", "r", "--quiet", "--episodes", "1"}).code, 0);
}

TEST_F(CliErrorTest, NumbersThatOverflowAreBlamedOnTheOptionThatMadeThem) {
  const auto blamed = [&](const std::string& env, const Words& words, const std::string& option) {
    Words line = {"train",  env, "--quiet", "--updates", "5",
                  "--envs", "2", "--out",   "r",         "--force"};
    line.insert(line.end(), words.begin(), words.end());
    EXPECT_THAT(error(line), AllOf(StartsWith("7 "), HasSubstr("too large: " + option)));
    const std::string recorded = test::slurp(folder_ / "r/run.json");
    EXPECT_THAT(recorded, HasSubstr("too large: " + option));
  };
  for (const std::string env : {"cartpole", "pong"}) {
    blamed(env, {"--lr", "1e30"}, "--lr 1e+30");
    blamed(env, {"--optimizer", "sgd", "--lr", "1e36"}, "--lr 1e+36");
    blamed(env, {"--lr", "1e20", "--weight-decay", "1e30"}, "--lr 1e+20, --weight-decay 1e+30");
  }
  blamed("cartpole", {"--entropy-coef", "3e38"}, "--entropy-coef 3e+38");
}

TEST_F(CliErrorTest, TooLargeARolloutExitsWith9) {
  EXPECT_THAT(error({"rollout", "--envs", "16777216", "--steps", "2147483647", "--save", "x.npz"}),
              HasSubstr("9 out of memory"));
}

TEST_F(CliErrorTest, AMissingBenchmarkProgramExitsWith1) {
  // a copy of the program has no benchmark program beside it
  std::filesystem::copy_file(LS_TEST_PROGRAM, folder_ / "lockstep");
  const ProcessResult result =
      Process(folder_ / "lockstep", {"bench", "--quick"}, folder_.path()).wait();
  EXPECT_EQ(result.code, 1);
  EXPECT_THAT(result.err, MatchesRegex("lockstep: error: .*lockstep_bench is not .*\n"));
}

}  // namespace errors_test
}  // namespace lockstep
