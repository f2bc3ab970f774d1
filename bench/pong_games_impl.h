// The loop behind pong_games.h, a template over the packs: F of floats for the random words, I of
// integers for the game, as wide or wider. A member of a template named after them, so that no code
// compiled for a wide instruction set has a common name.
#pragma once

#include "bench/pong_games.h"
#include "envs/pong_objects.h"
#include "kernels/philox.h"

namespace lockstep::bench {

template <class F, class I>
struct PongLoop {
  using U = typename Lanes<F>::U;
  static constexpr int W = Lanes<F>::W, kLanes = Lanes<I>::W, kWords = kLanes / W;

  static PongTotals play(std::uint64_t seed, std::int64_t envs, int steps) {
    PongTotals totals;
    for (std::int64_t env = 0; env < envs; env += kLanes) {
      vector(seed, static_cast<std::uint32_t>(env), steps, totals);
    }
    return totals;
  }

 private:
  static void vector(std::uint64_t seed, std::uint32_t env, int steps, PongTotals& totals) {
    const PongState<I> fresh = ObjectPong::reset<I>();
    PongState<I> state = fresh;
    PhiloxWords<U> words[kWords];
    I won(0), lost(0);
    for (int t = 0; t < steps; ++t) {
      std::uint32_t up = 0;
      for (int i = 0; i < kWords; ++i) {
        if (t % 128 == 0) {
          const U first(env + static_cast<std::uint32_t>(i * W));
          words[i] = random_words({seed, 0}, Purpose::kRandomAction, 0, first + Lanes<F>::numbers(),
                                  static_cast<std::uint32_t>(t / 128));
        }
        const U bit = words[i].w[t / 32 % 4] & U(1u << (t % 32));
        up |= mask_bits(bit != U(0u)) << (i * W);
      }
      const ObjectStep<I> result = ObjectPong::step<I>(state, Lanes<I>::mask(up));
      won = won + max(result.reward, I(0));
      lost = lost - min(result.reward, I(0));
      if (any(result.over)) {
        totals.games += __builtin_popcount(mask_bits(result.over));
        ObjectPong::restart<I>(state, result.over, fresh);
      }
    }
    std::int16_t lane[2][kLanes];
    store(lane[0], won);
    store(lane[1], lost);
    for (int i = 0; i < kLanes; ++i) {
      totals.won += lane[0][i];
      totals.lost += lane[1][i];
    }
  }
};

}  // namespace lockstep::bench
