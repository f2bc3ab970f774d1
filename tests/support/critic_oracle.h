// The exact policy-gradient oracle (gradient_oracle.h) with a critic: over every course from one
// start state, what advantages and the gradient of A2C and PPO are on average. A critic may say
// anything: where it may not change the average, and by how much it does where it may, is known in
// closed form. Courses are computed by the kernels of production in double.
#pragma once

#include <array>
#include <random>

#include "tests/support/critic_batch.h"
#include "tests/support/textbook_policy.h"
#include "tests/support/trajectory_tree.h"

namespace lockstep::test {

/// The critic as a textbook writes it, one observation at a time.
struct TextbookCritic {
  PolicyShape shape;
  double leak = 0;

  /// `flat` has PolicyShape's layout. nearest_kink: lowered to its units' smallest
  /// |pre-activation|.
  double value(std::span<const double> flat, const double* obs, double& nearest_kink) const {
    const int O = shape.O, units = shape.critic > 0 ? shape.critic : shape.H;
    const double* weight = flat.data() + shape.actor().size();
    double hidden[TextbookPolicy::kMostHidden];
    if (units > 0) {
      const double* layer = shape.critic > 0 ? weight : flat.data();
      for (int j = 0; j < units; ++j) {
        double h = layer[units * O + j];
        for (int i = 0; i < O; ++i) h += layer[j * O + i] * obs[i];
        nearest_kink = std::min(nearest_kink, std::fabs(h));
        hidden[j] = h > 0 ? h : leak * h;
      }
      if (shape.critic > 0) weight += units * (O + 1);
      obs = hidden;
    }
    const int inputs = units > 0 ? units : O;
    double value = weight[inputs];
    for (int i = 0; i < inputs; ++i) value += weight[i] * obs[i];
    return value;
  }
};

/// How advantages are estimated.
struct CriticEstimator {
  double gamma = 1, lambda = 1;
  ActorCriticLosses losses;
  std::vector<double>
      value;               // [nodes] what the critic says of a state; empty: what the network does
  int piece = 0;           // steps of an update, the next one goes on; 0: an episode is in one
  bool truncates = false;  // a limit of steps cuts the episode, else the update's end
  std::vector<double> beyond;  // [nodes] what stands for the rest of a cut episode; empty: `value`
};

template <class E>
class CriticOracle {
 public:
  static constexpr double kWidth = 1e-6;       // of the differences
  static constexpr double kKinkMargin = 1e-5;  // pre-activations at every node stay away from 0
  static constexpr int kMore = 3;              // steps of the episode that follows
  using ByAction = std::vector<std::array<double, E::kNumActions>>;  // [nodes][A]

  CriticOracle(TrajectoryTree<E> tree, const PolicyShape& shape, Activation activation,
               std::uint64_t seed)
      : tree_(std::move(tree)),
        policy_{shape, activation == Activation::kLeakyRelu ? static_cast<double>(kLeak) : 0.0},
        critic_{shape, policy_.leak},
        batch_(shape, {activation, 0}, tree_.horizon() + kMore) {
    std::mt19937_64 bits(seed);
    parameters_.resize(static_cast<std::size_t>(shape.size()));
    double nearest_kink = 0;
    do {
      for (double& p : parameters_) p = 2 * (static_cast<double>(bits() >> 11) * 0x1p-53) - 1;
      nearest_kink = 1e300;
      for (const auto& node : tree_.nodes()) {
        value_of(parameters_, node, nearest_kink);
        nearest_kink = std::min(nearest_kink, output(parameters_, node).nearest_kink);
      }
    } while (nearest_kink < kKinkMargin);
    batch_.set_parameters(parameters_);
    const auto here = [&](const auto& node) { return output(parameters_, node); };
    reach_ = tree_.reach(here);
    for (const auto& node : tree_.nodes()) {
      double ignored = 0;
      network_.push_back(value_of(parameters_, node, ignored));
      auto& p = probability_.emplace_back();
      for (int a = 0; a < E::kNumActions; ++a) p[at(a)] = std::exp(here(node).log_prob[a]);
    }
  }

  const TrajectoryTree<E>& tree() const { return tree_; }

  /// V of every node: the expected return from there on.
  std::vector<double> exact_values(double gamma) const {
    return means(
        tree_.action_values(gamma, [&](const auto& node) { return output(parameters_, node); }));
  }

  /// Gradient of the expected return, by differences.
  std::vector<double> value_gradient() const {
    return finite_differences(parameters_, kWidth, [&](const auto& flat) {
      return tree_.value(1.0, [&](const auto& node) { return output(flat, node); });
    });
  }

  /// Gradient of: the sum over states, as often as they are met, of sum_a pi(a) weight(a), of
  /// -value_coef (V - target)^2 / 2 and of entropy_coef H; weights, targets and visits held fixed.
  /// By differences.
  std::vector<double> fixed_gradient(const ByAction& weight, const ActorCriticLosses& losses = {},
                                     const std::vector<double>& target = {}) const {
    return finite_differences(parameters_, kWidth, [&](const auto& flat) {
      double total = 0;
      for (std::size_t i = 0; i < weight.size(); ++i) {
        const auto& node = tree_.nodes()[i];
        const auto out = output(flat, node);
        double gain = losses.entropy_coef * out.entropy;
        for (int a = 0; a < E::kNumActions; ++a)
          gain += std::exp(out.log_prob[a]) * weight[i][at(a)];
        if (!target.empty()) {
          double ignored = 0;
          const double error = value_of(flat, node, ignored) - target[i];
          gain -= losses.value_coef * error * error / 2;
        }
        total += reach_[i] * gain;
      }
      return total;
    });
  }

  /// What a critic's errors e = V - (its exact value) add to the mean advantage of a node and
  /// action, but for what is the same for all actions:
  ///
  ///   B(s, a) = gamma (1 - lambda) e(s') + gamma lambda sum_b pi(b|s') B(s', b)
  ///
  /// and gamma e(s') alone where the episode is cut behind the step: of the sum of (gamma lambda)^l
  /// (gamma e(s_{l+1}) - e(s_l)) all but its two ends cancels where lambda = 1.
  ByAction bias(const CriticEstimator& estimator) const {
    const auto exact = exact_values(estimator.gamma);
    const auto& value = values(estimator);
    const auto& beyond = estimator.beyond.empty() ? value : estimator.beyond;
    ByAction b(exact.size());
    for (std::size_t i = b.size(); i-- > 0;) {  // children come later
      for (int a = 0; a < E::kNumActions; ++a) {
        const int child = tree_.nodes()[i].child[a];
        if (child < 0) continue;  // nothing is behind it, and nobody says otherwise
        const std::size_t next = at(child);
        if (is_cut(estimator, tree_.nodes()[next].depth)) {
          b[i][at(a)] = estimator.gamma * (beyond[next] - exact[next]);
          continue;
        }
        double mean = 0;
        for (std::size_t k = 0; k < E::kNumActions; ++k) mean += probability_[next][k] * b[next][k];
        b[i][at(a)] = estimator.gamma * ((1 - estimator.lambda) * (value[next] - exact[next]) +
                                         estimator.lambda * mean);
      }
    }
    return b;
  }

  /// Mean advantage of every node and action in closed form: Q - V + B.
  ByAction advantages(const CriticEstimator& estimator) const {
    ByAction q = tree_.action_values(estimator.gamma,
                                     [&](const auto& node) { return output(parameters_, node); });
    const ByAction b = bias(estimator);
    for (std::size_t i = 0; i < q.size(); ++i) {
      for (std::size_t a = 0; a < E::kNumActions; ++a) {
        q[i][a] += b[i][a] - values(estimator)[i];
      }
    }
    return q;
  }
  /// Mean of what the critic is to learn of every node: V + the mean advantage.
  std::vector<double> targets(const CriticEstimator& estimator) const {
    auto target = means(advantages(estimator));
    for (std::size_t i = 0; i < target.size(); ++i) target[i] += values(estimator)[i];
    return target;
  }

  /// Over all courses, of the kernels: the mean gradient (of a gain) of the steps of an episode,
  /// and the mean advantage of every node and action.
  struct Expectation {
    std::vector<double> gradient;
    ByAction advantage;
  };
  Expectation expectation(const CriticEstimator& estimator) {
    Expectation mean{std::vector<double>(parameters_.size()), ByAction(reach_.size())};
    for (const Course& course : tree_.courses()) {
      double p = 1;
      for (std::size_t t = 0; t < course.node.size(); ++t) {
        p *= probability_[at(course.node[t])][at(course.action[t])];
      }
      const int length = static_cast<int>(course.node.size());
      const int piece = estimator.piece > 0 ? estimator.piece : length;
      for (int begin = 0; begin < length; begin += piece) {
        const int steps = std::min(piece, length - begin);
        lay_out(course, begin, steps, estimator);
        batch_.advantages(estimator.gamma, estimator.lambda);
        for (int t = 0; t < steps; ++t) {
          const std::size_t node = at(course.node[at(begin + t)]);
          const std::size_t action = at(course.action[at(begin + t)]);
          mean.advantage[node][action] += p * batch_.record().advantage[t * kGroup] /
                                          (reach_[node] * probability_[node][action]);
        }
        const auto gradient = batch_.gradient(steps, estimator.losses);
        for (std::size_t i = 0; i < gradient.size(); ++i) mean.gradient[i] -= p * gradient[i];
      }
    }
    return mean;
  }

 private:
  static std::size_t at(int i) { return static_cast<std::size_t>(i); }
  TextbookPolicy::Output output(std::span<const double> flat, const TreeNode<E>& node) const {
    return policy_.evaluate(flat, node.obs);
  }
  double value_of(std::span<const double> flat, const TreeNode<E>& node, double& kink) const {
    return critic_.value(flat, node.obs, kink);
  }
  const std::vector<double>& values(const CriticEstimator& estimator) const {
    return estimator.value.empty() ? network_ : estimator.value;
  }
  std::vector<double> means(const ByAction& of_actions) const {
    std::vector<double> mean(of_actions.size());
    for (std::size_t i = 0; i < mean.size(); ++i) {
      for (std::size_t a = 0; a < E::kNumActions; ++a)
        mean[i] += probability_[i][a] * of_actions[i][a];
    }
    return mean;
  }
  static bool is_cut(const CriticEstimator& estimator, int depth) {
    return estimator.piece > 0 && depth % estimator.piece == 0;
  }

  /// Steps [begin, begin + steps) of a course as those from 0 on of the record. Where an episode
  /// ends another follows, whose numbers would be felt; so would those where no value is read.
  void lay_out(const Course& course, int begin, int steps, const CriticEstimator& estimator) {
    constexpr int O = E::kObservationSize;
    auto& r = batch_.record();
    const int end = begin + steps;
    const bool cut = end < static_cast<int>(course.node.size());
    const bool follows = !cut || estimator.truncates;
    r.T = steps + (follows ? kMore : 0);
    for (int t = 0; t < r.T; ++t) {
      const bool counts = t < steps;
      const std::size_t i = at(counts ? begin + t : 0);
      const auto& node = tree_.nodes()[at(course.node[i])];
      for (int o = 0; o < O; ++o) r.obs[(t * O + o) * kGroup] = node.obs[o];
      batch_.evaluate(t);
      if (E::kNumActions == 2) {
        r.action_bits[t] = static_cast<std::uint16_t>(course.action[i]);
      } else {
        r.action[t * kGroup] = static_cast<std::uint8_t>(course.action[i]);
      }
      r.reward[t * kGroup] = counts ? course.reward[i] : 5;
      r.value[t * kGroup] = counts ? values(estimator)[at(course.node[i])] : -7;
      r.next_value[t * kGroup] = 11;
      r.terminated[t] = r.truncated[t] = 0;
    }
    const int last = steps - 1;
    if (!cut) {
      r.terminated[last] = course.terminated ? 1 : 0;
      r.truncated[last] = course.terminated ? 0 : 1;
      if (!course.terminated) r.next_value[last * kGroup] = 0;  // of J: the horizon ends all
      return;
    }
    r.truncated[last] = follows ? 1 : 0;
    const auto& beyond = estimator.beyond.empty() ? values(estimator) : estimator.beyond;
    r.next_value[last * kGroup] = beyond[at(course.node[at(end)])];
  }

  TrajectoryTree<E> tree_;
  TextbookPolicy policy_;
  TextbookCritic critic_;
  CriticBatch<E> batch_;
  std::vector<double> parameters_;
  std::vector<double> reach_, network_;  // [nodes]
  ByAction probability_;                 // pi of every node
};

}  // namespace lockstep::test
