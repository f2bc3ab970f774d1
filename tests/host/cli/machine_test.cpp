// What the real program does where it may have less than it wants: memory, cores, threads.
#include <gmock/gmock.h>
#include <omp.h>

#include <algorithm>
#include <fstream>

#include "tests/support/program_test.h"

namespace lockstep {
namespace machine_test {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;

constexpr std::int64_t kLimit = 400 << 20;  // bytes
// 16 bytes an observation, 4 a logit, and flags: 1.7 GB, and as much again for the file
const std::vector<std::string> kLargeRollout = {"rollout", "cartpole", "--envs",   "4096",
                                                "--steps", "20000",    "--device", "cpu",
                                                "--save",  "x.npz"};

/// A control group of this test's own, or none where it may not make one.
class ControlGroup {
 public:
  ControlGroup(const char* controller, const char* v1_file) {
    const std::string name = "lockstep-test-" + std::to_string(getpid());
    const fs::path v2 = "/sys/fs/cgroup", v1 = v2 / controller;
    for (const fs::path& top : {v1, v2}) {
      std::error_code error;
      const bool made = fs::is_directory(top) && fs::create_directory(top / name, error);
      if (!made) continue;
      folder_ = top / name;
      is_v1_ = top == v1;
      if (fs::exists(folder_ / (is_v1_ ? v1_file : "memory.max"))) return;
      fs::remove(folder_, error);
      folder_.clear();
    }
  }
  ~ControlGroup() {
    std::error_code error;
    if (!folder_.empty()) fs::remove(folder_, error);
  }
  ControlGroup(const ControlGroup&) = delete;
  ControlGroup& operator=(const ControlGroup&) = delete;

  bool exists() const { return !folder_.empty(); }
  /// Writes to the file of the version that is there. False if the kernel refuses.
  bool set(const char* v1_file, const char* v2_file, const std::string& text) const {
    std::ofstream file(folder_ / (is_v1_ ? v1_file : v2_file));
    return static_cast<bool>(file << text << std::flush);
  }
  bool is_v1() const { return is_v1_; }
  /// What a shell does to become a member.
  std::string enter() const { return "echo $$ > " + (folder_ / "cgroup.procs").string(); }

 private:
  fs::path folder_;
  bool is_v1_ = false;
};

/// Whether memory may be swapped out: where a group's swap is unlimited, that is memory too.
bool machine_has_swap() {
  std::ifstream file("/proc/meminfo");
  for (std::string word; file >> word;) {
    std::int64_t kib = 0;
    if (word == "SwapTotal:") return file >> kib && kib > 0;
  }
  return false;
}

class MachineCliTest : public test::ProgramTest {
 protected:
  /// Whether the kernel lets a process in: a group that could be made may still refuse members.
  bool admits(const ControlGroup& group) const {
    return test::Process("/bin/sh", {"-c", group.enter()}, folder_.path()).wait().code == 0;
  }
  /// Runs the program by a shell that prepares itself before.
  test::ProcessResult run_after(const std::string& preparation, const Words& arguments) const {
    Words words = {"-c", preparation + " && exec \"$0\" \"$@\"", LS_TEST_PROGRAM};
    words.insert(words.end(), arguments.begin(), arguments.end());
    return test::Process("/bin/sh", words, folder_.path()).wait();
  }
};

TEST_F(MachineCliTest, ARolloutBeyondAResourceLimitExitsWith9) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the sanitizer itself needs more address space";
#endif
  const std::string kib = std::to_string(kLimit / 1024);
  const test::ProcessResult result = run_after("ulimit -v " + kib, kLargeRollout);
  EXPECT_EQ(result.code, 9) << result.err;
  EXPECT_THAT(result.err, AllOf(HasSubstr(" bytes wanted, "),
                                HasSubstr(std::to_string(kLimit) + " allowed by RLIMIT_AS"),
                                HasSubstr("--envs")));
}

TEST_F(MachineCliTest, ARolloutBeyondAControlGroupExitsWith9AndIsNotKilled) {
  const ControlGroup group("memory", "memory.limit_in_bytes");
  if (!group.exists() ||
      !group.set("memory.limit_in_bytes", "memory.max", std::to_string(kLimit))) {
    GTEST_SKIP() << "no control group may be made here";
  }
  const bool swaps_nothing = group.set("memory.memsw.limit_in_bytes", "memory.swap.max",
                                       group.is_v1() ? std::to_string(kLimit) : "0");
  if (!swaps_nothing && machine_has_swap()) GTEST_SKIP() << "swap cannot be limited here";
  if (!admits(group)) GTEST_SKIP() << "no process may enter a control group here";
  const test::ProcessResult large = run_after(group.enter(), kLargeRollout);
  EXPECT_EQ(large.code, 9) << large.err;
  EXPECT_THAT(large.err, AllOf(HasSubstr("allowed by control group"), HasSubstr("--envs")));
  EXPECT_FALSE(fs::exists(folder_ / "x.npz"));
  const test::ProcessResult small =
      run_after(group.enter(), {"rollout", "cartpole", "--steps", "1000", "--save", "y.npz"});
  EXPECT_EQ(small.code, 0) << small.err;
}

TEST_F(MachineCliTest, ThreadsAreThoseOfTheQuota) {
  const ControlGroup group("cpu", "cpu.cfs_quota_us");
  if (!group.exists() || !(group.is_v1() ? group.set("cpu.cfs_quota_us", "", "90000")
                                         : group.set("", "cpu.max", "90000 100000"))) {
    GTEST_SKIP() << "no control group may be made here";
  }
  if (!admits(group)) GTEST_SKIP() << "no process may enter a control group here";
  const std::string enter = "unset OMP_NUM_THREADS; " + group.enter();
  const test::ProcessResult result = run_after(enter, {"info", "--json"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_EQ(nlohmann::json::parse(result.out).at("threads"), 1);
}

TEST_F(MachineCliTest, OpenMpsVariableIsHonouredUnlessAnOptionSaysOtherwise) {
  const std::string variable = "export OMP_NUM_THREADS=3";
  const auto threads = [&](const Words& words) {
    const test::ProcessResult result = run_after(variable, words);
    EXPECT_EQ(result.code, 0) << result.err;
    return words[0] == "info"
               ? nlohmann::json::parse(result.out).at("threads")
               : nlohmann::json::parse(test::slurp(folder_ / "r/run.json")).at("threads");
  };
  EXPECT_EQ(threads({"info", "--json"}), 3);
  const Words train = {"train", "cartpole", "--updates", "1", "--quiet", "--out", "r", "--force"};
  EXPECT_EQ(threads(train), 3);
  Words given = train;
  given.insert(given.end(), {"--threads", "2"});
  EXPECT_EQ(threads(given), 2);
}

TEST_F(MachineCliTest, WhereNoThreadCanBeStartedOneIsEnough) {
  // A user with no privilege has to ask: the limit does not hold for root. It counts all processes
  // of the user, so this is one whom nobody else is.
  const std::string id = std::to_string(100000 + getpid() % 900000);
  const std::string user =
      geteuid() == 0 ? "setpriv --reuid=" + id + " --regid=65534 --clear-groups " : "";
  const Words rollout = {"rollout",  "pong",   "--envs", "256",       "--steps", "20",
                         "--policy", "random", "--json", "--threads", "4"};
  const auto under = [&](const std::string& limit) {
    Words words = {"-c", limit + user + " \"$0\" \"$@\"", LS_TEST_PROGRAM};
    words.insert(words.end(), rollout.begin(), rollout.end());
    return test::Process("/bin/sh", words, folder_.path()).wait();
  };
  const test::ProcessResult free = under("");
  if (free.code != 0) GTEST_SKIP() << "another user cannot run this program: " << free.err;
  const test::ProcessResult result = under("exec prlimit --nproc=1 ");
  EXPECT_EQ(result.code, 0) << result.err;
  if (result.code != 0) return;
  EXPECT_EQ(nlohmann::json::parse(result.out).at("mean_score"),
            nlohmann::json::parse(free.out).at("mean_score"));
}

}  // namespace machine_test
}  // namespace lockstep
