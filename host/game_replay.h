// Recorded actions played again in an arcade game as its emulator would: the outside comparison of
// games, as replay() of engine.h is that of environments with a state. One game, step by step; not
// a fast path.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep {

struct GameReplayOptions {
  std::string env = "pong";
  /// Registered id whose options hold, such as "ALE/Pong-v5": seeded with `seed` as by Gymnasium's
  /// reset(seed=seed), reset at every end of an episode, and truncated at its frame limit. Empty:
  /// the bare game, a frame a step, no sticky actions, one episode without limit; steps after its
  /// end give reward 0 and keep its flags.
  std::string preset;
  std::uint64_t seed = 1;
};

/// What every step gave; pictures by checksum (CRC-32 as zlib has it).
struct GameReplay {
  std::vector<std::int8_t> reward;           // [T]
  std::vector<std::uint8_t> terminated;      // [T] 0 or 1
  std::vector<std::uint8_t> truncated;       // [T] 0 or 1
  std::vector<std::uint8_t> frames;          // [T] emulated frames of the step
  std::vector<std::uint8_t> ram;             // [T, 128] after the step
  std::vector<std::uint32_t> frame80_crc32;  // [T] of the 80x80 picture, uint8 [80, 80]
  std::vector<std::uint32_t> picture_crc32;  // [T] of the RGB picture, uint8 [210, 160, 3]
  std::int64_t episodes = 0;                 // that ended
};

/// Plays `actions` [T], numbers of ALE's minimal action set.
///
/// Result: bitwise that of ale-py, and of Gymnasium with a preset.
/// Errors: InvalidArgument for an environment that is no arcade game, an unknown preset, T = 0 or
/// an action outside the set.
GameReplay replay_game(std::span<const std::uint8_t> actions, const GameReplayOptions& options);

/// Whether `env` is replayed by replay_game(). Errors: InvalidArgument for an unknown environment.
bool is_arcade_game(const std::string& env);

/// Ids of the registered variants of all arcade games.
std::vector<std::string_view> game_presets();

}  // namespace lockstep
