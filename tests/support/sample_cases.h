// Batches of logits for the sampling operation, and what the bodies of kernels/sample_action.h,
// which the fused rollout uses, choose for them one environment at a time. Test code only.
#pragma once

#include <algorithm>
#include <array>
#include <string>
#include <utility>
#include <vector>

#include "host/backend/buffer.h"
#include "kernels/dense.h"
#include "tests/support/compare.h"
#include "tests/support/return_cases.h"

namespace lockstep::test {

struct SampleCase {
  std::int64_t N = 1;
  int A = 2;
  std::int32_t t = 0;
  ActionChoice choice = ActionChoice::kSample;
  bool bias = false;
  bool log_prob = true;

  std::string name() const {
    return "N " + std::to_string(N) + ", A " + std::to_string(A) + ", t " + std::to_string(t) +
           ", choice " + std::to_string(static_cast<int>(choice)) + (bias ? ", bias" : "");
  }
};

inline constexpr std::int64_t kSampleSizes[] = {1, 31, 32, 33, 255, 257, 1000};
inline constexpr std::int32_t kSampleSteps[] = {0, 1, 2, 3, 4, 1000003};

/// Input and output of one call, in host memory; rows for whole groups of 16.
struct SampleBatch {
  SampleCase c;
  std::int64_t lanes;
  std::vector<float> logits, bias, log_prob;
  std::vector<std::uint8_t> action;

  /// Logits of every size: ordinary, far apart, equal.
  explicit SampleBatch(const SampleCase& wanted)
      : c(wanted), lanes((c.N + kGroup - 1) / kGroup * kGroup) {
    const int Z = logits_of(c.A);
    Random random(static_cast<std::uint64_t>(c.N * 1000 + c.A));
    logits.resize(static_cast<std::size_t>(lanes * Z));
    for (std::int64_t i = 0; i < lanes; ++i) {
      const double spread = i % 7 == 5 ? 90 : i % 7 == 6 ? 0 : 3;
      for (int z = 0; z < Z; ++z) {
        logits[static_cast<std::size_t>(i * Z + z)] =
            static_cast<float>(spread * (2 * random.uniform() - 1));
      }
    }
    bias.resize(static_cast<std::size_t>(Z));
    for (float& b : bias) b = static_cast<float>(2 * random.uniform() - 1);
    log_prob.assign(static_cast<std::size_t>(lanes), 99.0f);
    action.assign(static_cast<std::size_t>(lanes), 0xee);
  }
  SampleArgs args() {
    return {.stream = {0x123456789abcdefULL, 77},
            .num_envs = c.N,
            .num_actions = c.A,
            .t = c.t,
            .choice = c.choice,
            .epsilon = 0.4f,
            .bias = c.bias ? bias.data() : nullptr,
            .logits = logits.data(),
            .action = action.data(),
            .log_prob = c.log_prob ? log_prob.data() : nullptr};
  }
};

struct Chosen {
  int action;
  float log_prob;
};

/// The choice of environment i by the bodies for exactly A actions; `row` has its bias.
template <int A>
Chosen choose_by_bodies(const SampleArgs& args, std::uint32_t i, const float* row) {
  float logits[logits_of(A)];
  for (int z = 0; z < logits_of(A); ++z) logits[z] = row[z];
  const auto t = static_cast<std::uint32_t>(args.t);
  const auto words = random_words<std::uint32_t>(args.stream, Purpose::kAction, 0, i, t / 4);
  ActionOf<float, A> action;
  if (args.choice == ActionChoice::kSample) {
    action = sampled_action<float, A>(logits, words.w[t % 4]);
  } else {
    action = greedy_action<float, A>(logits);
    if (args.choice == ActionChoice::kEpsilon) {
      action = explore<float, A>(args.stream, i, t, args.epsilon, action);
    }
  }
  return {static_cast<int>(action), -logit_gradient<float>(logits, action, 0, 0).neg_log_prob};
}

template <int... kOffsets>
auto bodies_table(std::integer_sequence<int, kOffsets...>) {
  return std::array{&choose_by_bodies<kOffsets + 2>...};
}
inline Chosen choose_by_bodies(const SampleArgs& args, std::uint32_t i, const float* row) {
  static const auto table = bodies_table(std::make_integer_sequence<int, kMaxActions - 1>{});
  return table[static_cast<std::size_t>(args.num_actions - 2)](args, i, row);
}

/// `after` is `before`, which has not been worked on, after the operation.
inline testing::AssertionResult chose_as_bodies(SampleBatch before, const SampleBatch& after) {
  const SampleArgs args = before.args();
  const int Z = logits_of(args.num_actions);
  std::vector<std::uint8_t> action(before.action);
  std::vector<float> log_prob(before.log_prob);
  for (std::int64_t i = 0; i < args.num_envs; ++i) {
    float* row = args.logits + i * Z;
    for (int z = 0; args.bias != nullptr && z < Z; ++z) row[z] += args.bias[z];
    const Chosen chosen = choose_by_bodies(args, static_cast<std::uint32_t>(i), row);
    const auto at = static_cast<std::size_t>(i);
    action[at] = static_cast<std::uint8_t>(chosen.action);
    if (args.log_prob != nullptr) log_prob[at] = chosen.log_prob;
    if (after.action[at] != action[at]) {
      return testing::AssertionFailure()
             << "environment " << i << ": action " << int{after.action[at]} << ", the body's is "
             << chosen.action;
    }
  }
  const auto n = static_cast<std::size_t>(args.num_envs);
  const auto values = n * static_cast<std::size_t>(Z);
  const auto logits = same_bits(std::span(after.logits).first(values),
                                std::span<const float>(before.logits).first(values));
  if (!logits) return testing::AssertionFailure() << "logits: " << logits.message();
  return same_bits(std::span(after.log_prob).first(n), std::span<const float>(log_prob).first(n));
}

/// Every number of actions from 2 to 64 with every batch size and step above, all three choices.
template <class Run>
void expect_choices_of_bodies(Run&& run) {
  constexpr ActionChoice kChoices[] = {ActionChoice::kSample, ActionChoice::kGreedy,
                                       ActionChoice::kEpsilon};
  for (int A = 2; A <= kMaxActions; ++A) {
    for (const std::int64_t N : kSampleSizes) {
      for (const std::int32_t t : kSampleSteps) {
        for (const ActionChoice choice : kChoices) {
          // the deterministic choices draw little: a few numbers of actions show them
          if (choice != ActionChoice::kSample && A > 4 && A < 63) continue;
          const SampleCase c{.N = N,
                             .A = A,
                             .t = t,
                             .choice = choice,
                             .bias = (A + t) % 2 == 0,
                             .log_prob = t != 4};
          SampleBatch batch(c);
          run(batch);
          ASSERT_TRUE(chose_as_bodies(SampleBatch(c), batch)) << c.name();
        }
      }
    }
  }
}

}  // namespace lockstep::test
