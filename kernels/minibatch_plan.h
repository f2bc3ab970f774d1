// How a batch is shared out between minibatches: where its tiles lie, and the random words that put
// them, or single steps, in the order of a pass over the batch. A function of seed, update and
// epoch alone, the same on every backend.
#pragma once

#include "kernels/actor_critic_step.h"
#include "kernels/philox.h"

namespace lockstep {

/// The tiles of a batch, one group's behind the other's.
struct TileGrid {
  std::int64_t groups;
  std::int32_t T;      // steps of the rollout
  std::int32_t steps;  // of a tile; a group's last one may have fewer

  LS_HD std::int64_t of_group() const { return (T + steps - 1) / steps; }
  LS_HD std::int64_t count() const { return groups * of_group(); }
  LS_HD Tile16 tile(std::int64_t i) const {
    const auto begin = static_cast<std::int32_t>(i % of_group()) * steps;
    return {i / of_group(), begin, T - begin < steps ? T : begin + steps};
  }
};

inline constexpr std::int64_t kTilesWanted = 4;  // of a minibatch

/// Tiles of T steps, or T halved (rounding up) until each of `count` minibatches has four tiles.
LS_HD TileGrid tile_grid(std::int64_t groups, std::int32_t T, std::int64_t count) {
  TileGrid grid{groups, T, T};
  while (count > 1 && grid.steps > 1 && grid.count() < kTilesWanted * count) {
    grid.steps = (grid.steps + 1) / 2;
  }
  return grid;
}

/// Where minibatch m of `count` begins in an order of n, and the one before it ends.
LS_HD std::int64_t minibatch_begin(std::int64_t m, std::int64_t n, std::int64_t count) {
  return m * n / count;
}

/// The words that decide the places of things 4 quad .. 4 quad + 3 in time `epoch` over the batch:
/// ascending, and where two are the same by the number of the thing.
/// Random: purpose shuffle, environment 0, index = quad, draw = epoch
LS_HD PhiloxWords<std::uint32_t> shuffle_words(const RandomStream& stream, std::int64_t epoch,
                                               std::uint32_t quad) {
  return random_words<std::uint32_t>(stream, Purpose::kShuffle, static_cast<std::uint32_t>(epoch),
                                     0, quad);
}

}  // namespace lockstep
