// Which steps of a batch make a minibatch: tiles, runs of some steps of a group of 16 environments,
// in an order that chance decides anew each time over the batch. Where tiles lie and what decides
// is kernels/minibatch_plan.h, the same on every backend.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "kernels/minibatch_plan.h"

namespace lockstep {

class Minibatches {
 public:
  Minibatches() = default;
  /// Of G groups by T steps, `count` minibatches of the tiles of tile_grid().
  Minibatches(std::int64_t groups, std::int32_t T, std::int64_t count);

  /// A new order, for time `epoch` over the batch of an update's stream.
  /// Random: purpose shuffle, index tile/4, word tile mod 4, draw = epoch; tiles in the order of
  /// their words.
  void shuffle(const RandomStream& stream, std::int64_t epoch);
  std::int64_t count() const { return count_; }
  /// Tiles of minibatch m, of all that there are: those from m n / count on.
  std::span<const Tile16> tiles(std::int64_t m) const;
  /// All of them, in some order.
  std::span<const Tile16> all() const { return order_; }

 private:
  std::int64_t count_ = 1;
  std::vector<Tile16> tiles_, order_;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> keys_;  // word, tile
};

/// The same with single steps instead of tiles: a word for each step of each environment decides in
/// which minibatch it is. Slow, for every minibatch walks the whole batch; what tiles are compared
/// with.
///
/// Shapes: chosen [G][T] receives the steps of minibatch m, bit = lane
/// Random: purpose shuffle, index (environment T + t)/4, word (environment T + t) mod 4, draw =
///         epoch
class SingleSteps {
 public:
  SingleSteps() = default;
  SingleSteps(std::int64_t num_envs, std::int32_t T, std::int64_t count);
  void shuffle(const RandomStream& stream, std::int64_t epoch);
  void choose(std::int64_t m, std::uint16_t* chosen) const;

 private:
  std::int64_t num_envs_ = 0, count_ = 1;
  std::int32_t T_ = 0;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> keys_;  // word, environment T + t
};

}  // namespace lockstep
