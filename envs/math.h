// Arithmetic vocabulary for scalars, and exp, log, sin, cos built from it.
//
// Every formula of the project is a template over a number type F: float, double, or a SIMD pack
// that brings the same vocabulary (kernels/cpu/lanes/pack_*.h). Only IEEE + - * / sqrt, written
// fma, compares and integer operations are used, so all of them give the same bits (DESIGN.md, bit
// contract). Error bounds are in units in the last place (ulp) against the correctly rounded value
// and are checked over every float by tests/envs/math_test.cpp.
#pragma once

#include <cstdint>

#include "envs/host_device.h"

namespace lockstep {

/// Companion types of a number type, and what cannot be found by the type of an argument.
template <class F>
struct Lanes;

template <class Real>
struct ScalarLanes {
  using Scalar = Real;     // type of one lane in memory
  using I = std::int32_t;  // integers of the same number of lanes
  using U = std::uint32_t;
  using M = bool;                       // result of a comparison
  static constexpr int W = 1;           // lanes
  static constexpr int kWideLanes = 1;  // partial sums accumulate_wide() keeps
  static LS_HD Real load(const Real* from) { return *from; }
  static LS_HD I load(const I* from) { return *from; }
  static LS_HD M mask(std::uint32_t bits) { return (bits & 1) != 0; }  // bit i = lane i
  static LS_HD U numbers() { return 0; }                               // 0, 1, ... W-1
};
template <>
struct Lanes<float> : ScalarLanes<float> {};
template <>
struct Lanes<double> : ScalarLanes<double> {};  // oracle: the same formulas with more digits

// ---- scalars -----------------------------------------------------------------------------------
// max and min are a > b ? a : b and a < b ? a : b: what x86 and a select compute, NaN included.

LS_HD float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
LS_HD double fma(double a, double b, double c) { return __builtin_fma(a, b, c); }
LS_HD float sqrt(float a) { return __builtin_sqrtf(a); }
LS_HD double sqrt(double a) { return __builtin_sqrt(a); }
LS_HD float abs(float a) { return __builtin_fabsf(a); }
LS_HD double abs(double a) { return __builtin_fabs(a); }
LS_HD float max(float a, float b) { return a > b ? a : b; }
LS_HD double max(double a, double b) { return a > b ? a : b; }
LS_HD float min(float a, float b) { return a < b ? a : b; }
LS_HD double min(double a, double b) { return a < b ? a : b; }
LS_HD float select(bool m, float a, float b) { return m ? a : b; }
LS_HD double select(bool m, double a, double b) { return m ? a : b; }
LS_HD std::int32_t select(bool m, std::int32_t a, std::int32_t b) { return m ? a : b; }
LS_HD std::uint32_t select(bool m, std::uint32_t a, std::uint32_t b) { return m ? a : b; }
LS_HD bool any(bool m) { return m; }
LS_HD std::uint32_t mask_bits(bool m) { return m ? 1u : 0u; }
LS_HD std::int32_t add_where(bool m, std::int32_t sum, std::int32_t q) { return m ? sum + q : sum; }
LS_HD double add_where(bool m, double sum, double q) { return m ? sum + q : sum; }

LS_HD float as_float(std::int32_t bits) { return __builtin_bit_cast(float, bits); }
LS_HD std::int32_t as_signed(std::uint32_t bits) { return static_cast<std::int32_t>(bits); }
LS_HD std::uint32_t as_unsigned(std::int32_t bits) { return static_cast<std::uint32_t>(bits); }
LS_HD std::int32_t as_int(float value) { return __builtin_bit_cast(std::int32_t, value); }
/// Value of an integer of at most 24 bits: exact.
LS_HD float to_float(std::int32_t a) { return static_cast<float>(a); }
/// The same for a number type given by name: the oracle's integers are converted to double.
template <class F>
LS_HD F to_real(typename Lanes<F>::I a) {
  return to_float(a);
}
LS_HD float to_float(std::uint32_t a) { return static_cast<float>(static_cast<std::int32_t>(a)); }
/// Nearest integer, ties to even; |a| < 2^31.
LS_HD std::int32_t round_to_int(float a) { return static_cast<std::int32_t>(__builtin_lrintf(a)); }
LS_HD std::int32_t round_to_int(double a) { return static_cast<std::int32_t>(__builtin_lrint(a)); }

LS_HD void store(float* to, float value) { *to = value; }
LS_HD void store(double* to, double value) { *to = value; }
LS_HD void store(std::int32_t* to, std::int32_t value) { *to = value; }

/// Both halves of the 64-bit product.
LS_HD void mul_wide(std::uint32_t a, std::uint32_t m, std::uint32_t& high, std::uint32_t& low) {
  const std::uint64_t product = std::uint64_t{a} * m;
  high = static_cast<std::uint32_t>(product >> 32);
  low = static_cast<std::uint32_t>(product);
}
/// Horizontal sums in 64 bits.
LS_HD std::int64_t sum_wide(std::int32_t a) { return a; }
LS_HD std::int64_t sum_squares_wide(std::int32_t a) { return std::int64_t{a} * a; }
LS_HD void accumulate_wide(std::int64_t* sum, std::int32_t a) { *sum += a; }
LS_HD void accumulate_wide(double* sum, double a) { *sum += a; }

// ---- exp, log ----------------------------------------------------------------------------------

/// 2^n for an integer -126 <= n <= 127 held in a float pack.
template <class F>
LS_HD F pow2(F n) {
  // n + 1.5 * 2^23 has n in its low bits; adding the bias and shifting builds the exponent
  return as_float((as_int(n + F(12582912.0f)) + 127) << 23);
}

/// exp(x) for x clamped to [-83, 83], so that the result and 1 + result are finite and normal.
///
/// Result: bitwise on every backend; within 1.3 ulp of the clamped argument's exponential.
/// Source: two-step argument reduction by ln 2 (Cody & Waite 1980), minimax polynomial of degree 6.
template <class F>
LS_HD F exp(F x) {
  x = min(max(x, F(-83.0f)), F(83.0f));
  const F n = (x * F(1.44269504f) + F(12582912.0f)) - F(12582912.0f);
  F f = fma(x, F(1.44269502f), -n);
  f = fma(x, F(1.92596303e-8f), f);
  F p = fma(f, F(1.5594678e-4f), F(1.3406644e-3f));
  p = fma(f, p, F(9.6176930e-3f));
  p = fma(f, p, F(5.5503106e-2f));
  p = fma(f, p, F(2.4022653e-1f));
  p = fma(f, p, F(6.9314721e-1f));
  p = fma(f, p, F(1.0f));
  return p * pow2(n);
}
/// The oracle's exponential: the C library's, unclamped inside the range that matters.
template <>
LS_HD double exp(double x) {
  return __builtin_exp(min(max(x, -700.0), 700.0));
}

/// Natural logarithm of a positive normal float.
///
/// Result: bitwise on every backend; within 1 ulp. Errors: undefined for any other
/// argument; callers pass 1 + exp(x) or a sum of exponentials.
/// Source: x = 2^n m with m around 1; log m = r - s (r - R(s^2)), r = m - 1, s = r / (m + 1), R the
/// series 2/3 z + 2/5 z^2 + ... of 2 atanh(s), fitted on z <= 0.0295.
template <class F>
LS_HD F log(F x) {
  const auto bits = as_int(x);
  const auto n = (bits - 0x3f3504f3) >> 23;  // exponent relative to sqrt(1/2)
  const F m = as_float(bits - (n << 23));    // in [sqrt(1/2), sqrt(2))
  const F e = to_float(n);
  const F r = m - F(1.0f);
  const F s = r / (m + F(1.0f));
  const F z = s * s;
  F p = fma(z, F(0.23331368f), F(0.285507798f));
  p = fma(z, p, F(0.400001228f));
  p = fma(z, p, F(0.666666687f));
  // the leading r is exact and e * 0.693359375 too; everything else is small
  const F low = fma(s, fma(z, p, -r), e * F(-2.12194440e-4f));
  return fma(e, F(0.693359375f), r + low);
}
template <>
LS_HD double log(double x) {
  return __builtin_log(x);
}

// ---- sin, cos ----------------------------------------------------------------------------------

/// sin and cos of a small angle, |x| <= 0.22.
///
/// Result: bitwise on every backend; relative error 6.1e-8 (sin), 3.3e-8 (cos).
/// Source: minimax polynomials of degree 5 and 6.
template <class F>
LS_HD void sincos_small(F x, F& s, F& c) {
  const F x2 = x * x;
  s = fma(x2 * x, fma(x2, F(8.3330255e-3f), F(-1.6666666e-1f)), x);
  c = fma(x2, fma(x2, fma(x2, F(-1.3888397e-3f), F(4.1666638e-2f)), F(-0.5f)), F(1.0f));
}

/// Quadrant and remainder of a finite x: |x| = (quadrant + 4 k) pi/2 + r, |r| <= pi/4.
/// Source: Payne & Hanek 1983 with a 96-bit window of 2/pi; the remainder is good to 2^-60.
LS_HD std::uint32_t reduce_by_half_pi(float x, double& r) {
  // 2/pi: 64 zero bits so that small x need no case of their own, then the first 256 bits
  constexpr std::uint32_t kTwoOverPi[10] = {0,          0,          0xa2f9836e, 0x4e441529,
                                            0xfc2757d1, 0xf534ddc0, 0xdb629599, 0x3c439041,
                                            0xfe5163ab, 0xdebbc561};
  const std::int32_t bits = as_int(x) & 0x7fffffff;
  if (bits < 0x38800000) {  // |x| < 2^-14
    r = static_cast<double>(abs(x));
    return 0;
  }
  // |x| = mantissa * 2^exponent; bits of 2/pi worth a multiple of 4 quadrants are skipped
  const int exponent = (bits >> 23) - 150;
  const std::uint64_t mantissa = static_cast<std::uint32_t>((bits & 0x7fffff) | 0x800000);
  const int offset = exponent - 2 + 64;
  const int word = offset >> 5;
  const int left = offset & 31;
  std::uint64_t product = 0;  // carry of the 24 x 96 bit product, lowest word first
  std::uint64_t turns = 0;    // |x| / (2 pi) modulo 1, in units of 2^-64
  for (int i = 2; i >= 0; --i) {
    const std::uint64_t pair =
        (std::uint64_t{kTwoOverPi[word + i]} << 32) | kTwoOverPi[word + i + 1];
    const std::uint64_t window = (pair << left) >> 32;
    product = mantissa * window + (product >> 32);
    turns = (turns >> 32) | (product << 32);
  }
  const std::uint64_t quadrant = (turns + (std::uint64_t{1} << 61)) >> 62;
  r = static_cast<double>(static_cast<std::int64_t>(turns - (quadrant << 62))) *
      (6.283185307179586 * 0x1p-64);
  return static_cast<std::uint32_t>(quadrant) & 3;
}

/// sin and cos of any finite x; infinities and NaN give NaN.
///
/// Result: bitwise on every backend; within 0.51 ulp. Slower than sincos_small: 64-bit integers and
/// doubles; only the replay of given actions leaves the small angles.
/// Source: argument reduction above, Taylor series in double.
LS_HD void sincos_any(float x, float& s, float& c) {
  if (!(abs(x) <= 3.40282347e+38f)) {
    s = c = x - x;
    return;
  }
  double r;
  const std::uint32_t quadrant = reduce_by_half_pi(x, r);
  const double z = r * r;
  const double sine =
      r + r * z *
              (-1.0 / 6 +
               z * (1.0 / 120 + z * (-1.0 / 5040 + z * (1.0 / 362880 + z * (-1.0 / 39916800)))));
  const double cosine =
      1.0 +
      z * (-0.5 +
           z * (1.0 / 24 + z * (-1.0 / 720 +
                                z * (1.0 / 40320 + z * (-1.0 / 3628800 + z * (1.0 / 479001600))))));
  const bool swap = (quadrant & 1) != 0;
  const double sin_abs = swap ? cosine : sine;
  const double cos_abs = swap ? sine : cosine;
  const bool flip_sin = ((quadrant & 2) != 0) != (as_int(x) < 0);
  const bool flip_cos = quadrant == 1 || quadrant == 2;
  s = static_cast<float>(flip_sin ? -sin_abs : sin_abs);
  c = static_cast<float>(flip_cos ? -cos_abs : cos_abs);
}

}  // namespace lockstep
