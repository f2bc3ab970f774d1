// Nice axes and safe text for the plots; see plot_parts.h.
#include "host/plot/plot_parts.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>

#include <fmt/format.h>
#include "host/text.h"

namespace lockstep::plot_parts {
namespace {

// below this span, relative to the magnitude, tick labels would need more digits than they have
constexpr double kMinRelativeSpan = 1e-7;
constexpr double kMinSpan = 1e-290;

constexpr int kMaxDecimals = 15;

// Digits after the point that a multiple of `step` (1, 2, 2.5 or 5 times a power of ten) needs.
int decimals_of(double step) {
  int decimals = 0;
  for (double scaled = step; decimals < kMaxDecimals; scaled *= 10, ++decimals) {
    if (scaled > 0.5 && std::abs(scaled - std::round(scaled)) < 1e-6 * scaled) break;
  }
  return decimals;
}

// The next longer nice step.
double next_step(double step) { return nice_step(step * 1.1, 1); }

// First and last multiple of `step` of an axis.
struct Multiples {
  double first, last;
  double count() const { return last - first + 1; }
};

Multiples multiples(double low, double high, double step, bool round_out) {
  constexpr double kSlack = 1e-9;  // 0.3 / 0.1 counts as 3
  if (round_out) return {std::floor(low / step + kSlack), std::ceil(high / step - kSlack)};
  return {std::ceil(low / step - kSlack), std::floor(high / step + kSlack)};
}

// The step whose rounded axis wastes the least room; fewer than three ticks count as a waste too.
double choose_step(double low, double high, int max_ticks, bool round_out) {
  double step = nice_step(high - low, round_out ? max_ticks - 1 : max_ticks);
  while (multiples(low, high, step, round_out).count() > max_ticks) step = next_step(step);
  double best = step, best_cost = std::numeric_limits<double>::infinity();
  for (int i = 0; i < (round_out ? 4 : 1); ++i, step = next_step(step)) {
    const double count = multiples(low, high, step, round_out).count();
    const double cost = (count - 1) * (step / (high - low)) * (count < 3 ? 1.2 : 1.0);
    if (cost < best_cost * (1 - 1e-9)) best = step, best_cost = cost;
  }
  return best;
}

}  // namespace

double Axis::fraction(double v) const { return std::clamp((v - low) / (high - low), 0.0, 1.0); }

void Range::include(double v) {
  if (!std::isfinite(v)) return;
  v = std::clamp(v, -kMaxMagnitude, kMaxMagnitude);
  low = std::min(low, v);
  high = std::max(high, v);
}

double nice_step(double span, int max_steps) {
  const double raw = span / max_steps;
  const double power = std::pow(10.0, std::floor(std::log10(raw)));
  for (const double factor : {1.0, 2.0, 2.5, 5.0}) {
    if (factor * power >= raw * (1 - 1e-9)) return factor * power;
  }
  return 10.0 * power;
}

Axis nice_axis(const Range& range, int max_ticks, bool round_out) {
  double low = range.low, high = range.high;
  if (range.empty()) low = 0, high = 1;
  const double magnitude = std::max(std::abs(low), std::abs(high));
  if (high - low < std::max(kMinSpan, kMinRelativeSpan * magnitude)) {
    const double middle = low + (high - low) / 2;
    const double half = std::abs(middle) < kMinSpan ? 1.0 : 0.1 * std::abs(middle);
    low = middle - half;
    high = middle + half;
  }
  // a curve that starts near zero reads best from zero
  if (low > 0 && low < 0.25 * high) low = 0;
  if (high < 0 && high > 0.25 * low) high = 0;

  // three: an axis through zero that is rounded out may have a tick on either side
  const double step = choose_step(low, high, std::max(max_ticks, 3), round_out);
  const auto [first, last] = multiples(low, high, step, round_out);
  Axis axis;
  axis.low = round_out ? std::min(first * step, low) : low;
  axis.high = round_out ? std::max(last * step, high) : high;
  std::vector<double> values;
  const int count = static_cast<int>(last - first) + 1;
  for (int i = 0; i < count; ++i) {
    const double k = first + i;
    values.push_back(k == 0 ? 0.0 : k * step);
  }
  if (values.empty()) {  // a tight axis between two ticks: label its middle
    values.push_back(low + (high - low) / 2);
    axis.ticks.push_back({values[0], number_label(values[0])});
    return axis;
  }
  const std::vector<std::string> labels = tick_labels(values, step);
  for (std::size_t i = 0; i < values.size(); ++i) {
    axis.ticks.push_back({std::clamp(values[i], axis.low, axis.high), labels[i]});
  }
  return axis;
}

bool threshold_fits(const Range& data, double threshold) {
  if (!std::isfinite(threshold) || std::abs(threshold) > kMaxMagnitude) return false;
  if (data.empty()) return true;
  Range both = data;
  both.include(threshold);
  const double magnitude = std::max(std::abs(data.low), std::abs(data.high));
  const double own = std::max(data.high - data.low, 0.1 * magnitude);
  return both.high - both.low <= 10 * own;
}

std::string number_label(double v) { return fmt::format("{:.4g}", v); }

std::vector<std::string> tick_labels(std::span<const double> values, double step) {
  double largest = 0;
  for (const double v : values) largest = std::max(largest, std::abs(v));
  struct Unit {
    double scale;
    const char* suffix;
  };
  Unit unit{1, ""};
  for (const Unit& u : {Unit{1e3, "k"}, Unit{1e6, "M"}, Unit{1e9, "G"}}) {
    if (largest >= 10 * u.scale || (largest >= u.scale && u.scale > 1e3)) unit = u;
  }
  if (unit.scale > 1 && decimals_of(step / unit.scale) > 3) unit = Unit{1, ""};
  const bool plain = largest < 1e12 && decimals_of(step) <= 9 && largest >= 1e-4;
  // scientific labels keep every digit the step has
  const int digits = static_cast<int>(std::ceil(std::log10(std::max(largest / step, 1.0)) + 1e-9));
  std::vector<std::string> labels;
  for (const double v : values) {
    if (plain) {
      labels.push_back(v == 0 ? "0"
                              : fmt::format("{:.{}f}{}", v / unit.scale,
                                            decimals_of(step / unit.scale), unit.suffix));
    } else {
      labels.push_back(v == 0 ? "0" : fmt::format("{:.{}e}", v, std::clamp(digits, 0, 12)));
    }
  }
  return labels;
}

int columns(std::string_view text) {
  return static_cast<int>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

std::string fitted(std::string_view text, int width) {
  if (columns(text) <= width) return std::string(text);
  std::size_t end = 0;
  for (int left = width - 1; left > 0; --left) end += sequence_length(text.substr(end));
  return width < 1 ? std::string() : std::string(text.substr(0, end)) + "…";
}

}  // namespace lockstep::plot_parts
