// What the commands that play a saved policy share: which one, on which device, how actions are
// chosen, how a game begins.
#pragma once

#include <vector>

#include "host/cli/command.h"
#include "host/engine.h"

namespace lockstep::cli {

/// The command's `own` rows stand behind the path and --mode.
std::vector<ArgumentRow> played_rows(const std::vector<ArgumentRow>& own);
/// What the help says of the rows; the last line goes on.
extern const char* const kPlayedEpilogue;

/// A policy ready to play, with the settings of its run, but for what the call says of device,
/// output and game. Errors: as load_policy() and Engine; wrong options are told before anything is
/// read.
struct PlayedPolicy {
  explicit PlayedPolicy(const Arguments& arguments);

  const Config& config() const { return engine.config(); }

  ProgramOptions call;  // of it only what belongs to the call counts: json, quiet
  EvalOptions options;  // but for the number of episodes
  Engine engine;
};

}  // namespace lockstep::cli
