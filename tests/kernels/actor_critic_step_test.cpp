// Tests for kernels/actor_critic_step.h and advantage_step.h: gradients against differences of
// losses that are written down here, in double, and advantages against their definition, on every
// instruction set.
#include "kernels/actor_critic_step.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "host/backend/environments.h"
#include "host/backend/record.h"
#include "host/cpu/isa.h"
#include "kernels/cpu/launchers.h"
#include "tests/support/compare.h"
#include "tests/support/return_cases.h"
#include "tests/support/training.h"

namespace lockstep {
namespace actor_critic_step_test {

constexpr double kNever = std::numeric_limits<double>::infinity();

/// Of mean 0 and deviation 1, near enough.
double normal(test::Random& random) {
  double sum = -6;
  for (int i = 0; i < 12; ++i) sum += random.uniform();
  return sum;
}

/// What a step's losses depend on.
template <int Z>
struct Case {
  double outputs[Z + 1];
  double old_logits[Z];
  double old_value, advantage;
  int action;
  double clip, value_clip, entropy_coef, value_coef;
};

/// log pi of all actions.
template <int Z>
std::vector<double> log_policy(const double* logits) {
  std::vector<double> all(logits, logits + Z);
  if (Z == 1) all = {0.0, logits[0]};
  double total = 0;
  const double largest = *std::max_element(all.begin(), all.end());
  for (const double logit : all) total += std::exp(logit - largest);
  for (double& logit : all) logit -= largest + std::log(total);
  return all;
}

struct Losses {
  double policy, value, entropy, kl;
  double sum(const auto& c) const {
    return policy + c.value_coef * value - c.entropy_coef * entropy;
  }
};

template <int Z>
Losses losses_of(const Case<Z>& c) {
  const auto now = log_policy<Z>(c.outputs), old = log_policy<Z>(c.old_logits);
  const auto a = static_cast<std::size_t>(c.action);
  const double log_ratio = now[a] - old[a], ratio = std::exp(log_ratio);
  Losses out{};
  out.policy = c.clip < 0 ? -c.advantage * now[a]
                          : -std::min(ratio * c.advantage,
                                      std::clamp(ratio, 1 - c.clip, 1 + c.clip) * c.advantage);
  const double target = c.advantage + c.old_value, value = c.outputs[Z];
  const double near = c.old_value + std::clamp(value - c.old_value, -c.value_clip, c.value_clip);
  out.value = 0.5 * std::max(std::pow(value - target, 2), std::pow(near - target, 2));
  for (const double log_p : now) out.entropy -= std::exp(log_p) * log_p;
  out.kl = ratio - 1 - log_ratio;
  return out;
}

template <class Real, int Z>
WeighedStep<Real, Z> weigh(const Case<Z>& c) {
  ActorCriticArgs<Real> args{};
  args.mean = 0;
  args.inv_std = 1;
  args.entropy_coef = static_cast<Real>(c.entropy_coef);
  args.value_coef = static_cast<Real>(c.value_coef);
  args.clip = static_cast<Real>(c.clip);
  args.value_clip = static_cast<Real>(c.value_clip);
  Real outputs[Z + 1], old_logits[Z];
  for (int y = 0; y <= Z; ++y) outputs[y] = static_cast<Real>(c.outputs[y]);
  for (int z = 0; z < Z; ++z) old_logits[z] = static_cast<Real>(c.old_logits[z]);
  const auto run = [&](auto action) {
    return weigh_step<Real, Z>(args, outputs, old_logits, static_cast<Real>(c.old_value),
                               static_cast<Real>(c.advantage), action);
  };
  if constexpr (Z == 1) return run(c.action == 1);
  if constexpr (Z > 1) return run(c.action);
}

template <int Z>
Case<Z> random_case(test::Random& random, double clip, double value_clip) {
  Case<Z> c{};
  for (double& output : c.outputs) output = 2 * normal(random);
  for (int z = 0; z < Z; ++z) c.old_logits[z] = c.outputs[z] + 0.4 * normal(random);
  c.old_value = c.outputs[Z] + 0.5 * normal(random);
  c.advantage = 3 * normal(random);
  c.action = static_cast<int>(random.below(Z == 1 ? 2 : Z));
  c.clip = clip;
  c.value_clip = value_clip;
  c.entropy_coef = 0.3;
  c.value_coef = 0.7;
  return c;
}

/// Whether a step of `h` in any output may cross a corner of the losses.
template <int Z>
bool is_smooth(const Case<Z>& c) {
  const auto now = log_policy<Z>(c.outputs), old = log_policy<Z>(c.old_logits);
  const auto a = static_cast<std::size_t>(c.action);
  const double ratio = std::exp(now[a] - old[a]);
  const double moved = std::abs(c.outputs[Z] - c.old_value);
  const double target = c.advantage + c.old_value;
  const double near =
      c.old_value + std::clamp(c.outputs[Z] - c.old_value, -c.value_clip, c.value_clip);
  const double gap = std::abs(std::abs(c.outputs[Z] - target) - std::abs(near - target));
  return std::abs(std::abs(ratio - 1) - c.clip) > 1e-3 && std::abs(moved - c.value_clip) > 1e-3 &&
         (moved < c.value_clip || gap > 1e-3);
}

template <int Z>
void expect_derivatives(double clip, double value_clip) {
  test::Random random(17);
  int flat = 0, tried = 0;
  for (int i = 0; i < 400; ++i) {
    const Case<Z> c = random_case<Z>(random, clip, value_clip);
    if (!is_smooth(c)) continue;
    ++tried;
    const auto got = weigh<double>(c);
    for (int y = 0; y <= Z; ++y) {
      constexpr double h = 1e-5;
      Case<Z> up = c, down = c;
      up.outputs[y] += h;
      down.outputs[y] -= h;
      const double slope = (losses_of(up).sum(c) - losses_of(down).sum(c)) / (2 * h);
      ASSERT_NEAR(got.row[y], slope, 1e-8 * (1 + std::abs(slope))) << "case " << i << ", " << y;
    }
    const Losses want = losses_of(c);
    EXPECT_NEAR(got.row[Z + 1 + kPolicyLoss], want.policy, 1e-12 * (1 + std::abs(want.policy)));
    EXPECT_NEAR(got.row[Z + 1 + kValueLoss], want.value, 1e-12 * (1 + want.value));
    EXPECT_NEAR(got.row[Z + 1 + kEntropy], want.entropy, 1e-12);
    EXPECT_NEAR(got.row[Z + 1 + kKl], want.kl, 1e-12 * (1 + want.kl));
    flat += got.row[Z] == 0.0 ? 1 : 0;
  }
  EXPECT_GT(tried, 300);
  if (value_clip < kNever) {
    EXPECT_GT(flat, 10);  // of values that have moved far enough
  } else {
    EXPECT_EQ(flat, 0);
  }
}

TEST(ActorCriticStep, GradientsAreTheDerivativesOfTheLosses) {
  for (const double clip : {-1.0, 0.05, 0.2}) {
    for (const double value_clip : {kNever, 0.2}) {
      SCOPED_TRACE(testing::Message() << "clip " << clip << ", value clip " << value_clip);
      expect_derivatives<1>(clip, value_clip);
      expect_derivatives<3>(clip, value_clip);
    }
  }
}

TEST(ActorCriticStep, TheFirstPassIsTheSameWithAndWithoutARatio) {
  test::Random random(5);
  for (int i = 0; i < 200; ++i) {
    Case<1> c = random_case<1>(random, 0.2, kNever);
    c.old_logits[0] = c.outputs[0];
    const auto ratio = weigh<float>(c);
    c.clip = -1;
    const auto plain = weigh<float>(c);
    for (int y = 0; y < 2; ++y) EXPECT_EQ(ratio.row[y], plain.row[y]);
    EXPECT_EQ(ratio.row[2 + kKl], 0.0f);
    EXPECT_FALSE(ratio.clipped);
    EXPECT_FALSE(plain.clipped);
  }
}

TEST(ActorCriticStep, AStepIsClippedByItsRatioAlone) {
  Case<1> c{};
  c.clip = 0.2;
  c.value_clip = kNever;
  c.action = 1;
  for (const double advantage : {1.0, -1.0}) {
    c.advantage = advantage;
    c.outputs[0] = 1.0;  // the action is likelier than it was
    EXPECT_TRUE(weigh<float>(c).clipped);
    // only where that was wanted is there nothing more to gain
    EXPECT_EQ(weigh<float>(c).row[0] == 0.0f, advantage > 0);
    c.outputs[0] = -1.0;
    EXPECT_TRUE(weigh<float>(c).clipped);
    EXPECT_EQ(weigh<float>(c).row[0] == 0.0f, advantage < 0);
    c.outputs[0] = 0.1;
    EXPECT_FALSE(weigh<float>(c).clipped);
    EXPECT_NE(weigh<float>(c).row[0], 0.0f);
  }
}

TEST(ActorCriticStep, WithinTheClipAValueFollowsHoweverItIsRounded) {
  // in float32 1 + (0.1 - 1) is more than 0.1: the clipped value must not count as farther away
  for (const double value_clip : {kNever, 2.0}) {
    Case<1> c{};
    c.outputs[1] = 0.1;
    c.old_value = 1;
    c.advantage = -1;
    c.clip = 0.2;
    c.value_clip = value_clip;
    c.value_coef = 0.5;
    EXPECT_EQ(weigh<float>(c).row[1], 0.5f * 0.1f);
  }
}

TEST(ActorCriticStep, ASmallDivergenceIsMoreThanRounding) {
  for (const double moved : {1e-4, -1e-3, 5e-3}) {
    Case<1> c{};
    c.outputs[0] = moved;
    c.action = 1;
    c.clip = 0.2;
    c.value_clip = kNever;
    const double want = losses_of(c).kl;
    EXPECT_NEAR(weigh<float>(c).row[2 + kKl], want, 1e-3 * want) << moved;
  }
}

TEST(ActorCriticStep, ExtremeLogitsStayFinite) {
  for (const double now : {-500.0, 0.0, 500.0}) {
    for (const double old : {-500.0, 0.0, 500.0}) {
      for (const int action : {0, 1}) {
        Case<1> c{};
        c.outputs[0] = now;
        c.old_logits[0] = old;
        c.action = action;
        c.advantage = -2;
        c.clip = 0.2;
        c.value_clip = kNever;
        const auto step = weigh<float>(c);
        for (const float row : step.row) EXPECT_TRUE(std::isfinite(row)) << now << " " << old;
      }
    }
  }
}

/// A group's values, rewards of 1 and ends, and the advantages by their definition.
struct AdvantageCase {
  static constexpr int kT = 37;
  explicit AdvantageCase(std::uint64_t seed)
      : buffers({.num_envs = kGroup,
                 .T = kT,
                 .O = 4,
                 .A = 2,
                 .reward = true,
                 .advantage = true,
                 .value = true}) {
    test::Random random(seed);
    const Record<float>& r = buffers.record();
    for (int t = 0; t < kT; ++t) {
      r.terminated[t] = r.truncated[t] = 0;
      for (int lane = 0; lane < kGroup; ++lane) {
        const int i = t * kGroup + lane;
        r.reward[i] = static_cast<float>(normal(random));
        r.value[i] = static_cast<float>(normal(random));
        r.next_value[i] = 100 + static_cast<float>(normal(random));  // felt where it is not wanted
        const auto chance = random.below(12);
        if (chance == 0) r.terminated[t] = static_cast<std::uint16_t>(r.terminated[t] | 1 << lane);
        if (chance == 1) r.truncated[t] = static_cast<std::uint16_t>(r.truncated[t] | 1 << lane);
        if (chance == 2) {
          r.terminated[t] = static_cast<std::uint16_t>(r.terminated[t] | 1 << lane);
          r.truncated[t] = static_cast<std::uint16_t>(r.truncated[t] | 1 << lane);
        }
      }
    }
  }
  bool bit(const std::uint16_t* words, int t, int lane) const {
    return ((words[t] >> lane) & 1) != 0;
  }
  double delta(int t, int lane, double gamma) const {
    const Record<float>& r = buffers.record();
    const int i = t * kGroup + lane;
    double next = 0;
    if (!bit(r.terminated, t, lane)) {
      const bool beyond = bit(r.truncated, t, lane) || t == kT - 1;
      next = static_cast<double>(beyond ? r.next_value[i] : r.value[i + kGroup]);
    }
    return static_cast<double>(r.reward[i]) + gamma * next - static_cast<double>(r.value[i]);
  }
  /// sum over k >= t of (gamma lambda)^(k - t) delta_k, up to the end of the episode.
  double advantage(int t, int lane, double gamma, double lambda) const {
    double sum = 0, weight = 1;
    for (int k = t; k < kT; ++k) {
      sum += weight * delta(k, lane, gamma);
      weight *= gamma * lambda;
      if (bit(buffers.record().terminated, k, lane) || bit(buffers.record().truncated, k, lane)) {
        break;
      }
    }
    return sum;
  }
  RolloutBuffers buffers;
};

TEST(Advantages, AreTheirDefinitionOnEveryInstructionSet) {
  const EnvironmentEntry& entry = find_environment("cartpole");
  for (const double gamma : {1.0, 0.97}) {
    for (const double lambda : {0.0, 0.9, 1.0}) {
      std::vector<float> first;
      for (const Isa isa : test::available_isas()) {
        const AdvantageCase c(3);
        AdvantageRange range;
        constexpr int kEnvs = 13;
        const AdvantageArgs<float> args{kEnvs, c.buffers.record(), static_cast<float>(gamma),
                                        static_cast<float>(lambda), false};
        ASSERT_TRUE(operations_for(entry, isa).advantages(args, 0, range));
        float most = 0;
        std::vector<float> all;
        for (int t = 0; t < c.kT; ++t) {
          EXPECT_EQ(c.buffers.record().valid[t], (1 << kEnvs) - 1);
          for (int lane = 0; lane < kEnvs; ++lane) {
            const float got = c.buffers.record().advantage[t * kGroup + lane];
            const double want = c.advantage(t, lane, static_cast<double>(args.gamma),
                                            static_cast<double>(args.lambda));
            ASSERT_NEAR(got, want, 2e-5) << t << " " << lane;
            all.push_back(got);
            most = std::max(most, std::abs(got));
          }
        }
        EXPECT_EQ(range.advantage, most);
        if (first.empty()) first = all;
        EXPECT_EQ(all, first) << isa_name(isa);
      }
    }
  }
}

TEST(Advantages, WhatIsNotFiniteIsTold) {
  const EnvironmentEntry& entry = find_environment("cartpole");
  for (const Isa isa : test::available_isas()) {
    for (const float wrong : {std::nanf(""), INFINITY}) {
      AdvantageRange range;
      const AdvantageCase c(3);
      const AdvantageArgs<float> args{kGroup, c.buffers.record(), 0.9f, 0.9f, false};
      c.buffers.record().value[5 * kGroup + 3] = wrong;
      EXPECT_FALSE(operations_for(entry, isa).advantages(args, 0, range)) << isa_name(isa);
    }
  }
}

}  // namespace actor_critic_step_test
}  // namespace lockstep
