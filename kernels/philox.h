// Counter-based random numbers: Philox4x32-10. No generator state exists; every word is a pure
// function of (seed, environment, index, epoch, purpose, draw), so results cannot depend on
// threads, order, batch size or backend.
//
// counter = (global environment id, index, epoch, purpose + 256 * draw), key = seed (low, high).
// epoch = update number; evaluations count from kEvaluationEpoch. kernels/README.md lists what
// index and words mean for each purpose.
#pragma once

#include <cstdint>
#include <type_traits>

#include "envs/math.h"

namespace lockstep {

enum class Purpose : std::uint32_t {
  kAction = 0,        // index t/4, word t mod 4; t = steps since the epoch began
  kRandomAction = 1,  // index t/128, bit t mod 128 (two actions); index t/4, word t mod 4 (more)
  kReset = 2,         // index = number of the environment's episode within the epoch
  kDropout = 3,      // index t; p = 0.5: bit j mod 128 of draw j/128, else word j mod 4 of draw j/4
  kExploration = 4,  // index t, words 0 (explore?) and 1 (which action)
  kNoise = 5,        // environment's own
  kInit = 6,         // index parameter/4, word parameter mod 4
  kShuffle = 7,      // environment 0, index tile/4, word tile mod 4, draw = pass over the batch
};

inline constexpr std::uint32_t kEvaluationEpoch = 0x80000000u;

template <class U>
struct PhiloxWords {
  U w[4];
};

inline constexpr std::uint32_t kPhiloxM0 = 0xD2511F53u, kPhiloxM1 = 0xCD9E8D57u;  // multipliers
inline constexpr std::uint32_t kPhiloxW0 = 0x9E3779B9u, kPhiloxW1 = 0xBB67AE85u;  // key steps

/// Rounds of Philox4x32 on counter c under key (k0, k1).
template <int kRounds, class U>
LS_HD void philox_rounds(U (&c)[4], std::uint32_t k0, std::uint32_t k1) {
  for (int round = 0; round < kRounds; ++round) {
    U high0, low0, high1, low1;
    mul_wide(c[0], kPhiloxM0, high0, low0);
    mul_wide(c[2], kPhiloxM1, high1, low1);
    c[0] = high1 ^ c[1] ^ U(k0);
    c[1] = low1;
    c[2] = high0 ^ c[3] ^ U(k1);
    c[3] = low0;
    k0 += kPhiloxW0;
    k1 += kPhiloxW1;
  }
}

/// Ten rounds of Philox4x32.
///
/// Result: bitwise on every backend.
/// Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
template <class U>
LS_HD PhiloxWords<U> philox4x32(U c0, U c1, U c2, U c3, std::uint64_t key) {
  U c[4] = {c0, c1, c2, c3};
  philox_rounds<10>(c, static_cast<std::uint32_t>(key), static_cast<std::uint32_t>(key >> 32));
  return {{c[0], c[1], c[2], c[3]}};
}

/// Which stream of numbers a batch uses. Environments are counted from 0 within the batch
/// everywhere; this is the one place that knows which part of a larger batch it is.
struct RandomStream {
  std::uint64_t seed;
  std::uint32_t epoch;
  std::uint32_t first_env;  // global id of the batch's environment 0

  RandomStream() = default;  // trivial, for shared memory
  LS_HD constexpr RandomStream(std::uint64_t key, std::uint32_t number, std::uint32_t first = 0)
      : seed(key), epoch(number), first_env(first) {}
  /// The global id of environment `env` of the batch.
  template <class U>
  LS_HD U id(U env) const {
    return env + U(first_env);
  }
};

/// The four words of one counter. `index` is a number of its own for each lane (U) or one for all.
///
/// Result: bitwise, the words of philox4x32(first_env + env, index, epoch, purpose + 256 draw). The
/// first round, and with a common index the second, are done on plain numbers where all lanes
/// agree; the id and the product with it do not depend on time and leave the loop over steps.
template <class U, class Index>
LS_HD PhiloxWords<U> random_words(const RandomStream& stream, Purpose purpose, std::uint32_t draw,
                                  U env, Index index) {
  const std::uint32_t k0 = static_cast<std::uint32_t>(stream.seed);
  const std::uint32_t k1 = static_cast<std::uint32_t>(stream.seed >> 32);
  const std::uint32_t tag = static_cast<std::uint32_t>(purpose) + 256u * draw;
  std::uint32_t epoch_high, epoch_low;
  U env_high, env_low;
  mul_wide(stream.epoch, kPhiloxM1, epoch_high, epoch_low);
  mul_wide(stream.id(env), kPhiloxM0, env_high, env_low);
  const U second = env_high ^ U(tag ^ k1);
  if constexpr (std::is_same_v<Index, std::uint32_t>) {
    std::uint32_t high0, low0;
    U high1, low1;
    mul_wide(index ^ epoch_high ^ k0, kPhiloxM0, high0, low0);
    mul_wide(second, kPhiloxM1, high1, low1);
    U c[4] = {high1 ^ U(epoch_low ^ (k0 + kPhiloxW0)), low1, env_low ^ U(high0 ^ (k1 + kPhiloxW1)),
              U(low0)};
    philox_rounds<8>(c, k0 + 2 * kPhiloxW0, k1 + 2 * kPhiloxW1);
    return {{c[0], c[1], c[2], c[3]}};
  } else {
    U c[4] = {index ^ U(epoch_high ^ k0), U(epoch_low), second, env_low};
    philox_rounds<9>(c, k0 + kPhiloxW0, k1 + kPhiloxW1);
    return {{c[0], c[1], c[2], c[3]}};
  }
}

/// Uniform number in [0, 1) from a word: its upper 24 bits over 2^24, exact.
template <class F>
LS_HD F uniform(typename Lanes<F>::U word) {
  return to_float(word >> 8) * F(0x1p-24f);
}
template <>
LS_HD double uniform<double>(std::uint32_t word) {
  return static_cast<double>(word >> 8) * 0x1p-24;
}

}  // namespace lockstep
