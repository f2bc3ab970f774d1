// Tests for host/files/metrics.h.
#include "host/files/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "host/errors.h"
#include "tests/support/metrics_sample.h"
#include "tests/support/scratch_folder.h"

namespace lockstep {
namespace metrics_test {

namespace fs = std::filesystem;
using nlohmann::json;
using test::append_samples;
using test::one_to;
using test::sample;
using test::ScratchFolder;
using test::slurp;
using test::spill;
using test::updates_of;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

// The lines without what differs from run to run.
std::vector<json> without_times(const fs::path& folder) {
  std::vector<json> rows;
  std::istringstream stream(slurp(folder / "metrics.jsonl"));
  for (std::string line; std::getline(stream, line);) {
    json row = json::parse(line);
    EXPECT_EQ(row.erase("time/seconds") + row.erase("time/unix") + row.erase("charts/SPS"), 3u);
    rows.push_back(row);
  }
  return rows;
}

constexpr std::uintmax_t kVersionRecord = 40;  // a file of events begins with it

// Bytes of all event files; scalars of the same steps and names have the same size.
std::uintmax_t event_bytes(const ScratchFolder& folder) {
  std::uintmax_t bytes = 0;
  for (const auto& name : folder.names()) {
    if (name.starts_with("events.out.tfevents.")) bytes += fs::file_size(folder / name);
  }
  return bytes;
}

TEST(MetricsLineTest, IsOneFlatJsonObjectUnderCleanRlNames) {
  UpdateMetrics m;
  m.update = 3;
  m.episodes = 48;
  m.steps = 1234;
  m.seconds = 0.5;
  m.mean_score = 26.25;
  m.batch_score = 30;
  m.batch_length = 30;
  m.learning_rate = 0.03;
  m.policy_loss = -0.125;
  m.entropy = 0.6875;
  m.grad_norm = 2;
  EXPECT_EQ(metrics_line(m, 1.5),
            "{\"update\": 3, \"global_step\": 1234, \"episodes\": 48, "
            "\"charts/episodic_return\": 26.25, \"charts/batch_return\": 30, "
            "\"charts/episodic_length\": 30, \"charts/learning_rate\": 0.03, "
            "\"losses/policy_loss\": -0.125, \"losses/entropy\": 0.6875, \"losses/grad_norm\": 2, "
            "\"time/seconds\": 0.5, \"time/unix\": 1.5, \"charts/SPS\": 2468}\n");
  m.has_eval = true;
  m.eval_score = 499.5;
  m.value_loss = 3, m.explained_variance = 0.5, m.approx_kl = 0.125, m.clip_fraction = 0.25;
  EXPECT_THAT(metrics_line(m, 0),
              HasSubstr("\"losses/grad_norm\": 2, \"losses/value_loss\": 3, "
                        "\"losses/explained_variance\": 0.5, \"losses/approx_kl\": 0.125, "
                        "\"losses/clipfrac\": 0.25, \"charts/eval_return\": 499.5"));
}

TEST(MetricsLineTest, WritesNullForWhatIsNotFinite) {
  UpdateMetrics m = sample(5);
  m.policy_loss = kNan;
  m.grad_norm = kInf;
  m.eval_score = -kInf;
  m.seconds = 0;  // so there is no rate either
  const json row = json::parse(metrics_line(m, kNan));
  for (const char* key : {"losses/policy_loss", "losses/grad_norm", "charts/eval_return",
                          "time/unix", "charts/SPS"}) {
    EXPECT_TRUE(row.at(key).is_null()) << key;
  }
}

TEST(ReadMetricsTest, GivesBackEveryBitOfEveryDouble) {
  ScratchFolder folder;
  std::mt19937_64 random(1);
  std::vector<double> values = {0.0,     -0.0, 5e-324, std::numeric_limits<double>::max(),
                                1.0 / 3, 1e22, 1e23,   9007199254740993.0};
  while (values.size() < 2000) {
    const double v = std::bit_cast<double>(random());
    if (std::isfinite(v)) values.push_back(v);
  }
  std::string text;
  for (std::size_t i = 0; i < values.size(); ++i) {
    UpdateMetrics m = sample(static_cast<std::int64_t>(i) + 1);
    m.mean_score = m.batch_score = m.batch_length = m.learning_rate = values[i];
    m.policy_loss = m.entropy = m.grad_norm = m.eval_score = m.seconds = values[i];
    m.value_loss = m.explained_variance = m.approx_kl = m.clip_fraction = values[i];
    text += metrics_line(m, 0);
  }
  spill(folder / "metrics.jsonl", text);
  const auto rows = read_metrics(folder / "metrics.jsonl");
  ASSERT_EQ(rows.size(), values.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const UpdateMetrics& m = rows[i];
    const auto bits = std::bit_cast<std::uint64_t>(values[i]);
    for (const double v : {m.mean_score, m.batch_score, m.batch_length, m.learning_rate,
                           m.policy_loss, m.entropy, m.grad_norm, m.seconds, m.value_loss,
                           m.explained_variance, m.approx_kl, m.clip_fraction}) {
      ASSERT_EQ(std::bit_cast<std::uint64_t>(v), bits) << values[i];
    }
    ASSERT_EQ(m.has_eval, m.update % 5 == 0);
    ASSERT_EQ(std::bit_cast<std::uint64_t>(m.eval_score), m.has_eval ? bits : 0);
    ASSERT_EQ(m.steps, 1000 * m.update);
    ASSERT_EQ(m.episodes, 16 * m.update);
  }
}

TEST(ReadMetricsTest, ReadsNullAsNan) {
  ScratchFolder folder;
  UpdateMetrics m = sample(5);
  m.eval_score = m.grad_norm = kNan;
  spill(folder / "metrics.jsonl", metrics_line(m, 0));
  const auto rows = read_metrics(folder / "metrics.jsonl");
  ASSERT_EQ(rows.size(), 1u);
  EXPECT_TRUE(rows[0].has_eval && std::isnan(rows[0].eval_score) && std::isnan(rows[0].grad_norm));
}

TEST(ReadMetricsTest, RejectsDamageWithFileAndLine) {
  ScratchFolder folder;
  const std::string good = metrics_line(sample(1), 0);
  const auto with = [](const std::string& key, const json& value) {
    json row = json::parse(metrics_line(sample(2), 0));
    row[key] = value;
    if (value == "absent") row.erase(key);
    return row.dump() + "\n";
  };
  const std::pair<std::string, std::string> cases[] = {
      {"garbage\n", "not a JSON object"},
      {"[1]\n", "not a JSON object"},
      {"\n", "not a JSON object"},
      {std::string(100000, '[') + "\n", "not a JSON object"},
      {with("update", "absent"), "no key update"},
      {with("losses/entropy", "absent"), "no key losses/entropy"},
      {with("losses/entropy", "x"), "losses/entropy is not a number"},
      {with("update", 2.5), "update is not a count"},
      {with("episodes", -1), "episodes is not a count"},
      {with("global_step", std::numeric_limits<std::uint64_t>::max()),
       "global_step is not a count"},
      {good, "update 1 comes after update 1"}};
  for (const auto& [line, reason] : cases) {
    spill(folder / "metrics.jsonl", good + line);
    try {
      read_metrics(folder / "metrics.jsonl");
      ADD_FAILURE() << "accepted: " << line.substr(0, 100);
    } catch (const BadInput& error) {
      EXPECT_THAT(error.what(), AllOf(HasSubstr("metrics.jsonl:2: "), HasSubstr(reason)));
    }
  }
  EXPECT_THROW(read_metrics(folder / "absent.jsonl"), BadInput);
}

TEST(MetricsLogTest, ResumedLogsEqualTheUninterruptedOnes) {
  ScratchFolder whole;
  {
    MetricsLog log(whole.path());
    append_samples(log, 1, 30);
    log.close();
  }
  for (const std::int64_t checkpoint : {0, 1, 12, 20, 25}) {
    ScratchFolder folder;
    {
      MetricsLog log(folder.path());
      append_samples(log, 1, 20);
    }
    const std::int64_t kept = std::min<std::int64_t>(checkpoint, 20);
    {
      MetricsLog log = MetricsLog::resume(folder.path(), checkpoint);
      EXPECT_EQ(updates_of(log.kept()), one_to(kept));
      append_samples(log, kept + 1, 30);
      log.close();
    }
    EXPECT_EQ(without_times(folder.path()), without_times(whole.path())) << checkpoint;
    EXPECT_EQ(event_bytes(folder), event_bytes(whole) + (kept > 0 ? kVersionRecord : 0))
        << checkpoint;
  }
}

TEST(MetricsLogTest, ResumeTakesTheRowOfAnEndBack) {
  ScratchFolder whole;
  {
    MetricsLog log(whole.path());
    append_samples(log, 1, 12);
    log.close();
  }
  for (const std::int64_t checkpoint : {11, 12}) {  // of before the end, and of the end
    ScratchFolder folder;
    {
      MetricsLog log(folder.path());
      append_samples(log, 1, 11);
      UpdateMetrics end = sample(12);
      end.at_end = true;
      log.append(end);
      log.close();
    }
    EXPECT_TRUE(read_metrics(folder / "metrics.jsonl").back().at_end);
    MetricsLog log = MetricsLog::resume(folder.path(), checkpoint);
    EXPECT_EQ(updates_of(log.kept()), one_to(11));
    ASSERT_EQ(log.earlier_end().has_value(), checkpoint == 12);
    if (checkpoint == 12) {
      EXPECT_EQ(log.earlier_end()->steps, 12000);
    }
    log.append(sample(12));
    log.close();
    EXPECT_EQ(without_times(folder.path()), without_times(whole.path()));
    EXPECT_EQ(event_bytes(folder), event_bytes(whole) + kVersionRecord);
  }
}

TEST(MetricsLogTest, WhatThereIsNotIsNoEvent) {
  ScratchFolder some, all;
  const auto bytes_of = [](const ScratchFolder& folder, const UpdateMetrics& m) {
    MetricsLog log(folder.path());
    log.append(m);
    log.close();
    return event_bytes(folder);
  };
  UpdateMetrics m = sample(1);
  const auto full = bytes_of(all, m);
  m.mean_score = m.batch_score = m.batch_length = m.policy_loss = m.entropy = m.grad_norm = kNan;
  EXPECT_LT(bytes_of(some, m) + 6 * 30, full);
  EXPECT_EQ(read_metrics(some / "metrics.jsonl").size(), 1u);
}

TEST(MetricsLogTest, ResumesAFileCutAtAnyByte) {
  ScratchFolder folder;
  std::string text;
  for (std::int64_t update = 1; update <= 4; ++update) text += metrics_line(sample(update), 0);
  for (std::size_t size = 0; size <= text.size(); ++size) {
    const std::string cut = text.substr(0, size);
    const auto whole_lines = std::count(cut.begin(), cut.end(), '\n');
    spill(folder / "metrics.jsonl", cut);
    ASSERT_EQ(read_metrics(folder / "metrics.jsonl").size(), static_cast<std::size_t>(whole_lines));
    MetricsLog log = MetricsLog::resume(folder.path(), 3);
    ASSERT_EQ(updates_of(log.kept()), one_to(std::min<std::int64_t>(whole_lines, 3)));
    log.append(sample(4));
    log.close();
    ASSERT_EQ(read_metrics(folder / "metrics.jsonl").back().update, 4);
  }
}

// Lines that cross the pieces in which a file is read, and behind them a hole of 5 GiB.
TEST(MetricsLogTest, ResumesAFileBeyond4GiB) {
  ScratchFolder folder;
  std::string text;
  for (std::int64_t update = 1; update <= 1001; ++update) text += metrics_line(sample(update), 0);
  spill(folder / "metrics.jsonl", text);
  fs::resize_file(folder / "metrics.jsonl", std::uintmax_t{5} << 30);
  MetricsLog log = MetricsLog::resume(folder.path(), 1000);
  EXPECT_EQ(updates_of(log.kept()), one_to(1000));
  append_samples(log, 1001, 1002);
  log.close();
  EXPECT_EQ(updates_of(read_metrics(folder / "metrics.jsonl")), one_to(1002));
}

TEST(ReadMetricsTest, RejectsALineWithoutEnd) {
  ScratchFolder folder;
  spill(folder / "metrics.jsonl", metrics_line(sample(1), 0));
  fs::resize_file(folder / "metrics.jsonl", std::uintmax_t{5} << 30);
  EXPECT_THROW(read_metrics(folder / "metrics.jsonl"), BadInput);
}

TEST(MetricsLogTest, ResumeStartsNewLogsWhereThereAreNone) {
  ScratchFolder folder;
  MetricsLog log = MetricsLog::resume(folder.path(), 7);
  EXPECT_THAT(log.kept(), IsEmpty());
  log.append(sample(8));
  log.close();
  EXPECT_EQ(updates_of(read_metrics(folder / "metrics.jsonl")), std::vector<std::int64_t>{8});
  EXPECT_GT(event_bytes(folder), 0u);
}

TEST(MetricsLogTest, WhatWasFlushedSurvivesTheProcess) {
  ScratchFolder folder;
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t pid = ::fork();
  if (pid == 0) {
    MetricsLog log(folder.path());
    append_samples(log, 1, 10);
    log.flush();
    log.append(sample(11));
    if (::write(ready[1], "x", 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
  ::close(ready[0]);
  ::close(ready[1]);
  const auto updates = updates_of(read_metrics(folder / "metrics.jsonl"));
  ASSERT_GE(updates.size(), 10u);
  EXPECT_EQ(std::vector(updates.begin(), updates.begin() + 10), one_to(10));
}

TEST(MetricsLogTest, ReportsAFullDevice) {
  ScratchFolder folder;
  fs::create_symlink("/dev/full", folder / "metrics.jsonl");
  MetricsLog log(folder.path());
  log.append(sample(1));
  try {
    log.close();
    FAIL();
  } catch (const IoError& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("metrics.jsonl"), HasSubstr("No space left")));
  }
}

// A child may write 2,000 bytes to a file: five lines and a part of the sixth.
TEST(MetricsLogTest, LeavesWholeLinesWhenTheDiskFills) {
  ScratchFolder folder;
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{2000, 2000};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) ::_exit(100);
    MetricsLog log(folder.path());
    int failures = 0;
    for (std::int64_t update = 1; update <= 10; ++update) {
      try {
        log.append(sample(update));
        log.flush();
      } catch (const IoError&) {
        ++failures;
      }
    }
    ::_exit(failures > 0 ? 0 : 1);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0);
  const std::string text = slurp(folder / "metrics.jsonl");
  EXPECT_TRUE(text.ends_with("}\n"));
  EXPECT_GE(read_metrics(folder / "metrics.jsonl").size(), 4u);
}

// The event file of a log point is larger than its line: it alone does not fit.
TEST(MetricsLogTest, EventsThatCannotBeWrittenAreToldOnceAndFailNothing) {
  ScratchFolder folder;
  const pid_t pid = ::fork();
  if (pid == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{450, 450};
    if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) ::_exit(100);
    int warnings = 0;
    MetricsLog log(folder.path(), [&](const std::string&) { ++warnings; });
    log.append(sample(1));
    log.flush();
    log.flush();
    log.close();
    ::_exit(warnings);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 1);
  EXPECT_EQ(updates_of(read_metrics(folder / "metrics.jsonl")), one_to(1));
}

TEST(MetricsLogTest, NeedsItsFolder) {
  ScratchFolder folder;
  EXPECT_THROW(MetricsLog(folder / "absent"), IoError);
}

}  // namespace metrics_test
}  // namespace lockstep
