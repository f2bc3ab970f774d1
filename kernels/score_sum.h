// Sums of episodes' scores that do not depend on order, on whichever backend they are formed: whole
// points and 2^-32 parts of one are added as integers, each cut off towards zero once a score.
#pragma once

#include <cstdint>
#include <limits>

#include "kernels/trajectory.h"

namespace lockstep {

struct ScoreSum {
  std::int64_t points = 0;
  std::int64_t parts = 0;  // of 2^-32
  std::int64_t unfit = 0;  // scores that are in neither

  static constexpr double kParts = 4294967296.0;  // of a point

  /// Exact for multiples of 2^-32. A score of 2^31 or more, and what is no number, is unfit: so
  /// the sum of 2^31 others always fits.
  static LS_HD ScoreSum of(float score) {
    const double value = static_cast<double>(score);
    if (!(value > -2147483648.0 && value < 2147483648.0)) return {0, 0, 1};
    const auto whole = static_cast<std::int64_t>(value);
    return {whole, static_cast<std::int64_t>((value - static_cast<double>(whole)) * kParts), 0};
  }
  /// NaN if a score was unfit.
  double value() const {
    if (unfit != 0) return std::numeric_limits<double>::quiet_NaN();
    return static_cast<double>(points) + static_cast<double>(parts) / kParts;
  }
};

LS_HD ScoreSum operator+(ScoreSum a, ScoreSum b) {
  return {a.points + b.points, a.parts + b.parts, a.unfit + b.unfit};
}
LS_HD ScoreSum operator-(ScoreSum a, ScoreSum b) {
  return {a.points - b.points, a.parts - b.parts, a.unfit - b.unfit};
}

}  // namespace lockstep
