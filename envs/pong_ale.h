// One game of Pong as ALE or Gymnasium would play it: their environments' options, their random
// numbers and their seeding, reset after reset. For replaying and checking, not for speed: host
// only.
//
// Source: as envs/pong.h; Gymnasium 1.4.0 (AtariPreprocessing). Continuous actions, modes,
// difficulties and the 64-frame reset of ALE 0.5 are not offered.
#pragma once

#include <cmath>
#include <string_view>

#include "envs/pong_ale_random.h"
#include "envs/pong_frame80.h"
#include "envs/pong_ram.h"

namespace lockstep {

/// How action numbers are read.
enum class PongActions {
  kMinimal,  // 0..5: NOOP, FIRE, RIGHT, LEFT, RIGHTFIRE, LEFTFIRE
  kFull,     // 0..17: ALE's own numbers
  kUpDown,   // 0 bat up (RIGHT), 1 bat down (LEFT)
};

/// What the environment ids of ale-py differ in, and the wrappers around them.
struct PongOptions {
  int min_skip = 4, max_skip = 4;       // frames a step, drawn for each step where they differ
  float repeat_probability = 0.25f;     // that a frame repeats the action before ("sticky")
  int frame_limit = Pong::kFrameLimit;  // truncation at that frame of the episode; 0: never
  int pooled_skip = 0;  // AtariPreprocessing's frame skip: steps played as one, with the maximum of
                        // the last two pictures; 0: no such wrapper
  int max_noops = 0;    // its random start: 1..max_noops NOOPs after a reset; 0: none
  PongActions actions = PongActions::kMinimal;
};

/// The environment ids of ale-py: frames a step and how likely a frame repeats the action before.
struct PongPreset {
  std::string_view id;
  int min_skip, max_skip;
  float repeat_probability;
};
inline constexpr PongPreset kPongPresets[] = {{"ALE/Pong-v5", 4, 4, 0.25f},
                                              {"PongNoFrameskip-v4", 1, 1, 0.0f},
                                              {"PongNoFrameskip-v0", 1, 1, 0.25f},
                                              {"Pong-v4", 2, 4, 0.0f},
                                              {"Pong-v0", 2, 4, 0.25f}};

/// Options of one of kPongPresets in `options`; false for an unknown id.
inline bool pong_preset(std::string_view id, PongOptions& options) {
  for (const PongPreset& preset : kPongPresets) {
    if (preset.id != id) continue;
    options = PongOptions{};
    options.min_skip = preset.min_skip;
    options.max_skip = preset.max_skip;
    options.repeat_probability = preset.repeat_probability;
    return true;
  }
  return false;
}

struct PongAleStep {
  int reward = 0;
  bool terminated = false, truncated = false;
  int frames = 0;  // emulated
};

class PongAle {
 public:
  /// Plays by `options` from a reset; seeded with 0 as by seed_gymnasium().
  explicit PongAle(const PongOptions& options) : options_(options), sticky_(0), generator_(0) {
    seed_gymnasium(0);
    reset();
  }

  /// Seeds like gymnasium's reset(seed=seed), which a reset() should follow. The one seed in 2^32
  /// that makes ALE take its seed from the clock cannot be played again by anyone.
  void seed_gymnasium(std::uint64_t seed) {
    const auto words = SeedSequence(seed).generate<2>();
    generator_ = Pcg64(words[0]);
    sticky_ = Mt19937(words[1]);
  }
  /// Seeds like ALE's setting random_seed before loadROM; -1 would be the clock there.
  void seed_ale(std::int32_t seed) { sticky_ = Mt19937(static_cast<std::uint32_t>(seed)); }

  /// Starts an episode; the random numbers go on.
  void reset() {
    state_ = Pong::reset<std::int32_t>();
    cells_ = pong_ram::reset<std::int32_t>();
    executed_ = {0, 0};
    episode_frames_ = 0;
    ended_ = PongAleStep{};
    if (options_.max_noops > 0) {
      const std::int64_t noops = generator_.integers(1, options_.max_noops + 1);
      for (std::int64_t i = 0; i < noops; ++i) environment_step({0, 0});
    }
    pool_[0] = {state_, cells_.shown};
    pooled_ = 1;
  }

  /// One step with an action of the action set. After the end: no frame, reward 0.
  PongAleStep step(int action) {
    const PongInput<std::int32_t> input = input_of(action);
    if (options_.pooled_skip == 0) return environment_step(input);
    PongAleStep sum;
    Picture early{};  // of the last step but one
    bool has_early = false;
    for (int i = 0; i < options_.pooled_skip; ++i) {
      const PongAleStep one = environment_step(input);
      sum = {sum.reward + one.reward, one.terminated, one.truncated, sum.frames + one.frames};
      if (one.terminated || one.truncated) {  // its picture is never looked at
        if (has_early && pooled_ < 3) pool_[pooled_++] = early;
        return sum;
      }
      if (i == options_.pooled_skip - 2) {
        early = {state_, cells_.shown};
        has_early = true;
      }
    }
    pooled_ = 0;
    pool_[pooled_++] = {state_, cells_.shown};
    if (has_early) pool_[pooled_++] = early;
    return sum;
  }

  const PongState<std::int32_t>& state() const { return state_; }
  int episode_frames() const { return episode_frames_; }
  void ram(std::uint8_t (&cells)[128]) const { write_pong_ram(state_, cells_, cells); }
  /// The last picture. codes: [210][160].
  void codes(std::uint8_t* codes) const { draw_pong(state_, cells_.shown, codes); }
  /// The observation, pooled where the options say so. rgb: [210][160][3].
  void rgb(std::uint8_t* rgb) const {
    constexpr int kPixels = pong_picture::kRows * pong_picture::kColumns;
    const pong_picture::Palette palette = pong_picture::palette();
    std::uint8_t codes[kPixels];
    for (int i = 0; i < observed_count(); ++i) {
      draw_pong(observed(i).state, observed(i).shown, codes);
      if (i == 0) {
        pong_rgb(codes, kPixels, rgb);
        continue;
      }
      for (int k = 0; k < 3 * kPixels; ++k) {  // maximum of each colour by itself
        const std::uint32_t colour = palette.rgb[codes[k / 3] >> 1];
        const auto value = static_cast<std::uint8_t>(colour >> (16 - 8 * (k % 3)));
        if (value > rgb[k]) rgb[k] = value;
      }
    }
  }
  /// The 80x80 picture of the observation. frame: [80][80].
  void frame80(std::uint8_t* frame) const {
    if (observed_count() == 1) {
      draw_frame80(pong_picture::view_of(observed(0).state), frame);
      return;
    }
    PongView<std::int32_t> views[3];
    for (int i = 0; i < observed_count(); ++i) views[i] = pong_picture::view_of(observed(i).state);
    std::uint8_t red[kFrame80 * kFrame80];
    draw_pooled_frame80(views, observed_count(), red, frame);
  }

 private:
  struct Picture {
    PongState<std::int32_t> state;
    PongShown<std::int32_t> shown;
  };

  PongInput<std::int32_t> input_of(int action) const {
    if (options_.actions == PongActions::kUpDown) {
      return Pong::input_up_down<std::int32_t>(action == 0);
    }
    if (options_.actions == PongActions::kMinimal) return Pong::input<std::int32_t>(action);
    // bit n: action n has it in its name
    constexpr unsigned kRight = 0b01'0100'1001'0100'1000, kLeft = 0b10'1001'0010'1001'0000;
    constexpr unsigned kFire = 0b11'1111'1100'0000'0010;
    const auto has = [&](unsigned names) { return ((names >> action) & 1) != 0; };
    return {has(kRight)  ? -Pong::kPaddleStep
            : has(kLeft) ? Pong::kPaddleStep
                         : 0,
            has(kFire) ? 1 : 0};
  }

  /// A step of the environment without wrappers.
  PongAleStep environment_step(const PongInput<std::int32_t>& requested) {
    int frames = options_.min_skip;
    if (options_.max_skip > options_.min_skip) {
      frames = static_cast<int>(generator_.integers(options_.min_skip, options_.max_skip + 1));
    }
    PongAleStep result = ended_;
    for (int i = 0; i < frames; ++i) {
      // both draws are made in any case: one for this player and one for another who is not there
      const std::uint32_t word = sticky_.next();
      sticky_.next();
      if (static_cast<double>(word) * 0x1p-32 >= static_cast<double>(options_.repeat_probability)) {
        executed_ = requested;
      }
      if (result.terminated || result.truncated) continue;
      const PongState<std::int32_t> before = state_;
      const auto event = Pong::frame(state_, executed_);
      pong_ram::update(cells_, before, event);
      result.reward +=
          (state_.human_score - state_.cpu_score) - (before.human_score - before.cpu_score);
      ++result.frames;
      ++episode_frames_;
      result.terminated = Pong::is_over(state_);
      result.truncated = options_.frame_limit > 0 && episode_frames_ >= options_.frame_limit;
    }
    ended_ = {0, result.terminated, result.truncated, 0};
    return result;
  }

  Picture observed(int i) const {
    return options_.pooled_skip == 0 ? Picture{state_, cells_.shown} : pool_[i];
  }
  int observed_count() const { return options_.pooled_skip == 0 ? 1 : pooled_; }

  PongOptions options_;
  Mt19937 sticky_;
  Pcg64 generator_;
  PongState<std::int32_t> state_;
  PongCells<std::int32_t> cells_;
  PongInput<std::int32_t> executed_;
  int episode_frames_ = 0;
  PongAleStep ended_;  // reward 0; the flags of the episode
  Picture pool_[3];    // pictures whose maximum is the pooled observation
  int pooled_ = 0;
};

}  // namespace lockstep
