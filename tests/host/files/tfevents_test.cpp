// Tests for host/files/tfevents.h. TensorBoard itself reads our files in tests/python/io_check.py.
#include "host/files/tfevents.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <limits>

#include "host/errors.h"
#include "host/files/crc32c.h"
#include "tests/support/scratch_folder.h"

namespace lockstep {
namespace tfevents_test {

namespace fs = std::filesystem;
using test::ScratchFolder;
using test::slurp;
using test::spill;
using ::testing::ElementsAre;
using ::testing::SizeIs;

constexpr double kTime = 1700000000.5;

// Event{1: 1700000000.5, 3: "brain.Event:2"}: key 0x09 and the double, key 0x1a and the string.
const std::string kVersionEvent =
    std::string("\x09\x00\x00\x20\x40\xfc\x54\xd9\x41\x1a\x0d", 11) + "brain.Event:2";

// Event{1: time, 2: step, 5: {1: {1: "a/b", 2: 1.5}}}.
std::string scalar_event(const std::string& step_varint) {
  return std::string("\x09\x00\x00\x20\x40\xfc\x54\xd9\x41\x10", 10) + step_varint +
         std::string(
             "\x2a\x0c\x0a\x0a\x0a\x03"
             "a/b"
             "\x15\x00\x00\xc0\x3f",
             14);
}

fs::path only_file(const ScratchFolder& scratch) {
  const std::set<std::string> names = scratch.names();
  EXPECT_THAT(names, SizeIs(1));
  return scratch / *names.begin();
}

std::string scalars(std::initializer_list<const char*> steps) {
  std::string bytes = tfrecord(kVersionEvent);
  for (const char* step : steps) bytes += tfrecord(scalar_event(step));
  return bytes;
}

// What all event files hold, in the order TensorBoard reads them.
std::vector<std::string> contents(const ScratchFolder& scratch) {
  std::vector<std::string> all;
  for (const std::string& name : scratch.names()) all.push_back(slurp(scratch / name));
  return all;
}

void write_steps(EventWriter& writer, std::int64_t first, std::int64_t last) {
  for (std::int64_t step = first; step <= last; ++step) writer.add_scalar("a/b", step, 1.5, kTime);
}

// The framing of any record of 24 bytes; the last four are the masked CRC-32C of its length.
TEST(Tfrecord, MatchesTheKnownPrefix) {
  const std::string record = tfrecord(std::string(24, 'x'));
  EXPECT_EQ(record.size(), 40u);
  EXPECT_EQ(record.substr(0, 12), std::string("\x18\0\0\0\0\0\0\0\xa3\x7f\x4b\x22", 12));
  EXPECT_EQ(record.substr(12, 24), std::string(24, 'x'));
}

TEST(EventWriter, WritesTheDocumentedBytes) {
  const ScratchFolder scratch(test::memory_folder());
  EventWriter writer(scratch.path(), kTime);
  writer.add_scalar("a/b", 1, 1.5, kTime);
  writer.add_scalar("a/b", 300, 1.5, kTime);
  writer.close();
  EXPECT_EQ(slurp(only_file(scratch)), scalars({"\x01", "\xac\x02"}));
}

TEST(EventWriter, NamesItsFileAsTensorboardExpects) {
  const ScratchFolder scratch(test::memory_folder());
  const EventWriter writer(scratch.path(), kTime);
  const std::string name = writer.path().filename().string();
  EXPECT_EQ(name.find("events.out.tfevents.1700000000."), 0u) << name;
  EXPECT_NE(name.find("." + std::to_string(::getpid()) + "."), std::string::npos) << name;
  EXPECT_TRUE(fs::exists(writer.path()));
}

TEST(EventWriter, KeepsRecordsUntilFlushed) {
  const ScratchFolder scratch(test::memory_folder());
  EventWriter writer(scratch.path(), kTime);
  EXPECT_EQ(slurp(writer.path()), scalars({}));
  writer.add_scalar("a/b", 1, 1.5, kTime);
  EXPECT_EQ(slurp(writer.path()), scalars({}));
  writer.flush();
  EXPECT_EQ(slurp(writer.path()), scalars({"\x01"}));
}

TEST(EventWriter, WritesNonFiniteValuesAndLargeSteps) {
  const ScratchFolder scratch(test::memory_folder());
  EventWriter writer(scratch.path(), kTime);
  writer.add_scalar("n", std::numeric_limits<std::int64_t>::max(),
                    std::numeric_limits<double>::quiet_NaN(), kTime);
  writer.close();
  const std::string bytes = slurp(only_file(scratch)).substr(tfrecord(kVersionEvent).size());
  EXPECT_NE(bytes.find("\x10\xff\xff\xff\xff\xff\xff\xff\xff\x7f\x2a"), std::string::npos);
}

TEST(EventWriterResume, CutsBackToTheStepAndGoesOn) {
  const ScratchFolder scratch(test::memory_folder());
  {
    EventWriter writer(scratch.path(), kTime);
    write_steps(writer, 1, 5);
  }
  EventWriter writer = EventWriter::resume(scratch.path(), kTime, 3);
  write_steps(writer, 4, 4);
  writer.close();
  EXPECT_THAT(contents(scratch), ElementsAre(scalars({"\x01", "\x02", "\x03"}), scalars({"\x04"})));
}

TEST(EventWriterResume, DropsATornTailAtEveryLength) {
  const ScratchFolder scratch(test::memory_folder());
  const fs::path file = scratch / "events.out.tfevents.1700000000.host.1.0";
  const std::string all = scalars({"\x01", "\x02"});
  const std::size_t whole = scalars({"\x01"}).size();
  for (std::size_t size = whole; size < all.size(); ++size) {
    spill(file, all.substr(0, size));
    EventWriter writer = EventWriter::resume(scratch.path(), kTime, 9);
    write_steps(writer, 2, 2);
    writer.close();
    ASSERT_THAT(contents(scratch), ElementsAre(scalars({"\x01"}), scalars({"\x02"}))) << size;
    fs::remove(writer.path());
  }
}

TEST(EventWriterResume, DropsADamagedRecordAndAllBehindIt) {
  const ScratchFolder scratch(test::memory_folder());
  const fs::path file = scratch / "events.out.tfevents.1700000000.host.1.0";
  const std::string all = scalars({"\x01", "\x02", "\x03"});
  const std::size_t begin = scalars({"\x01"}).size(), end = scalars({"\x01", "\x02"}).size();
  for (std::size_t bit = 8 * begin; bit < 8 * end; ++bit) {
    std::string bad = all;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    spill(file, bad);
    EventWriter writer = EventWriter::resume(scratch.path(), kTime, 9);
    ASSERT_EQ(slurp(file), scalars({"\x01"})) << bit;
    fs::remove(writer.path());
  }
}

TEST(EventWriterResume, HandlesSeveralFilesAndNone) {
  const ScratchFolder scratch(test::memory_folder());
  spill(scratch / "events.out.tfevents.1700000001.host.1.0", scalars({"\x01", "\x05"}));
  spill(scratch / "events.out.tfevents.1700000002.host.1.0", scalars({"\x02", "\x06"}));
  spill(scratch / "metrics.jsonl", "untouched");
  EventWriter writer = EventWriter::resume(scratch.path(), kTime, 3);
  write_steps(writer, 3, 3);
  writer.close();
  EXPECT_THAT(contents(scratch),
              ElementsAre(scalars({"\x01"}), scalars({"\x02"}), scalars({"\x03"}), "untouched"));

  const ScratchFolder empty(test::memory_folder());
  EventWriter::resume(empty.path(), kTime, 3).close();
  EXPECT_EQ(slurp(only_file(empty)), scalars({}));
}

TEST(EventWriterResume, NamesTheNewFileBehindTheOthers) {
  const ScratchFolder scratch(test::memory_folder());
  spill(scratch / "events.out.tfevents.1800000000.host.1.0",
        scalars({"\x01"}));  // the clock went back
  EventWriter writer = EventWriter::resume(scratch.path(), kTime, 3);
  EXPECT_EQ(writer.path().filename().string().find("events.out.tfevents.1800000001."), 0u);
  EXPECT_EQ(slurp(writer.path()), scalars({}));
}

TEST(EventWriterResume, RemovesFilesWithoutEvents) {
  const ScratchFolder scratch(test::memory_folder());
  for (const std::string& content : {std::string("garbage"), scalars({}), scalars({"\x04"})}) {
    const fs::path file = scratch / "events.out.tfevents.1700000000.host.1.0";
    spill(file, content);
    EventWriter writer = EventWriter::resume(scratch.path(), kTime, 3);
    EXPECT_THAT(contents(scratch), ElementsAre(scalars({})));
    EXPECT_FALSE(fs::exists(file));
    fs::remove(writer.path());
  }
}

TEST(EventWriterResume, DropsRecordsThatAreNoEventsAndAllBehindThem) {
  const ScratchFolder scratch(test::memory_folder());
  const fs::path file = scratch / "events.out.tfevents.1700000000.host.1.0";
  const std::string hostile[] = {"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  // length 2^64-1
                                 "\x10",
                                 "\x80",
                                 "\x09"
                                 "1234567",
                                 "\x0b",
                                 "\x15"
                                 "123"};
  for (const std::string& data : hostile) {
    spill(file, scalars({"\x01"}) + tfrecord(data) + tfrecord(scalar_event("\x02")));
    EventWriter writer = EventWriter::resume(scratch.path(), kTime, 9);
    EXPECT_EQ(slurp(file), scalars({"\x01"}));
    fs::remove(writer.path());
  }
}

// Behind the record that is beyond the step lies a hole: 5 GiB that take no room.
TEST(EventWriterResume, CutsAFileBeyond4GiB) {
  const ScratchFolder scratch(test::memory_folder());
  const fs::path file = scratch / "events.out.tfevents.1700000000.host.1.0";
  spill(file, scalars({"\x01", "\x02"}));
  fs::resize_file(file, std::uintmax_t{5} << 30);
  EventWriter::resume(scratch.path(), kTime, 1).close();
  EXPECT_EQ(slurp(file), scalars({"\x01"}));
}

TEST(EventWriter, FailedFlushIsAnIoErrorAndIsNotRepeated) {
  const ScratchFolder scratch(test::memory_folder());
  EventWriter writer(scratch.path(), kTime);
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{100, 100};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) ::_exit(1);
    write_steps(writer, 1, 9);
    try {
      writer.flush();
      ::_exit(2);
    } catch (const IoError&) {
    }
    writer.flush();  // nothing is left to write: no second error
    ::_exit(42);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 42);
}

TEST(EventWriter, MissingFolderIsAnIoError) {
  const ScratchFolder scratch(test::memory_folder());
  EXPECT_THROW(EventWriter(scratch / "missing", kTime), IoError);
  EXPECT_THROW(EventWriter::resume(scratch / "missing", kTime, 1), IoError);
}

}  // namespace tfevents_test
}  // namespace lockstep
