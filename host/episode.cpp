// See episode.h; also the part of Engine that makes them.
#include "host/episode.h"

#include <cstddef>
#include <string>
#include <utility>

#include "host/engine_impl.h"
#include "host/errors.h"
#include "host/rollout_buffers.h"

namespace lockstep {

EpisodePictures::EpisodePictures(const cpu::EnvironmentFacts& facts, const RandomStream& stream,
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
  Impl& e = *impl_;
  require(episode >= 0, "play_episode: episode must be at least 0");
  EvalOptions all = options;
  all.episodes = episode + 1;
  PlayRequest request = e.evaluation(all);
  const auto n = static_cast<std::size_t>(episode);
  // first to learn how long it is: room for the longest possible would be a hundred times as much
  request.T = e.backend->play(e.parameters, request, nullptr).length[n];
  RolloutBuffers buffers({.num_envs = request.num_envs,
                          .T = request.T,
                          .O = e.facts.observation_size,
                          .A = e.facts.num_actions,
                          .logits = true,
                          .reward = !e.facts.constant_reward});
  Record<float> record = buffers.record();
  const PlayResult played = e.backend->play(e.parameters, request, &record);
  PlayedEpisode result;
  result.number = episode;
  result.score = static_cast<double>(played.score[n]);
  const std::int64_t group = episode / kGroup, lane = episode % kGroup;
  const auto bit = [&](const std::uint16_t* words, std::int64_t t) {
    return static_cast<std::uint8_t>((words[group * record.T + t] >> lane) & 1);
  };
  for (std::int64_t t = 0; t < request.T; ++t) {
    result.actions.push_back(record.action != nullptr
                                 ? record.action[(group * record.T + t) * kGroup + lane]
                                 : bit(record.action_bits, t));
  }
  result.terminated = bit(record.terminated, request.T - 1) != 0;
  return result;
}

EpisodePictures Engine::pictures(const EvalOptions& options, const PlayedEpisode& episode) const {
  const PlayRequest request = impl_->evaluation(options);
  return {impl_->facts, request.stream, request.game, episode};
}

}  // namespace lockstep
