// The functions of envs/math.h and the random numbers over arrays, once per instruction set: the
// templates below are compiled in math_avx2.cpp and math_avx512.cpp with the flags of their set. No
// library code here, or its inline functions would carry those instructions into the whole test.
#pragma once

#include <cstdint>

#include "kernels/philox.h"

namespace lockstep::test {

/// Array versions; n is a multiple of `lanes`.
struct MathBatch {
  int lanes;
  void (*exp)(const float* x, float* y, int n);
  void (*log)(const float* x, float* y, int n);
  void (*sincos_small)(const float* x, float* s, float* c, int n);
  /// Random words [4][n] of purpose exploration, epoch 3, for each env and one index, or for the
  /// index env + index where `by_lane`.
  void (*random)(const std::uint32_t* env, std::uint32_t index, bool by_lane, std::uint64_t seed,
                 std::int32_t* words, int n);
  void (*uniform)(const std::uint32_t* word, float* u, int n);
};

extern const MathBatch math_avx2, math_avx512;

template <class F>
struct MathOf {
  using L = Lanes<F>;
  static LS_HD typename L::U load_words(const std::uint32_t* from) {
    return as_unsigned(L::load(reinterpret_cast<const std::int32_t*>(from)));
  }
  static void exp_all(const float* x, float* y, int n) {
    for (int i = 0; i < n; i += L::W) store(y + i, exp(L::load(x + i)));
  }
  static void log_all(const float* x, float* y, int n) {
    for (int i = 0; i < n; i += L::W) store(y + i, log(L::load(x + i)));
  }
  static void sincos_all(const float* x, float* s, float* c, int n) {
    for (int i = 0; i < n; i += L::W) {
      F sine, cosine;
      sincos_small(L::load(x + i), sine, cosine);
      store(s + i, sine);
      store(c + i, cosine);
    }
  }
  static void random_all(const std::uint32_t* env, std::uint32_t index, bool by_lane,
                         std::uint64_t seed, std::int32_t* words, int n) {
    using U = typename L::U;
    const RandomStream stream{seed, 3};
    for (int i = 0; i < n; i += L::W) {
      const U lanes = load_words(env + i);
      const auto r =
          by_lane ? random_words<U>(stream, Purpose::kExploration, 0, lanes, lanes + U(index))
                  : random_words<U>(stream, Purpose::kExploration, 0, lanes, index);
      for (int k = 0; k < 4; ++k) store(words + k * n + i, as_signed(r.w[k]));
    }
  }
  static void uniform_all(const std::uint32_t* word, float* u, int n) {
    for (int i = 0; i < n; i += L::W) store(u + i, uniform<F>(load_words(word + i)));
  }
  static constexpr MathBatch table() {
    return {L::W, exp_all, log_all, sincos_all, random_all, uniform_all};
  }
};

}  // namespace lockstep::test
