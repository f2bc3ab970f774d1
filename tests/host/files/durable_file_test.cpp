// Tests for host/files/durable_file.h.
#include "host/files/durable_file.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

#include "host/errors.h"
#include "tests/support/child_failure.h"
#include "tests/support/scratch_folder.h"

namespace lockstep {
namespace durable_file_test {

namespace fs = std::filesystem;
using test::in_limited_child;
using test::ScratchFolder;
using test::slurp;
using test::spill;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Message of the IoError the call throws; empty if it throws none.
std::string io_error(const std::function<void()>& call) {
  try {
    call();
  } catch (const IoError& error) {
    EXPECT_EQ(error.exit_code(), ExitCode::kIo);
    return error.what();
  }
  return "";
}

std::string folder_content(const fs::path& folder) {
  return slurp(folder / "a") + slurp(folder / "b");
}

void write_folder(const fs::path& path, std::string_view a, std::string_view b) {
  DurableFolder folder(path);
  folder.add_file("a", a);
  folder.add_file("b", b);
  folder.commit();
}

TEST(DurableFile, IsInvisibleUntilCommitted) {
  const ScratchFolder scratch;
  DurableFile file(scratch / "out");
  file.write(std::string_view("hello"));
  EXPECT_FALSE(fs::exists(scratch / "out"));
  file.commit();
  EXPECT_EQ(slurp(scratch / "out"), "hello");
  EXPECT_THAT(scratch.names(), ElementsAre("out"));
}

TEST(DurableFile, WithoutCommitLeavesTheOldFileAndNothingElse) {
  const ScratchFolder scratch;
  spill(scratch / "out", "old");
  {
    DurableFile file(scratch / "out");
    file.write(std::string(200'000, 'x'));
  }
  EXPECT_EQ(slurp(scratch / "out"), "old");
  EXPECT_THAT(scratch.names(), ElementsAre("out"));
}

TEST(DurableFile, KeepsTheOrderOfSmallAndLargeWrites) {
  const ScratchFolder scratch;
  std::string expected;
  DurableFile file(scratch / "out");
  for (const std::size_t size : {3u, 70'000u, 1u, 65'535u, 2u, 65'536u, 0u, 7u}) {
    const std::string part(size, static_cast<char>('a' + size % 26));
    file.write(part);
    expected += part;
  }
  EXPECT_EQ(file.size(), expected.size());
  file.commit();
  EXPECT_EQ(slurp(scratch / "out"), expected);
}

TEST(DurableFile, MissingFolderIsAnIoErrorWithPathAndReason) {
  const ScratchFolder scratch;
  EXPECT_THAT(io_error([&] { write_file_durably(scratch / "no/out", "x"); }),
              AllOf(HasSubstr("no/out.tmp."), HasSubstr("No such file or directory")));
}

TEST(DurableFile, FullDeviceIsAnIoError) {
  FileHandle full("/dev/full", O_WRONLY);
  EXPECT_THAT(io_error([&] { full.write("x"); }),
              AllOf(HasSubstr("/dev/full"), HasSubstr("No space left on device")));
}

TEST(DurableFile, FileSizeLimitIsAnIoErrorAndKeepsTheOldFile) {
  if (const std::string why = test::no_other_user(); !why.empty()) GTEST_SKIP() << why;
  const ScratchFolder scratch;
  fs::permissions(scratch.path(), fs::perms::all);
  spill(scratch / "out", "old");
  // 100,000 bytes do not fit; the first write is short, the second fails
  const int code = in_limited_child(50'000, [&] {
    const std::string message =
        io_error([&] { write_file_durably(scratch / "out", std::string(100'000, 'x')); });
    return message.find("File too large") != std::string::npos ? 42 : 1;
  });
  EXPECT_EQ(code, 42);
  EXPECT_EQ(slurp(scratch / "out"), "old");
  EXPECT_THAT(scratch.names(), ElementsAre("out"));
}

TEST(DurableFile, ReadOnlyFolderIsAnIoError) {
  if (const std::string why = test::no_other_user(); !why.empty()) GTEST_SKIP() << why;
  const ScratchFolder scratch;
  fs::permissions(scratch.path(), fs::perms::owner_read | fs::perms::owner_exec |
                                      fs::perms::others_read | fs::perms::others_exec);
  const int code = in_limited_child(RLIM_INFINITY, [&] {
    const std::string message = io_error([&] { write_file_durably(scratch / "out", "x"); });
    return message.find("Permission denied") != std::string::npos ? 42 : 1;
  });
  fs::permissions(scratch.path(), fs::perms::owner_all);
  EXPECT_EQ(code, 42);
  EXPECT_THAT(scratch.names(), IsEmpty());
}

TEST(DurableFile, RemovesLeftoversOfDeadProcessesOnly) {
  const ScratchFolder scratch;
  const pid_t dead = ::fork();
  if (dead == 0) ::_exit(0);
  ::waitpid(dead, nullptr, 0);
  const std::string dead_name = "out.tmp." + std::to_string(dead);
  const std::string live_name = "out.tmp." + std::to_string(::getppid());
  for (const std::string& name : {dead_name, live_name, std::string("out.tmp.word")}) {
    spill(scratch / name, "left");
  }
  write_file_durably(scratch / "out", "new");
  EXPECT_THAT(scratch.names(), ElementsAre("out", live_name, "out.tmp.word"));
}

TEST(DurableFile, GoesWhereSymbolicLinksLead) {
  const ScratchFolder scratch;
  fs::create_directory(scratch / "far");
  spill(scratch / "far/old", "old");
  fs::create_symlink(scratch / "far/old", scratch / "absolute");
  fs::create_symlink("far", scratch / "folder");
  fs::create_symlink("folder/../far/new", scratch / "dangling");
  write_file_durably(scratch / "absolute", "a");
  write_file_durably(scratch / "dangling", "d");
  EXPECT_EQ(slurp(scratch / "far/old") + slurp(scratch / "far/new"), "ad");
  EXPECT_THAT(scratch.names("far"), ElementsAre("new", "old"));
  EXPECT_TRUE(fs::is_symlink(scratch / "absolute") && fs::is_symlink(scratch / "dangling"));
}

TEST(DurableFile, LinksInACircleAreAnIoError) {
  const ScratchFolder scratch;
  fs::create_symlink("b", scratch / "a");
  fs::create_symlink("a", scratch / "b");
  EXPECT_THAT(io_error([&] { write_file_durably(scratch / "a", "x"); }),
              HasSubstr("Too many levels of symbolic links"));
}

TEST(DurableFile, AFifoGetsTheBytesAndStays) {
  const ScratchFolder scratch;
  ASSERT_EQ(::mkfifo((scratch / "fifo").c_str(), 0600), 0);
  fs::create_symlink("fifo", scratch / "link");
  const int reader = ::open((scratch / "fifo").c_str(), O_RDWR | O_NONBLOCK);
  for (const bool committed : {true, false}) {
    DurableFile file(scratch / "link");
    file.write(std::string_view("bytes"));
    if (committed) file.commit();
  }
  char got[16];
  EXPECT_EQ(std::string(got, static_cast<std::size_t>(::read(reader, got, sizeof got))), "bytes");
  ::close(reader);
  EXPECT_THAT(scratch.names(), ElementsAre("fifo", "link"));
  EXPECT_TRUE(fs::is_fifo(scratch / "fifo"));
}

// As /dev/stdout is, where standard output is a file that has been removed.
TEST(DurableFile, AnOpenFileWithoutANameIsWrittenThrough) {
  const ScratchFolder scratch;
  const int fd = ::open((scratch / "gone").c_str(), O_RDWR | O_CREAT, 0600);
  fs::remove(scratch / "gone");
  write_file_durably("/proc/self/fd/" + std::to_string(fd), "bytes");
  char got[16];
  EXPECT_EQ(std::string(got, static_cast<std::size_t>(::pread(fd, got, sizeof got, 0))), "bytes");
  ::close(fd);
  EXPECT_THAT(scratch.names(), IsEmpty());
}

TEST(DurableFile, RefusesAFolderBeforeAnythingIsWritten) {
  const ScratchFolder scratch;
  fs::create_directory(scratch / "out");
  EXPECT_THAT(io_error([&] { DurableFile file(scratch / "out"); }), HasSubstr("Is a directory"));
}

TEST(DurableFolder, AppearsWholeAtCommit) {
  const ScratchFolder scratch;
  DurableFolder folder(scratch / "runs/deep/one");
  folder.add_file("a", "1");
  EXPECT_FALSE(fs::exists(scratch / "runs/deep/one"));
  EXPECT_EQ(scratch.names("runs/deep").size(), 1u);
  folder.commit();
  EXPECT_THAT(scratch.names("runs/deep"), ElementsAre("one"));
  EXPECT_EQ(slurp(scratch / "runs/deep/one/a"), "1");
}

TEST(DurableFolder, WithoutCommitLeavesNothing) {
  const ScratchFolder scratch;
  {
    DurableFolder folder(scratch / "one");
    folder.add_file("a", "1");
  }
  EXPECT_THAT(scratch.names(), IsEmpty());
}

TEST(DurableFolder, ReplacesAnExistingFolderWhole) {
  const ScratchFolder scratch;
  write_folder(scratch / "one", "old a", "old b");
  spill(scratch / "one/extra", "goes with the old folder");
  write_folder(scratch / "one", "new a", "new b");
  EXPECT_THAT(scratch.names("one"), ElementsAre("a", "b"));
  EXPECT_EQ(folder_content(scratch / "one"), "new anew b");
  EXPECT_THAT(scratch.names(), ElementsAre("one"));
}

TEST(DurableFolder, FailedWriteKeepsTheOldFolderAndLeavesNoLitter) {
  if (const std::string why = test::no_other_user(); !why.empty()) GTEST_SKIP() << why;
  const ScratchFolder scratch;
  fs::permissions(scratch.path(), fs::perms::all);
  write_folder(scratch / "one", "old a", "old b");
  const int code = in_limited_child(1000, [&] {
    return io_error([&] { write_folder(scratch / "one", "new a", std::string(2000, 'b')); }).empty()
               ? 1
               : 42;
  });
  EXPECT_EQ(code, 42);
  EXPECT_EQ(folder_content(scratch / "one"), "old aold b");
  EXPECT_THAT(scratch.names(), ElementsAre("one"));
}

TEST(DurableFolder, RemovesWhatAKilledReplacementLeft) {
  const ScratchFolder scratch;
  fs::create_directory(scratch / "one.old");
  spill(scratch / "one.old/a", "old");
  write_folder(scratch / "one", "a", "b");
  EXPECT_THAT(scratch.names(), ElementsAre("one"));
}

// A process killed at any moment of a replacement leaves the old folder or the new one, never a
// mix.
TEST(DurableFolder, KilledAtRandomMomentsIsAlwaysOldOrNew) {
  const ScratchFolder scratch;
  const std::string old_part(5000, 'o'), new_part(5000, 'n');
  int killed_early = 0;
  for (int round = 0; round < 60; ++round) {
    write_folder(scratch / "one", old_part, old_part);
    const pid_t pid = ::fork();
    if (pid == 0) {
      write_folder(scratch / "one", new_part, new_part);
      ::_exit(0);
    }
    ::usleep(static_cast<useconds_t>(round * 40));
    ::kill(pid, SIGKILL);
    int status = 0;
    ::waitpid(pid, &status, 0);
    killed_early += WIFSIGNALED(status) ? 1 : 0;
    const std::string content = folder_content(scratch / "one");
    ASSERT_TRUE(content == old_part + old_part || content == new_part + new_part) << round;
  }
  EXPECT_GT(killed_early, 0) << "no kill came in time: the test shows nothing";
  write_folder(scratch / "one", "a", "b");
  EXPECT_THAT(scratch.names(), ElementsAre("one"));
}

TEST(ReplaceSymlink, PointsElsewhereInOneStep) {
  const ScratchFolder scratch;
  replace_symlink(scratch / "last", "first");
  replace_symlink(scratch / "last", "second");
  EXPECT_EQ(fs::read_symlink(scratch / "last"), "second");
  EXPECT_THAT(scratch.names(), ElementsAre("last"));
}

TEST(ReplaceSymlink, RefusesToReplaceAFolder) {
  const ScratchFolder scratch;
  fs::create_directory(scratch / "last");
  EXPECT_THAT(io_error([&] { replace_symlink(scratch / "last", "x"); }), HasSubstr("last"));
  EXPECT_THAT(scratch.names(), ElementsAre("last"));
}

TEST(CreateFolders, FailsWhereAFileIsInTheWay) {
  const ScratchFolder scratch;
  spill(scratch / "file", "");
  EXPECT_THAT(io_error([&] { create_folders(scratch / "file/deeper"); }),
              HasSubstr("Not a directory"));
  create_folders(scratch / "a/b/c");
  create_folders(scratch / "a/b/c");
  EXPECT_TRUE(fs::is_directory(scratch / "a/b/c"));
}

TEST(RemoveFolder, RemovesAllOfItAndIgnoresWhatIsNotThere) {
  const ScratchFolder scratch;
  write_folder(scratch / "one", "a", "b");
  remove_folder(scratch / "one");
  remove_folder(scratch / "one");
  EXPECT_THAT(scratch.names(), IsEmpty());
}

TEST(ForwardReader, ShowsEveryByteInOrder) {
  const ScratchFolder scratch;
  std::string content;
  for (int i = 0; content.size() < 300'000; ++i) content += std::to_string(i) + ' ';
  spill(scratch / "file", content);
  for (const std::size_t step : {1u, 7u, 65'536u, 100'000u}) {
    ForwardReader reader(scratch / "file");
    EXPECT_EQ(reader.size(), content.size());
    std::string got;
    for (std::string_view next; !(next = reader.peek(step)).empty();) {
      ASSERT_GE(next.size(), std::min(step, content.size() - got.size()));
      got += next.substr(0, step);
      reader.skip(std::min(step, next.size()));
    }
    EXPECT_TRUE(got == content) << step;
  }
}

TEST(ReadFile, ReturnsAllBytesUpToTheLimit) {
  const ScratchFolder scratch;
  const std::string content("a\0b\n", 4);
  spill(scratch / "file", content);
  EXPECT_EQ(read_file(scratch / "file", 4), content);
  EXPECT_THROW(read_file(scratch / "file", 3), BadInput);
}

TEST(ReadFile, RefusesWhatIsMissingOrNoRegularFile) {
  const ScratchFolder scratch;
  ASSERT_EQ(::mkfifo((scratch / "fifo").c_str(), 0600), 0);
  EXPECT_THROW(read_file(scratch / "missing", 10), BadInput);
  EXPECT_THROW(read_file(scratch / "fifo", 10), BadInput);
  EXPECT_THROW(read_file(scratch.path(), 10), BadInput);
  EXPECT_THROW(read_file("/dev/zero", 10), BadInput);
}

}  // namespace durable_file_test
}  // namespace lockstep
