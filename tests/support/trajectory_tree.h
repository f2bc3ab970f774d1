// Every course an environment can take from one start state within a few steps: a tree of all
// action sequences, in double. On it the value of a policy and the expectation of an estimator are
// finite sums, so both are exact.
#pragma once

#include <span>
#include <vector>

#include "envs/env.h"
#include "tests/support/textbook_policy.h"

namespace lockstep::test {

template <class E>
struct TreeNode {
  double obs[E::kObservationSize];
  int depth;
  int parent, parent_action;  // -1 at the root
  int child[E::kNumActions];  // -1: the episode ends with this action
  double reward[E::kNumActions];
  bool terminated[E::kNumActions];  // by the world; else by the horizon
};

/// One complete course.
struct Course {
  std::vector<int> node;
  std::vector<int> action;
  std::vector<double> reward;
  bool terminated;
};

template <class E>
class TrajectoryTree {
 public:
  using State = typename E::template State<double>;

  /// `reward(obs, action, own)` replaces the environment's own reward.
  template <class Reward>
  TrajectoryTree(const State& start, int horizon, Reward reward) : horizon_(horizon) {
    grow(start, 0, -1, -1, reward);
    for (int i = 0; i < static_cast<int>(nodes_.size()); ++i) {
      for (int a = 0; a < E::kNumActions; ++a) {
        if (nodes_[index(i)].child[a] < 0) courses_.push_back(course(i, a));
      }
    }
  }

  int horizon() const { return horizon_; }
  const std::vector<TreeNode<E>>& nodes() const { return nodes_; }
  const std::vector<Course>& courses() const { return courses_; }

  /// J: the expected discounted return. `policy(node)` gives the output of the network.
  template <class Policy>
  double value(double gamma, Policy policy) const {
    return value_of(0, gamma, policy);
  }
  /// Q of every node and action.
  template <class Policy>
  std::vector<std::array<double, E::kNumActions>> action_values(double gamma, Policy policy) const {
    std::vector<std::array<double, E::kNumActions>> q(nodes_.size());
    for (int i = static_cast<int>(nodes_.size()) - 1; i >= 0; --i) {  // children come later
      const auto& node = nodes_[index(i)];
      for (int a = 0; a < E::kNumActions; ++a) {
        double next = 0;
        if (node.child[a] >= 0) {
          const auto out = policy(nodes_[index(node.child[a])]);
          for (int b = 0; b < E::kNumActions; ++b) {
            next += std::exp(out.log_prob[b]) * q[index(node.child[a])][index(b)];
          }
        }
        q[index(i)][index(a)] = node.reward[a] + gamma * next;
      }
    }
    return q;
  }
  /// Probability that each node is reached.
  template <class Policy>
  std::vector<double> reach(Policy policy) const {
    std::vector<double> p(nodes_.size(), 1.0);
    for (std::size_t i = 1; i < nodes_.size(); ++i) {
      const auto parent = index(nodes_[i].parent);
      p[i] = p[parent] * std::exp(policy(nodes_[parent]).log_prob[nodes_[i].parent_action]);
    }
    return p;
  }

 private:
  static std::size_t index(int i) { return static_cast<std::size_t>(i); }

  template <class Reward>
  int grow(const State& state, int depth, int parent, int parent_action, Reward reward) {
    const int here = static_cast<int>(nodes_.size());
    TreeNode<E> node{};
    E::template observe<double>(state, node.obs);
    node.depth = depth;
    node.parent = parent;
    node.parent_action = parent_action;
    nodes_.push_back(node);
    for (int a = 0; a < E::kNumActions; ++a) {
      State next = state;
      const auto result =
          E::template step<double>(next, static_cast<ActionOf<double, E::kNumActions>>(a));
      const bool ends = result.terminated || depth + 1 == horizon_;
      const int child = ends ? -1 : grow(next, depth + 1, here, a, reward);
      nodes_[index(here)].child[a] = child;
      nodes_[index(here)].reward[a] = reward(node.obs, a, result.reward);
      nodes_[index(here)].terminated[a] = result.terminated;
    }
    return here;
  }

  Course course(int last, int last_action) const {
    Course c{};
    c.terminated = nodes_[index(last)].terminated[last_action];
    int action = last_action;
    for (int i = last; i >= 0; i = nodes_[index(i)].parent) {
      c.node.insert(c.node.begin(), i);
      c.action.insert(c.action.begin(), action);
      c.reward.insert(c.reward.begin(), nodes_[index(i)].reward[action]);
      action = nodes_[index(i)].parent_action;
    }
    return c;
  }

  template <class Policy>
  double value_of(int i, double gamma, Policy& policy) const {
    const auto& node = nodes_[index(i)];
    const auto out = policy(node);
    double value = 0;
    for (int a = 0; a < E::kNumActions; ++a) {
      const double next = node.child[a] < 0 ? 0 : value_of(node.child[a], gamma, policy);
      value += std::exp(out.log_prob[a]) * (node.reward[a] + gamma * next);
    }
    return value;
  }

  int horizon_;
  std::vector<TreeNode<E>> nodes_;
  std::vector<Course> courses_;
};

}  // namespace lockstep::test
