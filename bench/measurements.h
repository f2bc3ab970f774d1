// Times of benchmark rows, one value a repetition: read here from a JSON file of the benchmark
// library, or taken from a run as it happens (recorder.h).
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

namespace lockstep::bench {

/// One row; the vectors are parallel, one entry a repetition.
struct Measurement {
  std::vector<double> seconds;  // per turn, by the clock the row is judged by
  std::vector<double> wall;     // per turn, by the clock on the wall
  std::map<std::string, std::vector<double>> counters;
};

struct Measurements {
  std::map<std::string, Measurement> rows;     // by full name, as in the file
  std::map<std::string, std::string> context;  // text entries only
};

double median(std::vector<double> values);  // NaN if empty
/// Median absolute deviation from the median.
double median_deviation(const std::vector<double>& values);

/// Rows with manual or real time are judged by that, the others by CPU time.
bool judged_by_wall(const std::string& row);

/// Reads what --save or --benchmark_out wrote.
/// Errors: IoError, BadInput naming the file and the reason.
Measurements read_measurements(const std::filesystem::path& path);

}  // namespace lockstep::bench
