// Sums that do not depend on order: values are rounded once to integers with a power-of-two scale
// and added exactly. Gradients, return statistics and losses are all summed this way.
#pragma once

#include "envs/math.h"
#include "kernels/trajectory.h"

namespace lockstep {

__extension__ typedef __int128 int128;
__extension__ typedef unsigned __int128 uint128;

/// Largest 2^k such that |value| <= bound quantises within the limit; bound > 0 and finite.
LS_HD float scale_for_bound(double bound) {
  int exponent = 0;
  // bound = m * 2^exponent with m in [0.5, 1), so 2^(23 - exponent) * bound < 2^23 - 1 unless m is
  // within 2^-23 of 1; then one bit less
  const double m = __builtin_frexp(bound, &exponent);
  int k = 23 - exponent;
  if (__builtin_ldexp(m, 23) > static_cast<double>(kQuantisedLimit)) --k;
  k = k < -100 ? -100 : k > 100 ? 100 : k;
  return static_cast<float>(__builtin_ldexp(1.0, k));
}

/// Mean and inverse deviation of n quantised values; the deviation is 0 unless the exact integer
/// variance is positive.
struct Moments {
  double mean;     // of the values
  double inv_std;  // 1 / standard deviation, or 0
};

/// From exact sums; `squares` may exceed 64 bits.
LS_HD Moments moments(std::int64_t n, std::int64_t sum, uint128 squares, float scale,
                      bool sample_std) {
  if (n == 0) return {0.0, 0.0};
  const double count = static_cast<double>(n);
  Moments result{static_cast<double>(sum) / count / static_cast<double>(scale), 0.0};
  const int128 spread = static_cast<int128>(squares) * n - static_cast<int128>(sum) * sum;
  if (spread > 0 && !(sample_std && n == 1)) {
    const double variance = static_cast<double>(spread) / count / (sample_std ? count - 1 : count);
    result.inv_std = static_cast<double>(scale) / __builtin_sqrt(variance);
  }
  return result;
}

/// Integer accumulation, the production path.
struct FixedPoint {
  template <class F>
  using Term = typename Lanes<F>::I;
  using Sum = std::int64_t;

  /// round(value * scale), ties to even; 0 in lanes that are not active or out of range (NaN
  /// included), and the latter raise `saturated`.
  template <class F>
  static LS_HD Term<F> quantise(F value, float scale, typename Lanes<F>::M active,
                                typename Lanes<F>::M& saturated) {
    const F scaled = value * F(scale);
    const auto fits = abs(scaled) <= F(kQuantisedLimit);
    saturated = saturated | (active & (!fits));
    return round_to_int(select(active & fits, scaled, F(0)));
  }
  static LS_HD double value(Sum sum, float scale) {
    return static_cast<double>(sum) / static_cast<double>(scale);
  }
};

/// No rounding: sums in double. The oracle the production path is tested against.
struct ExactDouble {
  template <class F>
  using Term = F;
  using Sum = double;

  template <class F>
  static LS_HD F quantise(F value, float, bool active, bool&) {
    return active ? value : F(0);
  }
  static LS_HD double value(Sum sum, float) { return sum; }
};

}  // namespace lockstep
