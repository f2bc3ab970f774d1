// lockstep train --seeds A..B: the same training for every seed, and how the results spread.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <vector>

#include "host/cli/commands/train.h"
#include "host/cli/output.h"
#include "host/cli/progress.h"
#include "host/cli/signals.h"
#include "host/engine.h"
#include "host/options/options.h"

namespace lockstep::cli {
namespace {

using json = nlohmann::ordered_json;
constexpr double kNever = std::numeric_limits<double>::infinity();

/// One value a seed. What it took to reach the threshold is infinite where it was not reached, so
/// that quantiles are over all seeds and not over the lucky ones.
struct Spread {
  std::vector<double> updates, episodes, steps, seconds, final_score;
  std::vector<std::uint64_t> unsolved, without_gradient;

  void add(std::uint64_t seed, const TrainResult& result) {
    const auto reached = [&](auto value) {
      return result.reached ? static_cast<double>(value) : kNever;
    };
    updates.push_back(reached(result.reached_update));
    episodes.push_back(reached(result.reached_episodes));
    steps.push_back(reached(result.reached_steps));
    seconds.push_back(reached(result.reached_seconds));
    // no score at all is less than any
    final_score.push_back(std::isnan(result.mean_score) ? -kNever : result.mean_score);
    if (!result.reached) unsolved.push_back(seed);
    if (result.gradient_updates == 0) without_gradient.push_back(seed);
  }
  std::size_t seeds() const { return updates.size(); }
  std::size_t solved() const { return seeds() - unsolved.size(); }
  void sort() {
    for (auto* values : {&updates, &episodes, &steps, &seconds, &final_score}) {
      std::sort(values->begin(), values->end());
    }
  }
};

std::string cell(double value, bool is_time) {
  if (value == -kNever) return "none";
  if (!std::isfinite(value)) return "never";
  if (is_time) return duration(value);
  return value >= 1e4 ? grouped(std::llround(value)) : fmt::format("{:.4g}", value);
}

std::string table_line(std::string_view name, const std::vector<double>& sorted, bool is_time) {
  std::string line = fmt::format("  {:<14}", name);
  for (const double fraction : kQuantiles) {
    line += fmt::format("{:>12}", cell(quantile(sorted, fraction), is_time));
  }
  return line + "\n";
}

std::string seeds_line(std::string_view name, const std::vector<std::uint64_t>& seeds) {
  if (seeds.empty()) return "";
  constexpr std::size_t kShown = 10;
  std::string text = fmt::format("  {}", name);
  for (std::size_t i = 0; i < std::min(kShown, seeds.size()); ++i) {
    text += fmt::format(" {}", seeds[i]);
  }
  return text + (seeds.size() > kShown ? " ...\n" : "\n");
}

void print_text(const Config& config, const Spread& spread) {
  std::string text = fmt::format(
      "{}: {} of {} seeds reached {:g} ({:.1f} %)\n", config.env, spread.solved(), spread.seeds(),
      config.until_score,
      100.0 * static_cast<double>(spread.solved()) / static_cast<double>(spread.seeds()));
  text += fmt::format("  {:<14}", "until reached");
  for (const double fraction : kQuantiles) text += fmt::format("{:>10.0f} %", fraction * 100);
  text += "\n" + table_line("updates", spread.updates, false);
  text += table_line("episodes", spread.episodes, false);
  text += table_line("steps", spread.steps, false);
  text += table_line("time", spread.seconds, true);
  text += table_line("final score", spread.final_score, false);
  text += seeds_line("not reached by seed", spread.unsolved);
  text += seeds_line("gradient 0 in every update of seed", spread.without_gradient);
  print(text);
}

json quantiles(const std::vector<double>& sorted) {
  json result;
  for (const double fraction : kQuantiles) {
    result[fmt::format("p{:.0f}", fraction * 100)] = quantile(sorted, fraction);
  }
  return result;
}

void print_json_summary(const ProgramOptions& config, const Spread& spread) {
  print_json("train_seeds", {{"env", config.env},
                             {"recipe", config.recipe},
                             {"seeds", config.seeds},
                             {"runs", spread.seeds()},
                             {"solved", spread.solved()},
                             {"unsolved_seeds", spread.unsolved},
                             {"seeds_without_gradient", spread.without_gradient},
                             {"until_score", config.until_score},
                             {"over", config.over},
                             {"updates", quantiles(spread.updates)},
                             {"episodes", quantiles(spread.episodes)},
                             {"steps", quantiles(spread.steps)},
                             {"seconds", quantiles(spread.seconds)},
                             {"final_score", quantiles(spread.final_score)}});
}

/// Of many seeds the one that failed is worth to be known.
TrainResult train_one(const ProgramOptions& options, const TrainHooks& hooks) {
  try {
    return Engine(options).train(hooks);
  } catch (...) {
    print_note(fmt::format("seed {} failed", options.seed));
    throw;
  }
}

}  // namespace

int train_seeds(const ProgramOptions& options, const volatile std::sig_atomic_t* stop_signal) {
  const auto [first, last] = parse_seed_range(options.seeds, Origin{"--seeds"});
  TrainHooks hooks;
  hooks.write_files = false;
  hooks.stop_signal = stop_signal;
  Spread spread;
  // counts from 0: `last` may be the largest number there is
  for (std::uint64_t i = 0; i <= last - first && caught_signal() == 0; ++i) {
    ProgramOptions one = options;
    one.seeds.clear();
    one.seed = first + i;
    Progress progress(one, fmt::format("seed {}", one.seed));
    show_with(options, hooks, [&](const UpdateMetrics& metrics) { progress.update(metrics); });
    const TrainResult result = train_one(one, hooks);
    if (result.stop_signal == 0) spread.add(one.seed, result);
    if (i == last - first) break;
  }
  spread.sort();
  const int signal = caught_signal();
  if (signal != 0) print_note(fmt::format("interrupted after {} seeds", spread.seeds()));
  if (spread.seeds() > 0)
    options.json ? print_json_summary(options, spread) : print_text(options, spread);
  return signal != 0 ? signal_exit_code(signal) : 0;
}

}  // namespace lockstep::cli
