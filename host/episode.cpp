// See episode.h; also the part of Engine that makes them.
#include "host/episode.h"

#include <cstddef>
#include <string>
#include <utility>

#include "host/engine_impl.h"
#include "host/errors.h"

namespace lockstep {

EpisodePictures::EpisodePictures(const EnvironmentFacts& facts, const RandomStream& stream,
                                 const GameOptions& options, PlayedEpisode episode)
    : facts_(&facts.watch.picture), episode_(std::move(episode)) {
  require(facts_->start != nullptr, std::string(facts.name) + " has no pictures to show");
  player_ = facts_->start(stream, static_cast<std::uint32_t>(episode_.number), options);
  rgb_.resize(static_cast<std::size_t>(height()) * static_cast<std::size_t>(width()) * 3);
  draw();
}

void EpisodePictures::draw() { player_->draw(rgb_.data()); }

bool EpisodePictures::next() {
  while (!player_->next_frame()) {
    if (step_ == static_cast<std::int64_t>(episode_.actions.size())) return false;
    player_->begin_step(episode_.actions[static_cast<std::size_t>(step_)]);
    ++step_;
  }
  draw();
  return true;
}

PlayedEpisode Engine::play_episode(const EvalOptions& options, std::int64_t episode) {
  require(episode >= 0, "play_episode: episode must be at least 0");
  EvalOptions all = options;
  all.episodes = episode + 1;
  all.keep_actions = true;
  EvalResult result = evaluate(all);
  return {episode, std::move(result.actions.back()), static_cast<double>(result.scores.back())};
}

EpisodePictures Engine::pictures(const EvalOptions& options, const PlayedEpisode& episode) const {
  const PlayRequest request = impl_->evaluation(options);
  return {impl_->facts, request.stream, request.game, episode};
}

}  // namespace lockstep
