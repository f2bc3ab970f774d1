// Tests for host/files/checkpoint.h: a fault at every system call of a save, once and for ever, and
// a second fault while recovering. Every case runs in a child process. Bad writers show that the
// harness finds what it looks for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <functional>
#include <string>
#include <vector>

#include "host/errors.h"
#include "host/files/checkpoint.h"
#include "host/files/durable_file.h"
#include "tests/support/scratch_folder.h"
#include "tests/support/system_calls.h"

namespace lockstep {
namespace checkpoint_fault_test {

namespace fs = std::filesystem;
using test::ScratchFolder;
using ::testing::ElementsAre;

constexpr int kSaved = 0, kReported = 42;  // exit codes of a child: saved, or told of an error
constexpr int kOldUpdate = 1;

// A fork of a sanitized process takes 20 ms: those builds take every fifth fault.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kStride = 5;
#else
constexpr int kStride = 1;
#endif

Checkpoint checkpoint_of(float value) {
  Checkpoint checkpoint;
  checkpoint.model = {{"layer1.weight", {2, 3}, std::vector<float>(6, value)}};
  checkpoint.optimizer = {{"layer1.weight.exp_avg", {2, 3}, std::vector<float>(6, value)}};
  checkpoint.trainer = {{"value", value}};
  return checkpoint;
}

// The value saved in the folder, and only if all of its parts agree; -1 otherwise.
float value_of(const fs::path& folder) {
  try {
    const Checkpoint checkpoint = load_checkpoint(folder);
    const float value = checkpoint.trainer.at("value").get<float>();
    const bool whole = checkpoint.model.at(0).data == std::vector<float>(6, value) &&
                       checkpoint.optimizer.at(0).data == std::vector<float>(6, value);
    return whole ? value : -1;
  } catch (const Error&) {
    return -1;
  }
}

float newest_value(const fs::path& dir) {
  try {
    return value_of(newest_checkpoint(dir));
  } catch (const Error&) {
    return -1;
  }
}

using Save = std::function<void(const fs::path& dir, std::int64_t update, const Checkpoint&)>;

void save_ours(const fs::path& dir, std::int64_t update, const Checkpoint& checkpoint) {
  save_checkpoint(dir, update, checkpoint);
}

// Runs a save in a child with a fault; returns its exit code, or -1 if it was killed. With
// Fault::kNone and a pipe, reports how many calls it made.
int run_child(const Save& save, const fs::path& dir, std::int64_t update, float value,
              const Plan& child_plan, int* call_count = nullptr) {
  int ends[2] = {-1, -1};
  if (call_count != nullptr && ::pipe(ends) != 0) throw std::runtime_error("pipe failed");
  const pid_t pid = ::fork();
  if (pid == 0) {
    int code = kSaved;
    plan = child_plan;
    counting = true;
    try {
      save(dir, update, checkpoint_of(value));
    } catch (const IoError&) {
      code = kReported;
    } catch (...) {
      code = 1;
    }
    counting = false;
    if (call_count != nullptr && ::write(ends[1], &calls, sizeof calls) != sizeof calls) code = 2;
    ::_exit(code);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  if (call_count != nullptr) {
    EXPECT_EQ(::read(ends[0], call_count, sizeof *call_count), sizeof *call_count);
    ::close(ends[0]);
    ::close(ends[1]);
  }
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// Outcomes of the children with a fault, and how many of them broke a promise.
struct Tally {
  int faults = 0, violations = 0, killed = 0, reported = 0, survived = 0;
  std::string first;  // the first violation
};

// One fault in a save of `update` beside an acknowledged checkpoint of update 1, which is replaced
// where `update` is 1.
bool is_violation(const Save& save, const fs::path& dir, std::int64_t update, const Plan& fault,
                  Tally& tally) {
  save_checkpoint(dir, kOldUpdate, checkpoint_of(1));
  const int code = run_child(save, dir, update, 2, fault);
  ++(code == -1 ? tally.killed : code == kReported ? tally.reported : tally.survived);
  const float found = newest_value(dir);
  bool bad = (found != 1 && found != 2) || (code == kSaved && found != 2) ||
             (code != kSaved && code != kReported && code != -1);
  // a retried call is no failure
  bad = bad ||
        (fault.fault == Fault::kError && fault.error == EINTR && !fault.for_ever && code != kSaved);
  bad = bad || (fault.fault == Fault::kShortWrite && code != kSaved);

  // recovery after a second fault, then without one
  const Plan second{.fault = Fault::kKillAfter,
                    .call = (fault.call * 7 + 3) % 20,
                    .no_exchange = fault.no_exchange};
  run_child(save, dir, update, 2, second);
  bad = bad || newest_value(dir) < 1;
  save_checkpoint(dir, 3, checkpoint_of(3));
  bad = bad || newest_value(dir) != 3;
  std::error_code ignored;
  for (const auto& entry : fs::directory_iterator(dir)) {
    const std::string name = entry.path().filename().string();
    bad = bad || name.find("tmp") != std::string::npos;
  }
  fs::remove_all(dir, ignored);
  return bad;
}

Tally inject_everywhere(const Save& save, std::int64_t update, bool no_exchange = false) {
  const ScratchFolder scratch(test::memory_folder());
  const fs::path dir = scratch / "checkpoints";
  save_checkpoint(dir, kOldUpdate, checkpoint_of(1));
  int call_count = 0;
  EXPECT_EQ(run_child(save, dir, update, 2, {.no_exchange = no_exchange}, &call_count), kSaved);
  EXPECT_GT(call_count, 5);
  fs::remove_all(dir);

  std::vector<Plan> faults = {{.fault = Fault::kKillBefore}, {.fault = Fault::kKillAfter}};
  for (const bool for_ever : {false, true}) {
    faults.push_back({.fault = Fault::kShortWrite, .for_ever = for_ever});
    for (const int error : {ENOSPC, EIO, EDQUOT, EROFS, EACCES}) {
      faults.push_back({.fault = Fault::kError, .error = error, .for_ever = for_ever});
    }
  }
  faults.push_back({.fault = Fault::kError, .error = EINTR});
  Tally tally;
  int index = 0;
  for (Plan fault : faults) {
    fault.no_exchange = no_exchange;
    for (fault.call = 0; fault.call < call_count; ++fault.call) {
      if (index++ % kStride != 0) continue;
      ++tally.faults;
      if (!is_violation(save, dir, update, fault, tally)) continue;
      ++tally.violations;
      if (!tally.first.empty()) continue;
      tally.first = "fault " + std::to_string(static_cast<int>(fault.fault)) + ", errno " +
                    std::to_string(fault.error) + ", call " + std::to_string(fault.call) +
                    (fault.for_ever ? " and on" : "");
    }
  }
  return tally;
}

void expect_all_kinds_of_outcome(const Tally& tally) {
  EXPECT_GT(tally.killed, tally.faults / 20);
  EXPECT_GT(tally.reported, tally.faults / 5);
  EXPECT_GT(tally.survived, tally.faults / 20);
}

TEST(SaveCheckpointFaults, NoFaultLosesTheAcknowledgedCheckpoint) {
  const Tally tally = inject_everywhere(save_ours, 2);
  EXPECT_EQ(tally.violations, 0) << tally.first;
  EXPECT_GE(tally.faults * kStride, 300);
  expect_all_kinds_of_outcome(tally);
}

TEST(SaveCheckpointFaults, NoFaultLosesTheReplacedCheckpoint) {
  const Tally tally = inject_everywhere(save_ours, kOldUpdate);
  EXPECT_EQ(tally.violations, 0) << tally.first;
  EXPECT_GE(tally.faults * kStride, 300);
  expect_all_kinds_of_outcome(tally);
}

TEST(SaveCheckpointFaults, NoFaultLosesTheReplacedCheckpointWithoutAtomicExchange) {
  const Tally tally = inject_everywhere(save_ours, kOldUpdate, true);
  EXPECT_EQ(tally.violations, 0) << tally.first;
  EXPECT_GE(tally.faults * kStride, 300);
  expect_all_kinds_of_outcome(tally);
}

// The events of a call, without the folder they are in.
std::vector<std::string> events_of(const fs::path& folder, const std::function<void()>& call) {
  events.clear();
  open_paths.clear();
  recording = true;
  call();
  recording = false;
  std::vector<std::string> result;
  const std::string own = "tmp." + std::to_string(::getpid());
  for (const auto& [name, path] : events) {
    std::string text = name + " " + fs::path(path).lexically_relative(folder).string();
    const std::size_t at = text.find(own);
    result.push_back(at == std::string::npos ? text : text.replace(at, own.size(), "tmp"));
  }
  result.erase(std::unique(result.begin(), result.end()), result.end());
  return result;
}

// No kill shows a missing fsync, only a power loss does: so the order itself is checked.
TEST(SaveCheckpoint, SyncsContentBeforeTheRenameAndTheFolderAfterIt) {
  const ScratchFolder scratch;
  const std::vector<std::string> contents = {"write tmp/model.safetensors",
                                             "fsync tmp/model.safetensors",
                                             "write tmp/optimizer.safetensors",
                                             "fsync tmp/optimizer.safetensors",
                                             "write tmp/trainer.json",
                                             "fsync tmp/trainer.json",
                                             "fsync tmp",
                                             "rename 00000002",
                                             "fsync .",
                                             "rename last"};
  for (int replaced = 0; replaced < 2; ++replaced) {
    EXPECT_EQ(events_of(scratch.path(), [&] { save_ours(scratch.path(), 2, checkpoint_of(1)); }),
              contents);
  }
}

TEST(DurableFile, SyncsContentBeforeTheRenameAndTheFolderAfterIt) {
  const ScratchFolder scratch;
  EXPECT_THAT(events_of(scratch.path(), [&] { write_file_durably(scratch / "out", "text"); }),
              ElementsAre("write out.tmp", "fsync out.tmp", "rename out", "fsync ."));
}

TEST(CreateFolders, SyncsTheParentOfEachNewFolder) {
  const ScratchFolder scratch;
  EXPECT_THAT(events_of(scratch.path(), [&] { create_folders(scratch / "a/b"); }),
              ElementsAre("fsync .", "fsync a"));
}

// --- writers that must be found ---

void write_plainly(const fs::path& path, const std::string& content, bool report) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  const bool written = fd >= 0 && ::write(fd, content.data(), content.size()) ==
                                      static_cast<ssize_t>(content.size());
  const bool closed = fd >= 0 && ::fsync(fd) == 0 && ::close(fd) == 0;
  if (report && !(written && closed)) throw IoError("failed");
}

// The files of a right checkpoint, made elsewhere without counting.
std::vector<std::pair<std::string, std::string>> files_of(const Checkpoint& checkpoint) {
  counting = false;
  const ScratchFolder scratch(test::memory_folder());
  const fs::path folder = save_checkpoint(scratch.path(), 1, checkpoint);
  std::vector<std::pair<std::string, std::string>> files;
  for (const char* name : {"model.safetensors", "optimizer.safetensors", "trainer.json"}) {
    files.emplace_back(name, test::slurp(folder / name));
  }
  counting = true;
  return files;
}

TEST(FaultHarness, FindsAWriterInPlace) {
  const auto in_place = [](const fs::path& dir, std::int64_t, const Checkpoint& checkpoint) {
    const auto files = files_of(checkpoint);
    for (const auto& [name, content] : files) write_plainly(dir / "00000001" / name, content, true);
  };
  EXPECT_GT(inject_everywhere(in_place, kOldUpdate).violations * kStride, 20);
}

TEST(FaultHarness, FindsAWriterThatIgnoresErrors) {
  const auto deaf = [](const fs::path& dir, std::int64_t, const Checkpoint& checkpoint) {
    const auto files = files_of(checkpoint);
    const fs::path temporary = dir / ("tmp." + std::to_string(::getpid()));
    ::mkdir(temporary.c_str(), 0755);
    for (const auto& [name, content] : files) write_plainly(temporary / name, content, false);
    ::rename(temporary.c_str(), (dir / "00000002").c_str());
  };
  EXPECT_GT(inject_everywhere(deaf, 2).violations * kStride, 20);
}

}  // namespace checkpoint_fault_test
}  // namespace lockstep
