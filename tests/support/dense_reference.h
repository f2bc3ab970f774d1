// A dense network in double precision, with the error bound of every logit for float32 sums in any
// order, and networks to try. Test code only.
//
// A sum of n products and a bias, each operation rounded once, in any order, with or without fma,
// is off by at most gamma_(n+1) (sum |w||x| + |b|), gamma_n = n u / (1 - n u), u = 2^-24 (Higham,
// Accuracy and Stability of Numerical Algorithms, 2nd ed., 3.1). Errors of the inputs come on top,
// times |w|; ReLU enlarges none, leaky ReLU rounds once more.
#pragma once

#include <algorithm>
#include <cmath>
#include <vector>

#include "host/backend/dense_policy.h"
#include "tests/support/return_cases.h"

namespace lockstep::test {

struct BoundedLogits {
  std::vector<double> value, bound;  // [N][out]
};

inline BoundedLogits reference_logits(const std::vector<DenseLayer>& layers,
                                      const std::vector<float>& obs) {
  constexpr double u = 0x1p-24;
  const auto N = obs.size() / static_cast<std::size_t>(layers.front().in);
  BoundedLogits result;
  for (std::size_t i = 0; i < N; ++i) {
    std::vector<double> x, e;  // of a layer: values and how far off a float32 one may be
    for (int k = 0; k < layers.front().in; ++k) {
      x.push_back(static_cast<double>(
          obs[i * static_cast<std::size_t>(layers.front().in) + static_cast<std::size_t>(k)]));
      e.push_back(0);
    }
    for (const DenseLayer& layer : layers) {
      const double terms = layer.in + 1;
      const double gamma = terms * u / (1 - terms * u);
      std::vector<double> y, bound;
      for (int j = 0; j < layer.out; ++j) {
        double sum = static_cast<double>(layer.bias[static_cast<std::size_t>(j)]);
        double sizes = std::abs(sum), inherited = 0;
        for (int k = 0; k < layer.in; ++k) {
          const auto at = static_cast<std::size_t>(k);
          const auto w =
              static_cast<double>(layer.weight[static_cast<std::size_t>(j * layer.in + k)]);
          sum += w * x[at];
          sizes += std::abs(w) * (std::abs(x[at]) + e[at]);
          inherited += std::abs(w) * e[at];
        }
        double off = gamma * sizes + inherited;
        if (layer.activation == DenseActivation::kRelu) sum = std::max(sum, 0.0);
        if (layer.activation == DenseActivation::kLeakyRelu) {
          if (sum < 0) sum *= static_cast<double>(kLeak);
          off = off * (1 + u) + std::abs(sum) * u;
        }
        y.push_back(sum);
        bound.push_back(off);
      }
      x = std::move(y);
      e = std::move(bound);
    }
    result.value.insert(result.value.end(), x.begin(), x.end());
    result.bound.insert(result.bound.end(), e.begin(), e.end());
  }
  return result;
}

/// Largest |got - value| in units of the bound; NaN or a wrong length count as infinite.
inline double worst_of_bound(const std::vector<float>& got, const BoundedLogits& want) {
  if (got.size() != want.value.size()) return HUGE_VAL;
  double worst = 0;
  for (std::size_t i = 0; i < got.size(); ++i) {
    const double ratio =
        std::abs(static_cast<double>(got[i]) - want.value[i]) / (want.bound[i] + 1e-300);
    if (!(ratio <= worst)) worst = std::isnan(ratio) ? HUGE_VAL : ratio;
  }
  return worst;
}

/// Hidden layers with `activation`, weights of the size training starts from, biases too.
inline std::vector<DenseLayer> random_network(const std::vector<int>& sizes,
                                              DenseActivation activation, std::uint64_t seed) {
  Random random(seed);
  std::vector<DenseLayer> layers;
  for (std::size_t i = 0; i + 1 < sizes.size(); ++i) {
    DenseLayer layer{sizes[i], sizes[i + 1], activation, {}, {}};
    if (i + 2 == sizes.size()) layer.activation = DenseActivation::kNone;
    const double bound = std::sqrt(6.0 / (sizes[i] + sizes[i + 1]));
    const auto value = [&] { return static_cast<float>(bound * (2 * random.uniform() - 1)); };
    for (int k = 0; k < layer.in * layer.out; ++k) layer.weight.push_back(value());
    for (int k = 0; k < layer.out; ++k) layer.bias.push_back(value());
    layers.push_back(layer);
  }
  return layers;
}

inline std::vector<float> random_observations(std::int64_t N, int in, std::uint64_t seed) {
  Random random(seed);
  std::vector<float> obs;
  for (std::int64_t i = 0; i < N * in; ++i) {
    obs.push_back(static_cast<float>(4 * random.uniform() - 2));
  }
  return obs;
}

/// The layers with a fault each; the bound must show all of them.
struct PlantedLayers {
  const char* fault;
  std::vector<DenseLayer> layers;
};
inline std::vector<PlantedLayers> planted_faults(const std::vector<DenseLayer>& layers) {
  std::vector<PlantedLayers> planted;
  const auto plant = [&](const char* fault) -> std::vector<DenseLayer>& {
    return planted.emplace_back(PlantedLayers{fault, layers}).layers;
  };
  for (DenseLayer& layer : plant("weights read as their transpose")) {
    std::vector<float> turned;
    for (int k = 0; k < layer.in; ++k) {
      for (int j = 0; j < layer.out; ++j) {
        turned.push_back(layer.weight[static_cast<std::size_t>(j * layer.in + k)]);
      }
    }
    layer.weight = turned;
  }
  for (std::size_t i = 0; i < layers.size(); ++i) {
    auto& bias = plant("a layer without its bias")[i].bias;
    std::fill(bias.begin(), bias.end(), 0.0f);
  }
  plant("activation on the last layer").back().activation = DenseActivation::kRelu;
  if (layers.size() > 1) plant("no activation").front().activation = DenseActivation::kNone;
  return planted;
}

/// Each unit listens to one observation with a power of two, each logit to one unit: no product and
/// no sum of products rounds differently in another order.
inline std::vector<float> unrounded_parameters(const PolicyShape& shape) {
  std::vector<float> flat;
  const int units = shape.kind == PolicyKind::kLinear ? shape.A : shape.H;
  for (int j = 0; j < units; ++j) {
    for (int i = 0; i < shape.O; ++i) {
      const float power = (j % 3 == 0 ? 8.0f : 2.0f) * (j / shape.O % 2 == 0 ? 1.0f : -1.0f);
      flat.push_back(
          i == (shape.O - 1 + j) % shape.O && (shape.A > 2 || j > 0 || shape.H > 0) ? power : 0.0f);
    }
  }
  for (int j = 0; j < units; ++j) flat.push_back(0.3f - 0.07f * static_cast<float>(j % 5));
  if (shape.kind == PolicyKind::kMlp) {
    for (int a = 0; a < shape.A; ++a) {
      for (int j = 0; j < shape.H; ++j) {
        const bool heard = j == (a == 0 ? 4 : 8 * a) && (shape.A > 2 || a == 1);
        flat.push_back(heard ? 0.7f + 0.45f * static_cast<float>(a) : 0.0f);
      }
    }
    for (int a = 0; a < shape.A; ++a) flat.push_back(-0.2f * static_cast<float>(a));
  }
  return flat;
}

}  // namespace lockstep::test
