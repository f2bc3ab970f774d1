// Tests for host/plot/plot.h: the SVG picture, and for tests/support/xml_check.h, which checks it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <sstream>

#include "host/errors.h"
#include "host/plot/plot.h"
#include "tests/support/xml_check.h"

namespace lockstep {
namespace svg_plot_test {

using test::xml_error;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

struct Point {
  double x, y;
};

// The points of every polyline.
std::vector<std::vector<Point>> polylines(const std::string& svg) {
  std::vector<std::vector<Point>> out;
  const std::string mark = "points=\"";
  for (std::size_t at = svg.find(mark); at != std::string::npos; at = svg.find(mark, at + 1)) {
    const std::size_t begin = at + mark.size();
    std::istringstream stream(svg.substr(begin, svg.find('"', begin) - begin));
    out.emplace_back();
    char comma = 0;
    for (Point p{}; stream >> p.x >> comma >> p.y;) out.back().push_back(p);
  }
  return out;
}

Series ramp(std::size_t n) {
  Series series{"ramp", {}, {}};
  for (std::size_t i = 0; i < n; ++i) {
    series.x.push_back(static_cast<double>(i));
    series.y.push_back(static_cast<double>(i % 100));
  }
  return series;
}

TEST(XmlCheckTest, TellsWellFormedFromBroken) {
  EXPECT_EQ(xml_error("<a b=\"1\"><c/>text &amp; more</a>\n"), "");
  for (const char* bad : {"", "<a>", "<a></b>", "<a b=1/>", "<a b=\"1/>", "<a>&</a>", "<a>&x;</a>",
                          "<a b=\"<\"/>", "<a/><b/>", "x<a/>", "<a>\x01</a>", "<a", "</a>"}) {
    EXPECT_NE(xml_error(bad), "") << bad;
  }
}

TEST(SvgPlotTest, IsWellFormedWithAnyText) {
  const std::string hostile = "<script>alert('1')</script> & \"quotes\" \x01 \xff \xe2\x82 ü";
  Series series = ramp(10);
  series.name = hostile;
  PlotOptions options;
  options.title = options.x_label = options.y_label = hostile;
  options.threshold = 50;
  const std::string svg = svg_plot({&series, 1}, options);
  EXPECT_EQ(xml_error(svg), "");
  EXPECT_THAT(svg, AllOf(Not(HasSubstr("<script")), HasSubstr("&lt;script&gt;")));
}

TEST(SvgPlotTest, StandsAloneInLightAndDark) {
  const Series series = ramp(10);
  std::string svg = svg_plot({&series, 1}, {});
  EXPECT_THAT(svg, HasSubstr("prefers-color-scheme: dark"));
  const std::string space = "xmlns=\"http://www.w3.org/2000/svg\"";
  ASSERT_THAT(svg, HasSubstr(space));
  svg.erase(svg.find(space), space.size());
  for (const char* fetched : {"http", "href", "url(", "@import", "<image", "<script", "onload"}) {
    EXPECT_THAT(svg, Not(HasSubstr(fetched)));
  }
}

TEST(SvgPlotTest, DrawsEverythingInsideItsFrame) {
  constexpr double kMax = std::numeric_limits<double>::max();
  const std::vector<std::vector<double>> curves = {
      {0, 0, 0}, {-kMax, kMax, 0}, {5e-324, 0, 0}, {kNan, kNan, kNan}, {1e16, 1e16 + 2, 1e16}};
  for (const auto& y : curves) {
    for (const double threshold : {kNan, 475.0, kMax, -kMax}) {
      const Series series{"s", {0, 1, 2}, y};
      PlotOptions options;
      options.threshold = threshold;
      const std::string svg = svg_plot({&series, 1}, options);
      ASSERT_EQ(xml_error(svg), "");
      ASSERT_THAT(svg, AllOf(Not(HasSubstr("nan")), Not(HasSubstr("inf"))));
      for (const auto& line : polylines(svg)) {
        for (const Point p : line) {
          ASSERT_TRUE(p.x >= 76 && p.x <= 928 && p.y >= 96 && p.y <= 472) << p.x << ',' << p.y;
        }
      }
    }
  }
  EXPECT_EQ(xml_error(svg_plot({}, {})), "");
}

TEST(SvgPlotTest, DrawsHigherValuesHigherAndLaterOnesFurtherRight) {
  const Series series{"s", {0, 1, 2}, {0, 1, 4}};
  const auto lines = polylines(svg_plot({&series, 1}, {}));
  ASSERT_EQ(lines.size(), 1u);
  ASSERT_EQ(lines[0].size(), 3u);
  // 0..2 over 852 pixels, 0..4 over 376 pixels upwards
  EXPECT_NEAR(lines[0][1].x, 76 + 426, 0.051);
  EXPECT_NEAR(lines[0][1].y, 472 - 94, 0.051);
  EXPECT_NEAR(lines[0][2].x, 928, 0.051);
  EXPECT_NEAR(lines[0][2].y, 96, 0.051);
}

TEST(SvgPlotTest, BreaksTheLineWhereAValueIsNotFinite) {
  const Series series{"s", {0, 1, 2, 3, 4, 5}, {1, 2, kNan, 3, 4, 5}};
  const auto lines = polylines(svg_plot({&series, 1}, {}));
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[0].size(), 2u);
  EXPECT_EQ(lines[1].size(), 3u);
}

TEST(SvgPlotTest, ThinsLongSeriesButKeepsASingleSpike) {
  Series series = ramp(200'000);
  for (double& y : series.y) y = 1;
  series.y[123'456] = 100;
  const std::string svg = svg_plot({&series, 1}, {});
  EXPECT_LT(svg.size(), 100'000u);
  const auto lines = polylines(svg);
  ASSERT_EQ(lines.size(), 1u);
  int at_the_top = 0;
  for (std::size_t i = 0; i < lines[0].size(); ++i) {
    ASSERT_GE(lines[0][i].x, lines[0][i == 0 ? 0 : i - 1].x);
    if (lines[0][i].y != 96) continue;
    ++at_the_top;
    EXPECT_NEAR(lines[0][i].x, 76 + 852 * 123'456 / 199'999.0, 0.06);
  }
  EXPECT_EQ(at_the_top, 1);
}

TEST(SvgPlotTest, GivesAThinLineTheColourOfTheBoldOneAfterIt) {
  Series series[] = {ramp(5), ramp(5), ramp(5)};
  series[0].style = LineStyle::kThin;
  const std::string svg = svg_plot(series, {});
  EXPECT_THAT(svg, AllOf(HasSubstr("<polyline class=\"line thin s0\""),
                         HasSubstr("<polyline class=\"line bold s0\""),
                         HasSubstr("<polyline class=\"line bold s1\"")));
}

TEST(SvgPlotTest, RejectsDifferentLengths) {
  const Series series{"s", {1, 2}, {1}};
  EXPECT_THROW(svg_plot({&series, 1}, {}), InvalidArgument);
}

}  // namespace svg_plot_test
}  // namespace lockstep
