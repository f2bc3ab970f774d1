// See game_option.h.
#include "host/cli/game_option.h"

#include <string>
#include <string_view>

#include "host/backend/environments.h"
#include "host/errors.h"

namespace lockstep::cli {
namespace {

constexpr std::string_view kOfRun[] = {"frame-skip", "repeat-action-probability"};
constexpr std::string_view kStarts[] = {"drawn", "each"};

/// A row of the option table that has nothing to do with the call's own settings.
ArgumentRow own_row(std::string_view name, std::string fallback) {
  ArgumentRow row = option_row(name);
  row.shared = false;
  row.fallback = std::move(fallback);
  return row;
}

}  // namespace

std::vector<ArgumentRow> game_rows() {
  std::vector<ArgumentRow> rows;
  for (const std::string_view name : kOfRun) rows.push_back(own_row(name, ""));
  return rows;
}

void set_game(const Arguments& arguments, Config& config) {
  for (const std::string_view name : kOfRun) {
    if (!arguments.given(name)) continue;
    set_option(config, *find_option(name), arguments.text(name), arguments.origin(name));
  }
}

void set_game_of_run(const Arguments& arguments, const Config& run, Config& config) {
  if (!arguments.given("noops")) config.noops = run.noops;
  if (!arguments.given("frame-skip")) config.frame_skip = run.frame_skip;
  if (!arguments.given("repeat-action-probability")) {
    config.repeat_action_probability = run.repeat_action_probability;
  }
}

ArgumentRow max_pool_row() { return own_row("max-pool", "false"); }

bool max_pool_of(const Arguments& arguments) {
  return parse_boolean(arguments.text("max-pool"), arguments.origin("max-pool"));
}

std::vector<ArgumentRow> start_rows() {
  return {own_row("noops", std::to_string(EvalOptions{}.noops)),
          {.name = "starts",
           .value = one_of(kStarts),
           .help = "number of these frames: drawn for each episode, or each of 0..noops in turn",
           .fallback = "drawn"}};
}

void set_starts(const Arguments& arguments, const Config& config, EvalOptions& options) {
  for (const char* name : {"noops", "starts"}) {
    require(!arguments.given(name) || find_environment(config.env).has_objects(),
            arguments.origin(name).name + ": " + config.env + " is no game of frames");
  }
  options.noops = arguments.integer("noops");
  options.noops_in_turn = arguments.text("starts") == "each";
}

}  // namespace lockstep::cli
