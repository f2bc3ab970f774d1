// What could be played but cannot learn.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "host/backend/backend.h"
#include "host/errors.h"
#include "host/options/options.h"
#include "host/text.h"

namespace lockstep {
namespace {

/// Most episodes that can end in an update.
std::int64_t most_episodes(const Config& c, const EnvironmentFacts& facts) {
  return c.envs * (c.horizon == 0 ? 1 : c.horizon / std::max(1, facts.min_episode_steps));
}

std::string flag(const Config& c, std::string_view name) {
  return "--" + std::string(name) + " " + option_text(c, *find_option(name));
}

/// Where every return of an update is the same number, what subtracts a mean or divides by a
/// deviation leaves 0. They are the same in one whole episode, and where rewards are all alike
/// under a discount so small that the next one does not count.
void require_different_returns(const Config& c, const EnvironmentFacts& facts) {
  if (c.critic != Critic::kNone) return;
  const bool whole = c.returns == ReturnKind::kFull && most_episodes(c, facts) <= 1;
  const bool rewards =
      facts.constant_reward && std::fma(1.0f, static_cast<float>(c.gamma), 1.0f) == 1.0f;
  if (!whole && !rewards) return;
  const bool normalised = c.normalize != Normalize::kNone && c.baseline != Baseline::kTimeMean;
  if (c.baseline != Baseline::kBatchMean && !normalised) return;
  throw InvalidArgument(
      (whole ? "--returns: full with one episode" : "--gamma: " + format_real(c.gamma)) +
      " makes all returns of an update the same, and " +
      flag(c, normalised ? "normalize" : "baseline") + " then every advantage 0; use " +
      (whole ? "--returns stepwise, or more --envs" : "a larger discount"));
}

/// A horizon bounds what an episode can score: it has no more steps than that.
void require_reachable_threshold(const Config& c, const EnvironmentEntry& environment) {
  if (c.horizon == 0 || c.critic != Critic::kNone) return;  // episodes go on in the next update
  const EnvironmentFacts& facts = *environment.facts;
  const std::string horizon = std::to_string(c.horizon);
  require(c.horizon >= facts.min_episode_steps,
          "--horizon: no episode of " + c.env + " ends within " + horizon +
              " steps, the shortest " + "takes " + std::to_string(facts.min_episode_steps) +
              ", and only whole ones have a gradient");
  const std::int64_t limit = episode_limit(game_options(c, environment, c.noops), environment);
  const double most =
      static_cast<double>(facts.max_abs_reward) * static_cast<double>(std::min(c.horizon, limit));
  require(c.until_score <= most, "--until-score: " + format_real(c.until_score) +
                                     " is more than the " + format_real(most) +
                                     " that an episode can score within --horizon " + horizon +
                                     "; use at most that, or --horizon 0");
}

}  // namespace

void validate_training(const Config& c) {
  const EnvironmentEntry& environment = find_environment(c.env);
  require(!(c.baseline == Baseline::kTimeMean && c.envs == 1),
          "--envs: 1 with --baseline time_mean makes every advantage 0: the mean over one "
          "environment is its own return; use more, or --baseline none or running_mean");
  require_different_returns(c, *environment.facts);
  require_reachable_threshold(c, environment);
}

std::vector<std::string> training_notes(const Config& c) {
  std::vector<std::string> notes;
  if (c.env == "pong" && c.repeat_action_probability > 0) {
    notes.emplace_back(
        "the recipes of pong and their figures are for --repeat-action-probability 0; with 0.25 "
        "none has been seen to reach a mean of 18");
  }
  return notes;
}

}  // namespace lockstep
