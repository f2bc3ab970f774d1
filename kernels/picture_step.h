// One step of an environment of objects with the caller's action, seen as the numbers a dense
// network reads: the picture after the step minus the one before it. Body of Engine::step(), of
// steppers and of the dense path (kernels/dense.h) for such environments; the reference beside the
// tables, and good where they are not: beyond the frames they know, and for maxima of two pictures.
//
// A difference has some hundred pixels that are not 0. Where the tables know both pictures, these
// are their rows' pixels: the ones of the last difference become 0, and the new ones are written.
// Anything else is drawn whole.
#pragma once

#include "envs/object_env.h"
#include "kernels/game_noise.h"
#include "kernels/step_buffers.h"

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
            number(state, kStates + 1), load_t(state)};
  }
  LS_HD void store(float* state) const {
    I numbers[2][E::kStateSize];
    E::template save<I>(now, numbers[0]);
    E::template save<I>(early, numbers[1]);
    for (int i = 0; i < kStates; ++i) {
      state[i * kGroup] = kept(numbers[i / E::kStateSize][i % E::kStateSize]);
    }
    store_rest(state, pictures, executed, t);
  }
  /// A number of `now` or `early` as it is kept: one that has run over 16 bits, with the sign it
  /// has in a lane of them. What reads it goes by those bits (envs/int_lanes.h).
  static LS_HD float kept(I number) {
    return static_cast<float>(static_cast<std::int16_t>(number));
  }
  /// What play() leaves beside `now`, if the step's frames are plain.
  static LS_HD void count_step(float* state, bool up) {
    store_rest(state, 1, up ? -1 : 1, load_t(state) + 1u);
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
  /// The same, to be asked pixel by pixel.
  LS_HD auto look() const {
    const State both[2] = {now, early};
    return E::look(both, pictures);
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
  static LS_HD std::uint32_t load_t(const float* state) {
    return static_cast<std::uint32_t>(number(state, kStates + 2)) +
           (static_cast<std::uint32_t>(number(state, kStates + 3)) << kLowBits);
  }
  static LS_HD void store_rest(float* state, I pictures, I executed, std::uint32_t t) {
    state[kStates * kGroup] = static_cast<float>(pictures);
    state[(kStates + 1) * kGroup] = static_cast<float>(executed);
    state[(kStates + 2) * kGroup] = static_cast<float>(t & ((1u << kLowBits) - 1u));
    state[(kStates + 3) * kGroup] = static_cast<float>(t >> kLowBits);
  }
};

/// Numbers a step tells beside its picture.
LS_HD void tell_step(const StepBuffers& args, std::int64_t env, std::int32_t reward,
                     bool terminated, bool truncated, bool ended) {
  args.reward[env] = static_cast<float>(reward);
  args.terminated[env] = terminated ? 1 : 0;
  args.truncated[env] = truncated ? 1 : 0;
  args.ended[env] = ended ? 1 : 0;
}

/// Whether the table knows what an episode shows after so many steps, but for maxima of pictures.
/// Frames are counted as if every step had the most it can have.
template <ObjectEnv E>
LS_HD bool in_table(std::int32_t steps, const GameOptions& options) {
  return std::int64_t{steps} * options.max_skip + options.max_noops <= E::kMaxEpisodeFrames;
}
/// The rows of the table that a game shows, or row[0] < 0 where the table does not know its
/// picture.
template <ObjectEnv E>
LS_HD void rows_of(const PictureGame<E>& game, std::int32_t steps, const GameOptions& options,
                   std::int32_t* row) {
  std::int32_t known[E::kObjects] = {-1};
  if (game.pictures == 1 && in_table<E>(steps, options)) E::rows(game.now, known);
  for (int o = 0; o < E::kObjects; ++o) row[o] = known[o];
}

/// A difference that the table knows: the pixels of what is shown become 0, then `now` comes, and
/// unless an episode starts with it the picture before goes. shown: [2 k] in and out, the rows that
/// the picture is short of and the rows of the picture last seen, which are those it may differ
/// from 0 in; the first < 0: it may anywhere.
template <ObjectEnv E, class T, class Team>
LS_HD void show_rows(const std::int32_t* now, bool starts, T* picture, std::int32_t* shown,
                     const Team& team) {
  constexpr int k = E::kObjects;
  const bool whole = shown[0] < 0;
  for (int p = team.lane; whole && p < E::kPixels; p += Team::kLanes) picture[p] = T(0);
  // rows that become 0 (twice k), are taken away and are added; rows of one picture share no pixel
  for (int o = whole ? 2 * k : 0; o < 4 * k; ++o) {
    if (o % k == 0) team.sync();
    if (o == k && !starts) o = 2 * k;  // what is taken away need not become 0 before
    if (o == 2 * k && starts) break;
    const std::int32_t row = o < 2 * k ? shown[o] : o < 3 * k ? shown[o - k] : now[o - 3 * k];
    team.template each_pixel<E>(row, [&](int p) {
      T& value = picture[p];
      value = o < 2 * k ? T(0) : o < 3 * k ? T(-1) : T(value + T(1));
    });
  }
  for (int o = 0; o < k; ++o) {
    shown[o] = starts ? 0 : shown[k + o];  // row 0 is nothing
    shown[k + o] = now[o];
  }
}

/// A difference of any two pictures.
template <ObjectEnv E, class T, class Team>
LS_HD void show_whole(const PictureGame<E>& before, const PictureGame<E>& after, T* picture,
                      const Team& team) {
  if constexpr (Team::kAlone) {
    std::uint8_t pixels[2][E::kPixels];
    before.draw(pixels[0]);
    after.draw(pixels[1]);
    for (int p = 0; p < E::kPixels; ++p) picture[p] = static_cast<T>(pixels[1][p] - pixels[0][p]);
  } else {
    const auto was = before.look(), is = after.look();
    for (int p = team.lane; p < E::kPixels; p += Team::kLanes) {
      picture[p] = static_cast<T>((E::lit(is, p) ? 1 : 0) - (E::lit(was, p) ? 1 : 0));
    }
  }
}

/// Steps or resets environment `env`, action 1 up, 0 down. An episode is that of its number in the
/// rollout of its stream. T: int8 or float, the type of obs and final_obs. Team: who works on it,
/// one thread by itself (kernels/cpu) or the lanes of a warp (kernels/cuda), all of whom play the
/// game and share the drawing.
///
/// Shapes: of args, state [G][kNumbers][16]; obs and final_obs [16 G][P], of -1, 0 and 1: obs is 0
///         at the start of an episode, and as it was where nothing was stepped or started.
///         final_obs, null or written where an episode ended and another started in the same step.
/// Random: game_noise.h, as a rollout of tables; t counts the environment's steps, since it was
///         given a seed where it was
/// Result: bitwise the game of that rollout, and its difference pictures
template <ObjectEnv E, class T, class Team>
LS_HD void picture_step(const StepBuffers& args, const GameOptions& options, std::int64_t env,
                        const Team& team) {
  constexpr int k = E::kObjects;
  using Game = PictureGame<E>;
  const bool was_over = args.ended[env] != 0;
  bool starts = args.reset_only ? args.mask == nullptr || args.mask[env] != 0
                                : was_over && args.restart != Restart::kNever;
  if (!starts && (args.reset_only || was_over)) {  // a reset of others, or it stands still
    if (args.reset_only) return;
    team.sync();
    if (team.lane == 0) tell_step(args, env, 0, false, false, true);
    return;
  }
  float* state = args.state + env / kGroup * Game::kNumbers * kGroup + env % kGroup;
  T* obs = static_cast<T*>(args.obs) + env * E::kPixels;
  Game game = Game::load(state);
  std::int32_t steps = args.steps[env];
  std::uint32_t number = args.number[env];
  std::int32_t shown[2 * k];
  for (int i = 0; i < 2 * k; ++i) shown[i] = args.shown[env * 2 * k + i];
  Origins origins = origins_of(args, env);
  const bool seeds = args.reset_only && args.new_seed != nullptr;
  if (seeds) {
    origins = origins_alone(args, args.new_seed[env]);
    number = ~0u;
    game.t = 0;
  }
  ObjectStep<std::int32_t> step{0, false};
  bool late = false;
  const Game before = game;
  Game after = game;
  if (!starts) {
    step = game.play(args.action[env] != 0, options, origins.stream, origins.env);
    ++steps;
    late = steps >= options.max_steps && !step.over;
    starts = (step.over || late) && args.restart == Restart::kSameStep;
    after = game;
  }
  T* whole = obs;  // what has to be drawn as a whole
  if (starts) {
    const bool last = (step.over || late) && args.final_obs != nullptr;
    whole = last ? static_cast<T*>(args.final_obs) + env * E::kPixels : nullptr;
    ++number;
    steps = 0;
    game.start(options, origins.stream, origins.env, number);
  }
  std::int32_t now[k];
  rows_of<E>(game, steps, options, now);
  if (starts || (shown[k] >= 0 && now[0] >= 0)) {
    show_rows<E>(now, starts, obs, shown, team);
    if (!starts) whole = nullptr;
  } else {
    shown[0] = -1;
    for (int o = 0; o < k; ++o) shown[k + o] = now[o];
  }
  if (whole != nullptr) show_whole<E>(before, after, whole, team);
  team.sync();  // everyone has read what the first now writes
  if (team.lane != 0) return;
  if (seeds) {
    args.seed[env] = args.new_seed[env];
    args.seeded[env] = 1;
  }
  tell_step(args, env, step.reward, step.over, late, (step.over || late) && !starts);
  args.steps[env] = steps;
  args.number[env] = number;
  for (int i = 0; i < 2 * k; ++i) args.shown[env * 2 * k + i] = shown[i];
  game.store(state);
}

}  // namespace lockstep
