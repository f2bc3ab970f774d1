// Bias and activation of a dense layer on the CPU: the products of some rows, a pack of units at a
// time. Gathering and bookkeeping only move memory; the host loops over their bodies itself.
// Compiled once per instruction set.
#pragma once

#include "kernels/dense.h"

namespace lockstep::cpu {

/// Rows [first, first + rows) of a layer.
///
/// Result: bitwise; units past the last whole pack go through the same body one by one.
template <class F>
void bias_rows(const BiasArgs& args, std::int64_t first, std::int64_t rows) {
  constexpr int W = Lanes<F>::W;
  for (std::int64_t row = first; row < first + rows; ++row) {
    float* values = args.values + row * args.width;
    int j = 0;
    for (; j + W <= args.width; j += W) {
      store(values + j,
            bias_and_activation<F>(Lanes<F>::load(values + j), Lanes<F>::load(args.bias + j),
                                   args.activation, F(args.leak)));
    }
    for (; j < args.width; ++j) {
      values[j] = bias_and_activation<float>(values[j], args.bias[j], args.activation, args.leak);
    }
  }
}

}  // namespace lockstep::cpu
