// Where the layers of a policy of numbers stand in the flat array of its parameters. Packing and
// the gradient read it on every device; the host's list of layers (PolicyShape::layers()) has the
// same places.
#pragma once

#include <cstdint>

#include "envs/host_device.h"

namespace lockstep {

/// layer1.weight [H, O], layer1.bias [H], layer2.weight [A, H], layer2.bias [A]; linear (H = 0):
/// layer1.weight [A, O], layer1.bias [A]. The last layer is the output, whatever it is called.
struct FlatLayout {
  std::int32_t O, A, H;

  LS_HD constexpr std::int64_t hidden_bias() const { return std::int64_t{H} * O; }
  LS_HD constexpr std::int64_t output_weight() const { return hidden_bias() + H; }
  LS_HD constexpr std::int64_t output_bias() const {
    return output_weight() + std::int64_t{A} * (H > 0 ? H : O);
  }
  LS_HD constexpr std::int64_t size() const { return output_bias() + A; }
};

}  // namespace lockstep
