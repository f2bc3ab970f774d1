// What watching and replaying need of an environment: one episode played frame by frame with its
// pictures, and the arcade game behind it. Objects behind two function pointers; the host owns
// them. Not fast paths. This header compiles without any instruction-set flag.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "envs/game_options.h"
#include "kernels/philox.h"

namespace lockstep {

/// One episode, played by the caller's actions, frame by frame.
class EpisodePlayer {
 public:
  virtual ~EpisodePlayer() = default;
  /// Begins the next step; its frames follow.
  virtual void begin_step(int action) = 0;
  /// Plays one frame of the step. False, and nothing played, where the step has no more.
  virtual bool next_frame() = 0;
  /// Sum of rewards since the start of the episode.
  virtual double score() const = 0;
  /// rgb: [height][width][3] of PictureFacts.
  virtual void draw(std::uint8_t* rgb) const = 0;
};

/// Pictures of an environment; all 0 where it has none.
struct PictureFacts {
  int height = 0, width = 0;     // pixels
  double frames_per_second = 0;  // of the game as people play it
  double pixel_aspect = 0;       // width of a pixel over its height
  /// The episode that an epoch of `stream` begins with in environment `env`, at its start.
  std::unique_ptr<EpisodePlayer> (*start)(const RandomStream& stream, std::uint32_t env,
                                          const GameOptions& options) = nullptr;
};

inline constexpr int kRamCells = 128;
inline constexpr int kArcadeRows = 210, kArcadeColumns = 160;  // of the picture
inline constexpr int kArcadeSide = 80;                         // of the preprocessed one

struct ArcadeStep {
  int reward = 0;
  bool terminated = false, truncated = false;
  int frames = 0;  // emulated
};

/// An arcade game as its emulator would play it.
class ArcadeGame {
 public:
  virtual ~ArcadeGame() = default;
  virtual void reset() = 0;
  virtual ArcadeStep step(int action) = 0;
  virtual void ram(std::uint8_t (&cells)[kRamCells]) const = 0;
  /// frame: [kArcadeSide][kArcadeSide] of 0 and 1.
  virtual void frame80(std::uint8_t* frame) const = 0;
  /// rgb: [kArcadeRows][kArcadeColumns][3].
  virtual void rgb(std::uint8_t* rgb) const = 0;
};

/// The arcade game an environment is taken from; all empty where there is none.
struct ArcadeFacts {
  int num_actions = 0;
  std::span<const std::string_view> presets;
  /// A game after a reset. preset: one of `presets`, seeded with `seed`; empty: the bare game.
  std::unique_ptr<ArcadeGame> (*make)(std::string_view preset, std::uint64_t seed) = nullptr;
};

struct WatchFacts {
  PictureFacts picture;
  ArcadeFacts arcade;
};

}  // namespace lockstep
