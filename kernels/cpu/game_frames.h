// The frames of a step of a group of games with the caller's actions, in packs of integers. What
// is seen of them and told beside it is picture_step.h's.
#pragma once

#include "kernels/cpu/table_launchers.h"
#include "kernels/picture_step.h"

namespace lockstep::cpu {

/// Plays a step of plain frames in the games of `lanes` that are not over with it; all others stay
/// as they are. Numbers of `early` are nobody's then, and stay too.
///
/// Requires: the games of `lanes` have begun and are not over. Returns the lanes it has played.
/// Result: bitwise PictureGame::play().
template <ObjectEnv E, class I>
std::uint32_t play_frames(const StepBuffers& args, std::int64_t group, std::uint32_t lanes,
                          GameFrames& frames) {
  using Game = PictureGame<E>;
  constexpr int S = E::kStateSize, W = Lanes<I>::W;
  float* state = args.state + group * Game::kNumbers * kGroup;
  alignas(64) std::int16_t number[S * kGroup];
  for (int i = 0; i < S * kGroup; ++i) {
    number[i] = static_cast<std::int16_t>(static_cast<std::int32_t>(state[i]));
  }
  std::uint32_t up = 0, played = lanes;
  for (int lane = 0; lane < kGroup; ++lane) {
    if (((lanes >> lane) & 1u) == 0) continue;  // beyond the last environment there is no action
    up |= (args.action[group * kGroup + lane] != 0 ? 1u : 0u) << lane;
  }
  for (int lane = 0; lane < kGroup; lane += W) {
    I numbers[S], row[E::kObjects];
    for (int i = 0; i < S; ++i) numbers[i] = Lanes<I>::load(number + i * kGroup + lane);
    const auto before = E::template restore<I>(numbers);
    auto now = before;
    const ObjectStep<I> step = E::template step<I>(now, Lanes<I>::mask(up >> lane));
    E::rows(now, row);
    const typename Lanes<I>::M stays = step.over | !Lanes<I>::mask(lanes >> lane);
    E::restart(now, stays, before);
    E::template save<I>(now, numbers);
    for (int i = 0; i < S; ++i) store(number + i * kGroup + lane, numbers[i]);
    for (int o = 0; o < E::kObjects; ++o) store(frames.row[o] + lane, row[o]);
    store(frames.reward + lane, step.reward);
    played &= ~(mask_bits(stays) << lane);
  }
  for (int i = 0; i < S * kGroup; ++i) state[i] = Game::kept(number[i]);
  for (int lane = 0; lane < kGroup; ++lane) {
    if (((played >> lane) & 1u) != 0) Game::count_step(state + lane, ((up >> lane) & 1u) != 0);
  }
  return played;
}

}  // namespace lockstep::cpu
