// SIMD pack of 16 lanes on AVX-512: the vocabulary of envs/math.h for vectors, nothing else.
// Included only by translation units compiled for AVX-512; all of it lives in lockstep::avx512, so
// that every template instantiated with it has a name of its own.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "envs/math.h"

namespace lockstep::avx512 {

struct M {
  __mmask16 m;
};
struct U {
  __m512i v;
  U() = default;
  LS_HD U(__m512i a) : v(a) {}
  LS_HD U(std::uint32_t a) : v(_mm512_set1_epi32(static_cast<int>(a))) {}
};
struct I {
  __m512i v;
  I() = default;
  LS_HD I(__m512i a) : v(a) {}
  LS_HD I(std::int32_t a) : v(_mm512_set1_epi32(a)) {}
};
struct F {
  __m512 v;
  F() = default;
  LS_HD F(__m512 a) : v(a) {}
  LS_HD F(float a) : v(_mm512_set1_ps(a)) {}
};

LS_HD M operator&(M a, M b) { return {static_cast<__mmask16>(a.m & b.m)}; }
LS_HD M operator|(M a, M b) { return {static_cast<__mmask16>(a.m | b.m)}; }
LS_HD M operator!(M a) { return {static_cast<__mmask16>(~a.m)}; }
LS_HD bool any(M a) { return a.m != 0; }
LS_HD std::uint32_t mask_bits(M a) { return a.m; }

LS_HD F operator+(F a, F b) { return _mm512_add_ps(a.v, b.v); }
LS_HD F operator-(F a, F b) { return _mm512_sub_ps(a.v, b.v); }
LS_HD F operator*(F a, F b) { return _mm512_mul_ps(a.v, b.v); }
LS_HD F operator/(F a, F b) { return _mm512_div_ps(a.v, b.v); }
LS_HD F operator-(F a) { return -a.v; }
LS_HD M operator>(F a, F b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_GT_OQ)}; }
LS_HD M operator<(F a, F b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)}; }
LS_HD M operator<=(F a, F b) { return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LE_OQ)}; }
LS_HD F fma(F a, F b, F c) { return _mm512_fmadd_ps(a.v, b.v, c.v); }
LS_HD F sqrt(F a) { return _mm512_sqrt_ps(a.v); }
LS_HD F abs(F a) { return _mm512_abs_ps(a.v); }
LS_HD F max(F a, F b) { return _mm512_max_ps(a.v, b.v); }
LS_HD F min(F a, F b) { return _mm512_min_ps(a.v, b.v); }

LS_HD U operator+(U a, U b) { return _mm512_add_epi32(a.v, b.v); }
LS_HD U operator^(U a, U b) { return _mm512_xor_si512(a.v, b.v); }
LS_HD U operator&(U a, U b) { return _mm512_and_si512(a.v, b.v); }
LS_HD U operator|(U a, U b) { return _mm512_or_si512(a.v, b.v); }
LS_HD U operator>>(U a, int n) { return _mm512_srli_epi32(a.v, static_cast<unsigned>(n)); }
LS_HD M operator!=(U a, U b) { return {_mm512_cmpneq_epi32_mask(a.v, b.v)}; }
LS_HD I operator+(I a, I b) { return _mm512_add_epi32(a.v, b.v); }
LS_HD I operator-(I a, I b) { return _mm512_sub_epi32(a.v, b.v); }
LS_HD I operator<<(I a, int n) { return _mm512_slli_epi32(a.v, static_cast<unsigned>(n)); }
LS_HD I operator>>(I a, int n) { return _mm512_srai_epi32(a.v, static_cast<unsigned>(n)); }
LS_HD M operator>=(I a, I b) { return {_mm512_cmp_epi32_mask(a.v, b.v, _MM_CMPINT_NLT)}; }
LS_HD M operator==(I a, I b) { return {_mm512_cmpeq_epi32_mask(a.v, b.v)}; }

LS_HD F select(M m, F a, F b) { return _mm512_mask_blend_ps(m.m, b.v, a.v); }
LS_HD I select(M m, I a, I b) { return _mm512_mask_blend_epi32(m.m, b.v, a.v); }
LS_HD U select(M m, U a, U b) { return _mm512_mask_blend_epi32(m.m, b.v, a.v); }
/// sum + q in the lanes of m. In asm because g++ 12 copies the accumulator around the masked add of
/// the intrinsic: 57 register moves a step in the gradient loop, and a third of its speed.
LS_HD I add_where(M m, I sum, I q) {
  asm("vpaddd %2, %0, %0%{%1%}" : "+v"(sum.v) : "Yk"(m.m), "vm"(q.v));
  return sum;
}

LS_HD F as_float(I a) { return _mm512_castsi512_ps(a.v); }
LS_HD I as_signed(U a) { return a.v; }
LS_HD U as_unsigned(I a) { return a.v; }
LS_HD I as_int(F a) { return _mm512_castps_si512(a.v); }
LS_HD F to_float(I a) { return _mm512_cvtepi32_ps(a.v); }
LS_HD F to_float(U a) { return _mm512_cvtepi32_ps(a.v); }
LS_HD I round_to_int(F a) { return _mm512_cvtps_epi32(a.v); }
LS_HD void store(float* to, F a) { _mm512_storeu_ps(to, a.v); }
LS_HD void store(std::int32_t* to, I a) { _mm512_storeu_si512(to, a.v); }

/// to: [16][4], field i of every lane.
LS_HD void store_four(float* to, const F (&field)[4]) {
  const __m512 a = _mm512_unpacklo_ps(field[0].v, field[1].v);  // lanes 0, 1 of each four
  const __m512 b = _mm512_unpackhi_ps(field[0].v, field[1].v);  // lanes 2, 3
  const __m512 c = _mm512_unpacklo_ps(field[2].v, field[3].v);
  const __m512 d = _mm512_unpackhi_ps(field[2].v, field[3].v);
  const __m512 row0 = _mm512_shuffle_ps(a, c, 0x44), row1 = _mm512_shuffle_ps(a, c, 0xee);
  const __m512 row2 = _mm512_shuffle_ps(b, d, 0x44), row3 = _mm512_shuffle_ps(b, d, 0xee);
  const __m512 low01 = _mm512_shuffle_f32x4(row0, row1, 0x44);  // fours 0, 1 of either
  const __m512 low23 = _mm512_shuffle_f32x4(row2, row3, 0x44);
  const __m512 high01 = _mm512_shuffle_f32x4(row0, row1, 0xee);
  const __m512 high23 = _mm512_shuffle_f32x4(row2, row3, 0xee);
  _mm512_storeu_ps(to, _mm512_shuffle_f32x4(low01, low23, 0x88));
  _mm512_storeu_ps(to + 16, _mm512_shuffle_f32x4(low01, low23, 0xdd));
  _mm512_storeu_ps(to + 32, _mm512_shuffle_f32x4(high01, high23, 0x88));
  _mm512_storeu_ps(to + 48, _mm512_shuffle_f32x4(high01, high23, 0xdd));
}

/// Both halves of the 64-bit product of each lane with m.
LS_HD void mul_wide(U a, std::uint32_t m, U& high, U& low) {
  const __m512i mm = _mm512_set1_epi32(static_cast<int>(m));
  const __m512i even = _mm512_mul_epu32(a.v, mm);
  const __m512i odd = _mm512_mul_epu32(_mm512_srli_epi64(a.v, 32), mm);
  low = _mm512_mask_blend_epi32(0xaaaa, even, _mm512_slli_epi64(odd, 32));
  high = _mm512_mask_blend_epi32(0xaaaa, _mm512_srli_epi64(even, 32), odd);
}

/// Horizontal sums in 64 bits; squares of |a| < 2^29.
LS_HD std::int64_t sum_wide(I a) {
  const __m512i low = _mm512_cvtepi32_epi64(_mm512_castsi512_si256(a.v));
  const __m512i high = _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64(a.v, 1));
  return _mm512_reduce_add_epi64(_mm512_add_epi64(low, high));
}
LS_HD std::int64_t sum_squares_wide(I a) {
  const __m512i odd = _mm512_srli_epi64(a.v, 32);
  return _mm512_reduce_add_epi64(
      _mm512_add_epi64(_mm512_mul_epi32(a.v, a.v), _mm512_mul_epi32(odd, odd)));
}
/// sum[i] += lanes of a: Lanes<F>::kWideLanes partial sums.
LS_HD void accumulate_wide(std::int64_t* sum, I a) {
  const __m512i low = _mm512_cvtepi32_epi64(_mm512_castsi512_si256(a.v));
  const __m512i high = _mm512_cvtepi32_epi64(_mm512_extracti64x4_epi64(a.v, 1));
  const __m512i old = _mm512_loadu_si512(sum);
  _mm512_storeu_si512(sum, _mm512_add_epi64(old, _mm512_add_epi64(low, high)));
}

}  // namespace lockstep::avx512

namespace lockstep {

template <>
struct Lanes<avx512::F> {
  using Scalar = float;
  using I = avx512::I;
  using U = avx512::U;
  using M = avx512::M;
  static constexpr int W = 16;
  static constexpr int kWideLanes = 8;
  static LS_HD avx512::F load(const float* from) { return _mm512_loadu_ps(from); }
  static LS_HD avx512::I load(const std::int32_t* from) { return _mm512_loadu_si512(from); }
  static LS_HD M mask(std::uint32_t bits) { return {static_cast<__mmask16>(bits)}; }
  static LS_HD U numbers() {
    return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  }
};

}  // namespace lockstep
