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

/// The sums a softmax is sampled from: cumulative[a] = sum over b <= a of exp(logits[b] - largest),
/// taken in ascending order. Returns the largest logit.
///
/// Shapes:   logits [A], cumulative [A] out; the same array may be both
/// Result:   bitwise. A logit 83 below the largest or lower counts as 83 below.
template <class F>
LS_HD F softmax_sums(const F* logits, int A, F* cumulative) {
  F largest = logits[0];
  for (int a = 1; a < A; ++a) largest = max(logits[a], largest);
  for (int a = 0; a < A; ++a) {
    const F e = exp(logits[a] - largest);
    cumulative[a] = a == 0 ? e : cumulative[a - 1] + e;
  }
  return largest;
}

/// Number of the action whose share of the cumulative sums [A] holds the point u in [0, 1).
/// Source: inversion, Devroye, Non-Uniform Random Variate Generation, 1986, III.2.
template <class F>
LS_HD typename Lanes<F>::I invert_sums(const F* cumulative, int A, F u) {
  using I = typename Lanes<F>::I;
  const F point = u * cumulative[A - 1];
  I action(0);
  for (int a = 0; a + 1 < A; ++a) action = action + select(cumulative[a] <= point, I(1), I(0));
  return action;
}

/// Action a with probability exp(logits[a]) / sum exp(logits), from one uniform u in [0, 1).
///
/// Result: bitwise; softmax_sums, then invert_sums.
template <class F, int A>
LS_HD typename Lanes<F>::I sample_categorical(const F (&logits)[A], F u) {
  F cumulative[A];
  softmax_sums(logits, A, cumulative);
  return invert_sums(cumulative, A, u);
}

/// Uniformly random action from a word: its high product with A.
template <class F>
LS_HD typename Lanes<F>::I scale_to_action(typename Lanes<F>::U word, int A) {
  typename Lanes<F>::U high, low;
  mul_wide(word, static_cast<std::uint32_t>(A), high, low);
  return as_signed(high);
}
template <class F, int A>
LS_HD typename Lanes<F>::I scale_to_action(typename Lanes<F>::U word) {
  return scale_to_action<F>(word, A);
}

/// Number of the largest of A logits, the first one among equals.
template <class F>
LS_HD typename Lanes<F>::I largest_logit(const F* logits, int A) {
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

template <class F, int A>
LS_HD ActionOf<F, A> greedy_action(const F (&logits)[logits_of(A)]) {
  if constexpr (A == 2) {
    return logits[0] > F(0);
  } else {
    return largest_logit<F>(logits, A);
  }
}

/// The uniform number an action is sampled with: an odd multiple of 2^-24. It is never 0, so that
/// an action of (almost) no probability is never taken, and both actions are treated alike.
template <class F>
LS_HD F sampling_uniform(typename Lanes<F>::U word) {
  return uniform<F>(word | typename Lanes<F>::U(0x100u));
}

/// Samples from a word.
template <class F, int A>
LS_HD ActionOf<F, A> sampled_action(const F (&logits)[logits_of(A)], typename Lanes<F>::U word) {
  const F u = sampling_uniform<F>(word);
  if constexpr (A == 2) {
    return sample_bernoulli(logits[0], u);
  } else {
    return sample_categorical<F, A>(logits, u);
  }
}

/// Whether a step explores, and the word a uniformly random action is made from.
template <class F>
struct Exploration {
  typename Lanes<F>::M replace;
  typename Lanes<F>::U word;
};

/// Explores with probability epsilon.
/// Random: purpose exploration, index t, word 0 decides, word 1 picks.
template <class F>
LS_HD Exploration<F> draw_exploration(const RandomStream& stream, typename Lanes<F>::U env,
                                      std::uint32_t t, float epsilon) {
  const auto r = random_words(stream, Purpose::kExploration, 0, env, t);
  return {uniform<F>(r.w[0]) < F(epsilon), r.w[1]};
}

/// Replaces the action by a uniformly random one with probability epsilon.
template <class F, int A>
LS_HD ActionOf<F, A> explore(const RandomStream& stream, typename Lanes<F>::U env, std::uint32_t t,
                             float epsilon, ActionOf<F, A> action) {
  using U = typename Lanes<F>::U;
  const Exploration<F> drawn = draw_exploration<F>(stream, env, t, epsilon);
  if constexpr (A == 2) {
    const auto random = (drawn.word & U(0x80000000u)) != U(0u);
    return (drawn.replace & random) | ((!drawn.replace) & action);
  } else {
    return select(drawn.replace, scale_to_action<F, A>(drawn.word), action);
  }
}

}  // namespace lockstep
