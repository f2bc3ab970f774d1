// Tests for host/files/run_folder.h.
#include "host/files/run_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <nlohmann/json.hpp>

#include "host/errors.h"
#include "tests/support/child_failure.h"
#include "tests/support/scratch_folder.h"

namespace lockstep {
namespace run_folder_test {

namespace fs = std::filesystem;
using nlohmann::json;
using test::failure;
using test::failure_in_child;
using test::ScratchFolder;
using test::slurp;
using test::spill;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

// Runs each test in a scratch folder of its own, for runs/ is relative to where the process is.
class RunFolderTest : public ::testing::Test {
 protected:
  RunFolderTest() : before_(fs::current_path()) { fs::current_path(scratch_.path()); }
  ~RunFolderTest() override { fs::current_path(before_); }

  static Config config_for(const std::string& out, bool force = false) {
    Config config;
    config.out = out;
    config.force = force;
    return config;
  }

  // A run folder with everything a run writes.
  static void make_run(const std::string& out) {
    RunFolder folder = RunFolder::create(config_for(out));
    folder.start({}, "seed = 1\n");
    folder.finish({}, {}, "finished");
    spill(folder.metrics_file(), "{}\n");
    spill(folder.path() / "events.out.tfevents.1.h.2.0", "x");
    for (const char* name : {"00000007", "best", "00000001.old"}) {
      fs::create_directories(folder.checkpoints() / name);
      spill(folder.checkpoints() / name / "model.safetensors", "x");
    }
    fs::create_directory_symlink("00000007", folder.checkpoints() / "last");
  }

  static json run_json(const fs::path& folder) { return json::parse(slurp(folder / "run.json")); }

  ScratchFolder scratch_;

 private:
  fs::path before_;
};

// Starts `count` children that call `body` at the same time and hold what it returns until all have
// called it. Returns how many of them threw nothing.
int run_together(int count, const std::function<RunFolder()>& body) {
  int start[2], done[2], release[2];
  if (::pipe(start) != 0 || ::pipe(done) != 0 || ::pipe(release) != 0) return -1;
  for (int i = 0; i < count; ++i) {
    if (::fork() != 0) continue;
    ::close(start[1]);
    ::close(release[1]);
    char byte = 0;
    if (::read(start[0], &byte, 1) != 0) ::_exit(100);
    char result = 'x';
    try {
      const RunFolder folder = body();
      result = 'y';
      if (::write(done[1], &result, 1) != 1 || ::read(release[0], &byte, 1) != 0) ::_exit(101);
    } catch (const Error&) {
      if (::write(done[1], &result, 1) != 1) ::_exit(102);
    }
    ::_exit(0);
  }
  ::close(done[1]);
  ::close(start[1]);  // the end of the file is the signal, for all at once
  int made = 0;
  for (int i = 0; i < count; ++i) {
    char result = 0;
    if (::read(done[0], &result, 1) == 1 && result == 'y') ++made;
  }
  ::close(release[1]);
  for (int i = 0; i < count; ++i) ::wait(nullptr);
  for (const int fd : {start[0], done[0], release[0]}) ::close(fd);
  return made;
}

TEST_F(RunFolderTest, NumbersRunsOneAboveTheHighest) {
  EXPECT_EQ(RunFolder::create({}).path(), "runs/cartpole-1");
  EXPECT_EQ(RunFolder::create({}).path(), "runs/cartpole-2");
  for (const char* name : {"cartpole-12", "cartpole-x", "cartpole-40x", "cartpole--70", "pong-50",
                           "cartpole-99999999999999999999", "cartpole-9223372036854775807"}) {
    fs::create_directory(fs::path("runs") / name);
  }
  EXPECT_EQ(RunFolder::create({}).path(), "runs/cartpole-13");
  fs::remove_all("runs/cartpole-1");
  EXPECT_EQ(RunFolder::create({}).path(), "runs/cartpole-14");
  Config corridor;
  corridor.env = "corridor";
  EXPECT_EQ(RunFolder::create(corridor).path(), "runs/corridor-1");
}

TEST_F(RunFolderTest, ProcessesAtTheSameTimeGetFoldersOfTheirOwn) {
  // the longer the list of runs takes to read, the more processes see the same one
  fs::create_directory("runs");
  for (int i = 0; i < 1000; ++i) spill("runs/cartpole-x" + std::to_string(i), "");
  for (int round = 0; round < 3; ++round) {
    EXPECT_EQ(run_together(8, [] { return RunFolder::create({}); }), 8);
  }
  for (int number = 1; number <= 24; ++number) {
    EXPECT_TRUE(is_run_folder("runs/cartpole-" + std::to_string(number))) << number;
  }
  EXPECT_EQ(scratch_.names("runs").size(), 1024u);
}

TEST_F(RunFolderTest, OnlyOneOfManyProcessesGetsANamedFolder) {
  for (int round = 0; round < 10; ++round) {
    const std::string out = "named-" + std::to_string(round);
    EXPECT_EQ(run_together(8, [&] { return RunFolder::create(config_for(out)); }), 1);
    EXPECT_EQ(run_together(8, [&] { return RunFolder::create(config_for(out, true)); }), 1);
    EXPECT_EQ(run_together(8, [&] { return RunFolder::open(out); }), 1);
  }
}

TEST_F(RunFolderTest, MakesMissingParentsAndTakesEmptyFolders) {
  EXPECT_EQ(RunFolder::create(config_for("a/b/c/")).path(), "a/b/c");
  fs::create_directory("empty");
  RunFolder::create(config_for("empty"));
  EXPECT_TRUE(is_run_folder("empty"));
}

TEST_F(RunFolderTest, RefusesAnExistingRunWithoutForce) {
  make_run("out");
  const std::string before = slurp("out/run.json");
  EXPECT_EQ(failure([] { RunFolder::create(config_for("out")); }),
            "2 --out: out already holds a run; choose another folder or replace it with --force");
  EXPECT_EQ(slurp("out/run.json"), before);
  EXPECT_THAT(scratch_.names("out/checkpoints"),
              UnorderedElementsAre("00000007", "00000001.old", "best", "last"));
}

TEST_F(RunFolderTest, TakesAFolderWhoseMakingWasInterrupted) {
  fs::create_directory("out");
  spill("out/run.json.tmp", "{");
  EXPECT_EQ(RunFolder::create(config_for("out")).path(), "out");
  EXPECT_THAT(scratch_.names("out"), UnorderedElementsAre("run.json"));
}

TEST_F(RunFolderTest, ForceRemovesTheRunAndNothingElse) {
  make_run("out");
  spill("out/notes.txt", "mine");
  spill("out/checkpoints/mine.txt", "mine");
  fs::create_directory("elsewhere");
  spill("elsewhere/kept.txt", "mine");
  fs::create_directory_symlink("../../elsewhere", "out/checkpoints/00000009");
  const RunFolder folder = RunFolder::create(config_for("out", true));
  EXPECT_THAT(scratch_.names("out"), UnorderedElementsAre("run.json", "notes.txt", "checkpoints"));
  EXPECT_THAT(scratch_.names("out/checkpoints"), ElementsAre("mine.txt"));
  EXPECT_THAT(scratch_.names("elsewhere"), ElementsAre("kept.txt"));
  EXPECT_EQ(run_json("out")["status"], "starting");
}

TEST_F(RunFolderTest, ForceLeavesALinkedCheckpointsFolderAlone) {
  make_run("out");
  fs::rename("out/checkpoints", "elsewhere");
  fs::create_directory_symlink("../elsewhere", "out/checkpoints");
  RunFolder::create(config_for("out", true));
  EXPECT_TRUE(fs::exists("elsewhere/00000007/model.safetensors"));
  EXPECT_THAT(scratch_.names("out"), ElementsAre("run.json"));
}

TEST_F(RunFolderTest, ForceRefusesFoldersThatAreNoRuns) {
  fs::create_directory("home");
  for (const char* content :
       {"", "{}", "garbage", R"({"schema": "other/1"})", R"({"schema": 1})"}) {
    spill("home/run.json", content);
    spill("home/metrics.jsonl", "mine");
    EXPECT_EQ(failure([] { RunFolder::create(config_for("home", true)); }),
              "2 --out: home is neither empty nor a run folder; it stays as it is, also with "
              "--force");
    EXPECT_EQ(slurp("home/run.json"), content);
    EXPECT_EQ(slurp("home/metrics.jsonl"), "mine");
    EXPECT_THAT(failure([] { RunFolder::open("home"); }),
                StartsWith("4 home is no run folder: it has no valid run.json"));
  }
}

TEST_F(RunFolderTest, RefusesAFileInItsPlace) {
  spill("out", "mine");
  EXPECT_EQ(failure([] { RunFolder::create(config_for("out", true)); }),
            "2 --out: out exists and is no folder");
  EXPECT_THAT(failure([] { RunFolder::create(config_for("out/below")); }),
              AllOf(StartsWith("6 "), HasSubstr("out")));
  EXPECT_THAT(failure([] { RunFolder::open("out"); }), StartsWith("4 "));
  EXPECT_THAT(failure([] { RunFolder::open("absent"); }), StartsWith("4 "));
  EXPECT_EQ(slurp("out"), "mine");
}

TEST_F(RunFolderTest, IsHeldUntilDestruction) {
  make_run("out");
  {
    RunFolder held = RunFolder::open("out");
    const RunFolder moved = std::move(held);
    for (const auto& call :
         {std::function<void()>([] { RunFolder::open("out"); }),
          std::function<void()>([] { RunFolder::create(config_for("out", true)); })}) {
      EXPECT_EQ(failure(call), "2 run folder out is in use by another process");
    }
    EXPECT_TRUE(fs::exists("out/checkpoints/best"));
  }
  EXPECT_EQ(failure([] { RunFolder::open("out"); }), "");
}

TEST_F(RunFolderTest, ReportsAFolderThatCannotBeWritten) {
  if (const std::string why = test::no_other_user(); !why.empty()) GTEST_SKIP() << why;
  fs::create_directory("locked");
  fs::permissions("locked", fs::perms(0555));
  fs::permissions(scratch_.path(), fs::perms(0755));
  EXPECT_THAT(failure_in_child([] { RunFolder::create(config_for("locked/run")); }, RLIM_INFINITY),
              "6 cannot create locked/run: Permission denied");
  EXPECT_THAT(
      failure_in_child([] { RunFolder::create(config_for("locked")); }, RLIM_INFINITY),
      AllOf(StartsWith("6 "), HasSubstr("locked/run.json"), HasSubstr("Permission denied")));
  if (::getuid() != 0) fs::permissions(scratch_.path(), fs::perms(0555));
  EXPECT_THAT(failure_in_child([] { RunFolder::create({}); }, RLIM_INFINITY),
              AllOf(StartsWith("6 cannot create runs"), HasSubstr("Permission denied")));
  fs::permissions(scratch_.path(), fs::perms(0755));
}

TEST_F(RunFolderTest, LeavesNoFolderWhenTheDiskIsFull) {
  if (const std::string why = test::no_other_user(); !why.empty()) GTEST_SKIP() << why;
  fs::permissions(scratch_.path(), fs::perms(0777));
  for (const char* out : {"", "full"}) {
    EXPECT_THAT(failure_in_child([&] { RunFolder::create(config_for(out)); }, 0),
                AllOf(StartsWith("6 "), HasSubstr("run.json"), HasSubstr("File too large")));
  }
  EXPECT_THAT(scratch_.names("runs"), IsEmpty());
  EXPECT_FALSE(fs::exists("full"));
}

TEST_F(RunFolderTest, KeepsTheOldRecordWhenTheDiskIsFull) {
  if (const std::string why = test::no_other_user(); !why.empty()) GTEST_SKIP() << why;
  make_run("out");
  fs::permissions("out", fs::perms(0777));
  fs::permissions("out/run.json", fs::perms(0666));
  const std::string before = slurp("out/run.json");
  EXPECT_THAT(failure_in_child([] { RunFolder::open("out").finish({}, {}, "failed"); }, 100),
              StartsWith("6 "));
  EXPECT_EQ(slurp("out/run.json"), before);
  EXPECT_THAT(slurp("out/curve.svg"), HasSubstr("</svg>"));
  EXPECT_FALSE(fs::exists("out/curve.svg.tmp") || fs::exists("out/run.json.tmp"));
}

TEST_F(RunFolderTest, TellsTheEndWhereNoNewFileCanBeMade) {
  if (const std::string why = test::no_other_user(); !why.empty()) GTEST_SKIP() << why;
  make_run("out");
  fs::permissions(scratch_.path(), fs::perms(0755));
  fs::permissions("out/run.json", fs::perms(0666));
  fs::permissions("out", fs::perms(0555));
  EXPECT_EQ(failure_in_child([] { RunFolder::open("out").finish({}, {}, "failed", "planted"); },
                             RLIM_INFINITY),
            "");
  const json run = run_json("out");
  EXPECT_EQ(run["status"], "failed");
  EXPECT_EQ(run["error"], "planted");
}

TEST_F(RunFolderTest, ACurveThatCannotBeDrawnIsToldAndFailsNothing) {
  RunFolder folder = RunFolder::create(config_for("out"));
  folder.start({}, "");
  fs::create_directory(folder.curve_file());
  EXPECT_THAT(folder.finish({}, {}, "finished"), HasSubstr("curve.svg: Is a directory"));
  EXPECT_EQ(run_json("out")["status"], "finished");
  EXPECT_FALSE(fs::exists("out/curve.svg.tmp"));
}

TEST_F(RunFolderTest, RecordsWhoRanWhatAndHowItEnded) {
  RunFolder folder = RunFolder::create(config_for("out"));
  RunRecord record;
  record.command_line = "lockstep train cartpole --out \xff";
  record.build.commit = "abc";
  record.build.isa = "avx2";
  record.threads = 2;
  record.fingerprint = 0x0123456789abcdef;
  folder.start(record, "seed = 7\n");
  EXPECT_EQ(slurp("out/config.toml"), "seed = 7\n");
  json run = run_json("out");
  EXPECT_EQ(run["status"], "running");
  EXPECT_EQ(run["command_line"], "lockstep train cartpole --out \xEF\xBF\xBD");
  EXPECT_EQ(run["commit"], "abc");
  EXPECT_EQ(run["isa"], "avx2");
  EXPECT_EQ(run["threads"], 2);
  EXPECT_EQ(run["fingerprint"], "0123456789abcdef");
  EXPECT_EQ(run["pid"], ::getpid());
  EXPECT_THAT(run["start_time"].get<std::string>(),
              ::testing::MatchesRegex("....-..-..T..:..:..Z"));
  EXPECT_FALSE(run.contains("end_time"));

  TrainResult result;
  result.updates = 14;
  result.mean_score = std::numeric_limits<double>::quiet_NaN();
  result.reached = true;
  result.reached_update = 12;
  folder.finish({}, result, "failed", "no space");
  run = run_json("out");
  EXPECT_EQ(run["status"], "failed");
  EXPECT_EQ(run["error"], "no space");
  EXPECT_EQ(run["result"]["updates"], 14);
  EXPECT_TRUE(run["result"]["mean_score"].is_null());
  EXPECT_EQ(run["result"]["reached_update"], 12);
  EXPECT_EQ(run["commit"], "abc");
  EXPECT_TRUE(run.contains("end_time"));
}

TEST_F(RunFolderTest, KeepsTheRecordsOfEarlierProcesses) {
  make_run("out");
  for (const char* command : {"second", "third"}) {
    RunFolder folder = RunFolder::open("out");
    RunRecord record;
    record.command_line = command;
    folder.start(record, "");
  }
  const json run = run_json("out");
  EXPECT_EQ(run["command_line"], "third");
  EXPECT_EQ(run["status"], "running");
  EXPECT_FALSE(run.contains("end_time"));
  ASSERT_EQ(run["earlier"].size(), 2u);
  EXPECT_EQ(run["earlier"][0]["status"], "finished");
  EXPECT_EQ(run["earlier"][1]["command_line"], "second");
  EXPECT_FALSE(run["earlier"][1].contains("earlier"));
}

TEST_F(RunFolderTest, ARecordOfManyLevelsIsNoRecord) {
  make_run("out");
  const auto nested = [](std::size_t levels) {
    return R"({"schema": "lockstep.run/1", "start_time": "", "more": )" + std::string(levels, '[') +
           std::string(levels, ']') + "}";
  };
  spill("out/run.json", nested(10));
  EXPECT_TRUE(is_run_folder("out"));
  spill("out/run.json", nested(15));  // the most: not kept, for in the list it would be too deep
  RunFolder::open("out").start(RunRecord(), "");
  EXPECT_TRUE(is_run_folder("out"));
  spill("out/run.json", nested(100'000));  // copying its tree would end the stack
  EXPECT_FALSE(is_run_folder("out"));
  EXPECT_THROW(RunFolder::open("out"), BadInput);
}

TEST_F(RunFolderTest, DrawsTheLearningCurve) {
  Config config;
  config.recipe = "a<b";
  config.over = 31;
  std::vector<UpdateMetrics> curve(2);
  curve[1].steps = 40000;
  curve[1].mean_score = curve[1].batch_score = 500;
  const std::string plain = curve_svg(config, curve);
  EXPECT_THAT(plain, AllOf(HasSubstr("cartpole, recipe a&lt;b, seed 1"), HasSubstr("40k"),
                           HasSubstr("mean of the last 31 episodes"), HasSubstr("threshold 475"),
                           Not(HasSubstr("evaluation"))));
  curve[1].has_eval = true;
  EXPECT_THAT(curve_svg(config, curve), HasSubstr("evaluation"));
}

}  // namespace run_folder_test
}  // namespace lockstep
