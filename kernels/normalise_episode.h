// Normalisation of one finished episode by its own mean and deviation.
#pragma once

#include "kernels/fixed_point.h"
#include "kernels/trajectory.h"

namespace lockstep {

/// Replaces the advantages of steps [first, last] of one environment by
/// (value - mean) * inv_std; returns whether a value was out of the quantised range.
///
/// Result: bitwise. The moments are those of the quantised values, which are summed exactly.
template <class Real>
LS_HD bool normalise_episode(const BaselineArgs<Real>& args, std::int64_t group, int lane,
                             int first, int last) {
  Real* values = args.record.advantage + (group * args.record.T + first) * kGroup + lane;
  std::int64_t sum = 0;
  uint128 squares = 0;
  bool saturated = false;
  const int n = last - first + 1;
  for (int i = 0; i < n; ++i) {
    const std::int64_t q = FixedPoint::quantise(values[i * kGroup], args.scale, true, saturated);
    sum += q;
    squares += static_cast<uint128>(q * q);
  }
  const Moments m = moments(n, sum, squares, args.scale, args.sample_std);
  for (int i = 0; i < n; ++i) {
    values[i * kGroup] =
        (values[i * kGroup] - static_cast<Real>(m.mean)) * static_cast<Real>(m.inv_std);
  }
  return saturated;
}

}  // namespace lockstep
