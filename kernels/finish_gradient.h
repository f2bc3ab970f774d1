// From the summed terms of a batch to the gradient of every parameter, once per update.
//
// With S = alpha * (sum over kept steps) + (1 - alpha) * (sum over active steps) per unit j, logit
// z:
//   d W1_ji = sum_z w2_zj S_jzi      d b1_j = sum_z w2_zj S_jz1
//   d W2_zj = s (sum_i w1_ji S_jzi + b1_j S_jz1)      d b2_z = sum over all steps of g_z
// alpha is the leak of the activation (0 for ReLU), s = 1 / (1 - dropout) and w2 already holds s.
// Two actions share one logit: row 1 gets the gradient, row 0 its negative. The value of a critic
// is one more output behind the logits, z = Z, with a row of its own.
#pragma once

#include "kernels/pack_policy.h"
#include "kernels/reinforce_grad.h"
#include "kernels/trajectory.h"

namespace lockstep {

/// Everything finish_unit() and finish_output() need; sums are merged over all threads.
template <class Real, class Acc>
struct FinishArgs {
  PolicyView<Real> policy;
  GradientLayout layout;
  const typename Acc::Sum* sums;  // [layout.size()]
  const float* scale;             // [O + 1]; of output y from y * scale_stride on
  int O, A;
  Real drop_scale;  // s
  double divisor;   // number of episodes, or of steps
  Real* grad;       // FlatLayout
  std::int32_t critic = kNoCritic;
  int scale_stride = 0;  // 0: all outputs have the same scales

  LS_HD FlatLayout flat() const {
    return {O, A, policy.hidden - (critic > 0 ? critic : 0), critic};
  }
  LS_HD int outputs() const { return outputs_of(flat()); }
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

/// Component i of output z of the sum S of a hidden unit, by its walking position.
template <class Real, class Acc>
LS_HD double unit_sum(const FinishArgs<Real, Acc>& args, int position, int z, int i) {
  const int c = z * (args.O + 1) + i;
  const float scale = args.scale[z * args.scale_stride + i];
  const double active = Acc::value(args.sums[args.layout.active(position) + c], scale);
  if (args.policy.leak == Real(0)) return active;
  const double leak = static_cast<double>(args.policy.leak);
  const std::int64_t kept =
      args.layout.has_kept ? args.layout.kept(position) + c : args.layout.all() + c;
  return leak * Acc::value(args.sums[kept], scale) + (1 - leak) * active;
}

/// Gradient of number i of hidden unit j, from its walking position: weight i, the bias (i = O), or
/// the weights to output i - O - 1.
template <class Real, class Acc>
LS_HD void finish_number(const FinishArgs<Real, Acc>& args, int position, int i) {
  const FlatLayout flat = args.flat();
  const int O = args.O, Z = logits_of(args.A), Y = args.outputs();
  const int j = position / args.policy.chain + kPartials * (position % args.policy.chain);
  if (j >= args.policy.hidden) return;
  const Real* unit = args.policy.units + std::int64_t{position} * unit_stride(O, Y);
  double sum = 0;
  if (i <= O) {
    for (int z = 0; z < Y; ++z) {
      sum += static_cast<double>(unit[O + 1 + z]) * unit_sum(args, position, z, i);
    }
    const std::int64_t at = i < O ? flat.weight_of(j) + i : flat.bias_of(j);
    args.grad[at] = static_cast<Real>(sum / args.divisor);
    return;
  }
  const int z = i - O - 1;
  if (!(z < Z ? flat.is_policys(j) : flat.feeds_value(j))) return;
  for (int k = 0; k <= O; ++k) {
    sum += static_cast<double>(unit[k]) * unit_sum(args, position, z, k);
  }
  const double value = static_cast<double>(args.drop_scale) * sum / args.divisor;
  if (z < Z) {
    write_rows(args.grad + flat.output_weight() + j, args.A, z, flat.H, value);
  } else {
    args.grad[flat.value_weight_of(j)] = static_cast<Real>(value);
  }
}

/// Gradient of all parameters of a hidden unit, from its walking position.
template <class Real, class Acc>
LS_HD void finish_unit(const FinishArgs<Real, Acc>& args, int position) {
  for (int i = 0; i <= args.O + args.outputs(); ++i) finish_number(args, position, i);
}

/// Gradient of the output bias, or of all parameters of the linear policy.
template <class Real, class Acc>
LS_HD void finish_output(const FinishArgs<Real, Acc>& args) {
  const int O = args.O, Z = logits_of(args.A), Y = args.outputs();
  const FlatLayout flat = args.flat();
  const bool linear = args.policy.form == PolicyForm::kLinear;
  const auto term = [&](int z, int i) {
    return Acc::value(args.sums[args.layout.all() + z * (O + 1) + i],
                      args.scale[z * args.scale_stride + i]) /
           args.divisor;
  };
  Real* bias = args.grad + flat.output_bias();
  for (int z = 0; z < Z; ++z) {
    for (int i = 0; linear && i < O; ++i) write_rows(args.grad + i, args.A, z, O, term(z, i));
    write_rows(bias, args.A, z, 1, term(z, O));
  }
  if (Y == Z) return;
  for (int i = 0; linear && i < O; ++i) {
    args.grad[flat.value_weight() + i] = static_cast<Real>(term(Z, i));
  }
  args.grad[flat.value_bias()] = static_cast<Real>(term(Z, O));
}

}  // namespace lockstep
