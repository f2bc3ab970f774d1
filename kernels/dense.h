// The dense policy path, per item: what stands around the matrix products of a network of any
// depth. One operation at a time over the whole batch: observations to rows, product, bias and
// activation, ..., product, bias and choice of the action, step of the environment, books of the
// episodes. The products are a BLAS library's, whose order of summation is its own; everything here
// is exact.
#pragma once

#include "kernels/policy.h"
#include "kernels/reinforce_grad.h"
#include "kernels/sample_action.h"

namespace lockstep {

inline constexpr int kMaxActions = 64;  // the same bound as concept Env's

enum class DenseActivation : std::uint8_t { kNone, kRelu, kLeakyRelu };

/// Bias and activation of a layer's products, in place.
struct BiasArgs {
  std::int64_t rows;  // N
  std::int32_t width;
  DenseActivation activation;
  float leak;         // slope below 0, kLeakyRelu
  const float* bias;  // [width]
  float* values;      // [N][width] in and out
};

/// The choice of one action per environment from logits.
struct SampleArgs {
  RandomStream stream;
  std::int64_t num_envs;     // N
  std::int32_t num_actions;  // A, 2 .. kMaxActions; Z = logits_of(A)
  std::int32_t t;            // step since the epoch began
  ActionChoice choice;
  float epsilon;         // kEpsilon
  const float* bias;     // [Z] added to the logits first, or null
  float* logits;         // [N][Z] in and, with a bias, out
  std::uint8_t* action;  // [N] out
  float* log_prob;       // [N] out, nats, of the action under the softmax; null: not wanted
};

/// Books of the episodes of environments that are stepped with restarts in the same step.
struct TallyArgs {
  std::int64_t num_envs;           // N
  bool constant_reward;            // every reward is 1: a score is its number of steps
  bool first_episode;              // count one episode each, ignore what comes after
  const float* reward;             // [N]
  const std::uint8_t* terminated;  // [N]
  const std::uint8_t* truncated;   // [N]
  float* running_score;            // [N] of the episode under way
  std::int32_t* running_steps;     // [N]
  float* score;                    // [N] sum of rewards over finished episodes
  std::int32_t* length;            // [N] steps of finished episodes
  std::int32_t* episodes;          // [N] episodes finished
};

/// A unit's value from its product with the weights.
///
/// Result: bitwise for the same product; the bias is added last, as the exact path does.
template <class F>
LS_HD F bias_and_activation(F product, F bias, DenseActivation activation, F leak) {
  const F h = product + bias;
  if (activation == DenseActivation::kRelu) return max(h, F(0));
  if (activation == DenseActivation::kLeakyRelu) return activate(h, leak);
  return h;
}

/// The random word of the action of step t.
/// Random: purpose action, index t/4, word t mod 4.
template <class F>
LS_HD typename Lanes<F>::U action_word(const RandomStream& stream, typename Lanes<F>::U env,
                                       std::int32_t t) {
  const auto words =
      random_words(stream, Purpose::kAction, 0, env, static_cast<std::uint32_t>(t / 4));
  const int w = t % 4;  // a choice, not an index: the words stay in registers
  return w == 0 ? words.w[0] : w == 1 ? words.w[1] : w == 2 ? words.w[2] : words.w[3];
}

/// Action and its log-probability (where wanted) from the one logit of two actions.
///
/// Result: bitwise; a log-probability below -kMaxNegLogProb counts as that, as in training.
template <class F>
LS_HD typename Lanes<F>::M choose_bernoulli(const SampleArgs& args, typename Lanes<F>::U env,
                                            F logit, F& log_prob) {
  const F logits[1] = {logit};
  typename Lanes<F>::M action;
  if (args.choice == ActionChoice::kSample) {
    action = sampled_action<F, 2>(logits, action_word<F>(args.stream, env, args.t));
  } else {
    action = greedy_action<F, 2>(logits);
    if (args.choice == ActionChoice::kEpsilon) {
      action =
          explore<F, 2>(args.stream, env, static_cast<std::uint32_t>(args.t), args.epsilon, action);
    }
  }
  if (args.log_prob != nullptr) {
    log_prob = -logit_gradient<F>(logits, action, F(0), F(0)).neg_log_prob;
  }
  return action;
}

/// The same from the A logits of more than two actions.
///
/// Result: bitwise, for the same logits, those of sampled_action, greedy_action and explore.
template <class F>
LS_HD typename Lanes<F>::I choose_categorical(const SampleArgs& args, typename Lanes<F>::U env,
                                              const F* logits, F& log_prob) {
  using I = typename Lanes<F>::I;
  const int A = args.num_actions;
  const bool sampled = args.choice == ActionChoice::kSample;
  F sums[kMaxActions];
  F largest(0);
  if (sampled || args.log_prob != nullptr) largest = softmax_sums<F>(logits, A, sums);
  I action(0);
  if (sampled) {
    const auto word = action_word<F>(args.stream, env, args.t);
    action = invert_sums<F>(sums, A, sampling_uniform<F>(word));
  } else {
    action = largest_logit<F>(logits, A);
    if (args.choice == ActionChoice::kEpsilon) {
      const auto drawn =
          draw_exploration<F>(args.stream, env, static_cast<std::uint32_t>(args.t), args.epsilon);
      action = select(drawn.replace, scale_to_action<F>(drawn.word, A), action);
    }
  }
  if (args.log_prob == nullptr) return action;
  F chosen = logits[0];
  for (int a = 1; a < A; ++a) chosen = select(action == I(a), logits[a], chosen);
  log_prob = (chosen - largest) - log(sums[A - 1]);
  return action;
}

/// Chooses the actions of environments first .. first + W - 1: bias, choice, log-probability.
///
/// Shapes:   see SampleArgs; rows up to first + W must exist
/// Random:   action_word() when sampling; with epsilon, purpose exploration, index t
/// Result:   bitwise equal to the fused rollout's choice for the same logits
template <class F>
LS_HD void sample_pack(const SampleArgs& args, std::int64_t first) {
  constexpr int W = Lanes<F>::W;
  const int Z = logits_of(args.num_actions);
  const auto env = typename Lanes<F>::U(static_cast<std::uint32_t>(first)) + Lanes<F>::numbers();
  float* rows = args.logits + first * Z;
  if (args.bias != nullptr) {
    for (int w = 0; w < W; ++w) {
      for (int z = 0; z < Z; ++z) rows[w * Z + z] = rows[w * Z + z] + args.bias[z];
    }
  }
  F log_prob(0);
  std::int32_t actions[W];
  if (Z == 1) {
    const auto action = choose_bernoulli<F>(args, env, Lanes<F>::load(rows), log_prob);
    store(actions, select(action, typename Lanes<F>::I(1), typename Lanes<F>::I(0)));
  } else if constexpr (W == 1) {
    store(actions, choose_categorical<F>(args, env, rows, log_prob));
  } else {
    F logits[kMaxActions];
    for (int z = 0; z < Z; ++z) {
      float lanes[W];
      for (int w = 0; w < W; ++w) lanes[w] = rows[w * Z + z];
      logits[z] = Lanes<F>::load(lanes);
    }
    store(actions, choose_categorical<F>(args, env, logits, log_prob));
  }
  for (int w = 0; w < W; ++w) args.action[first + w] = static_cast<std::uint8_t>(actions[w]);
  if (args.log_prob != nullptr) store(args.log_prob + first, log_prob);
}

/// Books one step of one environment.
///
/// Result: bitwise the scores of the fused rollout: rewards of an episode are added in order, then
///         the episode's sum to the finished ones.
LS_HD void tally_item(const TallyArgs& args, std::int64_t i) {
  if (args.first_episode && args.episodes[i] > 0) return;
  const std::int32_t steps = args.running_steps[i] + 1;
  const float score = args.running_score[i] + args.reward[i];
  const bool ended = (args.terminated[i] | args.truncated[i]) != 0;
  args.running_steps[i] = ended ? 0 : steps;
  args.running_score[i] = ended ? 0.0f : score;
  if (!ended) return;
  args.length[i] += steps;
  args.episodes[i] += 1;
  args.score[i] = args.constant_reward ? static_cast<float>(args.length[i]) : args.score[i] + score;
}

}  // namespace lockstep
