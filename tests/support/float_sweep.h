// Sweeps over floats by their bits: all of a range, or every n-th with the ends. Test code only.
#pragma once

#include <bit>
#include <cstdint>
#include <span>
#include <string>

namespace lockstep::test {

inline constexpr std::uint32_t kInfinityBits = 0x7f800000u;

inline float float_of(std::uint32_t bits) { return std::bit_cast<float>(bits); }
inline std::uint32_t bits_of_float(float x) { return std::bit_cast<std::uint32_t>(x); }

/// Calls visit(x) for non-negative floats from `first` to `last`, every `stride`-th, and `last`.
template <class Visit>
void sweep(float first, float last, std::uint32_t stride, Visit visit) {
  const std::uint64_t end = bits_of_float(last);
  for (std::uint64_t bits = bits_of_float(first); bits < end; bits += stride) {
    visit(float_of(static_cast<std::uint32_t>(bits)));
  }
  visit(last);
}

/// The worst of many errors and where it was.
struct Worst {
  double error = 0;
  float at = 0;
  std::uint64_t count = 0;

  void add(double e, float x) {
    ++count;
    if (!(e <= error)) {
      error = e;
      at = x;
    }
  }
};

}  // namespace lockstep::test
