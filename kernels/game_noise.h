// The random numbers of an arcade game: sticky actions, random frame skips, starts of episodes.
#pragma once

#include "envs/game_options.h"
#include "kernels/philox.h"

namespace lockstep {

/// Whether a number drawn uniformly from 0 <= n < range is above `n`, from a random word.
///
/// The number is floor(u * range), u = the word's upper 24 bits as a fraction. range <= 256.
template <class U>
LS_HD auto drawn_above(U word, int n, int range) {
  const std::uint32_t least =
      ((static_cast<std::uint32_t>(n + 1) << 24) + static_cast<std::uint32_t>(range) - 1u) /
      static_cast<std::uint32_t>(range);
  const auto drawn = as_signed(word >> 8);
  return drawn >= decltype(drawn)(static_cast<std::int32_t>(least));
}

/// What chance does to the frames of one step of all lanes. Frames are asked for in turn.
/// Random: purpose noise, index t = the environment's steps since the epoch began; frame f sticks
/// by word f mod 4 of draw f/4, the number of frames by word 0 of draw 255.
template <class U>
class StepNoise {
 public:
  LS_HD StepNoise(const GameOptions& options, const RandomStream& stream, U env, std::uint32_t t)
      : options_(options), stream_(stream), env_(env), t_(t) {
    if (options.max_skip > options.min_skip) {
      skip_ = random_words(stream, Purpose::kNoise, kSkipDraw, env, t).w[0];
    }
  }
  /// Whether frame f is part of the step.
  LS_HD auto plays(int f) const {
    const int range = options_.max_skip - options_.min_skip + 1;
    return f < options_.min_skip ? U(1u) != U(0u)
                                 : drawn_above(skip_, f - options_.min_skip, range);
  }
  /// Whether frame f repeats the action of the frame before it.
  LS_HD auto repeats(int f) {
    if (options_.repeat_below == 0) return U(0u) != U(0u);
    if (f % 4 == 0) {
      words_ = random_words(stream_, Purpose::kNoise, static_cast<std::uint32_t>(f / 4), env_, t_);
    }
    const auto drawn = as_signed(words_.w[f % 4] >> 8);
    return !(drawn >= decltype(drawn)(static_cast<std::int32_t>(options_.repeat_below)));
  }

 private:
  static constexpr std::uint32_t kSkipDraw = 255;
  const GameOptions& options_;
  const RandomStream& stream_;
  U env_;
  std::uint32_t t_;
  U skip_{};
  PhiloxWords<U> words_{};
};

/// Frames without an action that an episode starts with.
/// Random: purpose reset, index = number of the environment's episode within the epoch, word 0; in
/// turn, by the environment's global id.
LS_HD int start_noops(const GameOptions& options, const RandomStream& stream, std::uint32_t env,
                      std::uint32_t episode) {
  if (options.max_noops == 0) return 0;
  const auto range = static_cast<std::uint32_t>(options.max_noops + 1);
  if (options.noops_in_turn) return static_cast<int>(stream.id(env) % range);
  const std::uint32_t word = random_words(stream, Purpose::kReset, 0, env, episode).w[0];
  return static_cast<int>((std::uint64_t{word >> 8} * range) >> 24);
}

}  // namespace lockstep
