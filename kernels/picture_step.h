// One step of an environment of objects with the caller's action, seen as the numbers a dense
// network reads: the picture after the step minus the one before it. Body of Engine::step() and of
// the dense path (kernels/dense.h) for such environments; the reference beside the tables, and good
// where they are not: beyond the frames they know, and for maxima of two pictures.
#pragma once

#include "envs/object_env.h"
#include "kernels/game_noise.h"
#include "kernels/trajectory.h"

namespace lockstep {

/// A game and what its observation is made of, kept between steps as numbers that a float holds.
template <ObjectEnv E>
struct PictureGame {
  using I = std::int32_t;
  using State = typename E::template State<I>;
  static constexpr int kStates = 2 * E::kStateSize;  // numbers of `now` and `early`
  static constexpr int kNumbers = kStates + 4;

  State now;        // after the last frame
  State early;      // one frame before, within the same step
  I pictures;       // 2: the observation is the maximum of both; 1: that of `now`
  I executed;       // by the last frame: -1 up, 1 down, 0 neither
  std::uint32_t t;  // steps since the epoch began

  /// state: [kNumbers], 16 apart.
  static LS_HD PictureGame load(const float* state) {
    I now[E::kStateSize], early[E::kStateSize];
    for (int i = 0; i < E::kStateSize; ++i) {
      now[i] = number(state, i);
      early[i] = number(state, E::kStateSize + i);
    }
    return {E::template restore<I>(now), E::template restore<I>(early), number(state, kStates),
            number(state, kStates + 1),
            static_cast<std::uint32_t>(number(state, kStates + 2)) +
                (static_cast<std::uint32_t>(number(state, kStates + 3)) << kLowBits)};
  }
  LS_HD void store(float* state) const {
    I numbers[2][E::kStateSize];
    E::template save<I>(now, numbers[0]);
    E::template save<I>(early, numbers[1]);
    for (int i = 0; i < kStates; ++i) {
      state[i * kGroup] = static_cast<float>(numbers[i / E::kStateSize][i % E::kStateSize]);
    }
    state[kStates * kGroup] = static_cast<float>(pictures);
    state[(kStates + 1) * kGroup] = static_cast<float>(executed);
    state[(kStates + 2) * kGroup] = static_cast<float>(t & ((1u << kLowBits) - 1u));
    state[(kStates + 3) * kGroup] = static_cast<float>(t >> kLowBits);
  }

  /// Starts an episode; the count of steps goes on.
  LS_HD void start(const GameOptions& options, const RandomStream& stream, std::uint32_t env,
                   std::uint32_t episode) {
    now = E::template start<I>(start_noops(options, stream, env, episode), options.max_noops);
    pictures = 1;
    executed = 0;
  }
  /// picture: [kPixels] of 0 and 1.
  LS_HD void draw(std::uint8_t* picture) const {
    const State both[2] = {now, early};
    E::draw(both, pictures, picture);
  }
  /// Plays the frames of a step; no frame after the end.
  LS_HD ObjectStep<I> play(bool up, const GameOptions& options, const RandomStream& stream,
                           std::uint32_t env) {
    StepNoise<std::uint32_t> noise(options, stream, env, t);
    ++t;
    pictures = 1;
    ObjectStep<I> result{0, false};
    for (int f = 0; f < options.max_skip && !result.over && noise.plays(f); ++f) {
      if (options.max_pool && f > 0) {
        early = now;
        pictures = 2;
      }
      const bool repeats = noise.repeats(f);
      const ObjectStep<I> frame = E::step(
          now, up, 1, [](int) { return true; }, [&](int) { return repeats; }, executed);
      result.reward += frame.reward;
      result.over = frame.over;
    }
    return result;
  }

 private:
  static constexpr int kLowBits = 20;  // of t; the rest is a number of its own
  static LS_HD I number(const float* state, int i) { return static_cast<I>(state[i * kGroup]); }
};

/// Steps environment `env` with the caller's action (1 up, 0 down); marked ones start a new episode
/// instead, that of their number in the rollout of this stream.
///
/// Shapes: of args, state [G][kNumbers][16]; obs and final_obs [16 G][P], of -1, 0 and 1: 0 at the
///         start of an episode, and as they were where nothing was stepped or started. final_obs,
///         null or written where an episode ended in a step.
/// Random: game_noise.h, as a rollout of tables; t counts the environment's steps
/// Result: bitwise the game of that rollout, and its difference pictures
template <ObjectEnv E>
LS_HD void picture_step(const StepBuffers& args, const GameOptions& options, std::int64_t env) {
  constexpr int P = E::kPixels;
  using Game = PictureGame<E>;
  float* state = args.state + env / kGroup * Game::kNumbers * kGroup + env % kGroup;
  float* obs = args.obs + env * P;
  const auto id = static_cast<std::uint32_t>(env);
  const bool marked = args.reset[env] != 0;
  if (args.reset_only && !marked) return;
  Game game = Game::load(state);
  bool starts = marked;
  args.reward[env] = 0;
  args.terminated[env] = args.truncated[env] = 0;
  if (!marked) {
    std::uint8_t before[P], after[P];
    game.draw(before);
    const auto step = game.play(args.action[env] != 0, options, args.stream, id);
    game.draw(after);
    ++args.steps[env];
    const bool late = args.steps[env] >= options.max_steps && !step.over;
    args.reward[env] = static_cast<float>(step.reward);
    args.terminated[env] = step.over ? 1 : 0;
    args.truncated[env] = late ? 1 : 0;
    const bool ended = step.over || late;
    starts = args.same_step && ended;
    float* last = args.final_obs == nullptr ? nullptr : args.final_obs + env * P;
    float* seen = starts ? last : obs;
    for (int p = 0; seen != nullptr && p < P; ++p) {
      seen[p] = static_cast<float>(after[p] - before[p]);
    }
  }
  if (starts) {
    ++args.number[env];
    args.steps[env] = 0;
    game.start(options, args.stream, id, args.number[env]);
    for (int p = 0; p < P; ++p) obs[p] = 0;
  }
  game.store(state);
}

}  // namespace lockstep
