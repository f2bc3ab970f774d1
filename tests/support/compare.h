// Comparison of arrays of floats: by bits, by units in the last place, by norm. A failure tells how
// many values differ and shows the worst one with its position. Test code only.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <sstream>
#include <string>
#include <type_traits>

namespace lockstep::test {

template <class T>
requires std::is_arithmetic_v<T>
auto bits_of(T value) {
  if constexpr (sizeof(T) == 8) return std::bit_cast<std::uint64_t>(value);
  if constexpr (sizeof(T) == 4) return std::bit_cast<std::uint32_t>(value);
}

/// Success if both have the same length and the same bits everywhere (NaN payloads and the sign of
/// 0 included).
template <class T>
testing::AssertionResult same_bits(std::span<const T> got, std::span<const T> want) {
  if (got.size() != want.size()) {
    return testing::AssertionFailure() << got.size() << " values instead of " << want.size();
  }
  std::size_t count = 0, worst = 0;
  double largest = -1;
  for (std::size_t i = 0; i < got.size(); ++i) {
    if (bits_of(got[i]) == bits_of(want[i])) continue;
    ++count;
    const double error = std::abs(static_cast<double>(got[i]) - static_cast<double>(want[i]));
    if (!(error <= largest)) {
      worst = i;
      largest = error;
    }
  }
  if (count == 0) return testing::AssertionSuccess();
  std::ostringstream text;
  text.precision(17);
  text << count << " of " << got.size() << " values differ; worst at " << worst << ": "
       << got[worst] << " (" << std::hex << bits_of(got[worst]) << ") instead of " << want[worst]
       << " (" << bits_of(want[worst]) << ")";
  return testing::AssertionFailure() << text.str();
}

/// Distance from the exact value in units in the last place of the float nearest to it.
inline double ulp_error(float got, double exact) {
  const double magnitude = std::abs(exact);
  int exponent = std::numeric_limits<float>::min_exponent;
  if (magnitude >= static_cast<double>(std::numeric_limits<float>::min())) {
    exponent = std::ilogb(magnitude) + 1;
  }
  return std::ldexp(std::abs(static_cast<double>(got) - exact), 24 - exponent);
}

/// |got - want| / |want| in the Euclidean norm; NaN if anything is.
template <class A, class B>
double relative_l2(const A& got, const B& want) {
  double difference = 0, norm = 0;
  if (std::size(got) != std::size(want)) return std::numeric_limits<double>::quiet_NaN();
  for (std::size_t i = 0; i < std::size(got); ++i) {
    const double d = static_cast<double>(got[i]) - static_cast<double>(want[i]);
    difference += d * d;
    norm += static_cast<double>(want[i]) * static_cast<double>(want[i]);
  }
  return std::sqrt(difference / norm);
}

}  // namespace lockstep::test
