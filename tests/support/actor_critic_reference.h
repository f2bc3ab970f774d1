// An update of A2C or PPO in double, from the batch that a backend recorded: advantages, the loss
// of a minibatch as the papers write it, its gradient by central differences, and plain steps of
// the optimiser. Shares no formula with the kernels. Test code only; nothing here is fast.
#pragma once

#include <algorithm>
#include <cmath>
#include <span>
#include <vector>

#include "tests/support/actor_critic_dump.h"

namespace lockstep::test {

/// A policy and its critic from flat parameters, which hold layer after layer, weights and biases.
class DoubleActorCritic {
 public:
  DoubleActorCritic(const PolicyShape& shape, Activation activation)
      : shape_(shape), leak_(activation == Activation::kLeakyRelu ? 0.01 : 0.0) {}

  struct Outputs {
    std::vector<double> logits;  // [A]
    double value;
  };
  Outputs operator()(const std::vector<double>& flat, const std::vector<double>& obs) const {
    const double* next = flat.data();
    const auto layer = [&](const std::vector<double>& in, int out, bool activated) {
      std::vector<double> y(static_cast<std::size_t>(out));
      for (double& sum : y) {
        for (const double x : in) sum += *next++ * x;
      }
      for (double& sum : y) {
        sum += *next++;
        if (activated && sum < 0) sum *= leak_;
      }
      return y;
    };
    const bool linear = shape_.kind == PolicyKind::kLinear;
    const auto features = linear ? obs : layer(obs, shape_.H, true);
    const auto logits = layer(features, shape_.A, false);
    const auto seen = shape_.critic > 0 ? layer(obs, shape_.critic, true) : features;
    return {logits, layer(seen, 1, false)[0]};
  }

 private:
  PolicyShape shape_;
  double leak_;
};

inline std::vector<double> widened(std::span<const float> values) {
  return {values.begin(), values.end()};
}

/// log pi of all actions. logits: [A], or the log-odds of action 1.
inline std::vector<double> log_softmax(std::vector<double> logits) {
  if (logits.size() == 1) logits.insert(logits.begin(), 0.0);
  double total = 0;
  for (const double z : logits) total += std::exp(z);
  for (double& z : logits) z -= std::log(total);
  return logits;
}

/// The same statistics that `normalize` divides and shifts by, of some advantages.
inline void normalise(const Config& config, std::vector<double>& advantages) {
  const auto n = static_cast<double>(advantages.size());
  double mean = 0, squares = 0;
  for (const double a : advantages) mean += a / n;
  for (const double a : advantages) squares += (a - mean) * (a - mean);
  const double deviation = std::sqrt(squares / (config.std_kind == StdKind::kSample ? n - 1 : n));
  if (config.normalize == Normalize::kNone) return;
  for (double& a : advantages) {
    a = (config.normalize == Normalize::kScale ? a : a - mean) / deviation;
  }
}

class ActorCriticReference {
 public:
  ActorCriticReference(const PolicyShape& shape, const Config& config, const ActorCriticDump& dump)
      : network_(shape, config.activation), config_(config), dump_(dump) {
    estimate();
  }

  /// [T, N], from rewards, values and ends: A_t = sum of (gamma lambda)^k d_(t + k) to the end of
  /// the episode or batch, with d = r + gamma V(next) - V.
  const std::vector<double>& advantages() const { return advantage_; }

  struct Loss {
    double policy = 0, value = 0, entropy = 0, kl = 0, clipped = 0;  // means
    double total = 0;
  };
  /// Of the steps with these numbers, t N + n.
  Loss loss(const std::vector<double>& flat, const std::vector<std::size_t>& steps) const {
    std::vector<double> advantages;
    for (const std::size_t i : steps) advantages.push_back(advantage_[i]);
    if (config_.normalize == Normalize::kMinibatch) normalise(config_, advantages);
    Loss mean;
    const auto n = static_cast<double>(steps.size());
    for (std::size_t k = 0; k < steps.size(); ++k) {
      add_step(flat, steps[k],
               config_.normalize == Normalize::kMinibatch ? advantages[k] : normalised_[steps[k]],
               n, mean);
    }
    mean.total =
        mean.policy + config_.value_coef * mean.value - config_.entropy_coef * mean.entropy;
    return mean;
  }

  std::vector<double> gradient(std::vector<double> flat,
                               const std::vector<std::size_t>& steps) const {
    constexpr double kStep = 1e-6;
    std::vector<double> gradient;
    for (double& number : flat) {
      const double at = number;
      number = at + kStep;
      const double above = loss(flat, steps).total;
      number = at - kStep;
      const double below = loss(flat, steps).total;
      number = at;
      gradient.push_back((above - below) / (2 * kStep));
    }
    return gradient;
  }

  /// All passes with gradient descent at rate `lr`.
  struct Learned {
    std::vector<double> parameters, gradient;  // of the last pass
    Loss told;                                 // mean over passes
    double grad_norm = 0;                      // likewise
  };
  Learned learn(double lr) const {
    Learned out;
    out.parameters = widened(dump_.before.parameters);
    const double passes = static_cast<double>(config_.epochs * config_.minibatches);
    for (std::int64_t epoch = 0; epoch < config_.epochs; ++epoch) {
      for (std::int64_t m = 0; m < config_.minibatches; ++m) {
        const auto steps = steps_of(epoch, m);
        const Loss now = loss(out.parameters, steps);
        out.told.policy += now.policy / passes;
        out.told.value += now.value / passes;
        out.told.entropy += now.entropy / passes;
        out.told.kl += now.kl / passes;
        out.told.clipped += now.clipped / passes;
        out.gradient = gradient(out.parameters, steps);
        double squares = 0;
        for (const double g : out.gradient) squares += g * g;
        const double norm = std::sqrt(squares), most = config_.max_grad_norm;
        out.grad_norm += norm / passes;
        const double scale = most > 0 ? std::min(1.0, most / (norm + 1e-6)) : 1.0;
        for (std::size_t i = 0; i < out.parameters.size(); ++i) {
          out.parameters[i] -= lr * scale * out.gradient[i];
        }
      }
    }
    return out;
  }

 private:
  std::size_t at(std::int64_t t, std::int64_t n) const {
    return static_cast<std::size_t>(t * dump_.N + n);
  }
  void estimate() {
    advantage_.resize(dump_.value.size());
    const double gamma = config_.gamma;
    for (std::int64_t n = 0; n < dump_.N; ++n) {
      for (std::int64_t t = 0; t < dump_.T; ++t) {
        double sum = 0, weight = 1;
        for (std::int64_t k = t; k < dump_.T; ++k, weight *= gamma * config_.gae_lambda) {
          const std::size_t i = at(k, n);
          const bool over = dump_.terminated[i] != 0, cut = dump_.truncated[i] != 0;
          const double next = over                      ? 0.0
                              : cut || k == dump_.T - 1 ? double{dump_.next_value[i]}
                                                        : double{dump_.value[at(k + 1, n)]};
          sum += weight * (double{dump_.reward[i]} + gamma * next - double{dump_.value[i]});
          if (over || cut) break;
        }
        advantage_[at(t, n)] = sum;
      }
    }
    normalised_ = advantage_;
    if (config_.normalize != Normalize::kMinibatch) normalise(config_, normalised_);
  }
  std::vector<std::size_t> steps_of(std::int64_t epoch, std::int64_t m) const {
    std::vector<std::size_t> steps;
    const std::size_t count = dump_.value.size();
    for (std::size_t i = 0; i < count; ++i) {
      if (dump_.minibatch[static_cast<std::size_t>(epoch) * count + i] == m) steps.push_back(i);
    }
    return steps;
  }
  std::vector<double> row(const std::vector<float>& values, std::size_t i, std::int64_t n) const {
    return widened(
        std::span(values).subspan(i * static_cast<std::size_t>(n), static_cast<std::size_t>(n)));
  }
  /// Adds step i's share to the means over n steps.
  void add_step(const std::vector<double>& flat, std::size_t i, double advantage, double n,
                Loss& mean) const {
    const auto now = network_(flat, row(dump_.obs, i, dump_.O));
    const auto log_prob = log_softmax(now.logits);
    const auto old_log_prob = log_softmax(row(dump_.logits, i, dump_.Z));
    const std::size_t action = dump_.action[i];
    const double log_ratio = log_prob[action] - old_log_prob[action], ratio = std::exp(log_ratio);
    if (config_.algorithm == Algorithm::kPpo) {
      const double bounded = std::clamp(ratio, 1 - config_.clip, 1 + config_.clip);
      mean.policy -= std::min(ratio * advantage, bounded * advantage) / n;
      mean.clipped += (std::abs(ratio - 1) > config_.clip ? 1 : 0) / n;
    } else {
      mean.policy -= log_prob[action] * advantage / n;
    }
    for (const double l : log_prob) mean.entropy -= std::exp(l) * l / n;
    mean.kl += (ratio - 1 - log_ratio) / n;
    const double old = double{dump_.value[i]}, target = old + advantage_[i];
    const double near = old + std::clamp(now.value - old, -config_.value_clip, config_.value_clip);
    mean.value +=
        std::max((now.value - target) * (now.value - target), (near - target) * (near - target)) /
        2 / n;
  }

  DoubleActorCritic network_;
  Config config_;
  const ActorCriticDump& dump_;
  std::vector<double> advantage_, normalised_;
};

}  // namespace lockstep::test
