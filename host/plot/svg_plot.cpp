// Learning curves as one self-contained SVG document. Colours live in a style sheet with a light
// and a dark set; nothing is fetched and nothing runs, so the file can be opened or embedded
// anywhere.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <iterator>

#include <fmt/format.h>
#include "host/errors.h"
#include "host/plot/plot.h"
#include "host/plot/plot_parts.h"
#include "host/text.h"

namespace lockstep {
namespace {

using plot_parts::Axis;
using plot_parts::Range;

// the drawing, in pixels; the area inside the margins holds the lines
constexpr double kWidth = 960, kHeight = 540;
constexpr double kLeft = 76, kRight = 928, kTop = 96, kBottom = 472;
constexpr std::size_t kColors = 5;

// Contrast at least 3:1 against the background for lines and 4.5:1 for text, in both sets.
constexpr const char* kStyle = R"(<style>
text { font-family: system-ui, -apple-system, "Segoe UI", Roboto, Helvetica, Arial, sans-serif; }
.background { fill: #ffffff; }
.title { fill: #1f2328; font-size: 20px; font-weight: 600; }
.label { fill: #59636e; font-size: 14px; }
.tick { fill: #59636e; font-size: 13px; font-variant-numeric: tabular-nums; }
.grid { stroke: #d1d9e0; stroke-width: 1; stroke-opacity: 0.7; }
.axis { stroke: #818b98; stroke-width: 1; }
.threshold { stroke: #bc4c00; stroke-width: 1.5; stroke-dasharray: 7 5; }
.threshold-label { fill: #bc4c00; font-size: 13px; font-weight: 600; }
.threshold-label { paint-order: stroke; stroke: #ffffff; stroke-width: 4px; }
.line { fill: none; stroke-linejoin: round; stroke-linecap: round; }
.bold { stroke-width: 3; }
.thin { stroke-width: 1.5; stroke-opacity: 0.45; }
.s0 { stroke: #0969da; } .d0 { fill: #0969da; }
.s1 { stroke: #8250df; } .d1 { fill: #8250df; }
.s2 { stroke: #1a7f37; } .d2 { fill: #1a7f37; }
.s3 { stroke: #bf3989; } .d3 { fill: #bf3989; }
.s4 { stroke: #9a6700; } .d4 { fill: #9a6700; }
@media (prefers-color-scheme: dark) {
.background { fill: #0d1117; }
.title { fill: #f0f6fc; }
.label, .tick { fill: #9198a1; }
.grid { stroke: #3d444d; }
.axis { stroke: #656c76; }
.threshold { stroke: #f0883e; } .threshold-label { fill: #f0883e; stroke: #0d1117; }
.s0 { stroke: #4493f8; } .d0 { fill: #4493f8; }
.s1 { stroke: #ab7df8; } .d1 { fill: #ab7df8; }
.s2 { stroke: #3fb950; } .d2 { fill: #3fb950; }
.s3 { stroke: #db61a2; } .d3 { fill: #db61a2; }
.s4 { stroke: #d29922; } .d4 { fill: #d29922; }
}
</style>
)";

std::string escaped(std::string_view text) {
  std::string out;
  for (const char c : printable(text)) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

struct Frame {
  Axis x, y;
  double px(double v) const { return kLeft + x.fraction(v) * (kRight - kLeft); }
  double py(double v) const { return kBottom - y.fraction(v) * (kBottom - kTop); }
};

struct Point {
  double x, y;  // pixels
};

// Keeps at most four points of every pixel column: the first, the extremes and the last, in order.
std::vector<Point> thinned(const std::vector<Point>& points) {
  std::vector<Point> out;
  for (std::size_t begin = 0, end = 0; begin < points.size(); begin = end) {
    while (end < points.size() && std::floor(points[end].x) == std::floor(points[begin].x)) ++end;
    std::size_t low = begin, high = begin;
    for (std::size_t i = begin; i < end; ++i) {
      if (points[i].y < points[low].y) low = i;
      if (points[i].y > points[high].y) high = i;
    }
    std::array<std::size_t, 4> kept = {begin, low, high, end - 1};
    std::sort(kept.begin(), kept.end());
    for (std::size_t k = 0; k < kept.size(); ++k) {
      if (k == 0 || kept[k] != kept[k - 1]) out.push_back(points[kept[k]]);
    }
  }
  return out;
}

// The series as runs of drawable points; values that are not finite separate the runs.
std::vector<std::vector<Point>> runs_of(const Series& series, const Frame& frame) {
  std::vector<std::vector<Point>> runs(1);
  for (std::size_t i = 0; i < series.x.size(); ++i) {
    if (std::isfinite(series.x[i]) && std::isfinite(series.y[i])) {
      runs.back().push_back({frame.px(series.x[i]), frame.py(series.y[i])});
    } else if (!runs.back().empty()) {
      runs.emplace_back();
    }
  }
  for (auto& run : runs) run = thinned(run);
  if (runs.back().empty()) runs.pop_back();
  return runs;
}

void draw_series(std::string& out, const Series& series, std::size_t color, const Frame& frame) {
  const bool bold = series.style == LineStyle::kBold;
  const auto runs = runs_of(series, frame);
  auto to = std::back_inserter(out);
  for (const auto& run : runs) {
    if (run.size() == 1) {  // a line of one point would not be seen
      fmt::format_to(to, "<circle class=\"d{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\"/>\n", color,
                     run[0].x, run[0].y);
      continue;
    }
    fmt::format_to(to, "<polyline class=\"line {} s{}\" points=\"", bold ? "bold" : "thin", color);
    for (std::size_t i = 0; i < run.size(); ++i) {
      fmt::format_to(to, "{}{:.1f},{:.1f}", i == 0 ? "" : " ", run[i].x, run[i].y);
    }
    out += "\"/>\n";
  }
  if (bold && !runs.empty() && runs.back().size() > 1) {
    fmt::format_to(to, "<circle class=\"d{}\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"5\"/>\n", color,
                   runs.back().back().x, runs.back().back().y);
  }
}

void draw_axes(std::string& out, const Frame& frame, const PlotOptions& options) {
  auto to = std::back_inserter(out);
  for (const auto& tick : frame.y.ticks) {
    const double y = frame.py(tick.value);
    fmt::format_to(to,
                   "<line class=\"grid\" x1=\"{0}\" y1=\"{2:.1f}\" x2=\"{1}\" y2=\"{2:.1f}\"/>\n"
                   "<text class=\"tick\" x=\"{3}\" y=\"{4:.1f}\" text-anchor=\"end\">{5}</text>\n",
                   kLeft, kRight, y, kLeft - 10, y + 4.5, tick.label);
  }
  fmt::format_to(to, "<line class=\"axis\" x1=\"{0}\" y1=\"{2}\" x2=\"{1}\" y2=\"{2}\"/>\n", kLeft,
                 kRight, kBottom);
  for (const auto& tick : frame.x.ticks) {
    const double x = frame.px(tick.value);
    fmt::format_to(
        to,
        "<line class=\"axis\" x1=\"{0:.1f}\" y1=\"{1}\" x2=\"{0:.1f}\" y2=\"{2}\"/>\n"
        "<text class=\"tick\" x=\"{0:.1f}\" y=\"{3}\" text-anchor=\"middle\">{4}</text>\n",
        x, kBottom, kBottom + 6, kBottom + 23, tick.label);
  }
  fmt::format_to(to, "<text class=\"label\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
                 (kLeft + kRight) / 2, kBottom + 50, escaped(options.x_label));
  // turned, because a long name above the axis would meet the legend
  fmt::format_to(to,
                 "<text class=\"label\" transform=\"translate(22 {}) rotate(-90)\" "
                 "text-anchor=\"middle\">{}</text>\n",
                 (kTop + kBottom) / 2, escaped(options.y_label));
}

void draw_threshold(std::string& out, const Frame& frame, double threshold) {
  const double y = frame.py(threshold);
  fmt::format_to(
      std::back_inserter(out),
      "<line class=\"threshold\" x1=\"{0}\" y1=\"{2:.1f}\" x2=\"{1}\" y2=\"{2:.1f}\"/>\n", kLeft,
      kRight, y);
}

// At the right end, where the curve is likely to be on the other side of the level.
void draw_threshold_label(std::string& out, const Frame& frame, double threshold, bool inside) {
  const std::string label = "threshold " + plot_parts::number_label(threshold);
  const bool above = threshold > frame.y.high;
  double y = inside ? frame.py(threshold) : above ? kTop : kBottom;
  const bool below_line = inside ? y - kTop < 120 : above;  // the side with room
  y += below_line ? 18 : -8;
  const char* arrow = inside ? "" : above ? " ↑" : " ↓";
  fmt::format_to(std::back_inserter(out),
                 "<text class=\"threshold-label\" x=\"{}\" y=\"{:.1f}\" "
                 "text-anchor=\"end\">{}{}</text>\n",
                 kRight - 4, y, label, arrow);
}

void draw_legend(std::string& out, std::span<const Series> series,
                 const std::vector<std::size_t>& colors) {
  auto to = std::back_inserter(out);
  double x = kLeft;
  for (std::size_t i = 0; i < series.size(); ++i) {
    if (series[i].name.empty()) continue;
    const std::string name = plot_parts::fitted(printable(series[i].name), 48);
    fmt::format_to(to,
                   "<line class=\"{} s{}\" x1=\"{:.0f}\" y1=\"71\" x2=\"{:.0f}\" y2=\"71\"/>\n"
                   "<text class=\"label\" x=\"{:.0f}\" y=\"76\">{}</text>\n",
                   series[i].style == LineStyle::kBold ? "bold" : "thin", colors[i], x, x + 24,
                   x + 32, escaped(name));
    // about the width of 14 px sans-serif text; there is no way to measure it here
    x += 32 + 7.2 * plot_parts::columns(name) + 24;
  }
}

// A thin line has the colour of the next bold one: they show the same quantity.
std::vector<std::size_t> colors_of(std::span<const Series> series) {
  std::vector<std::size_t> colors;
  std::size_t next = 0;
  for (const Series& s : series) {
    colors.push_back(next % kColors);
    if (s.style == LineStyle::kBold) ++next;
  }
  return colors;
}

}  // namespace

std::string svg_plot(std::span<const Series> series, const PlotOptions& options) {
  Range xs, ys;
  for (const Series& s : series) {
    require(s.x.size() == s.y.size(), fmt::format("svg_plot: {} x values for {} y values of '{}'",
                                                  s.x.size(), s.y.size(), s.name));
    for (std::size_t i = 0; i < s.x.size(); ++i) {
      if (!std::isfinite(s.x[i]) || !std::isfinite(s.y[i])) continue;
      xs.include(s.x[i]);
      ys.include(s.y[i]);
    }
  }
  const bool inside = plot_parts::threshold_fits(ys, options.threshold);
  if (inside) ys.include(options.threshold);
  const Frame frame{plot_parts::nice_axis(xs, 9, false), plot_parts::nice_axis(ys, 7, true)};
  const std::vector<std::size_t> colors = colors_of(series);

  std::string out = fmt::format(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {0} {1}\" width=\"{0}\" "
      "height=\"{1}\" role=\"img\">\n<title>{2}</title>\n",
      kWidth, kHeight, escaped(options.title));
  out += kStyle;
  fmt::format_to(std::back_inserter(out),
                 "<rect class=\"background\" width=\"{}\" height=\"{}\" rx=\"8\"/>\n"
                 "<text class=\"title\" x=\"{}\" y=\"44\">{}</text>\n",
                 kWidth, kHeight, kLeft, escaped(options.title));
  draw_axes(out, frame, options);
  draw_legend(out, series, colors);
  if (inside) draw_threshold(out, frame, options.threshold);
  // bold lines last, on top
  for (const LineStyle style : {LineStyle::kThin, LineStyle::kBold}) {
    for (std::size_t i = 0; i < series.size(); ++i) {
      if (series[i].style == style) draw_series(out, series[i], colors[i], frame);
    }
  }
  if (std::isfinite(options.threshold)) {
    draw_threshold_label(out, frame, options.threshold, inside);
  }
  return out + "</svg>\n";
}

}  // namespace lockstep
