// Tests for host/backend/machine.h: control groups in a made-up tree of files, and what becomes of
// claims.
#include "host/backend/machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "host/backend/buffer.h"
#include "host/errors.h"
#include "tests/support/scratch_folder.h"

namespace lockstep {
namespace machine_test {

using testing::AllOf;
using testing::HasSubstr;
using testing::ThrowsMessage;

constexpr std::int64_t kGiB = std::int64_t{1} << 30;
constexpr double kNoQuota = std::numeric_limits<double>::infinity();
constexpr const char* kV1Unlimited = "9223372036854771712\n";

/// A root folder with the files of /proc and /sys that say what a process may use.
class MachineTest : public testing::Test {
 protected:
  MachineTest() { put("proc/meminfo", "MemTotal:  8388608 kB\nSwapTotal:  0 kB\n"); }

  void put(const std::string& path, const std::string& text) const {
    const std::filesystem::path file = root_ / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  void v2(const std::string& group) const {
    put("proc/self/cgroup", "0::" + group + "\n");
    put("proc/self/mountinfo",
        "22 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
        "31 23 0:28 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n");
  }
  void v1(const std::string& memory_group, const std::string& cpu_group) const {
    put("proc/self/cgroup", "5:pids:/other\n4:memory:" + memory_group + "\n3:cpu,cpuacct:" +
                                cpu_group + "\n1:name=systemd:/user\n0::/unified\n");
    put("proc/self/mountinfo",
        "33 32 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        "34 32 0:31 / /sys/fs/cgroup/cpu,cpuacct rw master:1 - cgroup cgroup rw,cpu,cpuacct\n"
        "35 32 0:32 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n");
  }
  MachineLimits read() const { return read_control_groups(root_); }

  test::ScratchFolder folder_;
  std::filesystem::path root_ = folder_ / "root";
};

TEST_F(MachineTest, WithoutGroupsTheMachineIsTheLimit) {
  EXPECT_EQ(read().memory, 8 * kGiB);
  EXPECT_EQ(read().memory_source, "the machine");
  EXPECT_EQ(read().cores, kNoQuota);
  put("proc/meminfo", "MemTotal:  8388608 kB\nSwapTotal:  1048576 kB\n");
  EXPECT_EQ(read().memory, 9 * kGiB);
  std::filesystem::remove_all(root_);
  EXPECT_EQ(read().memory, std::numeric_limits<std::int64_t>::max()) << "nothing to read";
}

TEST_F(MachineTest, TheTightestGroupAroundTheProcessCounts) {
  v2("/slice/job/task");
  const std::string top = "sys/fs/cgroup/";
  put(top + "slice/memory.max", "2147483648\n");
  put(top + "slice/job/memory.max", "1073741824\n");
  put(top + "slice/job/task/memory.max", "max\n");
  put(top + "slice/cpu.max", "150000 100000\n");
  put(top + "slice/job/cpu.max", "max 100000\n");
  put(top + "slice/job/task/cpu.max", "400000 100000\n");
  put(top + "beside/memory.max", "1\n");
  EXPECT_EQ(read().memory, kGiB);
  EXPECT_THAT(read().memory_source, testing::EndsWith("/sys/fs/cgroup/slice/job"));
  EXPECT_EQ(read().cores, 1.5);
}

TEST_F(MachineTest, SwapOfAGroupIsMemoryUpToTheMachines) {
  v2("/job");
  put("sys/fs/cgroup/job/memory.max", "1073741824\n");
  put("sys/fs/cgroup/job/memory.swap.max", "max\n");
  EXPECT_EQ(read().memory, kGiB) << "there is no swap";
  put("proc/meminfo", "MemTotal:  8388608 kB\nSwapTotal:  2097152 kB\n");
  EXPECT_EQ(read().memory, 3 * kGiB);
  put("sys/fs/cgroup/job/memory.swap.max", "0\n");
  EXPECT_EQ(read().memory, kGiB);
}

TEST_F(MachineTest, ReadsVersion1) {
  v1("/docker/a", "/docker/b");
  const std::string memory = "sys/fs/cgroup/memory/", cpu = "sys/fs/cgroup/cpu,cpuacct/";
  put(memory + "memory.limit_in_bytes", kV1Unlimited);
  put(memory + "docker/memory.limit_in_bytes", "419430400\n");
  put(memory + "docker/a/memory.limit_in_bytes", kV1Unlimited);
  put(cpu + "docker/cpu.cfs_quota_us", "-1\n");
  put(cpu + "docker/cpu.cfs_period_us", "100000\n");
  put(cpu + "docker/b/cpu.cfs_quota_us", "50000\n");
  put(cpu + "docker/b/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(read().memory, 419430400);
  EXPECT_EQ(read().cores, 0.5);
  put("proc/meminfo", "MemTotal:  8388608 kB\nSwapTotal:  2097152 kB\n");
  EXPECT_EQ(read().memory, 419430400 + 2 * kGiB);
  put(memory + "docker/memory.memsw.limit_in_bytes", "519430400\n");
  EXPECT_EQ(read().memory, 519430400) << "memory and swap together";
}

TEST_F(MachineTest, FindsTheGroupWhereAContainerMountsItsOwnAsTheTop) {
  // without a namespace the name starts at the machine's top, and the mount says where it begins
  put("proc/self/cgroup", "0::/docker/abc/inner\n");
  put("proc/self/mountinfo", "31 23 0:28 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
  put("sys/fs/cgroup/memory.max", "3221225472\n");
  put("sys/fs/cgroup/inner/memory.max", "2147483648\n");
  EXPECT_EQ(read().memory, 2 * kGiB);
  put("proc/self/cgroup", "0::/../elsewhere\n");
  EXPECT_EQ(read().memory, 3 * kGiB) << "the mounted top, where the name leads nowhere";
}

TEST_F(MachineTest, WhatIsNotUnderstoodIsNoLimit) {
  v2("/job");
  for (const char* text : {"", "\n", "max", "12 GB", "-5", "-5x", "99999999999999999999"}) {
    put("sys/fs/cgroup/job/memory.max", text[0] == '1' ? "12GB\n" : text);
    put("sys/fs/cgroup/job/cpu.max", text);
    EXPECT_EQ(read().memory, 8 * kGiB) << text;
    EXPECT_EQ(read().cores, kNoQuota) << text;
  }
  put("proc/self/mountinfo", "31 23\n - cgroup2\n\n31 23 0:28 / /x rw - cgroup2\n");
  put("proc/self/cgroup", "0\n:\n0::\n");
  EXPECT_EQ(read().memory, 8 * kGiB);
}

TEST(RequireMemory, SaysWhatIsWantedUsedAndAllowed) {
  MachineLimits limits;
  limits.memory = 400 << 20;
  limits.memory_source = "control group /box";
  require_memory(384 << 20, 0, limits);  // 16 MiB are the program's
  require_memory(84 << 20, 300 << 20, limits);
  EXPECT_THAT([&] { require_memory((384 << 20) + 1, 0, limits); },
              ThrowsMessage<OutOfMemory>("out of memory: 402653185 bytes wanted, 0 in use, "
                                         "419430400 allowed by control group /box"));
  EXPECT_THAT([&] { require_memory((84 << 20) + 1, 300 << 20, limits); },
              ThrowsMessage<OutOfMemory>(HasSubstr("314572800 in use")));
  limits.memory = 1;
  EXPECT_THROW(require_memory(1, 0, limits), OutOfMemory);
  require_memory(std::int64_t{1} << 40, std::int64_t{1} << 50, MachineLimits{});
}

TEST(MemoryClaim, CountsAsLongAsItLives) {
  const std::int64_t memory = machine_limits().memory;
  ASSERT_LT(memory, std::int64_t{1} << 50) << "the machine's memory was not read";
  // nothing is allocated: 60 % fit once, a second time only after the first is gone
  const std::int64_t most = memory / 5 * 3;
  {
    MemoryClaim first(most);
    EXPECT_THAT([&] { MemoryClaim second(most); },
                ThrowsMessage<OutOfMemory>(AllOf(HasSubstr(std::to_string(most) + " bytes wanted"),
                                                 HasSubstr(std::to_string(memory) + " allowed"))));
    MemoryClaim moved(std::move(first));
    first = MemoryClaim();
    EXPECT_THROW(MemoryClaim{most}, OutOfMemory) << "moving gave it up";
    moved = MemoryClaim();
    MemoryClaim again(most);
  }
  MemoryClaim after(most);
}

TEST(MemoryClaim, OfTwoAtOnceThatDoNotFitTogetherOneIsRefused) {
  const std::int64_t most = machine_limits().memory / 5 * 3;
  std::atomic<int> held{0}, refused{0};
  std::atomic<bool> both{false};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) {
        try {
          const MemoryClaim claim(most);
          if (++held > 1) both = true;
          --held;
        } catch (const OutOfMemory&) {
          ++refused;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(both) << refused << " claims were refused";
  MemoryClaim after(most);
}

TEST(MemoryClaim, IsWhatABufferMakes) {
#if defined(__SANITIZE_ADDRESS__)
  GTEST_SKIP() << "the sanitizer touches memory of its own for it";
#endif
  const std::int64_t half = machine_limits().memory / 2;
  Buffer<char> large;
  try {
    large = Buffer<char>(half);  // not touched, so not there
  } catch (const OutOfMemory& error) {
    GTEST_SKIP() << "a kernel that promises no more than it has: " << error.what();
  }
  EXPECT_THROW(Buffer<char>{half}, OutOfMemory);
  Buffer<char> moved(std::move(large));
  EXPECT_THROW(Buffer<char>{half}, OutOfMemory);
  moved = Buffer<char>();
  Buffer<char> next(half);
}

}  // namespace machine_test
}  // namespace lockstep
