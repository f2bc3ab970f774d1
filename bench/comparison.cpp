// See comparison.h.
#include "bench/comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "host/errors.h"

namespace lockstep::bench {
namespace {

constexpr std::size_t kFewest = 3;  // repetitions

double standard_error(const std::vector<double>& values) {
  return 1.2533 * 1.4826 * median_deviation(values) / std::sqrt(static_cast<double>(values.size()));
}

Change judge(const std::string& name, const Measurement& before, const Measurement& now,
             double max_regress) {
  Change c;
  c.name = name;
  c.before = median(before.seconds);
  c.now = median(now.seconds);
  c.change = (c.now - c.before) / c.before;
  if (before.seconds.size() < kFewest || now.seconds.size() < kFewest) return c;
  const double relative_before = standard_error(before.seconds) / c.before;
  const double relative_now = standard_error(now.seconds) / c.now;
  c.noise = 2 * (1 + c.change) * std::hypot(relative_before, relative_now);
  if (c.change - c.noise > max_regress) {
    c.verdict = Verdict::kSlow;
  } else if (c.change + c.noise > max_regress) {
    c.verdict = Verdict::kAmbiguous;
  } else {
    c.verdict = c.change + c.noise < 0 ? Verdict::kFast : Verdict::kSame;
  }
  return c;
}

/// Context entries that make times of two files incomparable when they differ.
constexpr const char* kMachine[] = {"cpu", "isa", "compiler", "flags", "build_type"};

std::string context_entry(const Measurements& measurements, const char* key) {
  const auto found = measurements.context.find(key);
  return found == measurements.context.end() ? "" : found->second;
}

/// Times of two kinds of GPU are not held against each other, whatever else was measured.
void require_same_gpu(const Measurements& before, const Measurements& now) {
  const std::string then = context_entry(before, "gpu"), here = context_entry(now, "gpu");
  if (then.empty() || then == here) return;
  throw BadInput(fmt::format("another device: '{}' before, {} now", then,
                             here.empty() ? "no GPU" : "'" + here + "'"));
}

std::string time_text(double seconds) {
  if (seconds < 1e-3) return fmt::format("{:.4g} us", seconds * 1e6);
  return seconds < 1 ? fmt::format("{:.4g} ms", seconds * 1e3) : fmt::format("{:.4g} s", seconds);
}

}  // namespace

const char* verdict_word(Verdict verdict) {
  constexpr const char* kWords[] = {"SAME", "FAST", "SLOW", "AMBG", "????"};
  return kWords[static_cast<int>(verdict)];
}

int Comparison::count(Verdict verdict) const {
  return static_cast<int>(std::count_if(changes.begin(), changes.end(),
                                        [&](const Change& c) { return c.verdict == verdict; }));
}

Comparison compare(const Measurements& before, const Measurements& now, double max_regress) {
  require_same_gpu(before, now);
  Comparison result;
  for (const auto& [name, row] : before.rows) {
    const auto found = now.rows.find(name);
    if (found == now.rows.end()) {
      result.only_before.push_back(name);
    } else {
      result.changes.push_back(judge(name, row, found->second, max_regress));
    }
  }
  for (const auto& [name, row] : now.rows) {
    if (!before.rows.contains(name)) result.only_now.push_back(name);
  }
  for (const char* key : kMachine) {
    const auto a = before.context.find(key), b = now.context.find(key);
    if (a == before.context.end() || b == now.context.end() || a->second == b->second) continue;
    result.warnings.push_back(
        fmt::format("{} differs: '{}' before, '{}' now", key, a->second, b->second));
  }
  if (result.count(Verdict::kUnknown) == static_cast<int>(result.changes.size())) {
    throw BadInput(
        fmt::format("nothing to judge: {} rows in common, and none has {} repetitions on "
                    "both sides; use --save and the same selection of rows",
                    result.changes.size(), kFewest));
  }
  return result;
}

std::string comparison_text(const Comparison& comparison, double max_regress) {
  std::size_t width = 4;
  for (const Change& c : comparison.changes) width = std::max(width, c.name.size());
  std::string text = fmt::format("{:<{}}  {:>10} {:>10} {:>9} {:>8}  verdict\n", "row", width,
                                 "before", "now", "change", "noise");
  for (const Change& c : comparison.changes) {
    const std::string noise =
        c.verdict == Verdict::kUnknown ? "?" : fmt::format("+-{:.1f} %", 100 * c.noise);
    text += fmt::format("{:<{}}  {:>10} {:>10} {:>+7.1f} % {:>8}  {}\n", c.name, width,
                        time_text(c.before), time_text(c.now), 100 * c.change, noise,
                        verdict_word(c.verdict));
  }
  for (const auto& warning : comparison.warnings) text += "note: " + warning + "\n";
  const auto not_compared = comparison.only_before.size() + comparison.only_now.size();
  if (not_compared > 0) text += fmt::format("note: {} rows are on one side only\n", not_compared);
  text += fmt::format(
      "allowed: {:.3g} % slower. {} same, {} faster, {} slower, {} ambiguous (the noise covers the "
      "limit; measure again), {} unknown\n",
      100 * max_regress, comparison.count(Verdict::kSame), comparison.count(Verdict::kFast),
      comparison.count(Verdict::kSlow), comparison.count(Verdict::kAmbiguous),
      comparison.count(Verdict::kUnknown));
  return text;
}

std::string comparison_json(const Comparison& comparison, double max_regress) {
  nlohmann::ordered_json document;
  document["schema"] = "lockstep.bench-comparison/1";
  document["max_regress"] = max_regress;
  document["regressions"] = comparison.count(Verdict::kSlow);
  document["ambiguous"] = comparison.count(Verdict::kAmbiguous);
  document["rows"] = nlohmann::ordered_json::array();
  for (const Change& c : comparison.changes) {
    document["rows"].push_back({{"name", c.name},
                                {"before_seconds", c.before},
                                {"now_seconds", c.now},
                                {"change", c.change},
                                {"noise", c.noise},
                                {"verdict", verdict_word(c.verdict)}});
  }
  document["only_before"] = comparison.only_before;
  document["only_now"] = comparison.only_now;
  document["warnings"] = comparison.warnings;
  return document.dump(2) + "\n";
}

}  // namespace lockstep::bench
