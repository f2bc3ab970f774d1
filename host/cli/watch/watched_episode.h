// What `view` and `render` show: one episode of those that `eval` with the same options plays.
#pragma once

#include <string>
#include <vector>

#include "host/cli/command.h"
#include "host/cli/played_policy.h"
#include "host/cli/watch/picture.h"
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
  EpisodePictures pictures() const { return played_.engine.pictures(played_.options, episode_); }
  const Config& config() const { return played_.config(); }
  const ProgramOptions& call() const { return played_.call; }
  const PlayedEpisode& episode() const { return episode_; }
  /// "cartpole, episode 3 (greedy): score 500 in 500 steps"
  std::string summary() const;

 private:
  PlayedPolicy played_;
  std::string mode_;
  PlayedEpisode episode_;
};

/// The picture to be seen.
Picture picture_of(const EpisodePictures& pictures);

}  // namespace lockstep::cli
