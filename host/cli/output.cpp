// See output.h.
#include "host/cli/output.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <limits>
#include <nlohmann/json.hpp>
#include <system_error>

#include "host/cli/signals.h"
#include "host/errors.h"
#include "host/text.h"

namespace lockstep::cli {
namespace {

void throw_output_failed() {
  // a reader that went away is no failure of ours: the signal that says so decides what happens
  if (errno == EPIPE && caught_signal() != 0) return;
  throw IoError("cannot write to standard output: " + std::generic_category().message(errno));
}

}  // namespace

void print(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) throw_output_failed();
}

void flush_output() {
  if (std::fflush(stdout) != 0) throw_output_failed();
}

void print_json(std::string_view command, const nlohmann::ordered_json& document) {
  nlohmann::ordered_json whole;
  whole["schema"] = fmt::format("lockstep.{}/1", command);
  whole.update(document);
  print(whole.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n");
}

void print_error(std::string_view message) {
  const std::string line = "lockstep: error: " + one_line(message) + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
}

void print_note(std::string_view message) {
  const std::string line = "lockstep: " + one_line(message) + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
}

std::string grouped(std::int64_t value) {
  std::string digits = std::to_string(value);
  const std::size_t first = value < 0 ? 1 : 0;
  for (std::size_t i = digits.size(); i > first + 3;) {
    i -= 3;
    digits.insert(i, ",");
  }
  return digits;
}

std::string with_unit(double value) {
  constexpr const char* kUnits[] = {"", " k", " M", " G"};
  std::size_t unit = 0;
  while (unit < 3 && std::abs(value) >= 999.5) {
    value /= 1000;
    ++unit;
  }
  return fmt::format("{:.3g}{}", value, kUnits[unit]);
}

std::string duration(double seconds) {
  if (!(seconds >= 0)) return "-";
  if (seconds < 0.9995) return fmt::format("{:.3g} ms", seconds * 1e3);
  if (seconds < 999.5) return fmt::format("{:.3g} s", seconds);
  return grouped(static_cast<std::int64_t>(std::llround(seconds))) + " s";
}

std::string score_text(double score) {
  return std::isfinite(score) ? fmt::format("{:.1f}", score) : "none";
}

std::string result_line(std::string_view name, std::string_view value) {
  return value.empty() ? fmt::format("  {}\n", name) : fmt::format("  {:<14}{}\n", name, value);
}

double quantile(std::span<const double> sorted, double fraction) {
  if (sorted.empty()) return std::numeric_limits<double>::quiet_NaN();
  const double position = fraction * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<std::size_t>(position);
  const std::size_t above = std::min(below + 1, sorted.size() - 1);
  const double weight = position - static_cast<double>(below);
  // infinity - infinity must not become NaN
  if (weight == 0 || sorted[below] == sorted[above] || std::isinf(sorted[below])) {
    return sorted[below];
  }
  return sorted[below] + weight * (sorted[above] - sorted[below]);
}

}  // namespace lockstep::cli
