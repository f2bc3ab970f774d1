#include "host/backend/minibatches.h"

#include <algorithm>

namespace lockstep {
namespace {

using Keys = std::vector<std::pair<std::uint32_t, std::uint32_t>>;

void sort_by_chance(const RandomStream& stream, std::int64_t epoch, Keys& keys) {
  PhiloxWords<std::uint32_t> words{};
  for (std::uint32_t i = 0; i < keys.size(); ++i) {
    if (i % 4 == 0) words = shuffle_words(stream, epoch, i / 4);
    keys[i] = {words.w[i % 4], i};
  }
  std::sort(keys.begin(), keys.end());
}

}  // namespace

Minibatches::Minibatches(std::int64_t groups, std::int32_t T, std::int64_t count) : count_(count) {
  const TileGrid grid = tile_grid(groups, T, count);
  for (std::int64_t i = 0; i < grid.count(); ++i) tiles_.push_back(grid.tile(i));
  order_ = tiles_;
  keys_.resize(tiles_.size());
}

void Minibatches::shuffle(const RandomStream& stream, std::int64_t epoch) {
  if (count_ == 1) return;  // the order of a sum of integers does not matter
  sort_by_chance(stream, epoch, keys_);
  for (std::size_t i = 0; i < keys_.size(); ++i) order_[i] = tiles_[keys_[i].second];
}

std::span<const Tile16> Minibatches::tiles(std::int64_t m) const {
  const auto n = static_cast<std::int64_t>(order_.size());
  const auto begin = static_cast<std::size_t>(minibatch_begin(m, n, count_));
  const auto end = static_cast<std::size_t>(minibatch_begin(m + 1, n, count_));
  return std::span(order_).subspan(begin, end - begin);
}

SingleSteps::SingleSteps(std::int64_t num_envs, std::int32_t T, std::int64_t count)
    : num_envs_(num_envs), count_(count), T_(T), keys_(static_cast<std::size_t>(num_envs * T)) {
  for (std::uint32_t i = 0; i < keys_.size(); ++i) keys_[i] = {0, i};
}

void SingleSteps::shuffle(const RandomStream& stream, std::int64_t epoch) {
  sort_by_chance(stream, epoch, keys_);
}

void SingleSteps::choose(std::int64_t m, std::uint16_t* chosen) const {
  const std::int64_t groups = (num_envs_ + kGroup - 1) / kGroup;
  std::fill(chosen, chosen + groups * T_, std::uint16_t{0});
  const auto n = static_cast<std::int64_t>(keys_.size());
  const std::int64_t end = minibatch_begin(m + 1, n, count_);
  for (std::int64_t i = minibatch_begin(m, n, count_); i < end; ++i) {
    const std::int64_t step = keys_[static_cast<std::size_t>(i)].second;
    const std::int64_t env = step / T_, t = step % T_;
    std::uint16_t& word = chosen[env / kGroup * T_ + t];
    word = static_cast<std::uint16_t>(word | (1u << (env % kGroup)));
  }
}

}  // namespace lockstep
