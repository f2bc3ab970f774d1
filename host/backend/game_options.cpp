// From a configuration to the options of a game.
#include <cmath>
#include <tuple>

#include "host/backend/backend.h"
#include "host/options/options.h"

namespace lockstep {

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
                         std::int64_t noops, bool drawn) {
  GameOptions options;
  if (!environment.has_objects()) return options;
  std::tie(options.min_skip, options.max_skip) =
      parse_frame_skip(config.frame_skip, Origin{"--frame-skip"});
  options.repeat_below =
      static_cast<std::uint32_t>(std::lround(config.repeat_action_probability * 0x1p24));
  options.max_noops = static_cast<std::int32_t>(noops);
  options.max_pool = drawn && config.max_pool;
  const TableFacts& facts = *environment.facts->tables;
  const int frames = drawn ? facts.frame_limit : facts.max_episode_frames;
  options.max_steps = (frames - options.max_noops) / options.max_skip;
  return options;
}

std::int32_t episode_limit(const GameOptions& options, const EnvironmentEntry& environment) {
  return environment.has_objects() ? options.max_steps : environment.facts->max_episode_steps;
}

}  // namespace lockstep
