// Interval arithmetic in the vocabulary of envs/math.h: steps an environment from all states of a
// box at once. A comparison is true if it is true for some point of the box. Ends are rounded to
// nearest, not outwards: callers widen their boxes by far more than that. Test code only.
#pragma once

#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <numbers>
#include <stdexcept>

#include "envs/math.h"

namespace lockstep::test {

struct Interval {
  double low = 0, high = 0;
  Interval() = default;
  Interval(double value) : low(value), high(value) {}  // NOLINT: as a number type
  Interval(double l, double h) : low(l), high(h) {}
  static Interval hull(std::initializer_list<double> values) {
    return {std::min(values), std::max(values)};
  }
};

inline Interval operator+(Interval a, Interval b) { return {a.low + b.low, a.high + b.high}; }
inline Interval operator-(Interval a) { return {-a.high, -a.low}; }
inline Interval operator-(Interval a, Interval b) { return a + -b; }
inline Interval operator*(Interval a, Interval b) {
  return Interval::hull({a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high});
}
inline Interval operator/(Interval a, Interval b) {
  if (b.low <= 0) throw std::domain_error("division by an interval that is not positive");
  return a * Interval(1 / b.high, 1 / b.low);
}
inline Interval abs(Interval a) {
  const double far = std::max(-a.low, a.high);
  return {std::max({a.low, -a.high, 0.0}), far};
}
inline bool operator>(Interval a, Interval b) { return a.high > b.low; }
inline Interval select(bool m, Interval a, Interval b) { return m ? a : b; }

/// CartPole's arithmetic policy; angles within a quarter turn.
struct IntervalArithmetic {
  using Number = Interval;
  static Interval mul_add(Interval a, Interval b, Interval c) { return a * b + c; }
  static Interval sub_mul(Interval a, Interval b, Interval c) { return a - b * c; }
  static Interval over_mass(Interval a) { return a / Interval(1.1); }
  static void sincos(Interval x, Interval& s, Interval& c) {
    if (std::abs(x.low) > std::numbers::pi / 2 || std::abs(x.high) > std::numbers::pi / 2) {
      throw std::domain_error("the angle is beyond a quarter turn");
    }
    s = {std::sin(x.low), std::sin(x.high)};
    const Interval distance = abs(x);
    c = {std::cos(distance.high), std::cos(distance.low)};
  }
};

}  // namespace lockstep::test

namespace lockstep {
template <>
struct Lanes<test::Interval> {
  using Scalar = double;
  using M = bool;
};
}  // namespace lockstep
