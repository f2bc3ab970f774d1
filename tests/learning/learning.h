// Trains a recipe with many seeds and gathers how it went. Test code only.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <numeric>
#include <string>
#include <vector>

#include "host/engine.h"
#include "host/options/options.h"

namespace lockstep::test {

/// What a number of trainings of one recipe came to.
struct Learning {
  std::vector<std::uint64_t> unsolved;                  // seeds
  std::vector<double> updates, episodes, steps;         // until solved
  std::vector<double> milliseconds;                     // until solved, in the training loop
  std::vector<std::pair<double, std::uint64_t>> fresh;  // mean score of fresh episodes, seed
};

inline double quantile(std::vector<double> values, double q) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  const double last = static_cast<double>(values.size() - 1);
  return values[static_cast<std::size_t>(q * last + 0.5)];
}

inline double mean_of(const std::vector<float>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// Trains with the seeds first..last; the first `evaluated` of the policies play `fresh` episodes,
/// with random numbers that no training saw. `limit`, updates, stops a run that never learns.
inline Learning learn(const std::string& recipe, std::uint64_t first, std::uint64_t last,
                      std::uint64_t evaluated, const std::string& limit = "",
                      const std::string& env = "cartpole",
                      const EvalOptions& fresh = {.episodes = 1000}) {
  ConfigSources sources;
  sources.flags = {{"env", env}, {"recipe", recipe}, {"threads", "1"}};
  if (!limit.empty()) sources.flags.emplace_back("updates", limit);
  Config config = resolve_config(sources);
  TrainHooks hooks;
  hooks.write_files = false;
  Learning out;
  for (std::uint64_t seed = first; seed <= last; ++seed) {
    config.seed = seed;
    Engine engine(config);
    const TrainResult result = engine.train(hooks);
    if (result.reached) {
      out.updates.push_back(static_cast<double>(result.reached_update));
      out.episodes.push_back(static_cast<double>(result.reached_episodes));
      out.steps.push_back(static_cast<double>(result.reached_steps));
      out.milliseconds.push_back(1e3 * result.reached_seconds);
    } else {
      out.unsolved.push_back(seed);
    }
    if (seed - first < evaluated) {
      EvalOptions options = fresh;
      options.seed = seed + 1000000;
      out.fresh.emplace_back(mean_of(engine.evaluate(options).scores), seed);
    }
  }
  return out;
}

/// One line for the log of a test, so that a run of CI shows the distribution and not a verdict.
inline void print(const std::string& recipe, const Learning& l) {
  std::printf(
      "%s: %zu of %zu seeds solved; median (95th percentile) of the solved: %.0f (%.0f) "
      "updates, %.0f (%.0f) episodes, %.0f (%.0f) steps, %.2f (%.2f) ms\n",
      recipe.c_str(), l.updates.size(), l.updates.size() + l.unsolved.size(),
      quantile(l.updates, 0.5), quantile(l.updates, 0.95), quantile(l.episodes, 0.5),
      quantile(l.episodes, 0.95), quantile(l.steps, 0.5), quantile(l.steps, 0.95),
      quantile(l.milliseconds, 0.5), quantile(l.milliseconds, 0.95));
  if (l.fresh.empty()) return;
  std::printf("  fresh episodes: lowest mean of %zu policies %.2f\n", l.fresh.size(),
              std::min_element(l.fresh.begin(), l.fresh.end())->first);
}

}  // namespace lockstep::test
