// Where the layers of a policy of numbers, and of its critic, stand in the flat array of
// parameters. Packing and the gradient read it on every device; the host's list of layers
// (PolicyShape::layers()) has the same places.
#pragma once

#include <cstdint>

#include "envs/host_device.h"

namespace lockstep {

/// Units of a critic's own hidden layer: none, for there is no critic.
inline constexpr std::int32_t kNoCritic = -1;

/// layer1.weight [H, O], layer1.bias [H], layer2.weight [A, H], layer2.bias [A]; linear (H = 0):
/// layer1.weight [A, O], layer1.bias [A]. The last layer is the output, whatever it is called.
/// Behind the policy stands its critic. One that shares the policy's hidden layer (or reads the
/// observation, where that has none): value.weight [1, H or O], value.bias [1]. One of its own:
/// critic.layer1.weight [C, O], critic.layer1.bias [C], critic.layer2.weight [1, C],
/// critic.layer2.bias [1].
///
/// To the kernels policy and critic are one network of H + C hidden units: those of the policy
/// have no weight to the value and those of the critic none to a logit.
struct FlatLayout {
  std::int32_t O, A, H;
  std::int32_t critic = kNoCritic;  // C; 0: it shares the policy's hidden layer

  LS_HD constexpr std::int64_t hidden_bias() const { return std::int64_t{H} * O; }
  LS_HD constexpr std::int64_t output_weight() const { return hidden_bias() + H; }
  LS_HD constexpr std::int64_t output_bias() const {
    return output_weight() + std::int64_t{A} * (H > 0 ? H : O);
  }
  /// Of the policy alone; the critic's first number.
  LS_HD constexpr std::int64_t policy_size() const { return output_bias() + A; }
  LS_HD constexpr bool has_own_units() const { return critic > 0; }
  LS_HD constexpr std::int64_t critic_bias() const {
    return policy_size() + (has_own_units() ? std::int64_t{critic} * O : 0);
  }
  LS_HD constexpr std::int64_t value_weight() const {
    return critic_bias() + (has_own_units() ? critic : 0);
  }
  LS_HD constexpr std::int64_t value_bias() const {
    return value_weight() + (has_own_units() ? critic : H > 0 ? H : O);
  }
  LS_HD constexpr std::int64_t size() const {
    return critic == kNoCritic ? policy_size() : value_bias() + 1;
  }

  /// Hidden units of the one network: the policy's, then the critic's own.
  LS_HD constexpr std::int32_t units() const { return H + (has_own_units() ? critic : 0); }
  LS_HD constexpr bool is_policys(std::int64_t unit) const { return unit < H; }
  LS_HD constexpr bool feeds_value(std::int64_t unit) const {
    return critic == 0 || (has_own_units() && unit >= H);
  }
  /// Places of a unit's first weight, its bias and its weight to the value.
  LS_HD constexpr std::int64_t weight_of(std::int64_t unit) const {
    return is_policys(unit) ? unit * O : policy_size() + (unit - H) * O;
  }
  LS_HD constexpr std::int64_t bias_of(std::int64_t unit) const {
    return is_policys(unit) ? hidden_bias() + unit : critic_bias() + (unit - H);
  }
  LS_HD constexpr std::int64_t value_weight_of(std::int64_t unit) const {
    return value_weight() + (has_own_units() ? unit - H : unit);
  }
};

}  // namespace lockstep
