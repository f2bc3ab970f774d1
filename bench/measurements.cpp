// See measurements.h.
#include "bench/measurements.h"

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <system_error>

#include "host/errors.h"

namespace lockstep::bench {
namespace {

double unit_in_seconds(const std::string& unit) {
  if (unit == "ns") return 1e-9;
  if (unit == "us") return 1e-6;
  if (unit == "ms") return 1e-3;
  if (unit == "s") return 1;
  throw BadInput("unknown time unit '" + unit + "'");
}

void add_row(Measurements& to, const nlohmann::json& row) {
  if (row.value("run_type", "iteration") != "iteration" || row.value("error_occurred", false)) {
    return;
  }
  const std::string name = row.value("run_name", row.at("name").get<std::string>());
  const double unit = unit_in_seconds(row.at("time_unit").get<std::string>());
  Measurement& m = to.rows[name];
  m.wall.push_back(unit * row.at("real_time").get<double>());
  m.seconds.push_back(judged_by_wall(name) ? m.wall.back()
                                           : unit * row.at("cpu_time").get<double>());
}

}  // namespace

bool judged_by_wall(const std::string& name) {
  return name.find("/real_time") != std::string::npos ||
         name.find("/manual_time") != std::string::npos;
}

double median(std::vector<double> values) {
  if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

double median_deviation(const std::vector<double>& values) {
  const double middle = median(values);
  std::vector<double> away;
  for (const double value : values) away.push_back(std::abs(value - middle));
  return median(away);
}

Measurements read_measurements(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) {
    throw IoError("cannot read " + path.string() + ": " + std::generic_category().message(errno));
  }
  Measurements result;
  try {
    const auto document = nlohmann::json::parse(file);
    for (const auto& row : document.at("benchmarks")) add_row(result, row);
    if (document.contains("context")) {
      for (const auto& [key, value] : document.at("context").items()) {
        if (value.is_string()) result.context[key] = value.get<std::string>();
      }
    }
  } catch (const nlohmann::json::exception& error) {
    throw BadInput(path.string() + ": not a benchmark file: " + error.what());
  } catch (const BadInput& error) {
    throw BadInput(path.string() + ": " + error.what());
  }
  if (result.rows.empty()) {
    throw BadInput(path.string() + ": no single repetitions in it; write it with --save");
  }
  return result;
}

}  // namespace lockstep::bench
