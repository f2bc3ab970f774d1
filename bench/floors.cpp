// See floors.h. The floors hold for one core of the machine class of bench/results and the sizes
// that are the defaults; where a machine has no AVX-512 the rows that ask for it are shown as not
// measured.
#include "bench/floors.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace lockstep::bench {
namespace {

struct Names {
  std::string environment, environment_avx2, environment_x2, policy, policy_baseline, training,
      training_baseline, solve, process, pong_environment, pong_ale, pong_policy,
      pong_dense_forward, pong_training, pong_dense_training, pong_fixed;

  explicit Names(const Sizes& s) {
    const auto name = [&](const char* op, const std::string& backend) {
      return benchmark_name(op, backend, s.num_envs, s.steps);
    };
    environment = name(op::kEnvironment, backend_name(Isa::kAvx512, 1));
    environment_avx2 = name(op::kEnvironment, backend_name(Isa::kAvx2, 1));
    environment_x2 = name(op::kEnvironment, backend_name(Isa::kAvx512, 2));
    policy = name(op::kPolicy, backend_name(Isa::kAvx512, 1));
    policy_baseline = name(op::kPolicy, kOpByOpBackend);
    training = name(op::kTraining, backend_name(Isa::kAvx512, 1));
    training_baseline = name(op::kTraining, kOpByOpBackend);
    solve = benchmark_name(op::kSolve, "");
    process = benchmark_name(op::kProcess, "");
    const PongNames pong(s);
    pong_environment = pong.environment(Isa::kAvx512);
    pong_ale = pong.ale();
    pong_policy = pong.policy(Isa::kAvx512);
    pong_dense_forward = pong.dense_forward();
    pong_training = pong.training(Isa::kAvx512);
    pong_dense_training = pong.dense_training();
    pong_fixed = pong.fixed(Isa::kAvx512);
  }
  std::vector<std::string> all() const {
    return {environment,
            environment_avx2,
            environment_x2,
            policy,
            policy_baseline,
            training,
            training_baseline,
            solve,
            process,
            pong_environment,
            pong_ale,
            pong_policy,
            pong_dense_forward,
            pong_training,
            pong_dense_training,
            pong_fixed};
  }
};

/// The row whose name starts with `name` and goes on with nothing or with the library's suffixes.
const Measurement* find(const Measurements& measurements, const std::string& name) {
  const auto row = measurements.rows.lower_bound(name);
  if (row == measurements.rows.end() || !row->first.starts_with(name)) return nullptr;
  const bool whole =
      row->first.size() == name.size() || name.back() == '/' || row->first[name.size()] == '/';
  return whole ? &row->second : nullptr;
}

double counter_median(const Measurement& m, const char* name) {
  const auto found = m.counters.find(name);
  return found == m.counters.end() ? 0 : median(found->second);
}

FloorRow rate_row(std::string work, const Measurement* m, double floor) {
  FloorRow row{.work = std::move(work), .floor = floor};
  if (m == nullptr) return row;
  const auto& rates = m->counters.at(counter::kRate);
  row.measured = true;
  row.value = median(rates);
  row.best = *std::max_element(rates.begin(), rates.end());
  row.peak_percent = counter_median(*m, counter::kPeak);
  return row;
}

FloorRow time_row(std::string work, const Measurement* m, double floor) {
  FloorRow row{.work = std::move(work), .floor = floor, .is_time = true};
  if (m == nullptr) return row;
  row.measured = true;
  row.value = median(m->seconds);
  row.best = *std::min_element(m->seconds.begin(), m->seconds.end());
  return row;
}

void set_ratio(FloorRow& row, const Measurement* baseline, double floor) {
  row.ratio_floor = floor;
  if (row.measured && baseline != nullptr) {
    row.ratio = row.value / median(baseline->counters.at(counter::kRate));
  }
}

std::string value_text(const FloorRow& row, double value) {
  if (row.is_ratio) return fmt::format("{:.2f}x", value);
  if (row.is_time) return fmt::format("{:.3g} ms", value * 1e3);
  return value >= 1e9 ? fmt::format("{:.3g}e9 /s", value / 1e9)
                      : fmt::format("{:.3g}e6 /s", value / 1e6);
}

std::string context_of(const Measurements& measurements, const char* key) {
  const auto found = measurements.context.find(key);
  return found == measurements.context.end() ? "?" : found->second;
}

}  // namespace

std::string floor_filter(const Sizes& sizes) {
  std::string filter;
  for (const std::string& name : Names(sizes).all()) {
    filter += (filter.empty() ? "^(" : "|") + name;
  }
  return filter + ")";
}

bool FloorRow::ok() const {
  return measured && (is_time ? value <= floor : value >= floor) && peak_percent >= peak_floor &&
         ratio >= ratio_floor;
}

std::vector<FloorRow> floor_table(const Measurements& measurements, const Sizes& sizes) {
  const Names names(sizes);
  const auto row = [&](const std::string& name) { return find(measurements, name); };
  std::vector<FloorRow> table;
  table.push_back(rate_row("environment, random actions", row(names.environment), 1.0e9));
  table.push_back(rate_row("the same with AVX2", row(names.environment_avx2), 0.7e9));

  FloorRow two{.work = "the same, 2 cores over 1 (AVX-512)", .floor = 1.9, .is_ratio = true};
  const Measurement* one_core = row(names.environment);
  const Measurement* two_cores = row(names.environment_x2);
  if (one_core != nullptr && two_cores != nullptr) {
    two.measured = true;
    two.value = median(one_core->wall) / median(two_cores->wall);
    two.best = *std::min_element(one_core->wall.begin(), one_core->wall.end()) /
               *std::min_element(two_cores->wall.begin(), two_cores->wall.end());
  }
  table.push_back(two);

  FloorRow policy = rate_row("environment + 128-unit policy + sampling", row(names.policy), 75e6);
  policy.peak_floor = 85;
  set_ratio(policy, row(names.policy_baseline), 0);
  table.push_back(policy);
  FloorRow training = rate_row("whole training step", row(names.training), 25e6);
  set_ratio(training, row(names.training_baseline), 3);
  table.push_back(training);
  table.push_back(time_row("CartPole to 475, training loop", row(names.solve), 3e-3));
  table.push_back(time_row("the same, process start to exit", row(names.process), 60e-3));

  FloorRow games = rate_row("Pong: environment, random actions", row(names.pong_environment), 1e8);
  if (const Measurement* ale = row(names.pong_ale)) set_ratio(games, ale, 1e4);
  table.push_back(games);
  FloorRow sees = rate_row("Pong: the same + 200 units + sampling", row(names.pong_policy), 11e6);
  set_ratio(sees, row(names.pong_dense_forward), 300);
  table.push_back(sees);
  FloorRow learns = rate_row("Pong: training to a mean of 18", row(names.pong_training), 6e6);
  set_ratio(learns, row(names.pong_dense_training), 300);
  table.push_back(learns);
  table.push_back(time_row("Pong: an update beside its steps", row(names.pong_fixed), 2e-3));
  return table;
}

std::string floor_text(const std::vector<FloorRow>& rows, const Measurements& measurements) {
  std::string text =
      fmt::format("{}, {}, commit {}\nmultiply-add peak of one core: {}\nop-by-op: {}\n\n",
                  context_of(measurements, "cpu"), context_of(measurements, "isa"),
                  context_of(measurements, "commit"), context_of(measurements, "fma_peak"),
                  context_of(measurements, "baseline"));
  text += fmt::format("{:<42} {:>11} {:>11} {:>10} {:>15} {:>16}\n", "work", "measured", "best",
                      "floor", "of peak", "to baseline");
  for (const FloorRow& row : rows) {
    const auto with_floor = [](double value, double floor, const char* unit) {
      if (value == 0) return std::string("-");
      const auto number = [](double x) {  // 122576, not 1.23e+05
        return x < 999.5 ? fmt::format("{:.3g}", x) : fmt::format("{:.0f}", x);
      };
      return number(value) + unit + (floor > 0 ? " (" + number(floor) + unit + ")" : "");
    };
    text += fmt::format("{:<42} {:>11} {:>11} {:>10} {:>15} {:>16}  {}\n", row.work,
                        row.measured ? value_text(row, row.value) : "-",
                        row.measured ? value_text(row, row.best) : "-", value_text(row, row.floor),
                        with_floor(row.peak_percent, row.peak_floor, " %"),
                        with_floor(row.ratio, row.ratio_floor, "x"),
                        !row.measured ? "not measured"
                        : row.ok()    ? "ok"
                                      : "below");
  }
  return text +
         "\nMedians of the repetitions; floors in brackets. One core: CPU time of the thread; two "
         "cores and\nprocesses: wall time. Of peak: the policy's 2 H (O + 1) flop a step alone.\n"
         "Baselines: CartPole op by op; Pong's games in ALE, where ale-py is installed, and its "
         "network as\nmatrix products over ready pictures.\n";
}

std::string floor_json(const std::vector<FloorRow>& rows, const Measurements& measurements) {
  nlohmann::ordered_json document;
  document["schema"] = "lockstep.bench/1";
  document["context"] = measurements.context;
  document["rows"] = nlohmann::ordered_json::array();
  for (const FloorRow& row : rows) {
    nlohmann::ordered_json entry;
    const auto number = [](bool known, double value) {
      return known ? nlohmann::ordered_json(value) : nlohmann::ordered_json(nullptr);
    };
    entry["work"] = row.work;
    entry["unit"] = row.is_ratio ? "ratio" : row.is_time ? "s" : "steps/s";
    entry["measured"] = number(row.measured, row.value);
    entry["best"] = number(row.measured, row.best);
    entry["floor"] = row.floor;
    entry["fma_peak_percent"] = number(row.peak_percent > 0, row.peak_percent);
    entry["fma_peak_percent_floor"] = number(row.peak_floor > 0, row.peak_floor);
    entry["op_by_op_ratio"] = number(row.ratio > 0, row.ratio);
    entry["op_by_op_ratio_floor"] = number(row.ratio_floor > 0, row.ratio_floor);
    entry["ok"] = row.ok();
    document["rows"].push_back(std::move(entry));
  }
  return document.dump(2) + "\n";
}

}  // namespace lockstep::bench
