// Line plots as terminal text. Lines are drawn with braille characters, 2 x 4 dots a
// cell; the threshold is a row of single dots at its exact height.
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include <fmt/format.h>
#include "host/errors.h"
#include "host/plot/plot.h"
#include "host/plot/plot_parts.h"
#include "host/text.h"

namespace lockstep {
namespace {

using plot_parts::Axis;
using plot_parts::columns;
using plot_parts::Range;

constexpr int kMinWidth = 24;
constexpr int kMinHeight = 4;

// ANSI colours; all empty where colour is off
struct Palette {
  const char *title = "", *dim = "", *line = "", *threshold = "", *off = "";
};

Palette palette(bool color) {
  if (!color) return {};
  return {"\x1b[1m", "\x1b[2m", "\x1b[36m", "\x1b[33m", "\x1b[0m"};
}

// A grid of braille cells; (0, 0) is the top left dot.
class Canvas {
 public:
  Canvas(int cols, int rows)
      : cols_(cols), rows_(rows), cells_(static_cast<std::size_t>(cols) * rows_of(rows)) {}

  int dots_x() const { return 2 * cols_; }
  int dots_y() const { return 4 * rows_; }

  void set(int x, int y) {
    // bit of dot (column, row) in U+2800..U+28FF, from the Unicode block's description
    static constexpr std::uint8_t kBits[4][2] = {{1, 8}, {2, 16}, {4, 32}, {64, 128}};
    if (x < 0 || x >= dots_x() || y < 0 || y >= dots_y()) return;
    cells_[index(x / 2, y / 4)] |= kBits[y % 4][x % 2];
  }

  void line(int x0, int y0, int x1, int y1) {
    const int n = std::max({std::abs(x1 - x0), std::abs(y1 - y0), 1});
    for (int i = 0; i <= n; ++i) {
      const auto along = [&](int a, int b) {
        return a + static_cast<int>(std::lround(static_cast<double>(b - a) * i / n));
      };
      set(along(x0, x1), along(y0, y1));
    }
  }

  std::uint8_t cell(int col, int row) const { return cells_[index(col, row)]; }

 private:
  static std::size_t rows_of(int rows) { return static_cast<std::size_t>(rows); }
  std::size_t index(int col, int row) const {
    return static_cast<std::size_t>(row) * static_cast<std::size_t>(cols_) +
           static_cast<std::size_t>(col);
  }
  int cols_, rows_;
  std::vector<std::uint8_t> cells_;
};

std::string braille(std::uint8_t bits) {
  if (bits == 0) return " ";
  // U+2800 + bits in UTF-8
  return {'\xE2', static_cast<char>(0xA0 | (bits >> 6)), static_cast<char>(0x80 | (bits & 0x3F))};
}

struct Layout {
  Axis x, y;
  int left, cols, rows;     // columns of y labels, cells of the plotting area
  std::string right_label;  // the threshold's, with its leading space
  int right_row;            // row it stands in
  bool has_threshold;       // inside the axis
};

Layout layout(const Range& xs, const Range& ys, const PlotOptions& options) {
  const int width = std::max(options.width, kMinWidth);
  Layout out{};
  out.rows = std::max(options.height, kMinHeight);
  Range range = ys;
  out.has_threshold = plot_parts::threshold_fits(ys, options.threshold);
  if (out.has_threshold) range.include(options.threshold);
  out.y = plot_parts::nice_axis(range, std::clamp(out.rows / 2, 3, 7), true);
  for (const auto& tick : out.y.ticks) out.left = std::max(out.left, columns(tick.label));

  if (std::isfinite(options.threshold)) {
    const bool above = options.threshold > out.y.high;
    out.right_label = " " + plot_parts::number_label(options.threshold);
    if (!out.has_threshold) out.right_label += above ? " ↑" : " ↓";
    const double down = 1 - out.y.fraction(options.threshold);
    out.right_row = static_cast<int>(std::lround(down * (4 * out.rows - 1))) / 4;
  }
  out.cols = width - out.left - 2 - columns(out.right_label);
  if (out.cols < 8) {  // a narrow plot keeps its line rather than the label
    out.right_label.clear();
    out.cols = width - out.left - 2;
  }
  out.x = plot_parts::nice_axis(xs, std::max(out.cols / 12 + 1, 2), false);
  return out;
}

Canvas draw(std::span<const double> x, std::span<const double> y, const Layout& at) {
  Canvas canvas(at.cols, at.rows);
  const auto dot_x = [&](double v) {
    return static_cast<int>(std::lround(at.x.fraction(v) * (canvas.dots_x() - 1)));
  };
  const auto dot_y = [&](double v) {
    return static_cast<int>(std::lround((1 - at.y.fraction(v)) * (canvas.dots_y() - 1)));
  };
  const auto shown = [&](std::size_t i) {
    return i < x.size() && std::isfinite(x[i]) && std::isfinite(y[i]);
  };
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!shown(i)) continue;
    if (shown(i + 1)) {
      canvas.line(dot_x(x[i]), dot_y(y[i]), dot_x(x[i + 1]), dot_y(y[i + 1]));
    } else if (i == 0 || !shown(i - 1)) {
      // a point without neighbours: a block of 2 x 2, one dot is easily missed
      const int cx = std::min(dot_x(x[i]), canvas.dots_x() - 2);
      const int cy = std::min(dot_y(y[i]), canvas.dots_y() - 2);
      canvas.line(cx, cy, cx + 1, cy);
      canvas.line(cx, cy + 1, cx + 1, cy + 1);
    }
  }
  return canvas;
}

// Text before each row of the plotting area: the y label that belongs there, and the axis.
std::vector<std::string> row_heads(const Layout& at, const Palette& p) {
  std::vector<std::string> heads(static_cast<std::size_t>(at.rows));
  for (auto& head : heads) head = fmt::format("{:{}} {}│{}", "", at.left, p.dim, p.off);
  for (const auto& tick : at.y.ticks) {
    const double down = 1 - at.y.fraction(tick.value);
    const auto row = static_cast<std::size_t>(std::lround(down * (4 * at.rows - 1)) / 4);
    heads[row] = fmt::format("{:>{}} {}┤{}", tick.label, at.left, p.dim, p.off);
  }
  return heads;
}

// The x axis: its line with ticks, then their labels.
std::string x_axis(const Layout& at, const Palette& p) {
  const auto cols = static_cast<std::size_t>(at.cols);
  const int total = at.left + 2 + at.cols;
  std::vector<const char*> line(cols, "─");
  std::string labels(static_cast<std::size_t>(total), ' ');
  int free_from = 0;  // first column a label may use
  for (const auto& tick : at.x.ticks) {
    const int col =
        static_cast<int>(std::lround(at.x.fraction(tick.value) * (2 * at.cols - 1))) / 2;
    line[static_cast<std::size_t>(col)] = "┬";
    const int size = columns(tick.label);
    const int start = std::clamp(at.left + 2 + col - size / 2, 0, total - size);
    if (start < free_from) continue;
    labels.replace(static_cast<std::size_t>(start), static_cast<std::size_t>(size), tick.label);
    free_from = start + size + 2;
  }
  labels.erase(labels.find_last_not_of(' ') + 1);
  std::string out = fmt::format("{:{}} {}└", "", at.left, p.dim);
  for (const char* piece : line) out += piece;
  return out + p.off + "\n" + labels + "\n";
}

// One row of the plotting area; runs of one colour share an escape sequence.
std::string row_text(const Canvas& canvas, int row, const Layout& at, int threshold_dot,
                     const Palette& p) {
  std::string out;
  const char* color = p.off;
  int end = at.cols;  // nothing but the threshold and its label follows the last cell with a dot
  const bool filled = threshold_dot / 4 == row || (!at.right_label.empty() && row == at.right_row);
  while (!filled && end > 0 && canvas.cell(end - 1, row) == 0) --end;
  for (int col = 0; col < end; ++col) {
    std::uint8_t bits = canvas.cell(col, row);
    const char* wanted = bits != 0 ? p.line : p.threshold;
    if (threshold_dot / 4 == row) {
      Canvas dot(1, 1);
      dot.set(0, threshold_dot % 4);
      bits = static_cast<std::uint8_t>(bits | dot.cell(0, 0));
    }
    if (bits == 0) wanted = color;
    if (wanted != color) out += color = wanted;
    out += braille(bits);
  }
  if (color != p.off) out += p.off;
  return out;
}

std::string centred(const std::string& text, int left, int cols) {
  const std::string cut = plot_parts::fitted(text, left + cols);
  const int room = left + cols - columns(cut);
  const int indent = std::clamp(left + (cols - columns(cut)) / 2, 0, room);
  return std::string(static_cast<std::size_t>(indent), ' ') + cut;
}

void trim_right(std::string& line) { line.erase(line.find_last_not_of(' ') + 1); }

}  // namespace

std::string text_plot(std::span<const double> x, std::span<const double> y,
                      const PlotOptions& options) {
  require(x.size() == y.size(),
          fmt::format("text_plot: {} x values for {} y values", x.size(), y.size()));
  const Palette p = palette(options.color);
  Range xs, ys;
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!std::isfinite(x[i]) || !std::isfinite(y[i])) continue;
    xs.include(x[i]);
    ys.include(y[i]);
  }
  const Layout at = layout(xs, ys, options);
  const Canvas canvas = draw(x, y, at);
  const int threshold_dot =
      at.has_threshold ? static_cast<int>(std::lround((1 - at.y.fraction(options.threshold)) *
                                                      (canvas.dots_y() - 1)))
                       : -4;

  std::string out;
  const int width = at.left + 2 + at.cols + columns(at.right_label);
  const std::string title = printable(options.title);
  const std::string y_label = printable(options.y_label);
  if (!title.empty()) out += p.title + plot_parts::fitted(title, width) + p.off + "\n";
  if (!y_label.empty()) out += p.dim + plot_parts::fitted(y_label, width) + p.off + "\n";
  const std::vector<std::string> heads = row_heads(at, p);
  for (int row = 0; row < at.rows; ++row) {
    std::string line = heads[static_cast<std::size_t>(row)];
    line += row_text(canvas, row, at, threshold_dot, p);
    if (!at.right_label.empty() && row == at.right_row) {
      line += p.threshold + at.right_label + p.off;
    }
    trim_right(line);
    out += line + "\n";
  }
  out += x_axis(at, p);
  const std::string x_label = printable(options.x_label);
  if (!x_label.empty()) {
    out += p.dim + centred(x_label, at.left + 2, at.cols) + p.off + "\n";
  }
  return out;
}

}  // namespace lockstep
