// What one step adds to the sums of a gradient: its terms, rounded to integers once.
#pragma once

#include "kernels/fixed_point.h"
#include "kernels/reinforce_grad.h"

namespace lockstep {

/// The terms of one step of a pack; lanes that are not valid have zeros.
template <class Acc, class F, int C>
struct StepTerms {
  using Term = typename Acc::template Term<F>;
  Term term[C];  // g_z * (obs, 1), component c = z * (O + 1) + i
  Term loss;     // advantage * neg_log_prob
  Term entropy;
};

/// From a step's observation, logits, action and return (minus baseline) to its terms.
///
/// Shapes:   obs [O], logits [Z]; args gives the normalisation, the scales and the entropy's weight
/// Result:   bitwise. advantage = (value - mean) * inv_std; a component out of its range counts 0
///           and raises `saturated`; the scales of loss and entropy rule that out.
template <class Acc, class F, int O, int Z, class Action>
LS_HD void step_terms(const GradientArgs<typename Lanes<F>::Scalar>& args, const F (&obs)[O],
                      const F (&logits)[Z], Action action, F value, typename Lanes<F>::M valid,
                      StepTerms<Acc, F, Z*(O + 1)>& out, typename Lanes<F>::M& saturated) {
  const F advantage = (value - F(args.mean)) * F(args.inv_std);
  const auto g = logit_gradient(logits, action, advantage, F(args.entropy_coef));
  for (int z = 0; z < Z; ++z) {
    for (int i = 0; i <= O; ++i) {
      const F term = i < O ? g.grad[z] * obs[i < O ? i : 0] : g.grad[z];
      out.term[z * (O + 1) + i] = Acc::template quantise<F>(term, args.scale[i], valid, saturated);
    }
  }
  auto ignored = Lanes<F>::mask(0);
  out.loss = Acc::template quantise<F>(advantage * g.neg_log_prob, args.loss_scale, valid, ignored);
  out.entropy = Acc::template quantise<F>(g.entropy, args.entropy_scale, valid, ignored);
}

}  // namespace lockstep
