// Pong alone: games with uniformly random actions, as wide as an instruction set allows; nothing is
// looked at and nothing recorded.
#pragma once

#include <cstdint>

namespace lockstep::bench {

struct PongTotals {
  std::int64_t won = 0, lost = 0;  // points
  std::int64_t games = 0;          // that ended
  bool operator==(const PongTotals&) const = default;
};

/// Plays `envs` games side by side for `steps` steps of four frames, with automatic reset.
///
/// envs: a multiple of 32; steps <= 30000. Result: the same for every instruction set.
/// Random: the words a rollout with uniformly random actions draws (kernels/cpu/table_rollout.h).
struct PongGames {
  int lanes;  // of a vector
  PongTotals (*play)(std::uint64_t seed, std::int64_t envs, int steps);
};

/// By instruction set: scalar, avx2, avx512; null where not built.
extern const PongGames* const pong_games[3];

}  // namespace lockstep::bench
