// Tests for host/cli/output.h and the fraction of host/cli/progress.h.
#include "host/cli/output.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "host/cli/progress.h"

namespace lockstep::cli {
namespace output_test {

constexpr double kInfinite = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

TEST(NumberTextTest, GroupsDigitsByThree) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(-123456), "-123,456");
  EXPECT_EQ(grouped(9223372036854775807), "9,223,372,036,854,775,807");
}

TEST(NumberTextTest, ShowsThreeDigitsAndAUnit) {
  EXPECT_EQ(with_unit(0), "0");
  EXPECT_EQ(with_unit(999.4), "999");
  EXPECT_EQ(with_unit(999.6), "1 k");
  EXPECT_EQ(with_unit(36.64e6), "36.6 M");
  EXPECT_EQ(with_unit(999.9e6), "1 G");
  EXPECT_EQ(duration(0.002134), "2.13 ms");
  EXPECT_EQ(duration(0.99949), "999 ms");
  EXPECT_EQ(duration(0.9996), "1 s");
  EXPECT_EQ(duration(1234.5), "1,235 s");
  EXPECT_EQ(duration(kNan), "-");
}

TEST(QuantileTest, InterpolatesAsNumPyDoes) {
  const std::vector<double> values = {1, 2, 4, 8};
  EXPECT_EQ(quantile(values, 0), 1);
  EXPECT_EQ(quantile(values, 1), 8);
  EXPECT_EQ(quantile(values, 0.5), 3);
  EXPECT_DOUBLE_EQ(quantile(values, 0.05), 1.15);  // numpy.quantile([1, 2, 4, 8], 0.05)
  EXPECT_DOUBLE_EQ(quantile(values, 0.95), 7.4);
  EXPECT_EQ(quantile(std::vector<double>{5}, 0.95), 5);
  EXPECT_TRUE(std::isnan(quantile({}, 0.5)));
}

TEST(QuantileTest, InfinitiesStayInfiniteAndMakeNoNaN) {
  const std::vector<double> values = {1, 2, kInfinite, kInfinite};
  EXPECT_EQ(quantile(values, 0.25), 1.75);
  EXPECT_EQ(quantile(values, 0.5), kInfinite);
  EXPECT_EQ(quantile(values, 0.75), kInfinite);
  EXPECT_EQ(quantile(values, 0.95), kInfinite);
}

TEST(FractionDoneTest, IsTheNearestLimit) {
  Config config;
  config.until_score = 500;
  config.updates = 100;
  config.steps = 1000;
  UpdateMetrics metrics;
  EXPECT_EQ(fraction_done(config, metrics), 0);
  metrics.update = 25;
  metrics.mean_score = 100;
  EXPECT_EQ(fraction_done(config, metrics), 0.25);
  metrics.steps = 600;
  EXPECT_EQ(fraction_done(config, metrics), 0.6);
  metrics.mean_score = 900;
  EXPECT_EQ(fraction_done(config, metrics), 1);
}

TEST(FractionDoneTest, IgnoresMissingLimitsAndScores) {
  Config config;  // only the score counts
  UpdateMetrics metrics;
  metrics.update = 1000;
  metrics.mean_score = kNan;
  EXPECT_EQ(fraction_done(config, metrics), 0);
  config.until_score = -100;  // no part of the way is known
  metrics.mean_score = -200;
  EXPECT_EQ(fraction_done(config, metrics), 0);
}

}  // namespace output_test
}  // namespace lockstep::cli
