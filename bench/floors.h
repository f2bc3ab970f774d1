// The table of floors: the speeds the project promises, next to what was just measured.
#pragma once

#include <string>
#include <vector>

#include "bench/measurements.h"
#include "bench/names.h"

namespace lockstep::bench {

/// Regular expression that selects the rows the table is made of.
std::string floor_filter(const Sizes& sizes);

struct FloorRow {
  std::string work;
  bool measured = false;
  double value = 0, best = 0;  // median and best of the repetitions
  double floor = 0;
  bool is_time = false;  // seconds, lower is better; else steps/s or a ratio
  bool is_ratio = false;
  double peak_percent = 0, peak_floor = 0;  // of the multiply-add peak; 0 = does not apply
  double ratio = 0, ratio_floor = 0;        // to the baseline; 0 = does not apply
  bool ok() const;
};

std::vector<FloorRow> floor_table(const Measurements& measurements, const Sizes& sizes);
std::string floor_text(const std::vector<FloorRow>& rows, const Measurements& measurements);
std::string floor_json(const std::vector<FloorRow>& rows, const Measurements& measurements);

}  // namespace lockstep::bench
