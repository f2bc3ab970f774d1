// Counter-based random numbers: Philox4x32-10. No generator state exists; every word is a pure
// function of (seed, environment, index, epoch, purpose, draw), so results cannot depend on
// threads, order, batch size or backend.
//
// counter = (global environment id, index, epoch, purpose + 256 * draw), key = seed (low, high).
// epoch = update number; evaluations count from kEvaluationEpoch. kernels/README.md lists what
// index and words mean for each purpose.
#pragma once

#include <cstdint>

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
};

inline constexpr std::uint32_t kEvaluationEpoch = 0x80000000u;

template <class U>
struct PhiloxWords {
  U w[4];
};

/// Ten rounds of Philox4x32.
///
/// Result: bitwise on every backend.
/// Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011.
template <class U>
LS_HD PhiloxWords<U> philox4x32(U c0, U c1, U c2, U c3, std::uint64_t key) {
  std::uint32_t k0 = static_cast<std::uint32_t>(key);
  std::uint32_t k1 = static_cast<std::uint32_t>(key >> 32);
  for (int round = 0; round < 10; ++round) {
    U high0, low0, high1, low1;
    mul_wide(c0, 0xD2511F53u, high0, low0);
    mul_wide(c2, 0xCD9E8D57u, high1, low1);
    c0 = high1 ^ c1 ^ U(k0);
    c1 = low1;
    c2 = high0 ^ c3 ^ U(k1);
    c3 = low0;
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{c0, c1, c2, c3}};
}

/// Which stream of numbers a rollout uses.
struct RandomStream {
  std::uint64_t seed;
  std::uint32_t epoch;
};

template <class U>
LS_HD PhiloxWords<U> random_words(const RandomStream& stream, Purpose purpose, std::uint32_t draw,
                                  U env, U index) {
  return philox4x32(env, index, U(stream.epoch),
                    U(static_cast<std::uint32_t>(purpose) + 256u * draw), stream.seed);
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
