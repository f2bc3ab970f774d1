// Tests of distributions at one false-alarm rate: 1e-9 for every assertion, fixed seeds. Each test
// says how many draws it takes; at n draws of a proportion p a bias of 10.9 sqrt(p (1 - p) / n) is
// missed with probability 1e-6 at most, and such a bias is planted to show it. Test code only.
#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <stdexcept>

namespace lockstep::test {

inline constexpr double kFalseAlarm = 1e-9;
inline constexpr double kNormalBound = 6.109410;   // two-sided quantile of kFalseAlarm
inline constexpr double kDetectableSigmas = 10.9;  // + 4.75, the one-sided quantile of 1e-6

/// Upper tail of the chi-square distribution: the regularised incomplete gamma function
/// Q(dof / 2, x / 2), by its series or its continued fraction.
/// Source: Abramowitz & Stegun 1964, 6.5.29 and 6.5.31.
inline double chi_square_tail(double x, double dof) {
  const double a = dof / 2, z = x / 2;
  if (z <= 0) return 1;
  const double front = std::exp(a * std::log(z) - z - std::lgamma(a));
  if (z < a + 1) {
    double term = 1 / a, sum = term;
    for (int n = 1; n < 10000 && term > sum * 1e-17; ++n) sum += term *= z / (a + n);
    return 1 - front * sum;
  }
  double b = z + 1 - a, c = 1e300, d = 1 / b, fraction = d;
  for (int n = 1; n < 10000; ++n) {
    const double numerator = -n * (n - a);
    b += 2;
    d = 1 / (numerator * d + b);
    c = b + numerator / c;
    fraction *= d * c;
    if (std::abs(d * c - 1) < 1e-15) break;
  }
  return front * fraction;
}

/// Deviations from the mean of a binomial count.
inline double binomial_sigmas(double count, double n, double p) {
  return (count - n * p) / std::sqrt(n * p * (1 - p));
}

/// Chi-square p-value of counts against expected probabilities that sum to 1.
inline double chi_square_p(std::span<const std::uint64_t> counts,
                           std::span<const double> expected) {
  if (counts.size() != expected.size()) throw std::invalid_argument("cells do not match");
  double n = 0, x = 0;
  for (const std::uint64_t count : counts) n += static_cast<double>(count);
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const double mean = n * expected[i];
    const double difference = static_cast<double>(counts[i]) - mean;
    x += difference * difference / mean;
  }
  return chi_square_tail(x, static_cast<double>(counts.size()) - 1);
}

/// Largest distance of an empirical from the true distribution function at kFalseAlarm.
/// Source: Dvoretzky-Kiefer-Wolfowitz inequality with Massart's constant, 1990.
inline double dkw_bound(double n) { return std::sqrt(std::log(2 / kFalseAlarm) / (2 * n)); }

}  // namespace lockstep::test
