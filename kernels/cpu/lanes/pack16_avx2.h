// SIMD pack of 16 lanes of 16 bits on AVX2: the vocabulary of envs/int_lanes.h for vectors, nothing
// else. The same functions in the same order as pack16_avx512.h, in lockstep::avx2.
#pragma once

#include <immintrin.h>

#include <cstdint>

#include "envs/int_lanes.h"

namespace lockstep::avx2 {

struct M16 {
  __m256i m;  // all bits of a lane set or clear
};
struct I16 {
  __m256i v;
  I16() = default;
  LS_HD I16(__m256i a) : v(a) {}
  LS_HD I16(int a) : v(_mm256_set1_epi16(static_cast<short>(a))) {}
};

LS_HD M16 operator&(M16 a, M16 b) { return {_mm256_and_si256(a.m, b.m)}; }
LS_HD M16 operator|(M16 a, M16 b) { return {_mm256_or_si256(a.m, b.m)}; }
LS_HD M16 operator!(M16 a) { return {_mm256_xor_si256(a.m, _mm256_set1_epi16(-1))}; }
LS_HD bool any(M16 a) { return _mm256_testz_si256(a.m, a.m) == 0; }
LS_HD std::uint32_t mask_bits(M16 a) {
  const __m128i bytes =
      _mm_packs_epi16(_mm256_castsi256_si128(a.m), _mm256_extracti128_si256(a.m, 1));
  return static_cast<std::uint32_t>(_mm_movemask_epi8(bytes));
}

LS_HD I16 operator+(I16 a, I16 b) { return _mm256_add_epi16(a.v, b.v); }
LS_HD I16 operator-(I16 a, I16 b) { return _mm256_sub_epi16(a.v, b.v); }
LS_HD I16 operator-(I16 a) { return _mm256_sub_epi16(_mm256_setzero_si256(), a.v); }
LS_HD I16 operator&(I16 a, I16 b) { return _mm256_and_si256(a.v, b.v); }
LS_HD I16 operator|(I16 a, I16 b) { return _mm256_or_si256(a.v, b.v); }
LS_HD I16 operator^(I16 a, I16 b) { return _mm256_xor_si256(a.v, b.v); }
LS_HD I16 operator<<(I16 a, int n) { return _mm256_slli_epi16(a.v, n); }
LS_HD I16 operator>>(I16 a, int n) { return _mm256_srai_epi16(a.v, n); }
LS_HD M16 operator==(I16 a, I16 b) { return {_mm256_cmpeq_epi16(a.v, b.v)}; }
LS_HD M16 operator!=(I16 a, I16 b) { return !(a == b); }
LS_HD M16 operator>(I16 a, I16 b) { return {_mm256_cmpgt_epi16(a.v, b.v)}; }
LS_HD M16 operator<(I16 a, I16 b) { return b > a; }
LS_HD I16 min(I16 a, I16 b) { return _mm256_min_epi16(a.v, b.v); }
LS_HD I16 max(I16 a, I16 b) { return _mm256_max_epi16(a.v, b.v); }
LS_HD I16 abs(I16 a) { return _mm256_abs_epi16(a.v); }
LS_HD M16 in_range(I16 a, int low, int high) {
  const I16 above = a - I16(low);  // read without a sign
  return above == I16(_mm256_min_epu16(above.v, I16(high - low).v));
}
LS_HD I16 low16(I16 a) { return a; }

LS_HD I16 select(M16 m, I16 a, I16 b) { return _mm256_blendv_epi8(b.v, a.v, m.m); }
LS_HD I16 add_where(M16 m, I16 sum, I16 q) { return sum + I16(_mm256_and_si256(m.m, q.v)); }
LS_HD I16 sub_where(M16 m, I16 a, I16 q) { return a - I16(_mm256_and_si256(m.m, q.v)); }
LS_HD void store(std::int16_t* to, I16 a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), a.v);
}

}  // namespace lockstep::avx2

namespace lockstep {

template <>
struct Lanes<avx2::I16> {
  using M = avx2::M16;
  static constexpr int W = 16;
  static LS_HD avx2::I16 load(const std::int16_t* from) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  }
  static LS_HD M mask(std::uint32_t bits) {
    const __m256i lane_bit = _mm256_setr_epi16(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048,
                                               4096, 8192, 16384, static_cast<short>(0x8000));
    const __m256i all = _mm256_set1_epi16(static_cast<short>(bits));
    return {_mm256_cmpeq_epi16(_mm256_and_si256(all, lane_bit), lane_bit)};
  }
};

}  // namespace lockstep
