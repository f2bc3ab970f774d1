// The action of one step of a rollout, whatever the policy: which random words it is made from, and
// the choice between sampled, greedy, epsilon-greedy and uniformly random.
#pragma once

#include "kernels/sample_action.h"

namespace lockstep {

/// The random words of a policy form's actions: one counter's four words serve kSteps steps, a
/// power of two, counted from the start of the epoch.
template <PolicyForm kForm, int A>
struct ActionWords {
  static constexpr bool kRandom = kForm == PolicyForm::kRandom;
  static constexpr bool kBits = kRandom && A == 2;  // one bit decides
  static constexpr int kSteps = kBits ? 128 : 4;
  static constexpr int kStepsPerWord = kSteps / 4;
  static constexpr Purpose kPurpose = kRandom ? Purpose::kRandomAction : Purpose::kAction;

  /// The words of steps t .. t + kSteps - 1; t is a multiple of kSteps.
  template <class U>
  static LS_HD PhiloxWords<U> draw(const RandomStream& stream, U env, int t) {
    return random_words(stream, kPurpose, 0, env, static_cast<std::uint32_t>(t / kSteps));
  }
  /// Which of them step t uses.
  static LS_HD int word_of(int t) { return t / kStepsPerWord % 4; }
};

/// The action of step t. `word` is the step's own random word; `logits` are not read by the random
/// policy.
///
/// Result: bitwise; sampling and exploration as sample_action.h says.
template <PolicyForm kForm, class F, int A>
LS_HD ActionOf<F, A> choose_action(const RolloutArgs<typename Lanes<F>::Scalar>& args,
                                   typename Lanes<F>::U env, int t, const F (&logits)[logits_of(A)],
                                   typename Lanes<F>::U word) {
  using U = typename Lanes<F>::U;
  if constexpr (ActionWords<kForm, A>::kBits) {
    return ((word >> (t & 31)) & U(1u)) != U(0u);
  } else if constexpr (kForm == PolicyForm::kRandom) {
    return scale_to_action<F, A>(word);
  } else if (args.choice == ActionChoice::kSample) {
    return sampled_action<F, A>(logits, word);
  } else {
    const auto action = greedy_action<F, A>(logits);
    if (args.choice != ActionChoice::kEpsilon) return action;
    return explore<F, A>(args.stream, env, static_cast<std::uint32_t>(t), args.epsilon, action);
  }
}

}  // namespace lockstep
