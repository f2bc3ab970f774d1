// See game_replay.h.
#include "host/game_replay.h"

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <memory>

#include "host/backend/environments.h"
#include "host/errors.h"
#include "host/files/crc32c.h"

namespace lockstep {
namespace {

const ArcadeFacts& arcade_of(const std::string& env) {
  return find_environment(env).facts->watch.arcade;
}

void check_game(const ArcadeFacts& game, std::span<const std::uint8_t> actions,
                const GameReplayOptions& options) {
  require(game.make != nullptr, "replay: " + options.env + " is no arcade game");
  require(!actions.empty(), "replay: there are no actions");
  std::string known;
  for (const std::string_view id : game.presets)
    known += (known.empty() ? "" : ", ") + std::string(id);
  require(options.preset.empty() ||
              std::ranges::find(game.presets, options.preset) != game.presets.end(),
          "replay: unknown preset '" + options.preset + "'; there is: " + known);
  for (std::size_t t = 0; t < actions.size(); ++t) {
    require(actions[t] < game.num_actions, "replay: action " + std::to_string(actions[t]) +
                                               " at step " + std::to_string(t) + " is not in [0, " +
                                               std::to_string(game.num_actions) + ")");
  }
}

std::uint32_t checksum(std::span<const std::uint8_t> bytes) {
  return crc32_zip(std::as_bytes(bytes));
}

}  // namespace

GameReplay replay_game(std::span<const std::uint8_t> actions, const GameReplayOptions& options) {
  const ArcadeFacts& facts = arcade_of(options.env);
  check_game(facts, actions, options);
  const std::unique_ptr<ArcadeGame> game = facts.make(options.preset, options.seed);
  GameReplay out;
  out.ram.reserve(actions.size() * kRamCells);
  std::vector<std::uint8_t> frame80(std::size_t{kArcadeSide} * kArcadeSide);
  std::vector<std::uint8_t> rgb(std::size_t{kArcadeRows} * kArcadeColumns * 3);
  bool ended = false;
  for (const std::uint8_t action : actions) {
    if (ended && !options.preset.empty()) {
      game->reset();
      ended = false;
    }
    const ArcadeStep step = game->step(action);
    const bool ends = step.terminated || step.truncated;
    if (ends && !ended) ++out.episodes;
    ended = ends;
    std::uint8_t ram[kRamCells];
    game->ram(ram);
    game->frame80(frame80.data());
    game->rgb(rgb.data());
    out.reward.push_back(static_cast<std::int8_t>(step.reward));
    out.terminated.push_back(step.terminated ? 1 : 0);
    out.truncated.push_back(step.truncated ? 1 : 0);
    out.frames.push_back(static_cast<std::uint8_t>(step.frames));
    out.ram.insert(out.ram.end(), std::begin(ram), std::end(ram));
    out.frame80_crc32.push_back(checksum(frame80));
    out.picture_crc32.push_back(checksum(rgb));
  }
  return out;
}

bool is_arcade_game(const std::string& env) { return arcade_of(env).make != nullptr; }

std::vector<std::string_view> game_presets() {
  std::vector<std::string_view> ids;
  for (const EnvironmentEntry& entry : environment_entries()) {
    const auto& presets = entry.facts->watch.arcade.presets;
    ids.insert(ids.end(), presets.begin(), presets.end());
  }
  return ids;
}

}  // namespace lockstep
