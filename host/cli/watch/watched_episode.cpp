// See watched_episode.h.
#include "host/cli/watch/watched_episode.h"

#include <fmt/format.h>

#include "host/cli/output.h"
#include "host/cli/played_policy.h"

namespace lockstep::cli {
std::vector<ArgumentRow> episode_rows() {
  return played_rows({{.name = "episode",
                       .value = integer_in(0, 999),
                       .help = "number of the episode, as eval counts them",
                       .fallback = "0"}});
}

std::string episode_epilogue() {
  return std::string(kPlayedEpilogue) + " The episode is that of eval with the same options.\n";
}

WatchedEpisode::WatchedEpisode(const Arguments& arguments)
    : played_(arguments),
      mode_(arguments.text("mode")),
      episode_(played_.engine.play_episode(played_.options, arguments.integer("episode"))) {}

std::string WatchedEpisode::summary() const {
  return fmt::format("{}, episode {} ({}): score {:g} in {} steps", config().env, episode_.number,
                     mode_, episode_.score,
                     grouped(static_cast<std::int64_t>(episode_.actions.size())));
}

Picture picture_of(const EpisodePictures& pictures) {
  return {pictures.height(), pictures.width(), pictures.rgb()};
}

}  // namespace lockstep::cli
