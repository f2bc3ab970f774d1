// Tests for host/plot/plot.h: the pictures in text.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <sstream>

#include "host/errors.h"
#include "host/plot/plot.h"
#include "host/plot/plot_parts.h"

namespace lockstep {
namespace text_plot_test {

using plot_parts::columns;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInf = std::numeric_limits<double>::infinity();

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// Braille characters in a text.
int braille_cells(const std::string& text) {
  int count = 0;
  for (std::size_t i = 0; i + 1 < text.size(); ++i) {
    const auto second = static_cast<unsigned char>(text[i + 1]);
    if (text[i] == '\xE2' && second >= 0xA0 && second <= 0xA3) ++count;
  }
  return count;
}

TEST(TextPlotTest, DrawsARisingLineWithItsThreshold) {
  const double x[] = {1, 2, 3, 4}, y[] = {0, 10, 20, 30};
  PlotOptions options;
  options.width = 24;
  options.height = 4;
  options.title = "t";
  options.x_label = "steps";
  options.threshold = 15;
  EXPECT_EQ(text_plot(x, y, options),
            "t\n"
            "40 ┤\n"
            "   │            ⣀⡠⠔⠒⠉\n"
            "20 ┤⠂⠂⠂⠂⠂⣂⡢⠦⠖⠒⠊⠋⠂⠂⠂⠂⠂ 15\n"
            " 0 ┤⣀⠤⠔⠊⠉\n"
            "   └─────┬──────────┬\n"
            "         2          4\n"
            "          steps\n");
}

TEST(TextPlotTest, DrawsADescendingLineUpsideDown) {
  const double x[] = {0, 1}, up[] = {0, 1}, down[] = {1, 0};
  PlotOptions options;
  options.width = 24;
  options.height = 4;
  const auto rising = lines_of(text_plot(x, up, options));
  const auto falling = lines_of(text_plot(x, down, options));
  EXPECT_THAT(rising[0], Not(HasSubstr("┤⠉")));
  EXPECT_THAT(falling[0], HasSubstr("┤⠉"));
  EXPECT_THAT(rising[3], HasSubstr("┤⣀"));
  EXPECT_THAT(falling[3], Not(HasSubstr("┤⣀")));
}

TEST(TextPlotTest, LeavesAGapWhereAValueIsNotFinite) {
  std::vector<double> x(60), y(60, 5.0);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<double>(i);
  PlotOptions options;
  const int whole = braille_cells(text_plot(x, y, options));
  for (std::size_t i = 20; i < 40; ++i) y[i] = i % 2 == 0 ? kNan : kInf;
  const int cut = braille_cells(text_plot(x, y, options));
  EXPECT_GT(whole, 60);
  EXPECT_NEAR(cut, whole * 2 / 3, 2);
}

TEST(TextPlotTest, ShowsASinglePoint) {
  const double x[] = {1200}, y[] = {20};
  const std::string plot = text_plot(x, y, {});
  EXPECT_GE(braille_cells(plot), 1);
  EXPECT_THAT(plot, AllOf(HasSubstr("20 ┤"), HasSubstr("1200")));
}

TEST(TextPlotTest, PointsAtAThresholdThatIsFarAway) {
  const double x[] = {1, 2}, y[] = {9, 22};
  PlotOptions options;
  options.threshold = 475;
  EXPECT_THAT(lines_of(text_plot(x, y, options))[0], HasSubstr(" 475 ↑"));
  options.threshold = -475;
  EXPECT_THAT(lines_of(text_plot(x, y, options))[13], HasSubstr(" -475 ↓"));
}

TEST(TextPlotTest, NoLineIsWiderThanAskedForAnyData) {
  constexpr double kMax = std::numeric_limits<double>::max();
  const std::vector<double> x = {0, 1, 2, 3, 4, 5};
  const std::vector<std::vector<double>> curves = {{0, 0, 0, 0, 0, 0},
                                                   {-kMax, kMax, 0, 1, kInf, -kInf},
                                                   {1e6, 1e6 + 0.1, 1e6 + 0.2, 1e6, 1e6, 1e6},
                                                   {5e-324, 1e-310, 0, 0, 0, 0},
                                                   {kNan, kNan, kNan, kNan, kNan, kNan},
                                                   {1e16, 1e16 + 2, 1e16, 1e16, 1e16, 1e16},
                                                   {1, kNan, 3, kNan, 5, kNan}};
  for (const int width : {-5, 0, 24, 31, 72, 200}) {
    for (const int height : {-1, 4, 14, 50}) {
      for (const auto& y : curves) {
        for (const double threshold : {kNan, 475.0, -1.23456789e-200, kMax, kInf}) {
          PlotOptions options;
          options.width = width;
          options.height = height;
          options.threshold = threshold;
          options.title = std::string(300, 't');
          options.x_label = std::string(300, 'x');
          options.y_label = std::string(300, 'y');
          const auto lines = lines_of(text_plot(x, y, options));
          ASSERT_EQ(lines.size(), static_cast<std::size_t>(std::max(height, 4)) + 5);
          for (const auto& line : lines) ASSERT_LE(columns(line), std::max(width, 24)) << line;
        }
      }
    }
  }
}

TEST(TextPlotTest, DrawsAxesForNoData) {
  EXPECT_THAT(text_plot({}, {}, {}), AllOf(HasSubstr("┤"), HasSubstr("┬")));
}

TEST(TextPlotTest, HasEscapesOnlyWhenAskedForColour) {
  const double x[] = {1, 2}, y[] = {9, 22};
  PlotOptions options;
  options.title = "\x1b[31mred";
  options.threshold = 20;
  EXPECT_THAT(text_plot(x, y, options), AllOf(Not(HasSubstr("\x1b")), HasSubstr("?[31mred")));
  options.color = true;
  std::string colored = text_plot(x, y, options);
  EXPECT_THAT(colored, HasSubstr("\x1b["));
  // without its escapes it is the same picture
  for (std::size_t at; (at = colored.find('\x1b')) != std::string::npos;) {
    colored.erase(at, colored.find('m', at) - at + 1);
  }
  options.color = false;
  EXPECT_EQ(colored, text_plot(x, y, options));
}

TEST(TextPlotTest, RejectsDifferentLengths) {
  const double x[] = {1, 2, 3};
  try {
    text_plot(x, std::span(x).first(2), {});
    FAIL();
  } catch (const InvalidArgument& error) {
    EXPECT_STREQ(error.what(), "text_plot: 3 x values for 2 y values");
  }
}

TEST(TextHistogramTest, CountsScoresInNiceIntervals) {
  const double values[] = {1, 1, 2, 3, 10, kNan};
  EXPECT_EQ(text_histogram(values, 5, 40),
            "    0 –  2 │█████████████████ 2   33.3 %\n"
            "    2 –  4 │█████████████████ 2   33.3 %\n"
            "    4 –  6 │                  0    0.0 %\n"
            "    6 –  8 │                  0    0.0 %\n"
            "    8 – 10 │████████▌         1   16.7 %\n"
            "not finite │████████▌         1   16.7 %\n");
}

TEST(TextHistogramTest, GivesCloseIntegersABinEach) {
  const double values[] = {498, 500, 500};
  EXPECT_EQ(text_histogram(values, 10, 30),
            "498 │███████        1   33.3 %\n"
            "499 │               0    0.0 %\n"
            "500 │██████████████ 2   66.7 %\n");
}

TEST(TextHistogramTest, HandlesNothingConstantsAndExtremes) {
  EXPECT_EQ(text_histogram({}, 10, 40), "no values\n");
  const double constant[] = {500, 500};
  EXPECT_THAT(text_histogram(constant, 10, 40), AllOf(HasSubstr("500 │"), HasSubstr("2  100.0 %")));
  constexpr double kMax = std::numeric_limits<double>::max();
  const double extremes[] = {-kMax, kMax, 5e-324, kInf};
  for (const int bins : {1, 2, 1000}) {
    int total = 0;
    for (const auto& line : lines_of(text_histogram(extremes, bins, 10))) {
      // "<label> │<bar> <count>  100.0 %"
      const std::string front = line.substr(0, line.size() - 9);
      total += std::stoi(front.substr(front.rfind(' ')));
    }
    EXPECT_EQ(total, 4) << bins;
  }
}

TEST(TextHistogramTest, RejectsBinsOutOfRange) {
  EXPECT_THROW(text_histogram({}, 0, 40), InvalidArgument);
  EXPECT_THROW(text_histogram({}, 1001, 40), InvalidArgument);
}

}  // namespace text_plot_test
}  // namespace lockstep
