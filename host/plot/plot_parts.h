// What the text plot and the SVG plot share: nice axes, number labels, thresholds that fit, and
// text made safe to print. No drawing here.
#pragma once

#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep::plot_parts {

struct Tick {
  double value;
  std::string label;  // "0", "0.25", "40k", "1e-09"
};

struct Axis {
  double low = 0, high = 1;  // low < high, both finite
  std::vector<Tick> ticks;   // ascending, inside [low, high]; at least one

  /// Position of v on the axis: 0 at low, 1 at high; v is clamped to the axis.
  double fraction(double v) const;
};

/// Largest magnitude drawn; beyond it differences of two values could overflow.
inline constexpr double kMaxMagnitude = 1e300;

struct Range {
  // low > high: nothing finite was seen
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  bool empty() const { return low > high; }
  void include(double v);  // ignores what is not finite, clamps to kMaxMagnitude
};

/// 1, 2, 2.5 or 5 times a power of ten: the smallest such step >= span / max_steps.
/// Source: Heckbert, "Nice numbers for graph labels", Graphics Gems 1990.
double nice_step(double span, int max_steps);

/// An axis over `range` with at most `max_ticks` (at least 3) ticks at nice values. An empty range
/// gives 0..1; a range too narrow for its magnitude is widened around its middle; 0 is taken in
/// where it is close. `round_out` moves the ends to ticks.
Axis nice_axis(const Range& range, int max_ticks, bool round_out);

/// True if a threshold can share an axis with the data without squashing them.
bool threshold_fits(const Range& data, double threshold);

/// A short label for one number, such as 475, 0.03 or 1.5e+07.
std::string number_label(double v);

/// Labels for multiples of `step`, all in the same unit: 0, 20k, 40k.
std::vector<std::string> tick_labels(std::span<const double> values, double step);

/// Columns a terminal needs for printable UTF-8, one a code point.
int columns(std::string_view text);

/// The text cut to `width` columns, the last one '…' if something was cut.
std::string fitted(std::string_view text, int width);

}  // namespace lockstep::plot_parts
