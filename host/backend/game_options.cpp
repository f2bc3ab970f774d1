// From a configuration to the options of a game.
#include <cmath>

#include "host/backend/backend.h"

namespace lockstep {

GameOptions game_options(const Config& config, const EnvironmentEntry& environment,
                         std::int64_t noops, bool drawn) {
  GameOptions options;
  if (!environment.has_objects()) return options;
  options.min_skip = config.frame_skip.first;
  options.max_skip = config.frame_skip.last;
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
