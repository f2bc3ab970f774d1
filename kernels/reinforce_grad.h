// REINFORCE's gradient, per item: from a step's logits and advantage to the terms that are summed,
// and from the sums to the gradient of every parameter. The batch loops are kernels/cpu/gradient.h.
//
// One weight set serves the whole batch, so the hidden layer needs only, per unit j, logit z and
// component i of (obs, 1):   S_jzi = sum over steps of [unit j active] g_z x_i
// (mask-sum). DESIGN.md derives the gradient of every weight from them.
#pragma once

#include "envs/env.h"
#include "kernels/trajectory.h"

namespace lockstep {

inline constexpr float kMaxNegLogProb = 128.0f;  // for the log alone: bounds its fixed-point sum

/// What one step contributes.
template <class F, int Z>
struct LogitGradient {
  F grad[Z];       // d loss / d logit, loss = -advantage * log pi(action) - entropy_coef * H
  F neg_log_prob;  // nats
  F entropy;       // nats
};

/// Two actions, one logit z = log-odds of action 1.
///
/// Result: bitwise. With e = exp(-|z|) both tails of p keep their relative precision.
template <class F>
LS_HD LogitGradient<F, 1> logit_gradient(const F (&logits)[1], typename Lanes<F>::M action,
                                         F advantage, F entropy_coef) {
  const F z = logits[0];
  const F e = exp(-abs(z));
  const F near = F(1.0f) / (F(1.0f) + e);  // probability of the likelier action
  const F far = e * near;
  const auto positive = z > F(0);
  const F p = select(positive, near, far);
  const F q = select(positive, far, near);
  const F softplus = log(F(1.0f) + e);
  LogitGradient<F, 1> out;
  out.grad[0] = advantage * select(action, -q, p) + entropy_coef * (z * (p * q));
  out.neg_log_prob = min(softplus + max(select(action, -z, z), F(0)), F(kMaxNegLogProb));
  out.entropy = softplus + abs(z) * far;
  return out;
}

/// More than two actions: softmax over A logits.
template <class F, int A>
LS_HD LogitGradient<F, A> logit_gradient(const F (&logits)[A], typename Lanes<F>::I action,
                                         F advantage, F entropy_coef) {
  using I = typename Lanes<F>::I;
  F largest = logits[0];
  for (int a = 1; a < A; ++a) largest = max(logits[a], largest);
  F p[A];
  F total(0);
  for (int a = 0; a < A; ++a) {
    p[a] = exp(logits[a] - largest);
    total = total + p[a];
  }
  const F log_total = log(total);
  LogitGradient<F, A> out;
  out.entropy = F(0);
  out.neg_log_prob = F(0);
  for (int a = 0; a < A; ++a) {
    const F log_prob = (logits[a] - largest) - log_total;
    p[a] = p[a] / total;
    out.entropy = out.entropy - p[a] * log_prob;
    out.neg_log_prob = select(action == I(a), -log_prob, out.neg_log_prob);
  }
  for (int a = 0; a < A; ++a) {
    const F log_prob = (logits[a] - largest) - log_total;
    const F chosen = select(action == I(a), F(1.0f), F(0));
    out.grad[a] = advantage * (p[a] - chosen) + entropy_coef * (p[a] * (log_prob + out.entropy));
  }
  return out;
}

/// Places of the sums of one gradient in a flat array. Component c = z * (O + 1) + i.
struct GradientLayout {
  std::int32_t units;        // 8 * chain, in walking order; 0 for the linear policy
  std::int32_t components;   // C = Z * (O + 1), with a critic Y * (O + 1)
  bool has_kept;             // dropout with leaky ReLU: sums over kept units too
  std::int32_t figures = 2;  // behind the components: what is told of the steps, loss first

  LS_HD std::int64_t active(std::int64_t unit) const { return unit * components; }
  LS_HD std::int64_t kept(std::int64_t unit) const { return (units + unit) * components; }
  LS_HD std::int64_t all() const { return std::int64_t{units} * components * (has_kept ? 2 : 1); }
  LS_HD std::int64_t loss() const { return all() + components; }
  LS_HD std::int64_t entropy() const { return loss() + 1; }
  LS_HD std::int64_t size() const { return loss() + figures; }
};

template <class Real>
LS_HD GradientLayout gradient_layout(const PolicyView<Real>& policy, int O, int Z) {
  return {policy.form == PolicyForm::kLinear ? 0 : kPartials * policy.chain, Z * (O + 1),
          policy.form == PolicyForm::kGeneral && policy.drop_below != 0 && policy.leak != Real(0)};
}

}  // namespace lockstep
