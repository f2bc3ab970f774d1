// The losses of an actor and its critic, per step: from outputs, action and advantage to the
// gradient of every output and to what is told of the step. REINFORCE's is reinforce_grad.h; this
// one has its policy gradient with another weight in place of the advantage.
//
//   loss = policy + value_coef * value - entropy_coef * entropy, the mean over a minibatch's steps
//   A2C     policy = -A log pi(a|s)                            (Mnih et al. 2016)
//   PPO     policy = -min(r A, clip(r, 1 - c, 1 + c) A), r = pi(a|s) / pi_old(a|s)
//                                                              (Schulman et al. 2017)
//   both    value = (V - G)^2 / 2, G = A + V_old before normalisation; with a value_clip k the
//           larger one of it and ((V_old + clip(V - V_old, -k, k)) - G)^2 / 2
#pragma once

#include "kernels/reinforce_grad.h"

namespace lockstep {

/// Rows of a weighed step: the gradient of each of Y = Z + 1 outputs, then the figures.
enum WeighedFigure : int {
  kPolicyLoss,
  kEntropy,
  kValueLoss,
  kKl,  // (r - 1) - log r: an estimate of the divergence of pi from pi_old (Schulman 2020)
  kWeighedFigures
};
LS_HD constexpr int weighed_rows(int Z) { return Z + 1 + kWeighedFigures; }
inline constexpr int kMaxWeighedRows = 64 + 1 + kWeighedFigures;  // of 64 actions

/// log r is kept within these: a ratio beyond them says no more than that the policies have nothing
/// in common, and its exponential would overflow.
inline constexpr float kMaxLogRatio = 20.0f;

/// A tile: some steps of a group of 16 environments, what minibatches are made of.
struct Tile16 {
  std::int64_t group;
  std::int32_t begin, end;  // steps of the rollout
};

template <class Real>
struct AdvantageArgs {
  std::int64_t num_envs;
  Record<Real> record;
  Real gamma, lambda;
  bool reset_at_points;  // a reward other than 0 counts as an end
};
/// Largest magnitudes of a rollout.
struct AdvantageRange {
  float advantage = 0;
  float target = 0;  // of the returns that the critic learns, A + V
};
LS_HD void merge(AdvantageRange& into, const AdvantageRange& from) {
  into.advantage = max(into.advantage, from.advantage);
  into.target = max(into.target, from.target);
}

template <class Real>
struct MomentArgs {
  Record<Real> record;
  float scale;      // 2^k of the quantisation
  bool of_returns;  // A + V instead of A
};

inline constexpr float kLargestNumber = 3.4028234663852886e38f;

/// Whose some hidden units are.
enum class UnitOwner : std::uint8_t { kPolicy, kCritic, kBoth };

template <class Real>
struct ActorCriticArgs {
  std::int64_t num_envs;
  PolicyView<Real> policy;  // of Y outputs
  std::int32_t own_units;   // of these hidden units the critic's, the last ones; 0: all are shared
  Record<Real> record;      // obs, logits, value and advantage; `valid`: the steps of the minibatch
  Real* weighed;            // [G][T][R][16] rows of every step
  Real mean;                // A = (advantage - mean) * inv_std
  Real inv_std;
  Real entropy_coef, value_coef;
  Real clip;                                             // of the ratio; < 0: A2C, which has none
  Real value_clip;                                       // of the value; infinite: none
  float scale[kMaxWeighedRows * (kMaxObservation + 1)];  // [Y][O + 1], then of each figure

  /// Of `count` units from a walking position on, all of one partial sum.
  LS_HD UnitOwner owner(int position, int count) const {
    if (own_units == 0) return UnitOwner::kBoth;
    const int policys = policy.hidden - own_units;
    const int first = position / policy.chain + kPartials * (position % policy.chain);
    const int last = first + kPartials * (count - 1);
    // where a block goes on in the next partial sum its units are not what is thought here
    if (position % policy.chain + count > policy.chain) return UnitOwner::kBoth;
    return last < policys     ? UnitOwner::kPolicy
           : first >= policys ? UnitOwner::kCritic
                              : UnitOwner::kBoth;
  }
};

/// Sums of Y outputs, and of the figures.
template <class Real>
LS_HD GradientLayout actor_critic_layout(const PolicyView<Real>& policy, int O, int Z) {
  GradientLayout layout = gradient_layout(policy, O, Z + 1);
  layout.figures = kWeighedFigures;
  return layout;
}

/// What weighing a minibatch finds; order-free, merged by merge().
struct WeighSums {
  float largest[kMaxWeighedRows] = {};  // [R] magnitudes
  std::int64_t clipped = 0;             // steps whose ratio is beyond the clip
  bool finite = true;                   // all rows are
};
LS_HD void merge(WeighSums& into, const WeighSums& from) {
  for (int i = 0; i < kMaxWeighedRows; ++i) {
    into.largest[i] = max(into.largest[i], from.largest[i]);
  }
  into.clipped += from.clipped;
  into.finite &= from.finite;
}

template <class F, int Z>
struct WeighedStep {
  F row[weighed_rows(Z)];
  typename Lanes<F>::M clipped;
};

/// Weighs one step of a pack.
///
/// Shapes: outputs [Z + 1], logits and then the value, under the weights of now; old_logits [Z],
///         old_value and advantage as recorded
/// Result: bitwise
template <class F, int Z, class Action>
LS_HD WeighedStep<F, Z> weigh_step(const ActorCriticArgs<typename Lanes<F>::Scalar>& args,
                                   const F (&outputs)[Z + 1], const F (&old_logits)[Z], F old_value,
                                   F advantage, Action action) {
  F logits[Z];
  for (int z = 0; z < Z; ++z) logits[z] = outputs[z];
  const F target = advantage + old_value;
  const F normalised = (advantage - F(args.mean)) * F(args.inv_std);
  const auto now = logit_gradient(logits, action, F(1.0f), F(0));
  const auto old = logit_gradient(old_logits, action, F(1.0f), F(0));
  const F log_ratio =
      min(max(old.neg_log_prob - now.neg_log_prob, F(-kMaxLogRatio)), F(kMaxLogRatio));
  const F ratio = exp(log_ratio);

  WeighedStep<F, Z> out;
  F weight = normalised;  // of the gradient of -log pi
  out.row[Z + 1 + kPolicyLoss] = normalised * now.neg_log_prob;
  out.clipped = Lanes<F>::mask(0);
  if (args.clip >= 0) {
    out.clipped = abs(ratio - F(1.0f)) > F(args.clip);
    const F bounded = min(max(ratio, F(1 - args.clip)), F(1 + args.clip));
    const F plain = ratio * normalised, clipped = bounded * normalised;
    weight = select(plain <= clipped, plain, F(0));
    out.row[Z + 1 + kPolicyLoss] = -min(plain, clipped);
  }
  const auto gradient = logit_gradient(logits, action, weight, F(args.entropy_coef));
  for (int z = 0; z < Z; ++z) out.row[z] = gradient.grad[z];
  out.row[Z + 1 + kEntropy] = gradient.entropy;

  const F value = outputs[Z];
  const F error = value - target;
  const F moved = value - old_value;
  const F limit(args.value_clip);
  const F clipped_value = old_value + min(max(moved, -limit), limit);
  // within the clip there is one value, whatever old_value + moved is rounded to
  const F near = select(abs(moved) <= limit, error, clipped_value - target);
  const F square = error * error, near_square = near * near;
  const auto follows = near_square <= square;  // else the clipped one counts, which stands still
  out.row[Z] = F(args.value_coef) * select(follows, error, F(0));
  out.row[Z + 1 + kValueLoss] = F(0.5f) * max(square, near_square);
  // for small log r the difference is all rounding, and its series has no more than five terms
  const F small =
      (log_ratio * log_ratio) * (F(0.5f) + log_ratio * (F(1.0f / 6) + log_ratio * F(1.0f / 24)));
  out.row[Z + 1 + kKl] = select(abs(log_ratio) < F(0x1p-7f), small, (ratio - F(1.0f)) - log_ratio);
  return out;
}

}  // namespace lockstep
