// The table kernels' 64-bit lanes and logit tree on AVX-512; see table_lanes.h.
#pragma once

#include "kernels/cpu/lanes/pack16_avx512.h"
#include "kernels/cpu/lanes/pack16_half_avx512.h"
#include "kernels/cpu/lanes/table_lanes.h"

namespace lockstep::avx512 {

struct L {
  __m512i low, high;
};
struct D {
  __m512d low, high;
  D() = default;
  LS_HD D(__m512d l, __m512d h) : low(l), high(h) {}
  LS_HD D(double a) : low(_mm512_set1_pd(a)), high(low) {}
};
LS_HD L operator+(L a, L b) {
  return {_mm512_add_epi64(a.low, b.low), _mm512_add_epi64(a.high, b.high)};
}
LS_HD D operator+(D a, D b) { return {_mm512_add_pd(a.low, b.low), _mm512_add_pd(a.high, b.high)}; }
LS_HD D operator*(D a, D b) { return {_mm512_mul_pd(a.low, b.low), _mm512_mul_pd(a.high, b.high)}; }
LS_HD D fma(D a, D b, D c) {
  return {_mm512_fmadd_pd(a.low, b.low, c.low), _mm512_fmadd_pd(a.high, b.high, c.high)};
}
LS_HD void store(std::int64_t* to, L a) {
  _mm512_storeu_si512(to, a.low);
  _mm512_storeu_si512(to + 8, a.high);
}
LS_HD void store(double* to, D a) {
  _mm512_storeu_pd(to, a.low);
  _mm512_storeu_pd(to + 8, a.high);
}

/// Lanes of two vectors added in pairs that are `1 << kLevel` apart: those of `b` go where bit
/// kLevel of the lane is set.
template <int kLevel>
LS_HD __m512 add_pairs(__m512 a, __m512 b) {
  constexpr __mmask16 kUpper[4] = {0xAAAA, 0xCCCC, 0xF0F0, 0xFF00};
  const __m512 own = _mm512_mask_blend_ps(kUpper[kLevel], a, b);
  const __m512 other = _mm512_mask_blend_ps(kUpper[kLevel], b, a);
  if constexpr (kLevel == 0) return _mm512_add_ps(own, _mm512_permute_ps(other, 0xB1));
  if constexpr (kLevel == 1) return _mm512_add_ps(own, _mm512_permute_ps(other, 0x4E));
  if constexpr (kLevel == 2) return _mm512_add_ps(own, _mm512_shuffle_f32x4(other, other, 0xB1));
  return _mm512_add_ps(own, _mm512_shuffle_f32x4(other, other, 0x4E));
}
/// Lane i: the sum over the lanes of vector i of 2^(kLevel + 1) that lie 32 floats apart, in the
/// order of the logit's tree.
template <int kLevel>
LS_HD __m512 add_lanes(const float* from) {
  if constexpr (kLevel < 0) {
    return _mm512_loadu_ps(from);
  } else {
    return add_pairs<kLevel>(add_lanes<kLevel - 1>(from),
                             add_lanes<kLevel - 1>(from + (kTableParts << kLevel)));
  }
}

}  // namespace lockstep::avx512

namespace lockstep::cpu {

template <>
struct TableLanes<avx512::F> {
  using L = avx512::L;
  using D = avx512::D;
  using I16 = avx512::Half16;
  using Widest = avx512::I16;
  static LS_HD L load(const std::int64_t* from) {
    return {_mm512_loadu_si512(from), _mm512_loadu_si512(from + 8)};
  }
  static LS_HD D load(const double* from) {
    return {_mm512_loadu_pd(from), _mm512_loadu_pd(from + 8)};
  }
  static LS_HD L widen(avx512::I a) {
    return {_mm512_cvtepi32_epi64(_mm512_castsi512_si256(a.v)),
            _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64(a.v, 1))};
  }
  static LS_HD D widen(avx512::F a) {
    return {_mm512_cvtps_pd(_mm512_castps512_ps256(a.v)),
            _mm512_cvtps_pd(_mm512_extractf32x8_ps(a.v, 1))};
  }
  static LS_HD D to_double(L a) { return {_mm512_cvtepi64_pd(a.low), _mm512_cvtepi64_pd(a.high)}; }
  static LS_HD avx512::F narrow(D a) {
    return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(a.low)),
                              _mm512_cvtpd_ps(a.high), 1);
  }
  static LS_HD avx512::F tree(const float* part) {
    return _mm512_add_ps(avx512::add_lanes<3>(part), avx512::add_lanes<3>(part + 16));
  }
};

}  // namespace lockstep::cpu
