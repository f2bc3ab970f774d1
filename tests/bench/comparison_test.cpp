// Tests for bench/comparison.h and bench/measurements.h.
#include "bench/comparison.h"

#include <gtest/gtest.h>

#include "host/errors.h"
#include "tests/support/scratch_folder.h"

namespace lockstep::bench {
namespace comparison_test {

constexpr const char* kRow = "BM_x/cartpole/cpu_avx2_x1/N:16/T:4";

Measurements with_seconds(std::vector<double> seconds, const std::string& row = kRow) {
  Measurements result;
  result.rows[row].seconds = std::move(seconds);
  return result;
}

Verdict verdict(std::vector<double> before, std::vector<double> now, double max_regress = 0.05) {
  return compare(with_seconds(std::move(before)), with_seconds(std::move(now)), max_regress)
      .changes.at(0)
      .verdict;
}

TEST(CompareTest, CallsAClearSlowdownARegression) {
  EXPECT_EQ(verdict({1.00, 1.01, 0.99}, {1.10, 1.11, 1.09}), Verdict::kSlow);
}

TEST(CompareTest, AllowsWhatTheLimitAllows) {
  EXPECT_EQ(verdict({1.00, 1.001, 0.999}, {1.04, 1.041, 1.039}), Verdict::kSame);
  EXPECT_EQ(verdict({1.00, 1.001, 0.999}, {1.04, 1.041, 1.039}, 0.03), Verdict::kSlow);
}

TEST(CompareTest, RefusesToJudgeWhereTheNoiseCoversTheLimit) {
  EXPECT_EQ(verdict({1.0, 1.2, 0.8}, {1.07, 1.3, 0.9}), Verdict::kAmbiguous);   // looks slower
  EXPECT_EQ(verdict({1.0, 1.2, 0.8}, {1.01, 1.25, 0.8}), Verdict::kAmbiguous);  // looks the same
}

TEST(CompareTest, NoiseOfEitherSideCounts) {
  EXPECT_EQ(verdict({1.0, 1.2, 0.8}, {1.07, 1.07, 1.07}), Verdict::kAmbiguous);
  EXPECT_EQ(verdict({1.0, 1.0, 1.0}, {1.07, 1.3, 0.9}), Verdict::kAmbiguous);
}

TEST(CompareTest, CallsAClearGainFast) {
  EXPECT_EQ(verdict({1.00, 1.01, 0.99}, {0.90, 0.91, 0.89}), Verdict::kFast);
}

TEST(CompareTest, OneWildRepetitionDecidesNothing) {
  EXPECT_EQ(verdict({1.0, 1.001, 0.999, 1.0, 0.999}, {1.0, 9.0, 0.999, 1.001, 1.0}),
            Verdict::kSame);
}

TEST(CompareTest, KnowsNothingFromTwoRepetitions) {
  Measurements before = with_seconds({1, 1, 1}), now = with_seconds({2, 2, 2});
  before.rows["BM_few"].seconds = {1, 1};
  now.rows["BM_few"].seconds = {2, 2, 2};
  const Comparison comparison = compare(before, now, 0.05);
  EXPECT_EQ(comparison.count(Verdict::kSlow), 1);
  EXPECT_EQ(comparison.count(Verdict::kUnknown), 1);
}

TEST(CompareTest, RefusesWhenNoRowCanBeJudged) {
  EXPECT_THROW(compare(with_seconds({1, 1, 1}), with_seconds({1, 1, 1}, "BM_other"), 0.05),
               BadInput);
  EXPECT_THROW(compare(with_seconds({1}), with_seconds({1}), 0.05), BadInput);
}

TEST(CompareTest, NamesRowsOfOneSideAndOtherMachines) {
  Measurements before = with_seconds({1, 1, 1}), now = with_seconds({1, 1, 1});
  before.rows["BM_gone"].seconds = {1, 1, 1};
  now.rows["BM_new"].seconds = {1, 1, 1};
  before.context["cpu"] = "one";
  now.context["cpu"] = "two";
  const Comparison comparison = compare(before, now, 0.05);
  EXPECT_EQ(comparison.only_before, std::vector<std::string>{"BM_gone"});
  EXPECT_EQ(comparison.only_now, std::vector<std::string>{"BM_new"});
  ASSERT_EQ(comparison.warnings.size(), 1u);
  EXPECT_NE(comparison.warnings[0].find("'one' before, 'two' now"), std::string::npos);
}

TEST(CompareTest, RefusesTheMeasurementsOfAnotherGpu) {
  Measurements before = with_seconds({1, 1, 1}), now = with_seconds({1, 1, 1});
  now.context["gpu"] = "H100";
  EXPECT_EQ(compare(before, now, 0.05).changes.size(), 1u) << "a file without a GPU says nothing";
  before.context["gpu"] = "H100";
  EXPECT_EQ(compare(before, now, 0.05).changes.size(), 1u);
  now.context["gpu"] = "H200";
  EXPECT_THROW(compare(before, now, 0.05), BadInput);
  now.context.erase("gpu");
  EXPECT_THROW(compare(before, now, 0.05), BadInput);
}

TEST(MedianTest, IsTheMiddleOrBetweenTheMiddles) {
  EXPECT_EQ(median({3, 1, 2}), 2);
  EXPECT_EQ(median({4, 1, 2, 3}), 2.5);
  EXPECT_EQ(median_deviation({1, 2, 3, 100}), 1.0);
}

class ReadMeasurementsTest : public ::testing::Test {
 protected:
  Measurements read(const std::string& text) {
    std::ofstream(folder_ / "file.json") << text;
    return read_measurements(folder_ / "file.json");
  }
  test::ScratchFolder folder_;
};

TEST_F(ReadMeasurementsTest, TakesSingleRepetitionsWithTheirClockAndUnit) {
  const Measurements m = read(R"({"context": {"cpu": "x", "num_cpus": 2}, "benchmarks": [
    {"name": "BM_a", "run_name": "BM_a", "run_type": "iteration", "real_time": 4, "cpu_time": 2,
     "time_unit": "ms"},
    {"name": "BM_a", "run_name": "BM_a", "run_type": "iteration", "real_time": 5, "cpu_time": 3,
     "time_unit": "ms"},
    {"name": "BM_a_median", "run_name": "BM_a", "run_type": "aggregate", "real_time": 4.5,
     "cpu_time": 2.5, "time_unit": "ms"},
    {"name": "BM_b/real_time", "run_type": "iteration", "real_time": 7, "cpu_time": 1,
     "time_unit": "us"},
    {"name": "BM_c", "run_type": "iteration", "error_occurred": true, "real_time": 0,
     "cpu_time": 0, "time_unit": "ns"}]})");
  ASSERT_EQ(m.rows.size(), 2u);
  EXPECT_EQ(m.rows.at("BM_a").seconds, (std::vector<double>{2e-3, 3e-3}));
  EXPECT_EQ(m.rows.at("BM_a").wall, (std::vector<double>{4e-3, 5e-3}));
  EXPECT_EQ(m.rows.at("BM_b/real_time").seconds, std::vector<double>{7e-6});
  EXPECT_EQ(m.context.at("cpu"), "x");
}

TEST_F(ReadMeasurementsTest, RefusesWhatIsNoBenchmarkFile) {
  EXPECT_THROW(read_measurements(folder_ / "missing.json"), IoError);
  EXPECT_THROW(read("not json"), BadInput);
  EXPECT_THROW(read("[]"), BadInput);
  EXPECT_THROW(read(R"({"benchmarks": []})"), BadInput);
  EXPECT_THROW(read(R"({"benchmarks": [{"name": "BM_a", "real_time": 1, "cpu_time": 1,
                                        "time_unit": "days"}]})"),
               BadInput);
}

}  // namespace comparison_test
}  // namespace lockstep::bench
