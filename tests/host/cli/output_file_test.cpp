// Tests for what options that name an output do with the place they are given, through the real
// program: a symbolic link leads to the file, a device or a FIFO is written through, nothing is
// ever replaced but a file, and "-" is refused.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/program_test.h"

namespace lockstep {
namespace output_file_test {

namespace fs = std::filesystem;
using test::ProcessResult;
using test::slurp;
using test::spill;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Words = std::vector<std::string>;

/// A command that writes one file; the last word is the option that names it.
struct Writer {
  const char* name;
  Words words;
};

const Writer kWriters[] = {
    {"Eval", {"eval", "r", "--episodes", "5", "--device", "cpu", "--save"}},
    {"Rollout", {"rollout", "--envs", "4", "--steps", "9", "--device", "cpu", "--save"}},
    {"Replay", {"replay", "cartpole", "--actions", "a.npy", "--save"}},
    {"Plot", {"plot", "r", "--svg"}},
#ifdef LS_HAVE_CGIF
    {"Gif", {"render", "r", "--frames", "3", "--device", "cpu", "--gif"}},
#endif
};

class OutputFileTest : public test::ProgramTest, public testing::WithParamInterface<Writer> {
 protected:
  OutputFileTest() {
    std::string header = "{'descr': '|u1', 'fortran_order': False, 'shape': (8,), }";
    header.resize(117, ' ');
    spill(folder_ / "a.npy",
          std::string("\x93NUMPY\x01\0\x76\0", 10) + header + "\n" + std::string(8, '\1'));
    run({"train", "--quiet", "--updates", "2", "--out", "r", "--device", "cpu"});
    write("plain");
    expected_ = slurp(folder_ / "plain");
    EXPECT_GT(expected_.size(), 100u);
  }

  ProcessResult write(const std::string& path, int code = 0) const {
    Words words = GetParam().words;
    words.push_back(path);
    return run(words, code);
  }

  std::string expected_;  // what the command writes into a file
};

TEST_P(OutputFileTest, SymbolicLinksStayAndTheirTargetIsWritten) {
  fs::create_directory(folder_ / "d");
  spill(folder_ / "d/old", "old");
  fs::create_symlink("d/old", folder_ / "link");
  fs::create_symlink("link", folder_ / "chain");
  fs::create_symlink("d/new", folder_ / "dangling");
  for (const auto& [link, target] : {std::pair("chain", "d/old"), {"dangling", "d/new"}}) {
    write(link);
    EXPECT_TRUE(fs::is_symlink(folder_ / link)) << link;
    EXPECT_EQ(slurp(folder_ / target), expected_) << link;
  }
  EXPECT_TRUE(fs::is_symlink(folder_ / "link"));
  EXPECT_EQ(folder_.names("d").size(), 2u);
}

TEST_P(OutputFileTest, FifosAreWrittenThrough) {
  const fs::path fifo = folder_ / "fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  const int reader = ::open(fifo.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC);
  ASSERT_GE(reader, 0);
  ASSERT_GE(::fcntl(reader, F_SETPIPE_SZ, 1 << 20), 0);
  write("fifo");
  std::string got(1 << 20, '\0');
  got.resize(
      static_cast<std::size_t>(std::max<ssize_t>(::read(reader, got.data(), got.size()), 0)));
  ::close(reader);
  EXPECT_EQ(got, expected_);
  EXPECT_TRUE(fs::is_fifo(fifo));
}

TEST_P(OutputFileTest, DevicesAreWrittenThrough) {
  // a null device of our own: as root, a program that replaces what it finds would take the real
  // one
  const fs::path device = folder_ / "null";
  if (::mknod(device.c_str(), S_IFCHR | 0666, ::makedev(1, 3)) != 0) GTEST_SKIP() << "needs root";
  const int fd = ::open(device.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd < 0) GTEST_SKIP() << "no devices on this file system";
  ::close(fd);
  write("null");
  EXPECT_TRUE(fs::is_character_file(device));
}

TEST_P(OutputFileTest, FoldersAreRefused) {
  fs::create_directory(folder_ / "folder");
  EXPECT_THAT(write("folder", 6).err, HasSubstr("folder: Is a directory"));
  EXPECT_TRUE(fs::is_empty(folder_ / "folder"));
}

INSTANTIATE_TEST_SUITE_P(Writers, OutputFileTest, testing::ValuesIn(kWriters),
                         [](const auto& test) { return std::string(test.param.name); });

using StandardOutputTest = test::ProgramTest;

TEST_F(StandardOutputTest, IsNoOutputFile) {
  run({"train", "--quiet", "--updates", "1", "--out", "r", "--device", "cpu"});
  for (const Words& words : std::initializer_list<Words>{{"eval", "r", "--save"},
                                                         {"rollout", "--save"},
                                                         {"replay", "--actions", "a.npy", "--save"},
                                                         {"plot", "r", "--svg"},
                                                         {"render", "r", "--gif"},
                                                         {"render", "r", "--mp4"},
                                                         {"render", "r", "--png"},
                                                         {"train", "--out"}}) {
    Words all = words;
    all.push_back("-");
    EXPECT_THAT(run(all, 2).err,
                StartsWith("lockstep: error: " + words.back() + ": '-' is no file"));
  }
  EXPECT_FALSE(fs::exists(folder_ / "-"));
}

TEST_F(StandardOutputTest, RunFolderIsMadeWhereALinkLeads) {
  fs::create_directory(folder_ / "disk");
  fs::create_symlink("disk/run", folder_ / "link");
  for (const char* updates : {"1", "2"}) {
    run({"train", "--quiet", "--updates", updates, "--out", "link", "--force", "--device", "cpu"});
  }
  EXPECT_TRUE(fs::is_symlink(folder_ / "link"));
  EXPECT_TRUE(fs::exists(folder_ / "disk/run/checkpoints/00000002"));
}

}  // namespace output_file_test
}  // namespace lockstep
