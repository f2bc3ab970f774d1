// From the optimiser's flat parameters to the walking order the kernels read (PolicyView), number
// by number: the host packs with a loop, a device with a thread each.
#pragma once

#include "kernels/flat_layout.h"
#include "kernels/trajectory.h"

namespace lockstep {

/// Y: the logits, and behind them the value where there is a critic.
LS_HD constexpr int outputs_of(const FlatLayout& layout) {
  return logits_of(layout.A) + (layout.critic == kNoCritic ? 0 : 1);
}

template <class Real>
struct PackArgs {
  const Real* flat;  // FlatLayout
  std::int32_t O, A, H;
  std::int32_t chain;               // PolicyView::chain
  Real drop_scale;                  // 1 / (1 - dropout)
  std::int32_t critic = kNoCritic;  // FlatLayout::critic

  LS_HD FlatLayout layout() const { return {O, A, H, critic}; }
  LS_HD int outputs() const { return outputs_of(layout()); }
  /// Numbers of a unit: O weights, the bias, Y output weights. Linear: an output's O weights and
  /// bias.
  LS_HD int unit_size() const { return O + 1 + (H > 0 ? outputs() : 0); }
  /// Units, or outputs of the linear policy.
  LS_HD int unit_count() const { return H > 0 ? layout().units() : outputs(); }
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

/// Writes number i of hidden unit j, or of output j of the linear policy.
///
/// Shapes: units as PolicyView::units; padding is left alone
/// Result: bitwise
template <class Real>
LS_HD void pack_number(const PackArgs<Real>& args, int j, int i, Real* units) {
  const int O = args.O, H = args.H, Z = logits_of(args.A);
  const FlatLayout layout = args.layout();
  if (H == 0) {
    const bool value = j >= Z;
    const Real* rows = args.flat + (i < O ? i : layout.output_bias());
    units[j * (O + 1) + i] =
        value ? args.flat[i < O ? layout.value_weight() + i : layout.value_bias()]
              : logit_row(rows, args.A, j, i < O ? O : 1);
    return;
  }
  Real* unit = units + walking_position(j, args.chain) * unit_stride(O, args.outputs());
  const int y = i - O - 1;
  if (i < O) {
    unit[i] = args.flat[layout.weight_of(j) + i];
  } else if (i == O) {
    unit[O] = args.flat[layout.bias_of(j)];
  } else if (y < Z) {
    const Real* rows = args.flat + layout.output_weight() + j;
    unit[i] = layout.is_policys(j) ? logit_row(rows, args.A, y, H) * args.drop_scale : Real(0);
  } else {
    unit[i] =
        layout.feeds_value(j) ? args.flat[layout.value_weight_of(j)] * args.drop_scale : Real(0);
  }
}

/// The output bias of output y; the linear policy has its own in its units.
template <class Real>
LS_HD Real packed_output_bias(const PackArgs<Real>& args, int y) {
  const FlatLayout layout = args.layout();
  return y < logits_of(args.A) ? logit_row(args.flat + layout.output_bias(), args.A, y, 1)
                               : args.flat[layout.value_bias()];
}

}  // namespace lockstep
