// Optimisers, one parameter at a time: elementwise float32 expressions in a fixed order, unfused,
// with PyTorch's semantics (torch.optim of PyTorch 2). What changes from update to update but not
// from parameter to parameter is computed once, in double, by the caller.
#pragma once

#include <cstdint>

#include "envs/math.h"

namespace lockstep {

enum class OptimizerRule : std::uint8_t { kAdam, kSgd, kRmsprop };

struct OptimizerArgs {
  OptimizerRule rule;
  float lr;               // Adam: lr / (1 - beta1^t)
  float shrink;           // 1 - lr * decoupled_weight_decay; multiplies the parameter first
  float weight_decay;     // L2, added to the gradient
  float grad_scale;       // clipping by the norm; 1 if not clipped
  float momentum;         // SGD and RMSProp
  float one_minus_beta1;  // Adam
  float beta2;            // Adam; RMSProp's alpha
  float one_minus_beta2;
  float bias_correction2;  // Adam: sqrt(1 - beta2^t)
  float eps;
};

/// Updates one parameter and its moments in place.
///
/// Result: bitwise. `m` is Adam's exp_avg or the momentum buffer, `v` exp_avg_sq or square_avg.
/// Source: Kingma & Ba 2015; Loshchilov & Hutter 2019 (decoupled decay); Tieleman & Hinton 2012.
LS_HD void optimizer_step(const OptimizerArgs& args, float grad, float& parameter, float& m,
                          float& v) {
  float g = grad * args.grad_scale;
  g = g + args.weight_decay * parameter;
  parameter = parameter * args.shrink;
  if (args.rule == OptimizerRule::kAdam) {
    m = m + (g - m) * args.one_minus_beta1;
    v = v * args.beta2 + args.one_minus_beta2 * (g * g);
    parameter = parameter - args.lr * (m / (sqrt(v) / args.bias_correction2 + args.eps));
    return;
  }
  if (args.rule == OptimizerRule::kRmsprop) {
    v = v * args.beta2 + args.one_minus_beta2 * (g * g);
    g = g / (sqrt(v) + args.eps);
  }
  m = m * args.momentum + g;
  parameter = parameter - args.lr * m;
}

/// Interleaved partial sums of sum_of_squares(); a device has a thread for each.
inline constexpr int kSquareParts = 256;

/// Partial sum `part` in double: elements part, part + kSquareParts, ...
LS_HD double part_of_squares(const float* values, std::int64_t n, int part) {
  double sum = 0;
  for (std::int64_t i = part; i < n; i += kSquareParts) {
    sum += static_cast<double>(values[i]) * static_cast<double>(values[i]);
  }
  return sum;
}

/// The partial sums joined: a binary tree with strides 128 .. 1; destroys them.
LS_HD double tree_of_squares(double (&partial)[kSquareParts]) {
  for (int stride = kSquareParts / 2; stride >= 1; stride /= 2) {
    for (int i = 0; i < stride; ++i) partial[i] += partial[i + stride];
  }
  return partial[0];
}

/// Sum of squares in double.
///
/// Result: bitwise. The square of a float is exact in double, so that it makes no difference
///         whether it is fused with the addition.
LS_HD double sum_of_squares(const float* values, std::int64_t n) {
  double partial[kSquareParts];
  for (int i = 0; i < kSquareParts; ++i) partial[i] = part_of_squares(values, n, i);
  return tree_of_squares(partial);
}

/// Numbers of a part of a long sum of squares: sum_of_squares() of each part, then the parts in
/// ascending order, so that they can be summed side by side.
inline constexpr std::int64_t kSquareChunk = 8192;

}  // namespace lockstep
