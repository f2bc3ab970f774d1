// Tests for the file of results (bench/recorder.h): after every row it is a document that can be
// read, whatever becomes of the process.
#include "bench/recorder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "host/errors.h"
#include "tests/support/process.h"

namespace lockstep::bench {
namespace recorder_test {

using ::testing::ElementsAre;
using Run = benchmark::BenchmarkReporter::Run;

Run repetition(const std::string& name, double seconds) {
  Run run;
  run.run_name.function_name = name;
  run.iterations = 1;
  run.real_accumulated_time = seconds;
  run.time_unit = benchmark::kMillisecond;
  run.counters["items_per_second"] = 1 / seconds;
  return run;
}

class ResultFileTest : public ::testing::Test {
 protected:
  benchmark::BenchmarkReporter::Context context_;
  test::ScratchFolder folder_;
};

TEST_F(ResultFileTest, IsCompleteAfterEveryRow) {
  const auto path = folder_ / "results.json";
  ResultFile file(path);
  EXPECT_FALSE(std::filesystem::exists(path)) << "an earlier file must survive until there is more";
  Recorder recorder(nullptr, std::make_unique<ResultFile>(path));
  ASSERT_TRUE(recorder.ReportContext(context_));
  EXPECT_THROW(read_measurements(path), BadInput) << "a document, but with no row yet";
  recorder.ReportRuns({repetition("BM_a/manual_time", 0.25), repetition("BM_a/manual_time", 0.5)});
  EXPECT_THAT(read_measurements(path).rows.at("BM_a/manual_time").wall, ElementsAre(0.25, 0.5));
  recorder.ReportRuns({repetition("BM_b/manual_time", 2.0)});
  const Measurements both = read_measurements(path);
  EXPECT_EQ(both.rows.size(), 2u);
  EXPECT_THAT(both.rows.at("BM_b/manual_time").wall, ElementsAre(2.0));
}

TEST_F(ResultFileTest, WhatCannotBeWrittenIsSaidBeforeAnythingIsMeasured) {
  EXPECT_THROW(ResultFile(folder_ / "missing/results.json"), IoError);
  EXPECT_THROW(ResultFile(folder_.path()), IoError);
  EXPECT_THROW(ResultFile("/dev/null"), IoError);
}

}  // namespace recorder_test
}  // namespace lockstep::bench
