// SIMD pack of 8 lanes on AVX2 with FMA: the vocabulary of envs/math.h for vectors, nothing else.
// The same functions in the same order as pack_avx512.h, in lockstep::avx2.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "envs/math.h"

namespace lockstep::avx2 {

struct M {
  __m256i m;  // all bits of a lane set or clear
};
struct U {
  __m256i v;
  U() = default;
  LS_HD U(__m256i a) : v(a) {}
  LS_HD U(std::uint32_t a) : v(_mm256_set1_epi32(static_cast<int>(a))) {}
};
struct I {
  __m256i v;
  I() = default;
  LS_HD I(__m256i a) : v(a) {}
  LS_HD I(std::int32_t a) : v(_mm256_set1_epi32(a)) {}
};
struct F {
  __m256 v;
  F() = default;
  LS_HD F(__m256 a) : v(a) {}
  LS_HD F(float a) : v(_mm256_set1_ps(a)) {}
};

LS_HD M operator&(M a, M b) { return {_mm256_and_si256(a.m, b.m)}; }
LS_HD M operator|(M a, M b) { return {_mm256_or_si256(a.m, b.m)}; }
LS_HD M operator!(M a) { return {_mm256_xor_si256(a.m, _mm256_set1_epi32(-1))}; }
LS_HD std::uint32_t mask_bits(M a) {
  return static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(a.m)));
}
LS_HD bool any(M a) { return mask_bits(a) != 0; }
LS_HD M mask_of(__m256 a) { return {_mm256_castps_si256(a)}; }

LS_HD F operator+(F a, F b) { return _mm256_add_ps(a.v, b.v); }
LS_HD F operator-(F a, F b) { return _mm256_sub_ps(a.v, b.v); }
LS_HD F operator*(F a, F b) { return _mm256_mul_ps(a.v, b.v); }
LS_HD F operator/(F a, F b) { return _mm256_div_ps(a.v, b.v); }
LS_HD F operator-(F a) { return -a.v; }
LS_HD M operator>(F a, F b) { return mask_of(_mm256_cmp_ps(a.v, b.v, _CMP_GT_OQ)); }
LS_HD M operator<(F a, F b) { return mask_of(_mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ)); }
LS_HD M operator<=(F a, F b) { return mask_of(_mm256_cmp_ps(a.v, b.v, _CMP_LE_OQ)); }
LS_HD F fma(F a, F b, F c) { return _mm256_fmadd_ps(a.v, b.v, c.v); }
LS_HD F sqrt(F a) { return _mm256_sqrt_ps(a.v); }
LS_HD F abs(F a) { return _mm256_and_ps(a.v, _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff))); }
LS_HD F max(F a, F b) { return _mm256_max_ps(a.v, b.v); }
LS_HD F min(F a, F b) { return _mm256_min_ps(a.v, b.v); }

LS_HD U operator+(U a, U b) { return _mm256_add_epi32(a.v, b.v); }
LS_HD U operator^(U a, U b) { return _mm256_xor_si256(a.v, b.v); }
LS_HD U operator&(U a, U b) { return _mm256_and_si256(a.v, b.v); }
LS_HD U operator|(U a, U b) { return _mm256_or_si256(a.v, b.v); }
LS_HD U operator>>(U a, int n) { return _mm256_srli_epi32(a.v, n); }
LS_HD M operator!=(U a, U b) { return !M{_mm256_cmpeq_epi32(a.v, b.v)}; }
LS_HD I operator+(I a, I b) { return _mm256_add_epi32(a.v, b.v); }
LS_HD I operator-(I a, I b) { return _mm256_sub_epi32(a.v, b.v); }
LS_HD I operator<<(I a, int n) { return _mm256_slli_epi32(a.v, n); }
LS_HD I operator>>(I a, int n) { return _mm256_srai_epi32(a.v, n); }
LS_HD M operator>=(I a, I b) { return !M{_mm256_cmpgt_epi32(b.v, a.v)}; }
LS_HD M operator==(I a, I b) { return {_mm256_cmpeq_epi32(a.v, b.v)}; }

LS_HD F select(M m, F a, F b) { return _mm256_blendv_ps(b.v, a.v, _mm256_castsi256_ps(m.m)); }
LS_HD I select(M m, I a, I b) { return _mm256_blendv_epi8(b.v, a.v, m.m); }
LS_HD U select(M m, U a, U b) { return _mm256_blendv_epi8(b.v, a.v, m.m); }
LS_HD I add_where(M m, I sum, I q) { return _mm256_add_epi32(sum.v, _mm256_and_si256(m.m, q.v)); }

LS_HD F as_float(I a) { return _mm256_castsi256_ps(a.v); }
LS_HD I as_signed(U a) { return a.v; }
LS_HD U as_unsigned(I a) { return a.v; }
LS_HD I as_int(F a) { return _mm256_castps_si256(a.v); }
LS_HD F to_float(I a) { return _mm256_cvtepi32_ps(a.v); }
LS_HD F to_float(U a) { return _mm256_cvtepi32_ps(a.v); }
LS_HD I round_to_int(F a) { return _mm256_cvtps_epi32(a.v); }
LS_HD void store(float* to, F a) { _mm256_storeu_ps(to, a.v); }
LS_HD void store(std::int32_t* to, I a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), a.v);
}
/// to: [8][4], field i of every lane.
LS_HD void store_four(float* to, const F (&field)[4]) {
  const __m256 a = _mm256_unpacklo_ps(field[0].v, field[1].v);  // lanes 0, 1 | 4, 5
  const __m256 b = _mm256_unpackhi_ps(field[0].v, field[1].v);  // lanes 2, 3 | 6, 7
  const __m256 c = _mm256_unpacklo_ps(field[2].v, field[3].v);
  const __m256 d = _mm256_unpackhi_ps(field[2].v, field[3].v);
  const __m256 row0 = _mm256_shuffle_ps(a, c, 0x44), row1 = _mm256_shuffle_ps(a, c, 0xee);
  const __m256 row2 = _mm256_shuffle_ps(b, d, 0x44), row3 = _mm256_shuffle_ps(b, d, 0xee);
  _mm256_storeu_ps(to, _mm256_permute2f128_ps(row0, row1, 0x20));
  _mm256_storeu_ps(to + 8, _mm256_permute2f128_ps(row2, row3, 0x20));
  _mm256_storeu_ps(to + 16, _mm256_permute2f128_ps(row0, row1, 0x31));
  _mm256_storeu_ps(to + 24, _mm256_permute2f128_ps(row2, row3, 0x31));
}

/// Both halves of the 64-bit product of each lane with m.
LS_HD void mul_wide(U a, std::uint32_t m, U& high, U& low) {
  const __m256i mm = _mm256_set1_epi32(static_cast<int>(m));
  const __m256i even = _mm256_mul_epu32(a.v, mm);
  const __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(a.v, 32), mm);
  low = _mm256_blend_epi32(even, _mm256_slli_epi64(odd, 32), 0xaa);
  high = _mm256_blend_epi32(_mm256_srli_epi64(even, 32), odd, 0xaa);
}

/// Horizontal sums in 64 bits; squares of |a| < 2^29.
LS_HD std::int64_t sum_lanes(__m256i a) {
  const __m128i half = _mm_add_epi64(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
  return _mm_cvtsi128_si64(half) + _mm_extract_epi64(half, 1);
}
LS_HD __m256i widen_and_fold(I a) {
  return _mm256_add_epi64(_mm256_cvtepi32_epi64(_mm256_castsi256_si128(a.v)),
                          _mm256_cvtepi32_epi64(_mm256_extracti128_si256(a.v, 1)));
}
LS_HD std::int64_t sum_wide(I a) { return sum_lanes(widen_and_fold(a)); }
LS_HD std::int64_t sum_squares_wide(I a) {
  const __m256i odd = _mm256_srli_epi64(a.v, 32);
  return sum_lanes(_mm256_add_epi64(_mm256_mul_epi32(a.v, a.v), _mm256_mul_epi32(odd, odd)));
}
/// sum[i] += lanes of a: Lanes<F>::kWideLanes partial sums.
LS_HD void accumulate_wide(std::int64_t* sum, I a) {
  const __m256i old = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(sum));
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(sum), _mm256_add_epi64(old, widen_and_fold(a)));
}

}  // namespace lockstep::avx2

namespace lockstep {

template <>
struct Lanes<avx2::F> {
  using Scalar = float;
  using I = avx2::I;
  using U = avx2::U;
  using M = avx2::M;
  static constexpr int W = 8;
  static constexpr int kWideLanes = 4;
  static LS_HD avx2::F load(const float* from) { return _mm256_loadu_ps(from); }
  static LS_HD avx2::I load(const std::int32_t* from) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  }
  static LS_HD M mask(std::uint32_t bits) {
    const __m256i lane_bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    const __m256i all = _mm256_set1_epi32(static_cast<int>(bits));
    return {_mm256_cmpeq_epi32(_mm256_and_si256(all, lane_bit), lane_bit)};
  }
  static LS_HD U numbers() { return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7); }
};

}  // namespace lockstep
