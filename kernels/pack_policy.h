// From the optimiser's flat parameters to the walking order the kernels read (PolicyView), number
// by number: the host packs with a loop, a device with a thread each.
#pragma once

#include "kernels/flat_layout.h"
#include "kernels/trajectory.h"

namespace lockstep {

template <class Real>
struct PackArgs {
  const Real* flat;  // FlatLayout
  std::int32_t O, A, H;
  std::int32_t chain;  // PolicyView::chain
  Real drop_scale;     // 1 / (1 - dropout)

  LS_HD FlatLayout layout() const { return {O, A, H}; }
  /// Numbers of a unit: O weights, the bias, Z output weights. Linear: a logit's O weights and
  /// bias.
  LS_HD int unit_size() const { return O + 1 + (H > 0 ? logits_of(A) : 0); }
  /// Units, or logits of the linear policy.
  LS_HD int unit_count() const { return H > 0 ? H : logits_of(A); }
};

/// Place in the walking order of hidden unit j.
LS_HD std::int64_t walking_position(std::int64_t j, std::int64_t chain) {
  return j % kPartials * chain + j / kPartials;
}

/// Logit z of rows that are `stride` apart: row 1 - row 0 of two actions, row z of more.
template <class Real>
LS_HD Real logit_row(const Real* rows, int A, int z, std::int64_t stride) {
  return A == 2 ? rows[stride] - rows[0] : rows[z * stride];
}

/// Writes number i of hidden unit j, or of logit j of the linear policy.
///
/// Shapes: units as PolicyView::units; padding is left alone
/// Result: bitwise
template <class Real>
LS_HD void pack_number(const PackArgs<Real>& args, int j, int i, Real* units) {
  const int O = args.O, H = args.H;
  const FlatLayout layout = args.layout();
  if (H == 0) {
    const Real* rows = args.flat + (i < O ? i : layout.output_bias());
    units[j * (O + 1) + i] = logit_row(rows, args.A, j, i < O ? O : 1);
    return;
  }
  Real* unit = units + walking_position(j, args.chain) * unit_stride(O, logits_of(args.A));
  if (i < O) {
    unit[i] = args.flat[std::int64_t{j} * O + i];
  } else if (i == O) {
    unit[O] = args.flat[layout.hidden_bias() + j];
  } else {
    const Real* rows = args.flat + layout.output_weight() + j;
    unit[i] = logit_row(rows, args.A, i - O - 1, H) * args.drop_scale;
  }
}

/// The output bias of logit z; the linear policy has its own in its units.
template <class Real>
LS_HD Real packed_output_bias(const PackArgs<Real>& args, int z) {
  return logit_row(args.flat + args.layout().output_bias(), args.A, z, 1);
}

}  // namespace lockstep
