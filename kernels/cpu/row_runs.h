// The pixels of the rows of a table, listed once for who draws them one picture after another: two
// of a line together where they stand side by side, then those that stand alone.
#pragma once

#include "envs/object_env.h"

namespace lockstep::cpu {

/// 60 kB and two bytes a run for Pong; the pages of the list that stay unused are none.
template <ObjectEnv E>
class RowRuns {
 public:
  /// The one there is, made by the first call of a process.
  static const RowRuns& get() {
    static const RowRuns runs;
    return runs;
  }
  /// Calls visit(pixel) for each pixel of a row.
  template <class Visit>
  LS_HD void each_pixel(int row, const Visit& visit) const {
    const Row of = row_[row];  // a copy: visit() may write bytes, which may be anyone's
    const std::uint16_t* at = first_ + of.start;
    for (const std::uint16_t* const end = at + of.pairs; at != end; ++at) {
      const int pixel = *at;
      visit(pixel);
      visit(pixel + 1);
    }
    for (const std::uint16_t* const end = at + of.singles; at != end; ++at) visit(*at);
  }

 private:
  struct Row {
    std::uint32_t start;  // in first_
    std::uint16_t pairs, singles;
  };

  RowRuns() {
    std::uint32_t end = 0;
    for (int row = 0; row < E::kRows; ++row) {
      std::uint16_t pixel[E::kMaxRowPixels], single[E::kMaxRowPixels];
      const int pixels = E::pixels(row, pixel);
      Row& of = row_[row] = {end, 0, 0};
      for (int i = 0; i < pixels; ++i) {
        if (i + 1 < pixels && pixel[i] + 1 == pixel[i + 1]) {
          first_[end++] = pixel[i++];
          ++of.pairs;
        } else {
          single[of.singles++] = pixel[i];
        }
      }
      for (int i = 0; i < of.singles; ++i) first_[end++] = single[i];
    }
  }

  Row row_[E::kRows];
  std::uint16_t first_[E::kRows * E::kMaxRowPixels];  // pixels of runs
};

}  // namespace lockstep::cpu
