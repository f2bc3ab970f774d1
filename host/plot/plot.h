// Plots of learning curves and score histograms, as terminal text and as a self-contained SVG file.
// Decided here: what the pictures look like. Not decided here: which numbers are plotted, and where
// the pictures go.
#pragma once

#include <limits>
#include <span>
#include <string>
#include <vector>

namespace lockstep {

struct PlotOptions {
  int width = 72;   // text only: columns of the whole plot, labels included; at least 24 are used
  int height = 14;  // text only: rows of the plotting area; at least 4 are used
  std::string title, x_label, y_label;
  double threshold = std::numeric_limits<double>::quiet_NaN();  // dashed level; NaN = none
  bool color = false;                                           // text only: ANSI colours
};

enum class LineStyle {
  kBold,  // the line to read
  kThin,  // what lies behind it
};

/// One line of a plot; x and y have the same length, x ascends.
struct Series {
  std::string name;  // legend entry
  std::vector<double> x, y;
  LineStyle style = LineStyle::kBold;
};

/// Draws y over x as a braille line plot with axes, labels and the threshold's level.
///
/// Shapes:   x [n], y [n]; n may be 0; points that are not finite are gaps
/// Result:   UTF-8 lines, each ended by '\n', none wider than max(options.width, 24) columns; a
///           function of the arguments alone. Colour only with options.color.
/// Errors:   InvalidArgument if the lengths differ
std::string text_plot(std::span<const double> x, std::span<const double> y,
                      const PlotOptions& options);

/// Draws how often values fall into `bins` equal intervals of their range, one line a bin.
/// Intervals are [low, high), the last one [low, high]; values that are not finite are counted in a
/// line of their own. Equal values make one bin.
///
/// Errors:   InvalidArgument if bins is outside 1..1000
std::string text_histogram(std::span<const double> values, int bins, int width);

/// Draws the series as one SVG document: no script, no external file, light and dark by the
/// viewer's preference. Long series are thinned to about two points a pixel column, extremes kept.
///
/// Result:   a function of the arguments alone
/// Errors:   InvalidArgument if a series' x and y differ in length
std::string svg_plot(std::span<const Series> series, const PlotOptions& options);

}  // namespace lockstep
