// Histogram of scores as terminal text: one line a bin with its interval, a bar in eighths of a
// column, the count and the share.
#include <algorithm>
#include <cmath>
#include <cstddef>

#include <fmt/format.h>
#include "host/errors.h"
#include "host/plot/plot.h"
#include "host/plot/plot_parts.h"

namespace lockstep {
namespace {

using plot_parts::columns;

struct Bin {
  std::string label;
  std::size_t count = 0;
};

struct Edges {
  double low, step;  // bin k is [low + k * step, low + (k + 1) * step)
  int count;
  bool single_integers;  // every bin holds one integer
};

// Nice edges, so there may be fewer bins than asked for. Integers never share a bin with
// half-integers: their step is at least 1.
Edges nice_edges(const plot_parts::Range& range, int bins, bool integers) {
  double step = plot_parts::nice_step(range.high - range.low, bins);
  if (integers && step <= 1) {
    return {range.low, 1, static_cast<int>(range.high - range.low) + 1, true};
  }
  for (;; step = plot_parts::nice_step(step * 1.5, 1)) {
    const double first = std::floor(range.low / step + 1e-9);
    const double last = std::max(std::ceil(range.high / step - 1e-9), first + 1);
    if (last - first <= bins) return {first * step, step, static_cast<int>(last - first), false};
  }
}

std::vector<std::string> bin_labels(const Edges& edges) {
  std::vector<double> values;
  for (int k = 0; k <= edges.count; ++k) values.push_back(edges.low + k * edges.step);
  std::vector<std::string> marks;
  if (edges.single_integers) {
    for (const double v : values) marks.push_back(fmt::format("{:.0f}", v));
    marks.pop_back();
    return marks;
  }
  marks = plot_parts::tick_labels(values, edges.step);
  int wide = 0;
  for (const auto& mark : marks) wide = std::max(wide, columns(mark));
  std::vector<std::string> labels;
  for (std::size_t k = 0; k + 1 < marks.size(); ++k) {
    labels.push_back(fmt::format("{:>{}} – {:>{}}", marks[k], wide, marks[k + 1], wide));
  }
  return labels;
}

std::vector<Bin> count_bins(std::span<const double> values, int bins) {
  plot_parts::Range range;
  std::size_t not_finite = 0;
  bool integers = true;
  for (const double v : values) {
    range.include(v);
    if (!std::isfinite(v)) ++not_finite;
    integers = integers && (!std::isfinite(v) || (v == std::floor(v) && std::abs(v) < 1e15));
  }
  std::vector<Bin> out;
  if (range.low == range.high) {
    out.push_back({plot_parts::number_label(range.low), values.size() - not_finite});
  } else if (!range.empty()) {
    const Edges edges = nice_edges(range, bins, integers);
    for (auto& label : bin_labels(edges)) out.push_back({std::move(label)});
    for (const double v : values) {
      if (!std::isfinite(v)) continue;
      // dividing first keeps the extremes of the double range apart from overflow
      const double at = std::floor(v / edges.step - edges.low / edges.step + 1e-9);
      ++out[static_cast<std::size_t>(std::clamp(at, 0.0, edges.count - 1.0))].count;
    }
  }
  if (not_finite > 0) out.push_back({"not finite", not_finite});
  return out;
}

std::string bar(double share, int width) {
  static constexpr const char* kEighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
  // whatever occurred at all is seen
  const int eighths = share > 0 ? std::max(1, static_cast<int>(share * 8 * width)) : 0;
  std::string out;
  for (int i = 0; i < eighths / 8; ++i) out += "█";
  return out + kEighths[eighths % 8];
}

}  // namespace

std::string text_histogram(std::span<const double> values, int bins, int width) {
  require(bins >= 1 && bins <= 1000,
          fmt::format("text_histogram: bins is {}, must be in 1..1000", bins));
  const std::vector<Bin> all = count_bins(values, bins);
  if (all.empty()) return "no values\n";
  std::size_t most = 1;
  int label_width = 0;
  for (const Bin& bin : all) {
    most = std::max(most, bin.count);
    label_width = std::max(label_width, columns(bin.label));
  }
  const int count_width = static_cast<int>(std::to_string(most).size());
  // "<label> │<bar> <count> 100.0 %"
  const int bar_width = std::max(width - label_width - 2 - 1 - count_width - 9, 4);
  std::string out;
  for (const Bin& bin : all) {
    const std::string pad(static_cast<std::size_t>(label_width - columns(bin.label)), ' ');
    const std::string filled =
        bar(static_cast<double>(bin.count) / static_cast<double>(most), bar_width);
    const std::string rest(static_cast<std::size_t>(bar_width - columns(filled)), ' ');
    const double percent =
        100.0 * static_cast<double>(bin.count) / static_cast<double>(values.size());
    out += fmt::format("{}{} │{}{} {:>{}}  {:5.1f} %\n", pad, bin.label, filled, rest, bin.count,
                       count_width, percent);
  }
  return out;
}

}  // namespace lockstep
