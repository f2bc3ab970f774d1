// The table kernels' 64-bit lanes and logit tree on AVX2; see table_lanes.h.
#pragma once

#include "kernels/cpu/lanes/pack16_avx2.h"
#include "kernels/cpu/lanes/pack_avx2.h"
#include "kernels/cpu/lanes/table_lanes.h"

namespace lockstep::avx2 {

struct L {
  __m256i low, high;
};
struct D {
  __m256d low, high;
  D() = default;
  LS_HD D(__m256d l, __m256d h) : low(l), high(h) {}
  LS_HD D(double a) : low(_mm256_set1_pd(a)), high(low) {}
};
LS_HD L operator+(L a, L b) {
  return {_mm256_add_epi64(a.low, b.low), _mm256_add_epi64(a.high, b.high)};
}
LS_HD D operator+(D a, D b) { return {_mm256_add_pd(a.low, b.low), _mm256_add_pd(a.high, b.high)}; }
LS_HD D operator*(D a, D b) { return {_mm256_mul_pd(a.low, b.low), _mm256_mul_pd(a.high, b.high)}; }
LS_HD D fma(D a, D b, D c) {
  return {_mm256_fmadd_pd(a.low, b.low, c.low), _mm256_fmadd_pd(a.high, b.high, c.high)};
}
LS_HD void store(std::int64_t* to, L a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), a.low);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + 4), a.high);
}
LS_HD void store(double* to, D a) {
  _mm256_storeu_pd(to, a.low);
  _mm256_storeu_pd(to + 4, a.high);
}

/// Value of |a| < 2^51, which AVX2 has no instruction for: added to the bits of 1.5 * 2^52 it is
/// the low part of a double's mantissa.
LS_HD __m256d exact_double(__m256i a) {
  const __m256d magic = _mm256_set1_pd(0x1.8p52);
  return _mm256_sub_pd(_mm256_castsi256_pd(_mm256_add_epi64(a, _mm256_castpd_si256(magic))), magic);
}

/// Lanes of two vectors added in pairs that are `1 << kLevel` apart: those of `b` go where bit
/// kLevel of the lane is set.
template <int kLevel>
LS_HD __m256 add_pairs(__m256 a, __m256 b) {
  constexpr int kUpper[3] = {0xAA, 0xCC, 0xF0};
  const __m256 own = _mm256_blend_ps(a, b, kUpper[kLevel]);
  const __m256 other = _mm256_blend_ps(b, a, kUpper[kLevel]);
  if constexpr (kLevel == 0) return _mm256_add_ps(own, _mm256_permute_ps(other, 0xB1));
  if constexpr (kLevel == 1) return _mm256_add_ps(own, _mm256_permute_ps(other, 0x4E));
  return _mm256_add_ps(own, _mm256_permute2f128_ps(other, other, 1));
}
/// Lane i: the sum over the lanes of vector i of 2^(kLevel + 1) that lie 32 floats apart, in the
/// order of the logit's tree.
template <int kLevel>
LS_HD __m256 add_lanes(const float* from) {
  if constexpr (kLevel < 0) {
    return _mm256_loadu_ps(from);
  } else {
    return add_pairs<kLevel>(add_lanes<kLevel - 1>(from),
                             add_lanes<kLevel - 1>(from + (kTableParts << kLevel)));
  }
}

}  // namespace lockstep::avx2

namespace lockstep::cpu {

template <>
struct TableLanes<avx2::F> {
  using L = avx2::L;
  using D = avx2::D;
  using I16 = avx2::I16;
  using Widest = I16;
  static LS_HD __m256i quarter(const std::int64_t* from) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  }
  static LS_HD L load(const std::int64_t* from) { return {quarter(from), quarter(from + 4)}; }
  static LS_HD D load(const double* from) {
    return {_mm256_loadu_pd(from), _mm256_loadu_pd(from + 4)};
  }
  static LS_HD L widen(avx2::I a) {
    return {_mm256_cvtepi32_epi64(_mm256_castsi256_si128(a.v)),
            _mm256_cvtepi32_epi64(_mm256_extracti128_si256(a.v, 1))};
  }
  static LS_HD D widen(avx2::F a) {
    return {_mm256_cvtps_pd(_mm256_castps256_ps128(a.v)),
            _mm256_cvtps_pd(_mm256_extractf128_ps(a.v, 1))};
  }
  static LS_HD D to_double(L a) { return {avx2::exact_double(a.low), avx2::exact_double(a.high)}; }
  static LS_HD avx2::F narrow(D a) {
    return _mm256_set_m128(_mm256_cvtpd_ps(a.high), _mm256_cvtpd_ps(a.low));
  }
  static LS_HD avx2::F tree(const float* part) {
    using avx2::add_lanes;
    return _mm256_add_ps(_mm256_add_ps(add_lanes<2>(part), add_lanes<2>(part + 8)),
                         _mm256_add_ps(add_lanes<2>(part + 16), add_lanes<2>(part + 24)));
  }
};

}  // namespace lockstep::cpu
