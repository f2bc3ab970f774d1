// The policy network as a textbook writes it: double, one observation at a time, two output rows
// for two actions, softmax over the rows. Oracle for the kernels; shares no code with them.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <vector>

#include "host/backend/policy_parameters.h"

namespace lockstep::test {

struct TextbookPolicy {
  static constexpr int kMostActions = 3;
  static constexpr int kMostHidden = 64;
  struct Output {
    double log_prob[kMostActions];
    double entropy;       // nats
    double nearest_kink;  // smallest |pre-activation| of a hidden unit
  };

  PolicyShape shape;
  double leak = 0;     // slope of the activation below 0
  double dropout = 0;  // live units are scaled by 1 / (1 - dropout)

  /// `flat` has PolicyShape's layout; bit j mod 32 of kept[j / 32] keeps unit j (null: all live).
  Output evaluate(std::span<const double> flat, const double* obs,
                  const std::uint32_t* kept = nullptr) const {
    const int O = shape.O, A = shape.A, H = shape.H;
    Output out{};
    out.nearest_kink = 1e300;
    double logit[kMostActions];
    const bool linear = shape.kind == PolicyKind::kLinear;
    const double* weight = flat.data();  // of the output layer, [A, inputs]
    const double* input = obs;
    const int inputs = linear ? O : H;
    double hidden[kMostHidden];
    if (!linear) {
      const double* bias = weight + H * O;
      for (int j = 0; j < H; ++j) {
        double h = bias[j];
        for (int i = 0; i < O; ++i) h += weight[j * O + i] * obs[i];
        out.nearest_kink = std::min(out.nearest_kink, std::fabs(h));
        double value = h > 0 ? h : leak * h;
        if (kept != nullptr) {
          value = ((kept[j / 32] >> (j % 32)) & 1u) != 0 ? value / (1 - dropout) : 0;
        }
        hidden[j] = value;
      }
      weight = bias + H;
      input = hidden;
    }
    double largest = -1e300;
    for (int a = 0; a < A; ++a) {
      logit[a] = weight[A * inputs + a];
      for (int j = 0; j < inputs; ++j) logit[a] += weight[a * inputs + j] * input[j];
      largest = std::max(largest, logit[a]);
    }
    double total = 0;
    for (int a = 0; a < A; ++a) total += std::exp(logit[a] - largest);
    for (int a = 0; a < A; ++a) {
      out.log_prob[a] = logit[a] - largest - std::log(total);
      out.entropy -= std::exp(out.log_prob[a]) * out.log_prob[a];
    }
    return out;
  }
};

/// ||a - b|| / ||b||.
inline double relative_l2(std::span<const double> a, std::span<const double> b) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    difference += (a[i] - b[i]) * (a[i] - b[i]);
    norm += b[i] * b[i];
  }
  return std::sqrt(difference / norm);
}

/// Central differences of f at `at`, one parameter at a time.
template <class Function>
std::vector<double> finite_differences(std::vector<double> at, double width, Function f) {
  std::vector<double> slope(at.size());
  for (std::size_t i = 0; i < at.size(); ++i) {
    const double centre = at[i];
    at[i] = centre + width;
    const double above = f(at);
    at[i] = centre - width;
    const double below = f(at);
    at[i] = centre;
    slope[i] = (above - below) / (2 * width);
  }
  return slope;
}

}  // namespace lockstep::test
