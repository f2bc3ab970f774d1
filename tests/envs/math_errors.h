// What the functions of envs/math.h promise, as sweeps of a chosen density: shared by math_test.cpp
// (a part of all floats), math_domain_test.cpp (all that the engine uses) and
// math_exhaustive_test.cpp (all there are). The truth is the C library's function in double.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>

#include "envs/math.h"
#include "tests/support/compare.h"
#include "tests/support/float_sweep.h"

namespace lockstep::test {

inline constexpr float kLargest = std::numeric_limits<float>::max();
inline constexpr float kSmallestNormal = std::numeric_limits<float>::min();
inline constexpr float kSmallest = std::numeric_limits<float>::denorm_min();

/// The largest step back, in ulps, of values that should not decrease.
class StepsBack {
 public:
  void add(float y) {
    if (y < last_) worst_ = std::max(worst_, ulp_error(y, static_cast<double>(last_)));
    last_ = y;
  }
  double worst() const { return worst_; }

 private:
  float last_ = -std::numeric_limits<float>::infinity();
  double worst_ = 0;
};

inline void expect_within(const char* what, const Worst& worst, double bound) {
  EXPECT_GT(worst.count, 0u);
  EXPECT_LE(worst.error, bound) << what << " at " << worst.at << " (" << std::hex
                                << bits_of_float(worst.at) << ")";
  std::ostringstream text;
  text << worst.error;
  testing::Test::RecordProperty(what, text.str());
}

/// exp on +-[first, last]: within 1.3 ulp of the clamped argument's, and a last bit of noise in
/// its monotony.
inline void check_exp(float first, float last, std::uint32_t stride) {
  Worst worst;
  StepsBack up, down;
  sweep(first, last, stride, [&](float x) {
    const double clamped = std::min(static_cast<double>(x), 83.0);
    const float above = exp(x), below = exp(-x);
    worst.add(ulp_error(above, std::exp(clamped)), x);
    worst.add(ulp_error(below, std::exp(-clamped)), -x);
    up.add(above);
    down.add(-below);
  });
  expect_within("exp", worst, 1.3);
  EXPECT_LE(std::max(up.worst(), down.worst()), 1.0);
}

/// log on [first, last], positive and normal: within 1 ulp, never decreasing.
inline void check_log(float first, float last, std::uint32_t stride) {
  Worst worst;
  StepsBack up;
  sweep(first, last, stride, [&](float x) {
    const float y = log(x);
    worst.add(ulp_error(y, std::log(static_cast<double>(x))), x);
    up.add(y);
  });
  expect_within("log", worst, 1.0);
  EXPECT_EQ(up.worst(), 0.0);
}

/// sin and cos of small angles: relative errors 6.1e-8 and 3.3e-8; sin is odd and never decreases,
/// cos is even and never increases, by bits.
inline void check_sincos_small(float first, float last, std::uint32_t stride) {
  Worst sine, cosine;
  StepsBack up, down;
  bool symmetric = true;
  sweep(first, last, stride, [&](float x) {
    float s, c, mirrored_s, mirrored_c;
    sincos_small(x, s, c);
    sincos_small(-x, mirrored_s, mirrored_c);
    const double exact_s = std::sin(static_cast<double>(x));
    const double exact_c = std::cos(static_cast<double>(x));
    // below 2^-126 the spacing of floats is no longer relative
    const double smallest = static_cast<double>(kSmallestNormal);
    sine.add(std::abs(static_cast<double>(s) - exact_s) / std::max(exact_s, smallest), x);
    cosine.add(std::abs(static_cast<double>(c) - exact_c) / exact_c, x);
    symmetric = symmetric && mirrored_s == -s && mirrored_c == c;
    up.add(s);
    down.add(-c);
  });
  expect_within("sin of a small angle", sine, 6.1e-8);
  expect_within("cos of a small angle", cosine, 3.3e-8);
  EXPECT_TRUE(symmetric);
  EXPECT_LE(up.worst(), 1.0);
  EXPECT_LE(down.worst(), 1.0);
}

/// sin and cos of any angle: within 0.51 ulp, odd and even by bits.
inline void check_sincos_any(float first, float last, std::uint32_t stride) {
  Worst sine, cosine;
  bool symmetric = true;
  sweep(first, last, stride, [&](float x) {
    float s, c, mirrored_s, mirrored_c;
    sincos_any(x, s, c);
    sincos_any(-x, mirrored_s, mirrored_c);
    sine.add(ulp_error(s, std::sin(static_cast<double>(x))), x);
    cosine.add(ulp_error(c, std::cos(static_cast<double>(x))), x);
    symmetric = symmetric && mirrored_s == -s && mirrored_c == c;
  });
  expect_within("sin", sine, 0.51);
  expect_within("cos", cosine, 0.51);
  EXPECT_TRUE(symmetric);
}

}  // namespace lockstep::test
