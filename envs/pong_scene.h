// Pong for the eye, frame by frame, and as ALE would play it: what watching and replaying need.
// Host only.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "envs/picture.h"
#include "envs/pong_ale.h"
#include "envs/pong_objects.h"

namespace lockstep {

/// One game and all that its picture shows.
class PongScene {
 public:
  PongScene() : state_(Pong::reset<std::int32_t>()), shown_{0, 0} {}

  /// Plays one frame. action: -1 bat up, 1 down, 0 neither. After the end: nothing.
  void frame(int action) {
    if (is_over()) return;
    shown_ = {state_.cpu_score, state_.human_score};
    Pong::frame(state_, PongInput<std::int32_t>{action * Pong::kPaddleStep, 0});
  }
  bool is_over() const { return Pong::is_over(state_); }
  int score() const { return state_.human_score - state_.cpu_score; }
  /// rgb: [210][160][3], equal to ALE's getScreenRGB.
  void draw(std::uint8_t* rgb) const {
    constexpr int kPixels = pong_picture::kRows * pong_picture::kColumns;
    std::uint8_t codes[kPixels];
    draw_pong(state_, shown_, codes);
    pong_rgb(codes, kPixels, rgb);
  }
  const PongState<std::int32_t>& state() const { return state_; }

 private:
  PongState<std::int32_t> state_;
  PongShown<std::int32_t> shown_;
};

template <>
struct PictureOf<ObjectPong> {
  static constexpr int kHeight = pong_picture::kRows, kWidth = pong_picture::kColumns;
  static constexpr double kFramesPerSecond = 60;
  static constexpr double kPixelAspect = 12.0 / 7;  // of an NTSC television
  using Scene = PongScene;
};

template <>
struct ArcadeOf<ObjectPong> {
  static constexpr int kActions = Pong::kNumActions;
  static constexpr auto kPresets = [] {
    std::array<std::string_view, std::size(kPongPresets)> ids{};
    for (std::size_t i = 0; i < ids.size(); ++i) ids[i] = kPongPresets[i].id;
    return ids;
  }();

  class Game : public PongAle {
   public:
    /// preset: one of kPresets, seeded as by Gymnasium's reset(seed=seed); empty: single frames,
    /// no sticky actions and no frame limit. Both have the minimal action set.
    Game(std::string_view preset, std::uint64_t seed) : PongAle(options_of(preset)) {
      seed_gymnasium(seed);
      reset();
    }

   private:
    static PongOptions options_of(std::string_view preset) {
      PongOptions options;
      if (pong_preset(preset, options)) return options;
      options.min_skip = options.max_skip = 1;
      options.repeat_probability = 0;
      options.frame_limit = 0;
      return options;
    }
  };
};

}  // namespace lockstep
