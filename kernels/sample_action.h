// From logits to an action: Bernoulli for two actions, categorical for more, greedy, epsilon-greedy
// and uniformly random. Actions are masks (two) or numbers (more): ActionOf in envs/env.h.
#pragma once

#include "envs/env.h"
#include "kernels/philox.h"
#include "kernels/trajectory.h"

namespace lockstep {

/// Action 1 with probability 1 / (1 + exp(-logit)), from one uniform u in [0, 1).
///
/// Result: bitwise. u * (1 + e) < 1 with one rounding: no division and no logarithm.
template <class F>
LS_HD typename Lanes<F>::M sample_bernoulli(F logit, F u) {
  const F e = exp(-logit);
  return fma(u, e, u) < F(1.0f);
}

/// Action a with probability exp(logits[a]) / sum exp(logits), from one uniform u in [0, 1).
///
/// Result: bitwise. Inverse of the cumulative sum taken in ascending order, after subtracting the
/// largest logit. A logit 83 below the largest or lower counts as 83 below.
/// Source: inversion, Devroye, Non-Uniform Random Variate Generation, 1986, III.2.
template <class F, int A>
LS_HD typename Lanes<F>::I sample_categorical(const F (&logits)[A], F u) {
  using I = typename Lanes<F>::I;
  F largest = logits[0];
  for (int a = 1; a < A; ++a) largest = max(logits[a], largest);
  F cumulative[A];
  for (int a = 0; a < A; ++a) {
    const F e = exp(logits[a] - largest);
    cumulative[a] = a == 0 ? e : cumulative[a - 1] + e;
  }
  const F point = u * cumulative[A - 1];
  I action(0);
  for (int a = 0; a + 1 < A; ++a) action = action + select(cumulative[a] <= point, I(1), I(0));
  return action;
}

/// Uniformly random action from a word: its high product with A.
template <class F, int A>
LS_HD typename Lanes<F>::I scale_to_action(typename Lanes<F>::U word) {
  typename Lanes<F>::U high, low;
  mul_wide(word, static_cast<std::uint32_t>(A), high, low);
  return as_signed(high);
}

template <class F, int A>
LS_HD ActionOf<F, A> greedy_action(const F (&logits)[logits_of(A)]) {
  if constexpr (A == 2) {
    return logits[0] > F(0);
  } else {
    using I = typename Lanes<F>::I;
    I best(0);
    F largest = logits[0];
    for (int a = 1; a < A; ++a) {
      const auto better = logits[a] > largest;
      best = select(better, I(a), best);
      largest = select(better, logits[a], largest);
    }
    return best;
  }
}

/// Samples from a word. The uniform is an odd multiple of 2^-24: it is never 0, so that an action
/// of (almost) no probability is never taken, and both actions are treated alike.
template <class F, int A>
LS_HD ActionOf<F, A> sampled_action(const F (&logits)[logits_of(A)], typename Lanes<F>::U word) {
  const F u = uniform<F>(word | typename Lanes<F>::U(0x100u));
  if constexpr (A == 2) {
    return sample_bernoulli(logits[0], u);
  } else {
    return sample_categorical<F, A>(logits, u);
  }
}

/// Replaces the action by a uniformly random one with probability epsilon.
/// Random: purpose exploration, index t, word 0 decides, word 1 picks.
template <class F, int A>
LS_HD ActionOf<F, A> explore(const RandomStream& stream, typename Lanes<F>::U env, std::uint32_t t,
                             float epsilon, ActionOf<F, A> action) {
  using U = typename Lanes<F>::U;
  const auto r = random_words(stream, Purpose::kExploration, 0, env, t);
  const auto replace = uniform<F>(r.w[0]) < F(epsilon);
  if constexpr (A == 2) {
    const auto random = (r.w[1] & U(0x80000000u)) != U(0u);
    return (replace & random) | ((!replace) & action);
  } else {
    return select(replace, scale_to_action<F, A>(r.w[1]), action);
  }
}

}  // namespace lockstep
