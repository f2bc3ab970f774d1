// Runs the vector versions of tests/envs/math_pack.h beside the scalar functions. Test code only.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <vector>

#include "host/cpu/isa.h"
#include "tests/envs/math_errors.h"
#include "tests/envs/math_pack.h"

namespace lockstep::test {

/// Vector versions that this build and processor have.
inline std::vector<const MathBatch*> math_packs() {
  std::vector<const MathBatch*> packs;
#ifdef LS_HAVE_AVX2
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) packs.push_back(&math_avx2);
#endif
#ifdef LS_HAVE_AVX512
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
    packs.push_back(&math_avx512);
  }
#endif
  return packs;
}

/// Compares exp, log and the small sines of every `stride`-th bit pattern, NaN and all, with the
/// scalar ones; returns how many bit patterns differ in any of them.
inline std::uint64_t differing_bits(const MathBatch& pack, std::uint64_t stride) {
  constexpr int kBlock = 4096;
  alignas(64) std::array<float, kBlock> x, e, l, s, c;
  std::uint64_t differing = 0, bits = 0;
  while (bits < (std::uint64_t{1} << 32)) {
    for (int i = 0; i < kBlock; ++i, bits += stride) {
      x[static_cast<std::size_t>(i)] = float_of(static_cast<std::uint32_t>(bits));
    }
    pack.exp(x.data(), e.data(), kBlock);
    pack.log(x.data(), l.data(), kBlock);
    pack.sincos_small(x.data(), s.data(), c.data(), kBlock);
    for (std::size_t i = 0; i < kBlock; ++i) {
      float sine, cosine;
      sincos_small(x[i], sine, cosine);
      // which NaN an operation makes is the processor's choice; the engine never forms one here
      const auto same = [](float a, float b) {
        return bits_of_float(a) == bits_of_float(b) || (std::isnan(a) && std::isnan(b));
      };
      // a logarithm of what is not positive is not defined
      const bool log_defined = x[i] > 0;
      differing += !(same(e[i], exp(x[i])) && (!log_defined || same(l[i], log(x[i]))) &&
                     same(s[i], sine) && same(c[i], cosine));
    }
  }
  return differing;
}

}  // namespace lockstep::test
