// The exact policy-gradient oracle. All action sequences from one start state are enumerated, so
// the value J of a policy is a finite sum whose gradient is known to many digits by differences;
// the expectation and the variance of REINFORCE are finite sums over the same courses, each course
// computed by the kernels of production in double. A biased estimator cannot hide here, as it can
// behind a learning curve.
#pragma once

#include <array>
#include <functional>
#include <random>

#include "tests/support/double_batch.h"
#include "tests/support/textbook_policy.h"
#include "tests/support/trajectory_tree.h"

namespace lockstep::test {

/// An estimator, and what a faulty one does differently.
template <class E>
struct Estimator {
  ReturnMode mode = ReturnMode::kStepwise;
  double gamma = 1;
  double constant_baseline = 0;
  std::vector<double> time_baseline;  // [horizon]; empty: the constant
  // faults
  double temperature = 1;         // courses are drawn from another policy than is differentiated
  double drop_scale_power = 1;    // 0: dropout's scale is forgotten
  std::uint32_t epoch_shift = 0;  // dropout masks of another update
  bool ignores_relu = false;      // every unit counts as active
  std::function<void(Record<double>&, int length)> before_returns, after_returns;
  std::function<void(std::vector<double>& gradient)> after_gradient;
};

/// Mean and total variance (trace of the covariance) of an estimator over one episode.
struct Spread {
  std::vector<double> mean;
  double variance;
};

template <class E>
class GradientOracle {
 public:
  static constexpr double kWidth = 1e-6;       // of the differences
  static constexpr double kKinkMargin = 1e-5;  // pre-activations at every node stay away from 0

  GradientOracle(TrajectoryTree<E> tree, const PolicyShape& shape, const PolicyOptions& options,
                 std::uint64_t seed)
      : tree_(std::move(tree)),
        textbook_{shape,
                  options.activation == Activation::kLeakyRelu ? static_cast<double>(kLeak) : 0.0,
                  options.dropout},
        options_(options),
        batch_(shape, options, 1, tree_.horizon()) {
    if (E::kConstantReward) batch_.record_rewards();
    batch_.stream() = stream_;
    kept_.resize(static_cast<std::size_t>(tree_.horizon()) * (kMaxHidden / 32));
    for (int t = 0; options.dropout > 0 && t < tree_.horizon(); ++t) {
      draw_dropout<double>(stream_, batch_.view(), 0u, static_cast<std::uint32_t>(t), kept_at(t));
    }
    std::mt19937_64 bits(seed);
    parameters_.resize(static_cast<std::size_t>(shape.size()));
    do {
      for (double& p : parameters_) p = 2 * (static_cast<double>(bits() >> 11) * 0x1p-53) - 1;
      nearest_kink_ = 1e300;
      for (const auto& node : tree_.nodes()) {
        nearest_kink_ = std::min(nearest_kink_, output(parameters_, node).nearest_kink);
      }
    } while (nearest_kink_ < kKinkMargin);
    batch_.set_parameters(parameters_);
  }

  /// Gradient of the expected discounted return, by differences.
  std::vector<double> value_gradient(double gamma) {
    return finite_differences(parameters_, kWidth, [&](const auto& at) {
      return tree_.value(gamma, [&](const auto& node) { return output(at, node); });
    });
  }
  /// What stepwise returns estimate when gamma < 1: the sum over states, as often as they are met,
  /// of the gradient of sum_a pi(a) Q(a), Q and the visits held fixed. By differences.
  std::vector<double> surrogate_gradient(double gamma) {
    const auto here = [&](const auto& node) { return output(parameters_, node); };
    auto q = tree_.action_values(gamma, here);
    for (std::size_t i = 0; i < q.size(); ++i) {
      // from the state's value on: the same gradient, fewer digits lost in the differences
      const auto out = here(tree_.nodes()[i]);
      double value = 0;
      for (std::size_t a = 0; a < E::kNumActions; ++a) value += std::exp(out.log_prob[a]) * q[i][a];
      for (double& of_action : q[i]) of_action -= value;
    }
    const auto reach = tree_.reach(here);
    return finite_differences(parameters_, kWidth, [&](const auto& at) {
      double total = 0;
      for (std::size_t i = 0; i < q.size(); ++i) {
        const auto out = output(at, tree_.nodes()[i]);
        for (std::size_t a = 0; a < E::kNumActions; ++a) {
          total += reach[i] * std::exp(out.log_prob[a]) * q[i][a];
        }
      }
      return total;
    });
  }

  /// Mean and variance of the estimated gradient of the expected return over all courses.
  Spread spread(const Estimator<E>& estimator) {
    Spread out{std::vector<double>(parameters_.size()), 0};
    for (const Course& course : tree_.courses()) {
      const double p = probability(course, estimator.temperature);
      const auto gradient = estimate(course, estimator);
      for (std::size_t i = 0; i < gradient.size(); ++i) {
        out.mean[i] += p * gradient[i];
        out.variance += p * gradient[i] * gradient[i];
      }
    }
    for (const double m : out.mean) out.variance -= m * m;
    return out;
  }
  std::vector<double> expectation(const Estimator<E>& estimator) { return spread(estimator).mean; }

  /// Mean over courses of the return at each step, episodes that have ended counting as 0.
  std::vector<double> mean_returns(double gamma) {
    std::vector<double> mean(static_cast<std::size_t>(tree_.horizon()));
    for (const Course& course : tree_.courses()) {
      const double p = probability(course, 1);
      double total = 0;
      for (std::size_t t = course.reward.size(); t-- > 0;) {
        total = course.reward[t] + gamma * total;
        mean[t] += p * total;
      }
    }
    return mean;
  }

  const TrajectoryTree<E>& tree() const { return tree_; }
  double nearest_kink() const { return nearest_kink_; }

 private:
  std::uint32_t* kept_at(int t) {
    return kept_.data() + static_cast<std::size_t>(t) * (kMaxHidden / 32);
  }
  TextbookPolicy::Output output(std::span<const double> at, const TreeNode<E>& node) {
    return textbook_.evaluate(at, node.obs, options_.dropout > 0 ? kept_at(node.depth) : nullptr);
  }

  double probability(const Course& course, double temperature) {
    double log_p = 0;
    for (std::size_t t = 0; t < course.node.size(); ++t) {
      const auto out = output(parameters_, tree_.nodes()[static_cast<std::size_t>(course.node[t])]);
      double total = 0;
      for (int a = 0; a < E::kNumActions; ++a) total += std::exp(out.log_prob[a] / temperature);
      log_p += out.log_prob[course.action[t]] / temperature - std::log(total);
    }
    return std::exp(log_p);
  }

  /// One course, as environment 0 of a batch, through the kernels; the sign is that of a gain.
  std::vector<double> estimate(const Course& course, const Estimator<E>& estimator) {
    auto& r = batch_.record();
    const int length = static_cast<int>(course.node.size());
    r.steps[0] = length;
    for (int t = 0; t < length; ++t) {
      const auto i = static_cast<std::size_t>(t);
      const auto& node = tree_.nodes()[static_cast<std::size_t>(course.node[i])];
      for (int o = 0; o < E::kObservationSize; ++o) {
        r.obs[(t * E::kObservationSize + o) * kGroup] = node.obs[o];
      }
      batch_.evaluate(0, t);
      if (E::kNumActions == 2) {
        r.action_bits[t] = static_cast<std::uint16_t>(course.action[i]);
      } else {
        r.action[t * kGroup] = static_cast<std::uint8_t>(course.action[i]);
      }
      r.reward[t * kGroup] = course.reward[i];
      const bool last = t == length - 1;
      r.terminated[t] = last && course.terminated ? 1 : 0;
      r.truncated[t] = last && !course.terminated ? 1 : 0;
    }
    if (estimator.before_returns) estimator.before_returns(r, length);
    batch_.returns(estimator.gamma, estimator.mode);
    batch_.baseline(estimator.time_baseline.empty() ? nullptr : estimator.time_baseline.data(),
                    estimator.constant_baseline);
    if (estimator.after_returns) estimator.after_returns(r, length);
    PolicyView<double> view = batch_.view();
    if (estimator.ignores_relu) {
      view.form = PolicyForm::kGeneral;
      view.leak = 1;
    }
    batch_.stream().epoch += estimator.epoch_shift;
    auto gradient =
        batch_.gradient(view, std::pow(batch_.drop_scale(), estimator.drop_scale_power), {}, 1.0);
    batch_.stream() = stream_;
    for (double& g : gradient) g = -g;  // the kernels descend a loss
    if (estimator.after_gradient) estimator.after_gradient(gradient);
    return gradient;
  }

  RandomStream stream_{7, 3};
  TrajectoryTree<E> tree_;
  TextbookPolicy textbook_;
  PolicyOptions options_;
  DoubleBatch<E> batch_;
  std::vector<std::uint32_t> kept_;
  std::vector<double> parameters_;
  double nearest_kink_ = 0;
};

}  // namespace lockstep::test
