// Every course of the short Pong (short_pong.h), and on it, in double, the value of a dense network
// that looks at drawn pictures, and that value's gradient. Nothing of the tables is used. Test
// code.
#pragma once

#include <array>
#include <cmath>
#include <vector>

#include "tests/support/short_pong.h"

namespace lockstep::test {

/// What two actions can lead to from here.
struct PongNode {
  std::vector<std::int16_t> pixel;  // where the difference picture is not 0
  std::vector<std::int8_t> value;   // -1 or 1
  bool incoming;
  std::array<int, 2> child;  // -1: the episode ends with this action
  std::array<int, 2> reward;
};

/// Which rewards a step is credited with.
struct PongCredit {
  double gamma = 1;
  bool reset_at_points = false;
  bool incoming_only = false;
};

/// A 6400-H-1 network as the tables' host lays it out: [6400 + 1][padded], the output last.
struct PongNetwork {
  std::vector<double> parameters;
  int hidden, padded;
  double leak;
  const double* output() const { return parameters.data() + ObjectPong::kPixels * padded; }
};

class PongTree {
 public:
  PongTree() {
    const std::vector<std::uint8_t> nothing;
    grow(ShortPong::start<std::int32_t>(0, 0), nothing, 0);
  }
  const std::vector<PongNode>& nodes() const { return nodes_; }

  /// Hidden layer of a node before its activation.
  static void hidden(const PongNetwork& net, const PongNode& node, std::vector<double>& h) {
    h.assign(static_cast<std::size_t>(net.hidden), 0);
    for (std::size_t i = 0; i < node.pixel.size(); ++i) {
      const double* w = net.parameters.data() + node.pixel[i] * net.padded;
      for (std::size_t j = 0; j < h.size(); ++j) h[j] += w[j] * node.value[i];
    }
  }
  /// Logit of every node, and the smallest |h| of those that are not an exact 0.
  std::vector<double> logits(const PongNetwork& net, double* nearest_kink = nullptr) const {
    std::vector<double> z(nodes_.size()), h;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (nodes_[i].pixel.empty()) continue;
      hidden(net, nodes_[i], h);
      for (std::size_t j = 0; j < h.size(); ++j) {
        z[i] += net.output()[j] * (h[j] > 0 ? h[j] : net.leak * h[j]);
        if (nearest_kink != nullptr) *nearest_kink = std::min(*nearest_kink, std::fabs(h[j]));
      }
    }
    return z;
  }
  static double probability(double z, int action) {
    return 1 / (1 + std::exp(action == 1 ? -z : z));
  }

  /// Q of every node and action: what the action is credited with, on average.
  std::vector<std::array<double, 2>> action_values(const std::vector<double>& z,
                                                   const PongCredit& credit) const {
    std::vector<std::array<double, 2>> q(nodes_.size());
    for (std::size_t i = nodes_.size(); i-- > 0;) {  // children come later
      for (std::size_t a = 0; a < 2; ++a) {
        const bool cut = credit.reset_at_points && nodes_[i].reward[a] != 0;
        double next = 0;
        if (nodes_[i].child[a] >= 0 && !cut) {
          const auto child = static_cast<std::size_t>(nodes_[i].child[a]);
          for (std::size_t b = 0; b < 2; ++b) {
            next += probability(z[child], static_cast<int>(b)) * q[child][b];
          }
        }
        q[i][a] = nodes_[i].reward[a] + credit.gamma * next;
      }
    }
    return q;
  }
  /// Probability that each node is reached.
  std::vector<double> reach(const std::vector<double>& z) const {
    std::vector<double> p(nodes_.size());
    p[0] = 1;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      for (std::size_t a = 0; a < 2; ++a) {
        const int child = nodes_[i].child[a];
        if (child >= 0) {
          p[static_cast<std::size_t>(child)] = p[i] * probability(z[i], static_cast<int>(a));
        }
      }
    }
    return p;
  }
  /// J: the expected score.
  double value(const std::vector<double>& z) const {
    const auto q = action_values(z, {});
    return probability(z[0], 0) * q[0][0] + probability(z[0], 1) * q[0][1];
  }
  /// The sum over nodes, as often as they are reached under z, of what policy `other` would be
  /// credited with there, Q held fixed. Its gradient at other = z is what REINFORCE estimates; with
  /// the whole rewards that is J's.
  double surrogate(const std::vector<double>& z, const std::vector<double>& other,
                   const PongCredit& credit) const {
    const auto q = action_values(z, credit);
    const auto p = reach(z);
    double total = 0;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (credit.incoming_only && !nodes_[i].incoming) continue;
      const double own = probability(z[i], 1) * (q[i][1] - q[i][0]);  // keeps the digits
      total += p[i] * (probability(other[i], 1) * (q[i][1] - q[i][0]) - own);
    }
    return total;
  }
  /// Its gradient: sum_i reach_i p_i (1 - p_i) (Q_i1 - Q_i0) dz_i, laid out like the parameters.
  std::vector<double> gradient(const PongNetwork& net, const PongCredit& credit) const {
    const auto z = logits(net);
    const auto q = action_values(z, credit);
    const auto p = reach(z);
    std::vector<double> weight(nodes_.size());
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (credit.incoming_only && !nodes_[i].incoming) continue;
      weight[i] = p[i] * probability(z[i], 0) * probability(z[i], 1) * (q[i][1] - q[i][0]);
    }
    return logit_gradients(net, weight);
  }
  /// Derivative of every logit along a direction in the parameters.
  std::vector<double> logit_slopes(const PongNetwork& net, const std::vector<double>& u) const {
    std::vector<double> slope(nodes_.size()), h, dh;
    PongNetwork along = net;
    along.parameters = u;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      hidden(net, nodes_[i], h);
      hidden(along, nodes_[i], dh);
      for (std::size_t j = 0; j < h.size(); ++j) {
        const double m = h[j] > 0 ? 1 : net.leak;
        slope[i] += m * (along.output()[j] * h[j] + net.output()[j] * dh[j]);
      }
    }
    return slope;
  }

  /// Calls body(node, action) for the steps of a course, bit t of `course` being action t; returns
  /// how many steps it has.
  template <class Body>
  int follow(int course, const Body& body) const {
    int node = 0, t = 0;
    for (; node >= 0; ++t) {
      const int action = (course >> t) & 1;
      body(static_cast<std::size_t>(node), action);
      node = nodes_[static_cast<std::size_t>(node)].child[static_cast<std::size_t>(action)];
    }
    return t;
  }

 private:
  std::vector<double> logit_gradients(const PongNetwork& net,
                                      const std::vector<double>& weight) const {
    std::vector<double> sum(net.parameters.size()), h;
    double* const output = sum.data() + ObjectPong::kPixels * net.padded;
    for (std::size_t i = 0; i < nodes_.size(); ++i) {
      if (weight[i] == 0) continue;
      hidden(net, nodes_[i], h);
      for (std::size_t j = 0; j < h.size(); ++j) {
        const double m = h[j] > 0 ? 1 : net.leak;
        output[j] += weight[i] * m * h[j];
        h[j] = weight[i] * m * net.output()[j];  // from here on: dJ/dh
      }
      for (std::size_t k = 0; k < nodes_[i].pixel.size(); ++k) {
        double* to = sum.data() + nodes_[i].pixel[k] * net.padded;
        for (std::size_t j = 0; j < h.size(); ++j) to[j] += h[j] * nodes_[i].value[k];
      }
    }
    return sum;
  }

  int grow(const ShortPong::State<std::int32_t>& state, const std::vector<std::uint8_t>& before,
           int depth) {
    constexpr int kPixels = ObjectPong::kPixels;
    const std::size_t here = nodes_.size();
    std::vector<std::uint8_t> now(kPixels);
    std::vector<std::int8_t> difference(kPixels);
    draw_frame80(pong_picture::view_of(state), now.data());
    difference_frame80(now.data(), before.empty() ? nullptr : before.data(), difference.data());
    PongNode node{};
    for (int p = 0; p < kPixels && !before.empty(); ++p) {  // the first picture is not looked at
      if (difference[static_cast<std::size_t>(p)] == 0) continue;
      node.pixel.push_back(static_cast<std::int16_t>(p));
      node.value.push_back(difference[static_cast<std::size_t>(p)]);
    }
    node.incoming = state.serve == 0 && state.ball_y > 36 && state.vel_x < 0;
    nodes_.push_back(node);
    for (std::size_t a = 0; a < 2; ++a) {
      auto next = state;
      const auto result = ShortPong::step<std::int32_t>(next, a == 1);
      const bool ends = result.over || depth + 1 == kShortSteps;
      const int child = ends ? -1 : grow(next, now, depth + 1);
      nodes_[here].child[a] = child;
      nodes_[here].reward[a] = result.reward;
    }
    return static_cast<int>(here);
  }

  std::vector<PongNode> nodes_;
};

}  // namespace lockstep::test
