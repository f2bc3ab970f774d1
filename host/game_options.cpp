// From a configuration to the options of a game, and what environments of either kind cannot do.
#include <algorithm>
#include <cmath>
#include <tuple>

#include "host/backend.h"
#include "host/errors.h"
#include "host/options.h"

namespace lockstep {
namespace {

void require_no_game_options(const Config& c) {
  const Config plain;
  for (const std::string_view name :
       {"frame-skip", "repeat-action-probability", "noops", "max-pool", "credit"}) {
    const Option& option = *find_option(name);
    require(option_text(c, option) == option_text(plain, option),
            "--" + std::string(name) + ": " + c.env + " is no game of frames and objects");
  }
  require(c.returns != ReturnKind::kPoint,
          "--returns: point is for games with points; use stepwise or full with " + c.env);
}

void validate_game(const Config& c) {
  const auto need = [&](bool has, const std::string& given, const char* instead) {
    require(has, given + " is not offered by the pictures of " + c.env + "; use " + instead);
  };
  parse_frame_skip(c.frame_skip, Origin{"--frame-skip"});
  need(c.policy == PolicyKind::kMlp, "--policy: linear", "mlp");
  need(c.hidden <= kMaxTableHidden, "--hidden: " + std::to_string(c.hidden), "1 to 1024 units");
  need(c.dropout == 0, "--dropout: " + format_real(c.dropout), "0");
  need(c.returns != ReturnKind::kFull, "--returns: full", "stepwise or point");
  need(c.baseline != Baseline::kTimeMean, "--baseline: time_mean",
       "none, batch_mean or running_mean");
  need(c.store == Store::kLogits, "--store: recompute", "logits");
  need(c.mapping == GpuMapping::kAuto, "--mapping: a choice", "auto");
  require(!(c.credit == Credit::kIncoming && c.normalize == Normalize::kEpisode),
          "--credit: incoming with --normalize episode has no whole episodes to normalise; use "
          "none, scale or batch");
}

}  // namespace

void validate_environment(const Config& config) {
  for (const EnvironmentEntry& entry : environment_entries()) {
    if (config.env != entry.facts->name) continue;
    if (entry.has_objects()) {
      validate_game(config);
    } else {
      require_no_game_options(config);
    }
  }
}

std::pair<int, int> parse_frame_skip(std::string_view text, const Origin& origin) {
  const ValueSpec frames = integer_in(1, kMaxFrameSkip);
  const std::size_t dash = text.find('-', 1);
  const auto first = static_cast<int>(parse_integer(frames, text.substr(0, dash), origin));
  if (dash == std::string_view::npos) return {first, first};
  const auto last = static_cast<int>(parse_integer(frames, text.substr(dash + 1), origin));
  if (first > last) throw_bad_value(origin, in_quotes(text) + " is empty; give A-B with A <= B");
  return {first, last};
}

GameOptions game_options(const Config& config, const EnvironmentEntry& environment,
                         std::int64_t noops) {
  GameOptions options;
  if (!environment.has_objects()) return options;
  std::tie(options.min_skip, options.max_skip) =
      parse_frame_skip(config.frame_skip, Origin{"--frame-skip"});
  options.repeat_below =
      static_cast<std::uint32_t>(std::lround(config.repeat_action_probability * 0x1p24));
  options.max_noops = static_cast<std::int32_t>(noops);
  options.max_steps =
      (environment.facts->tables->max_episode_frames - options.max_noops) / options.max_skip;
  return options;
}

std::int32_t episode_limit(const GameOptions& options, const EnvironmentEntry& environment) {
  return environment.has_objects() ? options.max_steps : environment.facts->max_episode_steps;
}

}  // namespace lockstep
