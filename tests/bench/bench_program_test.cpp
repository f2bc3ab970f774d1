// Tests for the arguments and exit codes of the benchmark program (bench/bench_main.cpp), reached
// through `lockstep bench`. Nothing is timed here.
#include <gmock/gmock.h>

#include "tests/support/process.h"

namespace lockstep {
namespace bench_program_test {

using test::Process;
using test::ProcessResult;
using ::testing::HasSubstr;
using ::testing::StartsWith;

class BenchProgramTest : public ::testing::Test {
 protected:
  ProcessResult bench(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "bench");
    return Process(LS_TEST_PROGRAM, std::move(arguments), folder_.path()).wait();
  }
  /// A file with three repetitions of one row.
  void write(const std::string& name, double seconds, const std::string& gpu = "H100") {
    std::ofstream file(folder_ / name);
    file << R"({"context": {"gpu": ")" << gpu << R"("}, "benchmarks": [)";
    for (const double factor : {0.999, 1.0, 1.001}) {
      file << (factor < 1 ? "" : ",")
           << R"({"name": "BM_a", "run_type": "iteration", "real_time": )" << seconds * factor
           << R"(, "cpu_time": )" << seconds * factor << R"(, "time_unit": "s"})";
    }
    file << "]}";
  }
  test::ScratchFolder folder_;
};

TEST_F(BenchProgramTest, ARegressionExitsWith5AndNamesTheRow) {
  write("old.json", 1.0);
  write("new.json", 1.2);
  const ProcessResult result = bench({"--baseline", "old.json", "--candidate", "new.json"});
  EXPECT_EQ(result.code, 5) << result.err;
  EXPECT_THAT(result.out, HasSubstr("SLOW"));
  EXPECT_THAT(result.out, HasSubstr("BM_a"));
}

TEST_F(BenchProgramTest, TheAllowanceIsPassedOn) {
  write("old.json", 1.0);
  write("new.json", 1.2);
  const ProcessResult result =
      bench({"--baseline=old.json", "--candidate", "new.json", "--max-regress", "30%", "--json"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, HasSubstr(R"("schema": "lockstep.bench-comparison/1")"));
  EXPECT_THAT(result.out, HasSubstr(R"("max_regress": 0.3)"));
}

TEST_F(BenchProgramTest, ABaselineOfAnotherDeviceExitsWith4) {
  write("old.json", 1.0, "H100");
  write("new.json", 1.2, "H200");
  const ProcessResult result = bench({"--baseline", "old.json", "--candidate", "new.json"});
  EXPECT_EQ(result.code, 4) << result.err;
  EXPECT_THAT(result.err, HasSubstr("another device: 'H100' before, 'H200' now"));
}

TEST_F(BenchProgramTest, OptionsOfTheLibraryArePassedOn) {
  const ProcessResult result =
      bench({"--smoke", "--benchmark_list_tests", "--benchmark_filter=philox"});
  EXPECT_EQ(result.code, 0) << result.err;
  EXPECT_THAT(result.out, StartsWith("BM_philox/"));
}

TEST_F(BenchProgramTest, PongHasRowsWithWhatTheyAreComparedWith) {
  const ProcessResult result =
      bench({"--smoke", "--benchmark_list_tests", "--benchmark_filter=/pong/"});
  EXPECT_EQ(result.code, 0) << result.err;
  for (const char* row : {"BM_env_random/pong/cpu_scalar_x1/", "BM_env_policy/pong/cpu_",
                          "BM_train_to_18/pong/cpu_", "BM_update_fixed/pong/cpu_",
                          "BM_env_policy/pong/openblas_x1\n", "BM_train_step/pong/openblas_x1\n"}) {
    EXPECT_THAT(result.out, HasSubstr(row));
  }
}

TEST_F(BenchProgramTest, WrongArgumentsExitWith2) {
  const auto error = [this](std::vector<std::string> arguments) {
    const ProcessResult result = bench(std::move(arguments));
    return std::to_string(result.code) + " " + result.err;
  };
  EXPECT_THAT(error({"--qick"}), StartsWith("2 lockstep: error: unknown option '--qick'"));
  EXPECT_THAT(error({"--max-regress", "-1%", "--baseline", "x"}),
              StartsWith("2 lockstep: error: --max-regress"));
  EXPECT_THAT(error({"--max-regress", "5%"}), HasSubstr("needs --baseline"));
  EXPECT_THAT(error({"--save", "-"}), StartsWith("2 lockstep: error: --save: '-' is no file"));
  EXPECT_THAT(error({"--envs", "17"}), HasSubstr("2 lockstep: error: --envs: must be a multiple"));
  EXPECT_THAT(error({"--candidate", "x"}), HasSubstr("needs --baseline"));
}

TEST_F(BenchProgramTest, BadFilesExitWith4MissingOnesWith6) {
  std::ofstream(folder_ / "bad.json") << "{]";
  EXPECT_EQ(bench({"--baseline", "bad.json"}).code, 4);
  EXPECT_EQ(bench({"--baseline", "missing.json"}).code, 6);
  EXPECT_EQ(bench({"--smoke", "--save", "no/such/folder.json"}).code, 6);
}

}  // namespace bench_program_test
}  // namespace lockstep
