// The two small worlds the policy-gradient oracle enumerates. CartPole gets a reward that depends
// on the action: its own, 1 a step, cannot show an off-by-one in the reward-to-go.
#pragma once

#include "envs/cartpole.h"
#include "tests/support/corridor.h"
#include "tests/support/gradient_oracle.h"

namespace lockstep::test {

#ifndef LS_ORACLE_DEPTH
#define LS_ORACLE_DEPTH 10  // steps of CartPole; the corridor takes two thirds of them
#endif

/// A leaning pole: some courses fall before the horizon, others reach it.
inline TrajectoryTree<CartPole> cartpole_tree() {
  const CartPole::State<double> start{0.1, 0.3, 0.12, 0.4};
  return {start, LS_ORACLE_DEPTH, [](const double* obs, int action, double) {
            return 0.6 + (action == 1 ? 0.7 * obs[0] + 0.4 : -1.5 * obs[2]);
          }};
}
inline TrajectoryTree<Corridor> corridor_tree() {
  return {{0.0, 1.0}, LS_ORACLE_DEPTH * 2 / 3, [](const double*, int, double own) { return own; }};
}

template <class E>
TrajectoryTree<E> world_tree() {
  if constexpr (E::kNumActions == 2) {
    return cartpole_tree();
  } else {
    return corridor_tree();
  }
}

struct Network {
  const char* name;
  int hidden;  // 0: linear
  Activation activation;
  double dropout;
};
inline constexpr Network kNetworks[] = {
    {"linear", 0, Activation::kRelu, 0},
    {"ReLU", 6, Activation::kRelu, 0},
    {"leaky ReLU", 5, Activation::kLeakyRelu, 0},
    {"ReLU, dropout 0.5", 9, Activation::kRelu, 0.5},
    {"leaky ReLU, dropout 0.3", 7, Activation::kLeakyRelu, 0.3},
};

template <class E>
GradientOracle<E> make_oracle(const Network& network, std::uint64_t seed = 1) {
  const PolicyShape shape{network.hidden == 0 ? PolicyKind::kLinear : PolicyKind::kMlp,
                          E::kObservationSize, E::kNumActions, network.hidden};
  return {world_tree<E>(), shape, {network.activation, network.dropout}, seed};
}

}  // namespace lockstep::test
