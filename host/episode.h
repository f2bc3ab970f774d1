// One episode of an evaluation, to be looked at: its actions, and its pictures frame by frame. Made
// by Engine::play_episode() and Engine::pictures().
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "envs/game_options.h"
#include "host/backend/environments.h"

namespace lockstep {

struct PlayedEpisode {
  std::int64_t number = 0;            // environment id in the evaluation
  std::vector<std::uint8_t> actions;  // one a step
  double score = 0;                   // sum of rewards
};

/// Plays an episode's actions again and shows what there is to see after each frame.
///
/// Result: bitwise; the game is the one that evaluate() played, score included.
class EpisodePictures {
 public:
  /// Errors: InvalidArgument for an environment that has no pictures.
  EpisodePictures(const EnvironmentFacts& facts, const RandomStream& stream,
                  const GameOptions& options, PlayedEpisode episode);

  int height() const { return facts_->height; }
  int width() const { return facts_->width; }
  double frames_per_second() const { return facts_->frames_per_second; }
  double pixel_aspect() const { return facts_->pixel_aspect; }  // width of a pixel over its height

  /// The picture that is to be seen, at first that of the start: RGB [height][width][3]. Valid
  /// until next().
  const std::vector<std::uint8_t>& rgb() const { return rgb_; }
  /// Steps begun and rewards so far.
  std::int64_t step() const { return step_; }
  double score() const { return player_->score(); }
  const PlayedEpisode& episode() const { return episode_; }

  /// Plays one frame on. False, and nothing changed, after the last.
  bool next();

 private:
  void draw();

  const PictureFacts* facts_;
  PlayedEpisode episode_;
  std::unique_ptr<EpisodePlayer> player_;
  std::int64_t step_ = 0;
  std::vector<std::uint8_t> rgb_;
};

}  // namespace lockstep
