// What `view` and `render` show: one episode of those that `eval` with the same options plays.
#pragma once

#include <string>
#include <vector>

#include "host/cli/command.h"
#include "host/cli/picture.h"
#include "host/cli/policy_source.h"
#include "host/engine.h"
#include "host/episode.h"

namespace lockstep::cli {

/// The rows that choose the episode: path, mode, episode, seed and so on. Other rows may follow.
std::vector<ArgumentRow> episode_rows();
std::string episode_epilogue();

class WatchedEpisode {
 public:
  /// Loads the policy and plays the episode. Errors: as load_policy() and Engine.
  explicit WatchedEpisode(const Arguments& arguments);

  /// From the start; any number of times.
  EpisodePictures pictures() const { return engine_.pictures(options_, episode_); }
  const Config& config() const { return engine_.config(); }
  const PlayedEpisode& episode() const { return episode_; }
  /// "cartpole, episode 3 (greedy): score 500 in 500 steps"
  std::string summary() const;

 private:
  WatchedEpisode(const Arguments& arguments, const PolicySource& source);

  EvalOptions options_;
  std::string mode_;
  Engine engine_;
  PlayedEpisode episode_;
};

/// The picture to be seen.
Picture picture_of(const EpisodePictures& pictures);

}  // namespace lockstep::cli
