// Tests for the checkpoint contract, held by the real program: strace makes each system call that
// touches a run fail or kills the program at it. Whatever happens, what was saved stays, the exit
// code is true, and the run goes on to the bits of the undisturbed one. Faults inside the library
// without strace: tests/host/files/checkpoint_fault_test.cpp.
#include <gmock/gmock.h>

#include <cstdio>
#include <functional>
#include <map>

#include "tests/crash/runs.h"

namespace lockstep {
namespace syscall_fault_test {

namespace fs = std::filesystem;
using test::Process;
using test::ProcessResult;
using test::Saved;
using Words = std::vector<std::string>;

constexpr int kIoExit = 6, kKilled = 128 + SIGKILL;
constexpr std::int64_t kSaved = 3, kEnd = 6;  // updates

/// Words that bring the run to an update: from nothing, or from what is there.
struct Subject {
  fs::path program;
  std::function<Words(const fs::path&run, std::int64_t updates)> start, go_on;
};

const Subject kProgram{
    LS_TEST_PROGRAM,
    [](const fs::path& run, std::int64_t updates) { return test::train_words(run, updates); },
    [](const fs::path& run, std::int64_t updates) { return test::resume_words(run, updates); }};

Subject bad_writer(const std::string& mode) {
  const auto words = [mode](const fs::path& run, std::int64_t updates) {
    return Words{mode, run.string(), std::to_string(updates)};
  };
  return {LS_BAD_WRITER, words, words};
}

/// The n-th call (from 1) of a name, and what is to happen at it.
struct Fault {
  std::string call;
  int number;
  std::string what;  // strace's words
  std::string line;  // of the trace, for the log
};

const fs::path kStrace = "/usr/bin/strace";

bool can_trace(const fs::path& folder) {
  return fs::exists(kStrace) && Process(kStrace, {"-o", "trace", "true"}, folder).wait().code == 0;
}

/// Whether a call writes: those that only read cannot lose anything.
bool writes(const std::string& call, const std::string& line) {
  static const std::set<std::string> names = {
      "write",    "pwrite64",  "fsync",   "fdatasync", "ftruncate", "mkdir",    "mkdirat", "rename",
      "renameat", "renameat2", "symlink", "symlinkat", "unlink",    "unlinkat", "rmdir",   "flock"};
  return names.count(call) > 0 || (call == "openat" && line.find("O_CREAT") != std::string::npos);
}

/// Calls of a traced run that touch `run`. All calls are counted, for strace counts them all.
std::vector<Fault> fault_points(const fs::path& trace, const fs::path& run, int reads_stride) {
  std::istringstream lines(test::slurp(trace));
  std::map<std::string, int> numbers;
  std::vector<Fault> points;
  int reads = 0;
  for (std::string line; std::getline(lines, line);) {
    std::string text = line.substr(line.find_first_not_of("0123456789 "));  // "[pid] call(..."
    const std::string call = text.substr(0, text.find('('));
    const int number = ++numbers[call];
    if (text.find(run.string()) == std::string::npos || call == "execve") continue;
    if (writes(call, text)) {
      for (const char* what : {"signal=KILL", "error=ENOSPC", "error=EIO"}) {
        points.push_back({call, number, what, text});
      }
    } else if (call == "close") {
      points.push_back({call, number, "error=EIO", text});
    } else if ((call == "openat" || call == "pread64" || call == "read" || call == "getdents64") &&
               reads++ % reads_stride == 0) {
      points.push_back({call, number, "error=EIO", text});
    }
  }
  return points;
}

struct Tally {
  int faults = 0, kills = 0, killed = 0, reported = 0, survived = 0, violations = 0;
  std::string first;  // violation
};

class Faults : public testing::Test {
 protected:
  void SetUp() override {
#if defined(__SANITIZE_ADDRESS__)
    GTEST_SKIP() << "the sanitizer's leak check does not work under strace";
#endif
    if (!can_trace(scratch.path())) GTEST_SKIP() << "strace is not there or may not trace";
  }

  fs::path run() const { return scratch / "run"; }
  ProcessResult plainly(const Subject& subject, const Words& words) {
    return Process(subject.program, words, scratch.path()).wait();
  }
  ProcessResult traced(const Subject& subject, const Words& words, Words options) {
    options.insert(options.end(), {"-f", "-y", "-o", (scratch / "trace").string()});
    options.push_back(subject.program.string());
    options.insert(options.end(), words.begin(), words.end());
    return Process(kStrace, options, scratch.path()).wait();
  }
  ProcessResult with_fault(const Subject& subject, const Words& words, const Fault& fault) {
    return traced(subject, words,
                  {"-e", "inject=" + fault.call + ":" + fault.what +
                             ":when=" + std::to_string(fault.number)});
  }
  void put_run(const std::string& from) {
    fs::remove_all(run());
    fs::copy(scratch / from, run(), fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  }

  /// Why the folder or the exit code breaks the contract; empty if they keep it.
  std::string verdict(int code, const Saved& want, std::int64_t acknowledged) {
    const Saved now = test::newest_of(run());
    if (code != 0 && code != kIoExit && code != kKilled) return "exit " + std::to_string(code);
    if (now.update < acknowledged) return "left update " + std::to_string(now.update);
    if (!test::last_is_whole(run())) return "last leads nowhere";
    if (code == 0 && !(now == want)) return "exit 0 without the last update";
    return "";
  }

  /// Every fault in a run that goes on from an acknowledged checkpoint.
  Tally inject(const Subject& subject, int reads_stride = 9) {
    EXPECT_EQ(plainly(subject, subject.start(run(), kSaved)).code, 0);
    fs::rename(run(), scratch / "base");
    put_run("base");
    EXPECT_EQ(traced(subject, subject.go_on(run(), kEnd), {}).code, 0);
    const Saved want = test::newest_of(run());
    EXPECT_EQ(want.update, kEnd);
    Tally tally;
    for (const Fault& fault : fault_points(scratch / "trace", run(), reads_stride)) {
      put_run("base");
      const int code = with_fault(subject, subject.go_on(run(), kEnd), fault).code;
      std::string bad = verdict(code, want, kSaved);
      if (bad.empty()) {
        const ProcessResult again = plainly(subject, subject.go_on(run(), kEnd));
        if (again.code != 0) bad = "cannot go on: " + again.err;
        if (!(test::newest_of(run()) == want)) bad = "another end";
      }
      ++tally.faults;
      tally.kills += fault.what == "signal=KILL";
      ++(code == kKilled ? tally.killed : code == 0 ? tally.survived : tally.reported);
      if (bad.empty()) continue;
      ++tally.violations;
      if (tally.violations <= 5)
        tally.first += bad + " after " + fault.what + " at " + fault.line + "\n";
    }
    fs::remove_all(scratch / "base");
    std::printf("%d faults: %d killed, %d reported, %d survived; %d violations\n", tally.faults,
                tally.killed, tally.reported, tally.survived, tally.violations);
    return tally;
  }

  test::ScratchFolder scratch{test::memory_folder()};
};

TEST_F(Faults, NoneLosesWhatWasSavedOrLies) {
  const Tally tally = inject(kProgram);
  EXPECT_EQ(tally.violations, 0) << tally.first;
  EXPECT_GE(tally.faults, 200);
  EXPECT_GE(tally.killed, 50);
  EXPECT_EQ(tally.killed, tally.kills) << "a fault missed its call";
  EXPECT_GE(tally.reported, 50);
}

TEST_F(Faults, AStartThatWasKilledOrFailedCanBeRepeated) {
  Words words = test::train_words(run(), 2);
  words.emplace_back("--force");
  ASSERT_EQ(traced(kProgram, words, {}).code, 0);
  const Saved want = test::newest_of(run());
  int faults = 0;
  for (const Fault& fault : fault_points(scratch / "trace", run(), 1000)) {
    fs::remove_all(run());
    const ProcessResult result = with_fault(kProgram, words, fault);
    EXPECT_EQ(verdict(result.code, want, -1), "") << fault.what << " at " << fault.line;
    const ProcessResult again = plainly(kProgram, words);
    EXPECT_EQ(again.code, 0) << fault.what << " at " << fault.line << ": " << again.err;
    EXPECT_EQ(test::newest_of(run()), want) << fault.what << " at " << fault.line;
    ++faults;
  }
  EXPECT_GE(faults, 50);
}

// --- programs that must be found out ---

TEST_F(Faults, AWriterInPlaceIsFoundOut) {
  EXPECT_GE(inject(bad_writer("in-place")).violations, 5);
}

TEST_F(Faults, AWriterThatHearsNoErrorIsFoundOut) {
  EXPECT_GE(inject(bad_writer("deaf")).violations, 5);
}

}  // namespace syscall_fault_test
}  // namespace lockstep
