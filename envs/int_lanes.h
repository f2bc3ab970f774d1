// Vocabulary of integer lanes: what envs/math.h is for floats. A formula is a template over an
// integer type I: std::int32_t for the scalar version and a CUDA thread, or a SIMD pack of 16-bit
// lanes that brings the same functions (kernels/cpu/lanes/pack16_*.h).
//
// Contract: every value fits in 16 bits with a sign, so that all of them agree. Counters that run
// over go through low16(); nothing else may. Masks know & | and !, integers + - & | ^, << and
// arithmetic >> by a constant, and the compares == != > <.
#pragma once

#include <cstdint>

#include "envs/math.h"

namespace lockstep {

template <>
struct Lanes<std::int32_t> {
  using M = bool;
  static constexpr int W = 1;  // lanes
  static LS_HD std::int32_t load(const std::int16_t* from) { return *from; }
  static LS_HD M mask(std::uint32_t bits) { return (bits & 1) != 0; }  // bit i = lane i
};

// ---- scalars -----------------------------------------------------------------------------------

LS_HD std::int32_t min(std::int32_t a, std::int32_t b) { return a < b ? a : b; }
LS_HD std::int32_t max(std::int32_t a, std::int32_t b) { return a > b ? a : b; }
LS_HD std::int32_t abs(std::int32_t a) { return a < 0 ? -a : a; }
/// a - q in the lanes of m.
LS_HD std::int32_t sub_where(bool m, std::int32_t a, std::int32_t q) { return m ? a - q : a; }
/// low <= a <= high, for constants with low <= high.
LS_HD bool in_range(std::int32_t a, int low, int high) {
  return static_cast<std::uint32_t>(a - low) <= static_cast<std::uint32_t>(high - low);
}
/// a modulo 2^16. What a lane of 16 bits does by itself; its sign there is no concern of the
/// caller.
LS_HD std::int32_t low16(std::int32_t a) { return a & 0xffff; }
LS_HD void store(std::int16_t* to, std::int32_t a) { *to = static_cast<std::int16_t>(a); }

}  // namespace lockstep
