// SIMD pack of 16 lanes of 16 bits on AVX-512 (with BW and VL): the vocabulary of envs/int_lanes.h,
// nothing else. Half as wide as pack16_avx512.h, so that it holds one group of environments and its
// masks are those of the float pack.
#pragma once

#include "envs/int_lanes.h"
#include "kernels/cpu/lanes/pack_avx512.h"

namespace lockstep::avx512 {

struct Half16 {
  __m256i v;
  Half16() = default;
  LS_HD Half16(__m256i a) : v(a) {}
  LS_HD Half16(int a) : v(_mm256_set1_epi16(static_cast<short>(a))) {}
};

LS_HD Half16 operator+(Half16 a, Half16 b) { return _mm256_add_epi16(a.v, b.v); }
LS_HD Half16 operator-(Half16 a, Half16 b) { return _mm256_sub_epi16(a.v, b.v); }
LS_HD Half16 operator-(Half16 a) { return _mm256_sub_epi16(_mm256_setzero_si256(), a.v); }
LS_HD Half16 operator&(Half16 a, Half16 b) { return _mm256_and_si256(a.v, b.v); }
LS_HD Half16 operator|(Half16 a, Half16 b) { return _mm256_or_si256(a.v, b.v); }
LS_HD Half16 operator^(Half16 a, Half16 b) { return _mm256_xor_si256(a.v, b.v); }
LS_HD Half16 operator<<(Half16 a, int n) { return _mm256_slli_epi16(a.v, n); }
LS_HD Half16 operator>>(Half16 a, int n) { return _mm256_srai_epi16(a.v, n); }
LS_HD M operator==(Half16 a, Half16 b) { return {_mm256_cmpeq_epi16_mask(a.v, b.v)}; }
LS_HD M operator!=(Half16 a, Half16 b) { return {_mm256_cmpneq_epi16_mask(a.v, b.v)}; }
LS_HD M operator>(Half16 a, Half16 b) { return {_mm256_cmpgt_epi16_mask(a.v, b.v)}; }
LS_HD M operator<(Half16 a, Half16 b) { return {_mm256_cmplt_epi16_mask(a.v, b.v)}; }
LS_HD Half16 min(Half16 a, Half16 b) { return _mm256_min_epi16(a.v, b.v); }
LS_HD Half16 max(Half16 a, Half16 b) { return _mm256_max_epi16(a.v, b.v); }
LS_HD Half16 abs(Half16 a) { return _mm256_abs_epi16(a.v); }
LS_HD M in_range(Half16 a, int low, int high) {
  return {_mm256_cmple_epu16_mask((a - Half16(low)).v, Half16(high - low).v)};
}
LS_HD Half16 low16(Half16 a) { return a; }

LS_HD Half16 select(M m, Half16 a, Half16 b) { return _mm256_mask_blend_epi16(m.m, b.v, a.v); }
LS_HD Half16 add_where(M m, Half16 sum, Half16 q) {
  return _mm256_mask_add_epi16(sum.v, m.m, sum.v, q.v);
}
LS_HD Half16 sub_where(M m, Half16 a, Half16 q) {
  return _mm256_mask_sub_epi16(a.v, m.m, a.v, q.v);
}
LS_HD void store(std::int16_t* to, Half16 a) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), a.v);
}

}  // namespace lockstep::avx512

namespace lockstep {

template <>
struct Lanes<avx512::Half16> {
  using M = avx512::M;
  static constexpr int W = 16;
  static LS_HD avx512::Half16 load(const std::int16_t* from) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  }
  static LS_HD M mask(std::uint32_t bits) { return {static_cast<__mmask16>(bits)}; }
};

}  // namespace lockstep
