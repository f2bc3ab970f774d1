// From the summed terms of a batch to the gradient of every parameter, once per update.
//
// With S = alpha * (sum over kept steps) + (1 - alpha) * (sum over active steps) per unit j, logit
// z:
//   d W1_ji = sum_z w2_zj S_jzi      d b1_j = sum_z w2_zj S_jz1
//   d W2_zj = s (sum_i w1_ji S_jzi + b1_j S_jz1)      d b2_z = sum over all steps of g_z
// alpha is the leak of the activation (0 for ReLU), s = 1 / (1 - dropout) and w2 already holds s.
// Two actions share one logit: row 1 gets the gradient, row 0 its negative.
#pragma once

#include "kernels/flat_layout.h"
#include "kernels/reinforce_grad.h"
#include "kernels/trajectory.h"

namespace lockstep {

/// Everything finish_unit() and finish_output() need; sums are merged over all threads.
template <class Real, class Acc>
struct FinishArgs {
  PolicyView<Real> policy;
  GradientLayout layout;
  const typename Acc::Sum* sums;  // [layout.size()]
  const float* scale;             // [O + 1]
  int O, A;
  Real drop_scale;  // s
  double divisor;   // number of episodes
  Real* grad;       // FlatLayout

  LS_HD FlatLayout flat() const { return {O, A, policy.hidden}; }
};

/// Writes one output gradient for logit z into the rows of the actions it stands for.
template <class Real>
LS_HD void write_rows(Real* rows, int A, int z, std::int64_t stride, double value) {
  if (A == 2) {
    rows[0] = static_cast<Real>(-value);
    rows[stride] = static_cast<Real>(value);
  } else {
    rows[z * stride] = static_cast<Real>(value);
  }
}

/// Component i of logit z of the sum S of a hidden unit, by its walking position.
template <class Real, class Acc>
LS_HD double unit_sum(const FinishArgs<Real, Acc>& args, int position, int z, int i) {
  const int c = z * (args.O + 1) + i;
  const double active = Acc::value(args.sums[args.layout.active(position) + c], args.scale[i]);
  if (args.policy.leak == Real(0)) return active;
  const double leak = static_cast<double>(args.policy.leak);
  const std::int64_t kept =
      args.layout.has_kept ? args.layout.kept(position) + c : args.layout.all() + c;
  return leak * Acc::value(args.sums[kept], args.scale[i]) + (1 - leak) * active;
}

/// Gradient of number i of hidden unit j, from its walking position: weight i, the bias (i = O), or
/// the output weights of logit i - O - 1.
template <class Real, class Acc>
LS_HD void finish_number(const FinishArgs<Real, Acc>& args, int position, int i) {
  const int O = args.O, Z = logits_of(args.A), H = args.policy.hidden;
  const int j = position / args.policy.chain + kPartials * (position % args.policy.chain);
  if (j >= H) return;
  const Real* unit = args.policy.units + std::int64_t{position} * unit_stride(O, Z);
  double sum = 0;
  if (i <= O) {
    for (int z = 0; z < Z; ++z) {
      sum += static_cast<double>(unit[O + 1 + z]) * unit_sum(args, position, z, i);
    }
    const std::int64_t at = i < O ? std::int64_t{j} * O + i : args.flat().hidden_bias() + j;
    args.grad[at] = static_cast<Real>(sum / args.divisor);
    return;
  }
  const int z = i - O - 1;
  for (int k = 0; k <= O; ++k) {
    sum += static_cast<double>(unit[k]) * unit_sum(args, position, z, k);
  }
  write_rows(args.grad + args.flat().output_weight() + j, args.A, z, H,
             static_cast<double>(args.drop_scale) * sum / args.divisor);
}

/// Gradient of all parameters of a hidden unit, from its walking position.
template <class Real, class Acc>
LS_HD void finish_unit(const FinishArgs<Real, Acc>& args, int position) {
  for (int i = 0; i <= args.O + logits_of(args.A); ++i) finish_number(args, position, i);
}

/// Gradient of the output bias, or of all parameters of the linear policy.
template <class Real, class Acc>
LS_HD void finish_output(const FinishArgs<Real, Acc>& args) {
  const int O = args.O, Z = logits_of(args.A);
  const bool linear = args.policy.form == PolicyForm::kLinear;
  const auto term = [&](int z, int i) {
    return Acc::value(args.sums[args.layout.all() + z * (O + 1) + i], args.scale[i]) / args.divisor;
  };
  Real* bias = args.grad + args.flat().output_bias();
  for (int z = 0; z < Z; ++z) {
    for (int i = 0; linear && i < O; ++i) write_rows(args.grad + i, args.A, z, O, term(z, i));
    write_rows(bias, args.A, z, 1, term(z, O));
  }
}

}  // namespace lockstep
