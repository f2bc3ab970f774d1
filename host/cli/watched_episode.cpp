// See watched_episode.h.
#include "host/cli/watched_episode.h"

#include <fmt/format.h>

#include "host/cli/device.h"
#include "host/cli/math_option.h"
#include "host/cli/mode_option.h"
#include "host/cli/output.h"
#include "host/cli/policy_source.h"

namespace lockstep::cli {
namespace {

Engine engine_with_policy(const Arguments& arguments) {
  const Config call = arguments.config();
  PolicySource source = load_policy(arguments.path("path"), call);
  source.config.device = call.device;
  source.config.threads = call.threads;
  source.config.json = call.json;
  source.config.quiet = call.quiet;
  note_device(source.config);
  Engine engine(source.config);
  engine.set_policy(source.tensors);
  return engine;
}

EvalOptions options_of(const Arguments& arguments) {
  EvalOptions options;
  set_mode(arguments, options);
  options.seed = arguments.config().seed;
  options.math = math_of(arguments);
  return options;
}

}  // namespace

std::vector<ArgumentRow> episode_rows() {
  return {
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
      option_row("device"),
      option_row("threads"),
      option_row("quiet"),
  };
}

std::string episode_epilogue() {
  return "--env and --activation are for bare files; a run knows its own.\n";
}

WatchedEpisode::WatchedEpisode(const Arguments& arguments)
    : options_(options_of(arguments)),
      mode_(arguments.text("mode")),
      engine_(engine_with_policy(arguments)),
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
