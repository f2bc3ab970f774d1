// Fills WatchFacts for one environment from PictureOf and ArcadeOf (envs/picture.h). Baseline code,
// compiled once per environment, by a translation unit that has included the environment's
// specialisations before.
#pragma once

#include <optional>

#include "envs/picture.h"
#include "kernels/cpu/replay.h"
#include "kernels/game_noise.h"
#include "kernels/watch/watch.h"

namespace lockstep::cpu {

/// An environment of the kind of env.h: a step is a frame.
template <class E>
class StatePlayer final : public EpisodePlayer {
 public:
  StatePlayer(const RandomStream& stream, std::uint32_t env, const GameOptions&) {
    ReplayBatch<E>::reset(stream, env, state_);
  }
  void begin_step(int action) override {
    action_ = static_cast<std::uint8_t>(action);
    pending_ = true;
  }
  bool next_frame() override {
    if (!pending_) return false;
    float reward = 0;
    std::uint8_t terminated = 0;
    ReplayBatch<E>::step(state_, action_, false, &reward, &terminated);
    score_ += static_cast<double>(reward);
    pending_ = false;
    return true;
  }
  double score() const override { return score_; }
  void draw(std::uint8_t* rgb) const override {
    PictureOf<E>::draw(ReplayBatch<E>::template read<float>(state_), rgb);
  }

 private:
  double state_[E::kStateSize];
  double score_ = 0;
  std::uint8_t action_ = 0;
  bool pending_ = false;
};

/// A game of frames (object_env.h) with two actions, 1 = up, and chance as game_noise.h has it:
/// the game of TableGame, of one environment.
template <class E>
class ScenePlayer final : public EpisodePlayer {
 public:
  ScenePlayer(const RandomStream& stream, std::uint32_t env, const GameOptions& options)
      : stream_(stream), options_(options), env_(env) {
    const int noops = start_noops(options_, stream_, env_, 0);
    for (int f = 0; f < noops; ++f) scene_.frame(0);
  }
  void begin_step(int action) override {
    wanted_ = action != 0 ? -1 : 1;
    noise_.emplace(options_, stream_, env_, t_++);
    frame_ = 0;
  }
  bool next_frame() override {
    const bool has_begun = noise_.has_value() && frame_ < options_.max_skip;
    if (!has_begun || scene_.is_over() || !noise_->plays(frame_)) return false;
    if (!noise_->repeats(frame_)) executed_ = wanted_;
    scene_.frame(executed_);
    ++frame_;
    return true;
  }
  double score() const override { return scene_.score(); }
  void draw(std::uint8_t* rgb) const override { scene_.draw(rgb); }

 private:
  RandomStream stream_;
  GameOptions options_;
  std::uint32_t env_;
  std::uint32_t t_ = 0;  // steps since the epoch began
  typename PictureOf<E>::Scene scene_;
  std::optional<StepNoise<std::uint32_t>> noise_;  // of the step under way
  int frame_ = 0;                                  // of the step
  int wanted_ = 0, executed_ = 0;                  // -1, 0, 1
};

template <class E>
class ArcadePlayer final : public ArcadeGame {
 public:
  ArcadePlayer(std::string_view preset, std::uint64_t seed) : game_(preset, seed) {}
  void reset() override { game_.reset(); }
  ArcadeStep step(int action) override {
    const auto step = game_.step(action);
    return {step.reward, step.terminated, step.truncated, step.frames};
  }
  void ram(std::uint8_t (&cells)[kRamCells]) const override { game_.ram(cells); }
  void frame80(std::uint8_t* frame) const override { game_.frame80(frame); }
  void rgb(std::uint8_t* rgb) const override { game_.rgb(rgb); }

 private:
  typename ArcadeOf<E>::Game game_;
};

template <class E>
concept HasScene = requires {
  typename PictureOf<E>::Scene;
};

/// What `E` offers to watch and to replay.
template <class E>
constexpr WatchFacts watch_facts() {
  WatchFacts facts;
  if constexpr (PictureOf<E>::kHeight > 0) {
    facts.picture = {PictureOf<E>::kHeight, PictureOf<E>::kWidth, PictureOf<E>::kFramesPerSecond,
                     PictureOf<E>::kPixelAspect,
                     [](const RandomStream& stream, std::uint32_t env,
                        const GameOptions& options) -> std::unique_ptr<EpisodePlayer> {
                       if constexpr (HasScene<E>) {
                         return std::make_unique<ScenePlayer<E>>(stream, env, options);
                       } else {
                         return std::make_unique<StatePlayer<E>>(stream, env, options);
                       }
                     }};
  }
  if constexpr (ArcadeOf<E>::kActions > 0) {
    facts.arcade = {ArcadeOf<E>::kActions, ArcadeOf<E>::kPresets,
                    [](std::string_view preset, std::uint64_t seed) -> std::unique_ptr<ArcadeGame> {
                      return std::make_unique<ArcadePlayer<E>>(preset, seed);
                    }};
  }
  return facts;
}

}  // namespace lockstep::cpu
