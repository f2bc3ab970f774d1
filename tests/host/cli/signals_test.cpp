// Tests for host/cli/signals.h: a signal ends training in good order, a second INT or TERM at once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/process.h"

namespace lockstep {
namespace signals_test {

using test::Process;
using test::ProcessResult;
using ::testing::HasSubstr;

const std::vector<std::string> kEndless = {"train", "cartpole", "--until-score",
                                           "1e9",   "--out",    "r"};

/// True once the program has said what it trains; its handlers are installed by then.
bool has_started(Process& process) {
  return process.wait_until([&] { return process.err().find('\n') != std::string::npos; });
}

std::string status_of(const test::ScratchFolder& folder) {
  return nlohmann::json::parse(test::slurp(folder / "r/run.json")).at("status");
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
  EXPECT_EQ(status_of(folder_), "interrupted");
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

INSTANTIATE_TEST_SUITE_P(All, SignalTest,
                         ::testing::Values(SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGXCPU,
                                           SIGPIPE),
                         [](const auto& test) { return sigabbrev_np(test.param); });

TEST(ReaderGoneTest, EndsTrainingInGoodOrder) {
  const test::ScratchFolder folder;
  ASSERT_EQ(::mkfifo((folder / "fifo").c_str(), 0600), 0);
  const int reader = ::open((folder / "fifo").c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
  std::vector<std::string> classic = kEndless;
  classic.insert(classic.end(), {"--recipe", "classic"});
  Process process(LS_TEST_PROGRAM, classic, folder.path(), {.output = folder / "fifo"});
  char line[256];
  ASSERT_TRUE(process.wait_until([&] { return ::read(reader, line, sizeof line) > 0; }));
  ::close(reader);
  EXPECT_EQ(process.wait().code, 128 + SIGPIPE);
  EXPECT_FALSE(folder.names("r/checkpoints").empty());
  EXPECT_EQ(status_of(folder), "interrupted");
}

TEST(IgnoredSignalTest, StaysIgnored) {
  const test::ScratchFolder folder;
  Process process(LS_TEST_PROGRAM, kEndless, folder.path(), {.ignored = {SIGHUP, SIGINT}});
  ASSERT_TRUE(has_started(process));
  process.send(SIGHUP);
  process.send(SIGINT);
  process.send(SIGTERM);
  EXPECT_EQ(process.wait().code, 128 + SIGTERM);
}

TEST(SecondSignalTest, IsNoHurryUnlessSomebodyAsks) {
  const test::ScratchFolder folder;
  Process process(LS_TEST_PROGRAM, kEndless, folder.path());
  ASSERT_TRUE(has_started(process));
  process.send(SIGTERM);
  for (const int repeated : {SIGHUP, SIGXCPU, SIGPIPE}) process.send(repeated);
  const ProcessResult result = process.wait();
  EXPECT_THAT(result.out, HasSubstr("--resume r"));
  EXPECT_EQ(status_of(folder), "interrupted");
}

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

}  // namespace signals_test
}  // namespace lockstep
