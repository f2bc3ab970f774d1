// Options of a game (envs/game_options.h) for the commands that play a policy.
#pragma once

#include "host/cli/command.h"
#include "host/engine.h"

namespace lockstep::cli {

/// --frame-skip and --repeat-action-probability: a run's own unless given.
std::vector<ArgumentRow> game_rows();
/// Puts what was given into the settings of the policy that is played.
/// Errors: InvalidArgument naming option and value; what the environment does not know, the engine
/// refuses.
void set_game(const Arguments& arguments, Config& config);

/// For a command that has them, and --noops, among its own settings: puts those that were not given
/// as the run has them.
void set_game_of_run(const Arguments& arguments, const Config& run, Config& config);

ArgumentRow max_pool_row();
bool max_pool_of(const Arguments& arguments);

/// --noops and --starts: how the episodes of an evaluation begin.
std::vector<ArgumentRow> start_rows();
/// Errors: InvalidArgument, also where one of them is given for an environment that is no game.
void set_starts(const Arguments& arguments, const Config& config, EvalOptions& options);

}  // namespace lockstep::cli
