// SIMD pack of 32 lanes of 16 bits on AVX-512 (with BW): the vocabulary of envs/int_lanes.h for
// vectors, nothing else. Included only by translation units compiled for AVX-512; all of it lives
// in lockstep::avx512, like pack_avx512.h.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "envs/int_lanes.h"

namespace lockstep::avx512 {

struct M16 {
  __mmask32 m;
};
struct I16 {
  __m512i v;
  I16() = default;
  LS_HD I16(__m512i a) : v(a) {}
  LS_HD I16(int a) : v(_mm512_set1_epi16(static_cast<short>(a))) {}
};

LS_HD M16 operator&(M16 a, M16 b) { return {a.m & b.m}; }
LS_HD M16 operator|(M16 a, M16 b) { return {a.m | b.m}; }
LS_HD M16 operator!(M16 a) { return {~a.m}; }
LS_HD bool any(M16 a) { return a.m != 0; }
LS_HD std::uint32_t mask_bits(M16 a) { return a.m; }

LS_HD I16 operator+(I16 a, I16 b) { return _mm512_add_epi16(a.v, b.v); }
LS_HD I16 operator-(I16 a, I16 b) { return _mm512_sub_epi16(a.v, b.v); }
LS_HD I16 operator-(I16 a) { return _mm512_sub_epi16(_mm512_setzero_si512(), a.v); }
LS_HD I16 operator&(I16 a, I16 b) { return _mm512_and_si512(a.v, b.v); }
LS_HD I16 operator|(I16 a, I16 b) { return _mm512_or_si512(a.v, b.v); }
LS_HD I16 operator^(I16 a, I16 b) { return _mm512_xor_si512(a.v, b.v); }
LS_HD I16 operator<<(I16 a, int n) { return _mm512_slli_epi16(a.v, static_cast<unsigned>(n)); }
LS_HD I16 operator>>(I16 a, int n) { return _mm512_srai_epi16(a.v, static_cast<unsigned>(n)); }
LS_HD M16 operator==(I16 a, I16 b) { return {_mm512_cmpeq_epi16_mask(a.v, b.v)}; }
LS_HD M16 operator!=(I16 a, I16 b) { return {_mm512_cmpneq_epi16_mask(a.v, b.v)}; }
LS_HD M16 operator>(I16 a, I16 b) { return {_mm512_cmpgt_epi16_mask(a.v, b.v)}; }
LS_HD M16 operator<(I16 a, I16 b) { return {_mm512_cmplt_epi16_mask(a.v, b.v)}; }
LS_HD I16 min(I16 a, I16 b) { return _mm512_min_epi16(a.v, b.v); }
LS_HD I16 max(I16 a, I16 b) { return _mm512_max_epi16(a.v, b.v); }
LS_HD I16 abs(I16 a) { return _mm512_abs_epi16(a.v); }
LS_HD M16 in_range(I16 a, int low, int high) {
  return {_mm512_cmple_epu16_mask((a - I16(low)).v, I16(high - low).v)};
}
LS_HD I16 low16(I16 a) { return a; }

LS_HD I16 select(M16 m, I16 a, I16 b) { return _mm512_mask_blend_epi16(m.m, b.v, a.v); }
LS_HD I16 add_where(M16 m, I16 sum, I16 q) { return _mm512_mask_add_epi16(sum.v, m.m, sum.v, q.v); }
LS_HD I16 sub_where(M16 m, I16 a, I16 q) { return _mm512_mask_sub_epi16(a.v, m.m, a.v, q.v); }
LS_HD void store(std::int16_t* to, I16 a) { _mm512_storeu_si512(to, a.v); }

}  // namespace lockstep::avx512

namespace lockstep {

template <>
struct Lanes<avx512::I16> {
  using M = avx512::M16;
  static constexpr int W = 32;
  static LS_HD avx512::I16 load(const std::int16_t* from) { return _mm512_loadu_si512(from); }
  static LS_HD M mask(std::uint32_t bits) { return {bits}; }
};

}  // namespace lockstep
