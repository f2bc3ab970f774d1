// See watched_episode.h.
#include "host/cli/watched_episode.h"

#include <fmt/format.h>

#include "host/cli/device.h"
#include "host/cli/game_option.h"
#include "host/cli/math_option.h"
#include "host/cli/mode_option.h"
#include "host/cli/output.h"

namespace lockstep::cli {
namespace {

PolicySource source_of(const Arguments& arguments) {
  const Config call = arguments.config();
  PolicySource source = load_policy(arguments.path("path"), call);
  source.config.device = call.device;
  source.config.threads = call.threads;
  source.config.json = call.json;
  source.config.quiet = call.quiet;
  set_game(arguments, source.config);
  return source;
}

Engine engine_of(const PolicySource& source) {
  note_device(source.config);
  Engine engine(source.config);
  engine.set_policy(source.tensors);
  return engine;
}

EvalOptions options_of(const Arguments& arguments, const Config& config) {
  EvalOptions options;
  set_mode(arguments, options);
  options.seed = arguments.config().seed;
  options.math = math_of(arguments);
  options.max_pool = max_pool_of(arguments);
  set_starts(arguments, config, options);
  return options;
}

}  // namespace

std::vector<ArgumentRow> episode_rows() {
  std::vector<ArgumentRow> rows = {
      {.name = "path",
       .value = any_text(),
       .help = "run folder, checkpoint folder or safetensors file",
       .positional = true,
       .required = true},
      mode_row(),
      {.name = "episode",
       .value = integer_in(0, 999),
       .help = "number of the episode, as eval counts them",
       .fallback = "0"},
      option_row("seed"),
      option_row("env"),
      option_row("activation"),
      math_row(),
      max_pool_row(),
      option_row("device"),
      option_row("threads"),
      option_row("quiet"),
  };
  for (const auto& more : {game_rows(), start_rows()}) {
    rows.insert(rows.end(), more.begin(), more.end());
  }
  return rows;
}

std::string episode_epilogue() {
  return "--env and --activation are for bare files; a run knows its own. --noops, --starts and\n"
         "--max-pool are a game's, --frame-skip and --repeat-action-probability too: as in the "
         "run\nunless given. The episode is that of eval with the same options.\n";
}

WatchedEpisode::WatchedEpisode(const Arguments& arguments)
    : WatchedEpisode(arguments, source_of(arguments)) {}

WatchedEpisode::WatchedEpisode(const Arguments& arguments, const PolicySource& source)
    : options_(options_of(arguments, source.config)),
      mode_(arguments.text("mode")),
      engine_(engine_of(source)),
      episode_(engine_.play_episode(options_, arguments.integer("episode"))) {}

std::string WatchedEpisode::summary() const {
  return fmt::format("{}, episode {} ({}): score {:g} in {} steps", config().env, episode_.number,
                     mode_, episode_.score,
                     grouped(static_cast<std::int64_t>(episode_.actions.size())));
}

Picture picture_of(const EpisodePictures& pictures) {
  return {pictures.height(), pictures.width(), pictures.rgb()};
}

}  // namespace lockstep::cli
