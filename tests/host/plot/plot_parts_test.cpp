// Tests for host/plot/plot_parts.h.
#include "host/plot/plot_parts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

namespace lockstep::plot_parts {
namespace plot_parts_test {

using ::testing::ElementsAre;

std::vector<std::string> labels(double low, double high, int max_ticks, bool round_out = true) {
  std::vector<std::string> out;
  for (const Tick& tick : nice_axis({low, high}, max_ticks, round_out).ticks) {
    out.push_back(tick.label);
  }
  return out;
}

TEST(NiceAxisTest, LabelsRoundNumbersInOneUnit) {
  EXPECT_THAT(labels(9, 500, 7), ElementsAre("0", "100", "200", "300", "400", "500"));
  EXPECT_THAT(labels(0, 43000, 5, false), ElementsAre("0", "10k", "20k", "30k", "40k"));
  EXPECT_THAT(labels(0, 1.9e6, 5, false), ElementsAre("0", "0.5M", "1.0M", "1.5M"));
  EXPECT_THAT(labels(-1, 1, 5), ElementsAre("-1.0", "-0.5", "0", "0.5", "1.0"));
  EXPECT_THAT(labels(0.01, 0.03, 3), ElementsAre("0.01", "0.02", "0.03"));
  EXPECT_THAT(labels(0, 9, 5), ElementsAre("0", "2.5", "5.0", "7.5", "10.0"));
  EXPECT_THAT(labels(0, 3e-9, 4), ElementsAre("0", "1.0e-09", "2.0e-09", "3.0e-09"));
  EXPECT_THAT(labels(1e6, 1e6 + 2, 3), ElementsAre("1000000", "1000001", "1000002"));
}

TEST(NiceAxisTest, WidensConstantsAndInventsARangeForNothing) {
  const Axis constant = nice_axis({500, 500}, 5, true);
  EXPECT_LT(constant.low, 500);
  EXPECT_GT(constant.high, 500);
  const Axis zero = nice_axis({0, 0}, 5, true);
  EXPECT_EQ(zero.low, -1);
  EXPECT_EQ(zero.high, 1);
  const Axis nothing = nice_axis({}, 5, true);
  EXPECT_EQ(nothing.low, 0);
  EXPECT_EQ(nothing.high, 1);
}

// 20,000 ranges over the whole double range, of all relative widths.
TEST(NiceAxisTest, TicksAreNiceFewAndInsideForEveryRange) {
  std::mt19937_64 random(1);
  std::uniform_real_distribution<double> unit(-1, 1);
  for (int i = 0; i < 20000; ++i) {
    Range range;
    const double middle = unit(random) * std::pow(10, 300 * unit(random));
    range.include(middle);
    range.include(middle * (1 + std::pow(10, 12 * unit(random))));
    const int most = 3 + i % 8;
    const bool round_out = i % 2 == 0;
    const Axis axis = nice_axis(range, most, round_out);
    SCOPED_TRACE(testing::Message() << range.low << " to " << range.high << ", most " << most);
    ASSERT_LE(axis.low, range.low);
    ASSERT_GE(axis.high, range.high);
    ASSERT_LT(axis.low, axis.high);
    ASSERT_GE(axis.ticks.size(), 1u);
    ASSERT_LE(axis.ticks.size(), static_cast<std::size_t>(most));
    for (std::size_t k = 0; k < axis.ticks.size(); ++k) {
      ASSERT_GE(axis.ticks[k].value, axis.low);
      ASSERT_LE(axis.ticks[k].value, axis.high);
      if (k == 0) continue;
      ASSERT_GT(axis.ticks[k].value, axis.ticks[k - 1].value);
      ASSERT_NE(axis.ticks[k].label, axis.ticks[k - 1].label);
    }
  }
}

TEST(NiceStepTest, IsTheSmallestNiceStepThatIsLongEnough) {
  EXPECT_EQ(nice_step(500, 5), 100);
  EXPECT_EQ(nice_step(501, 5), 200);
  EXPECT_EQ(nice_step(10, 4), 2.5);
  EXPECT_EQ(nice_step(26, 10), 5);
  EXPECT_EQ(nice_step(51, 10), 10);
}

TEST(ThresholdFitsTest, RefusesWhatWouldSquashTheCurve) {
  EXPECT_TRUE(threshold_fits({9, 500}, 475));
  EXPECT_TRUE(threshold_fits({500, 500}, 475));
  EXPECT_FALSE(threshold_fits({9, 22}, 475));
  EXPECT_FALSE(threshold_fits({9, 500}, 1e9));
  EXPECT_FALSE(threshold_fits({9, 500}, std::numeric_limits<double>::quiet_NaN()));
  EXPECT_FALSE(threshold_fits({9, 500}, std::numeric_limits<double>::infinity()));
}

TEST(RangeTest, IgnoresWhatIsNotFinite) {
  Range range;
  range.include(std::numeric_limits<double>::quiet_NaN());
  range.include(-std::numeric_limits<double>::infinity());
  EXPECT_TRUE(range.empty());
  range.include(3);
  EXPECT_EQ(range.low, 3);
  EXPECT_EQ(range.high, 3);
}

TEST(FittedTest, CutsByCodePoints) {
  EXPECT_EQ(fitted("größe", 5), "größe");
  EXPECT_EQ(fitted("größe", 4), "grö…");
  EXPECT_EQ(fitted("größe", 1), "…");
  EXPECT_EQ(fitted("größe", 0), "");
}

}  // namespace plot_parts_test
}  // namespace lockstep::plot_parts
