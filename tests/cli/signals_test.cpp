// Tests for host/cli/signals.h: a signal ends training in good order, a second one at once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/process.h"

namespace lockstep {
namespace {

using test::Process;
using test::ProcessResult;
using ::testing::HasSubstr;

const std::vector<std::string> kEndless = {"train", "cartpole", "--until-score",
                                           "1e9",   "--out",    "r"};

/// True once the program has said what it trains; its handlers are installed by then.
bool has_started(Process& process) {
  return process.wait_until([&] { return process.err().find('\n') != std::string::npos; });
}

class SignalTest : public ::testing::TestWithParam<int> {
 protected:
  test::ScratchFolder folder_;
};

TEST_P(SignalTest, FirstOneSavesACheckpointAndExitsWith128PlusItsNumber) {
  Process process(LS_TEST_PROGRAM, kEndless, folder_.path());
  ASSERT_TRUE(has_started(process));
  process.send(GetParam());
  const ProcessResult result = process.wait();
  EXPECT_EQ(result.code, 128 + GetParam()) << result.err;
  EXPECT_THAT(result.out, HasSubstr("--resume r"));
  EXPECT_FALSE(folder_.names("r/checkpoints").empty());
  const ProcessResult resumed =
      Process(LS_TEST_PROGRAM, {"train", "--resume", "r", "--quiet", "--updates", "1"},
              folder_.path())
          .wait();
  EXPECT_EQ(resumed.code, 0) << resumed.err;
}

TEST_P(SignalTest, SeedsEndWithTheSummarySoFar) {
  Process process(LS_TEST_PROGRAM, {"train", "cartpole", "--seeds", "1..100000000"},
                  folder_.path());
  ASSERT_TRUE(has_started(process));
  process.send(GetParam());
  const ProcessResult result = process.wait();
  EXPECT_EQ(result.code, 128 + GetParam());
  EXPECT_THAT(result.err, HasSubstr("interrupted after "));
}

INSTANTIATE_TEST_SUITE_P(Both, SignalTest, ::testing::Values(SIGINT, SIGTERM),
                         [](const auto& test) { return test.param == SIGINT ? "Int" : "Term"; });

TEST(SecondSignalTest, EndsAtOnce) {
  const test::ScratchFolder folder;
  // one update of this takes far longer than the two signals
  std::vector<std::string> slow = kEndless;
  slow.insert(slow.end(), {"--hidden", "65536", "--envs", "4096"});
  Process process(LS_TEST_PROGRAM, slow, folder.path());
  ASSERT_TRUE(has_started(process));
  ASSERT_TRUE(
      process.wait_until([&] { return std::filesystem::exists(folder / "r/metrics.jsonl"); }));
  process.send(SIGTERM);
  process.send(SIGINT);
  const ProcessResult result = process.wait();
  EXPECT_TRUE(result.code == 130 || result.code == 143);
  EXPECT_THAT(result.out, ::testing::IsEmpty()) << "it printed a result, so it did not end at once";
}

}  // namespace
}  // namespace lockstep
