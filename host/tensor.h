// A named float32 array as it stands in a checkpoint. Row-major, outermost dimension first.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace lockstep {

struct NamedTensor {
  std::string name;                 // PyTorch's state_dict name, e.g. "layer1.weight"
  std::vector<std::int64_t> shape;  // e.g. {H, O}; empty = scalar
  std::vector<float> data;          // product(shape) values
};

}  // namespace lockstep
