// Tests for the promise of a training run, held by the real program: killed or told to stop at any
// moment, it goes on to the bits of the run that nobody disturbed.
#include <gmock/gmock.h>

#include <chrono>
#include <cstdio>
#include <random>

#include "host/cpu/isa.h"
#include "tests/crash/runs.h"
#include "tests/support/training.h"

namespace lockstep {
namespace kill_test {

namespace fs = std::filesystem;
using test::Process;
using test::ProcessResult;
using test::Saved;
using Clock = std::chrono::steady_clock;

constexpr std::int64_t kUpdates = 40;

class Disturbed : public testing::Test {
 protected:
  Disturbed() {
    const auto start = Clock::now();
    const ProcessResult result =
        Process(LS_TEST_PROGRAM, test::train_words(whole(), kUpdates), scratch.path()).wait();
    EXPECT_EQ(result.code, 0) << result.err;
    length = Clock::now() - start;
    want = test::newest_of(whole());
    metrics = test::metrics_without_times(whole());
    EXPECT_EQ(want.update, kUpdates);
  }

  fs::path whole() const { return scratch / "whole"; }
  fs::path run() const { return scratch / "run"; }

  /// Goes on with the run where there is one to go on with, in another way every time.
  std::vector<std::string> words() const {
    const bool resumable = fs::exists(run() / "config.toml");
    std::vector<std::string> words = resumable ? test::resume_words(run(), kUpdates, 1 + turn % 3)
                                               : test::train_words(run(), kUpdates);
    if (!resumable) words.emplace_back("--force");
    return words;
  }

  /// Starts the program, sends `signal` after a random time within the length of a run, and waits.
  ProcessResult disturb(int signal) {
    const auto isas = test::available_isas();
    const char* isa = isa_name(isas[static_cast<std::size_t>(turn) % isas.size()]);
    Process process(LS_TEST_PROGRAM, words(), scratch.path(),
                    {.environment = {std::string("LS_ISA=") + isa}});
    ++turn;
    std::this_thread::sleep_for(length * std::uniform_real_distribution<double>(0, 1)(random));
    process.send(signal);
    const auto sent = Clock::now();
    ProcessResult result = process.wait();
    slowest = std::max(slowest, std::chrono::duration<double>(Clock::now() - sent).count());
    return result;
  }

  /// What holds whenever the program is gone.
  void expect_nothing_lost() {
    const Saved now = test::newest_of(run());
    EXPECT_GE(now.update, saved) << "a saved checkpoint is gone";
    EXPECT_TRUE(test::last_is_whole(run()));
    saved = now.update;
  }

  void expect_the_undisturbed_end() {
    EXPECT_EQ(test::newest_of(run()), want);
    EXPECT_EQ(test::metrics_without_times(run()), metrics);
    EXPECT_THAT(test::litter_of(run()), testing::IsEmpty());
    EXPECT_EQ(fs::read_symlink(run() / "checkpoints/last"), "00000040");
    fs::remove_all(run());
    saved = -1;
    ++ends;
  }

  test::ScratchFolder scratch{test::memory_folder()};
  std::chrono::duration<double> length{};
  Saved want;
  std::string metrics;
  std::mt19937 random{20260101};
  std::int64_t saved = -1;
  int turn = 0, ends = 0;
  double slowest = 0;  // seconds from the signal to the end
};

TEST_F(Disturbed, TwoHundredKillsChangeNothing) {
  int kills = 0, after_a_checkpoint = 0;
  while (kills < 200 || saved >= 0) {
    // once there were enough, the last run may finish
    const ProcessResult result =
        kills < 200 ? disturb(SIGKILL) : Process(LS_TEST_PROGRAM, words(), scratch.path()).wait();
    ASSERT_TRUE(result.code == 0 || result.code == 128 + SIGKILL) << result.code << result.err;
    expect_nothing_lost();
    kills += result.code != 0;
    after_a_checkpoint += result.code != 0 && saved > 0;
    if (result.code == 0) expect_the_undisturbed_end();
    if (HasFailure()) break;
  }
  std::printf("%d kills, %d of them after a checkpoint; %d runs reached their end\n", kills,
              after_a_checkpoint, ends);
  EXPECT_GE(after_a_checkpoint, 80);
  EXPECT_GE(ends, 3);
}

TEST_F(Disturbed, SignalsEndARunInGoodOrder) {
  int stops = 0, saves = 0;
  while (stops < 50 || saved >= 0) {
    const int signal = stops % 2 == 0 ? SIGTERM : SIGINT;
    const std::int64_t before = saved;
    const ProcessResult result =
        stops < 50 ? disturb(signal) : Process(LS_TEST_PROGRAM, words(), scratch.path()).wait();
    ASSERT_TRUE(result.code == 0 || result.code == 128 + signal) << result.code << result.err;
    expect_nothing_lost();
    stops += result.code != 0;
    // before the handlers are there a signal ends the program without a word
    const bool told = result.err.find("interrupted") != std::string::npos ||
                      result.out.find("--resume") != std::string::npos;
    if (result.code != 0 && told) {
      EXPECT_GE(saved, std::max<std::int64_t>(before, 0));
      ++saves;
    }
    if (result.code == 0) expect_the_undisturbed_end();
    if (HasFailure()) break;
  }
  std::printf("%d signals, %d answered by a checkpoint, the slowest in %.3f s; %d runs ended\n",
              stops, saves, slowest, ends);
  EXPECT_GE(saves, 10);
  EXPECT_LT(slowest, 5);
}

}  // namespace kill_test
}  // namespace lockstep
