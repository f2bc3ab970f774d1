// See played_policy.h.
#include "host/cli/played_policy.h"

#include "host/cli/device.h"
#include "host/cli/game_option.h"
#include "host/cli/math_option.h"
#include "host/cli/mode_option.h"
#include "host/cli/policy_agreement.h"
#include "host/cli/policy_source.h"

namespace lockstep::cli {
namespace {

EvalOptions options_of(const Arguments& arguments, const Config& call) {
  EvalOptions options;
  const Mode mode = mode_of(arguments);
  options.mode = mode.mode;
  options.epsilon = mode.epsilon;
  options.seed = call.seed;
  options.math = math_of(arguments);
  options.max_pool = max_pool_of(arguments);
  return options;
}

Engine engine_of(const Arguments& arguments, const ProgramOptions& call) {
  PolicySource source = load_policy(arguments.path("path"), call);
  require_agreement(arguments, call, source, arguments.path("path"));
  source.config.device = call.device;
  source.config.threads = call.threads;
  set_game(arguments, source.config);
  note_device(source.config, call.quiet);
  Engine engine(source.config);
  engine.set_policy(source.tensors);
  return engine;
}

}  // namespace

const char* const kPlayedEpilogue =
    "--env and --activation are for bare files; a run knows its own. --noops, --starts and\n"
    "--max-pool are a game's, --frame-skip and --repeat-action-probability too: as in the run\n"
    "unless given.";

std::vector<ArgumentRow> played_rows(const std::vector<ArgumentRow>& own) {
  std::vector<ArgumentRow> rows = {
      {.name = "path",
       .value = any_text(),
       .help = "run folder, checkpoint folder or safetensors file",
       .positional = true,
       .required = true},
      mode_row(),
  };
  const std::vector<ArgumentRow> shared = {
      option_row("seed"), option_row("env"),    option_row("activation"), math_row(),
      max_pool_row(),     option_row("device"), option_row("threads"),    option_row("quiet")};
  for (const auto& more : {own, shared, game_rows(), start_rows()}) {
    rows.insert(rows.end(), more.begin(), more.end());
  }
  return rows;
}

PlayedPolicy::PlayedPolicy(const Arguments& arguments)
    : call(arguments.config()),
      options(options_of(arguments, call)),
      engine(engine_of(arguments, call)) {
  set_starts(arguments, config(), options);
}

}  // namespace lockstep::cli
