// Tests for kernels/fixed_point.h: rounding, saturation, scales and moments, and the integer sums
// of the batch gradient, which must not depend on order, on splits or on the instruction set.
#include "kernels/fixed_point.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>

#include "envs/cartpole.h"
#include "kernels/policy.h"
#include "tests/support/corridor.h"
#include "tests/support/float_batch.h"
#include "tests/support/training.h"

namespace lockstep::test {
namespace fixed_point_test {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kL = kQuantisedLimit;
constexpr std::int64_t kLimit = 8388607;

struct Quantised {
  std::int32_t value;
  bool saturated;
  bool operator==(const Quantised&) const = default;
};
Quantised quantise(float value, float scale, bool active = true) {
  bool saturated = false;
  const std::int32_t q = FixedPoint::quantise<float>(value, scale, active, saturated);
  return {q, saturated};
}

TEST(Quantise, RoundsToNearestAndTiesToEven) {
  for (int n = -1000; n <= 1000; ++n) {
    const float x = static_cast<float>(n) / 8;  // 4 x has halves
    EXPECT_EQ(quantise(x, 4.0f).value, std::nearbyintf(4 * x)) << x;
  }
  EXPECT_EQ(quantise(0.5f, 1.0f).value, 0);
  EXPECT_EQ(quantise(1.5f, 1.0f).value, 2);
  EXPECT_EQ(quantise(2.5f, 1.0f).value, 2);
  EXPECT_EQ(quantise(-1.5f, 1.0f).value, -2);
}

TEST(Quantise, TakesTheLimitAndNothingBeyond) {
  EXPECT_EQ(quantise(kL, 1.0f), (Quantised{8388607, false}));
  EXPECT_EQ(quantise(-kL, 1.0f), (Quantised{-8388607, false}));
  const float above = std::nextafterf(kL, kInf);
  EXPECT_EQ(quantise(above, 1.0f), (Quantised{0, true}));
  EXPECT_EQ(quantise(-above, 1.0f), (Quantised{0, true}));
  EXPECT_EQ(quantise(1e30f, 1e30f), (Quantised{0, true}));
  for (const float bad : {kInf, -kInf, kNan}) EXPECT_EQ(quantise(bad, 1.0f), (Quantised{0, true}));
}

TEST(Quantise, IgnoresLanesThatAreNotActive) {
  for (const float x : {1.0f, kInf, kNan})
    EXPECT_EQ(quantise(x, 1.0f, false), (Quantised{0, false}));
}

TEST(ScaleForBound, IsTheLargestPowerOfTwoThatFits) {
  std::mt19937_64 bits(1);
  std::vector<double> bounds = {1, 2, 0.5, 8388607, 8388607.5, 8388608, 1e-20, 1e20};
  for (int i = 0; i < 10000; ++i) {
    bounds.push_back(std::ldexp(0.5 + static_cast<double>(bits() >> 12) * 0x1p-53,
                                static_cast<int>(bits() % 120) - 60));
  }
  for (int k = -20; k <= 20; ++k) {  // close to the powers of two
    bounds.push_back(std::ldexp(1 - 0x1p-53, k));
    bounds.push_back(std::ldexp(1 - 0x1p-23, k));
    bounds.push_back(std::ldexp(1 - 0x1p-24, k));
  }
  for (const double bound : bounds) {
    const double scale = static_cast<double>(scale_for_bound(bound));
    int exponent = 0;
    EXPECT_EQ(std::frexp(scale, &exponent), 0.5) << "not a power of two for " << bound;
    EXPECT_LE(bound * scale, static_cast<double>(kLimit)) << bound;
    EXPECT_GT(2 * bound * scale, static_cast<double>(kLimit)) << bound;
  }
}

TEST(ScaleForBound, StaysFiniteForExtremeBounds) {
  EXPECT_EQ(scale_for_bound(1e-300), 0x1p100f);
  EXPECT_EQ(scale_for_bound(1e300), 0x1p-100f);
}

Moments moments_of(const std::vector<std::int64_t>& values, float scale, bool sample_std) {
  std::int64_t sum = 0;
  uint128 squares = 0;
  for (const std::int64_t v : values) {
    sum += v;
    squares += static_cast<uint128>(v * v);
  }
  return moments(static_cast<std::int64_t>(values.size()), sum, squares, scale, sample_std);
}

TEST(Moments, EqualTheDefinitions) {
  const std::vector<std::int64_t> v = {6, 8, 14, -4};  // 3, 4, 7, -2 at scale 2
  EXPECT_DOUBLE_EQ(moments_of(v, 2.0f, false).mean, 3.0);
  EXPECT_DOUBLE_EQ(moments_of(v, 2.0f, false).inv_std, 1 / std::sqrt(42.0 / 4));
  EXPECT_DOUBLE_EQ(moments_of(v, 2.0f, true).inv_std, 1 / std::sqrt(42.0 / 3));
}

TEST(Moments, HaveNoDeviationWhereThereIsNone) {
  EXPECT_EQ(moments_of({}, 1.0f, false).inv_std, 0.0);
  EXPECT_EQ(moments_of({5}, 1.0f, true).inv_std, 0.0);
  EXPECT_EQ(moments_of({5}, 1.0f, false).inv_std, 0.0);
  EXPECT_EQ(moments_of(std::vector<std::int64_t>(1000, kLimit), 1.0f, false).inv_std, 0.0);
}

TEST(Moments, AreExactWhereDoublesCancel) {
  // a spread of 1 on values of 2^23, a hundred thousand times: sum of squares 7e18
  std::vector<std::int64_t> v(100000, kLimit);
  for (std::size_t i = 0; i < v.size(); i += 2) v[i] = kLimit - 1;
  EXPECT_DOUBLE_EQ(moments_of(v, 1.0f, false).inv_std, 2.0);
}

// ---- the batch gradient ------------------------------------------------------------------------

std::vector<float> random_parameters(const PolicyShape& shape, std::uint64_t seed) {
  std::mt19937_64 bits(seed);
  std::vector<float> out(static_cast<std::size_t>(shape.size()));
  for (float& p : out) p = 2 * uniform<float>(static_cast<std::uint32_t>(bits())) - 1;
  return out;
}

/// Advantages and weights such that every term of every step is exactly +-L.
FloatBatch extreme_batch(std::int64_t envs, int T, float sign) {
  FloatBatch batch("cartpole", PolicyKind::kMlp, 19, {}, envs, T);
  std::vector<float> flat(static_cast<std::size_t>(batch.shape().size()), 0.0f);
  for (std::size_t j = 0; j < 19; ++j) flat[19 * 4 + j] = 1.0f;  // every unit is active
  batch.set_parameters(flat);
  const auto& r = batch.record();
  for (std::int64_t group = 0; group < r.groups; ++group) r.steps[group] = T;
  for (std::int64_t step = 0; step < r.groups * T; ++step) {
    r.action_bits[step] = 0;
    r.valid[step] = 0xffff;
    for (int lane = 0; lane < kGroup; ++lane) {
      for (int o = 0; o < 4; ++o) r.obs[(step * 4 + o) * kGroup + lane] = 1.0f;
      r.logits[step * kGroup + lane] = 0.0f;            // both actions with probability 1/2
      r.advantage[step * kGroup + lane] = 2.0f * sign;  // so that g = 1
    }
  }
  return batch;
}
GradientArgs<float> extreme_args(const FloatBatch& batch) {
  GradientArgs<float> args = batch.gradient_args();
  for (float& scale : args.scale) scale = kL;
  return args;
}

TEST(GradientSums, DoNotWrapWithEveryTermAtTheLimit) {
  for (const float sign : {1.0f, -1.0f}) {
    const FloatBatch batch = extreme_batch(128, 500, sign);
    const auto args = extreme_args(batch);
    const auto layout = batch.layout();
    for (const Isa isa : available_isas()) {
      const IntegerSums sums = batch.sums(args, isa);
      EXPECT_FALSE(sums.saturated);
      const std::int64_t expected = static_cast<std::int64_t>(sign) * kLimit * 128 * 500;
      for (std::int64_t k = 0; k < layout.loss(); ++k) {
        const std::int64_t unit = k / layout.components;
        const bool padding = unit < layout.units && unit / 3 + 8 * (unit % 3) >= 19;
        ASSERT_EQ(sums.value[static_cast<std::size_t>(k)], padding ? 0 : expected)
            << isa_name(isa) << " sum " << k;
      }
    }
  }
}

TEST(GradientSums, EveryComponentSaturatesByItself) {
  for (const Isa isa : available_isas()) {
    const FloatBatch batch = extreme_batch(40, 70, 1.0f);
    const auto args = extreme_args(batch);
    const auto& r = batch.record();
    ASSERT_FALSE(batch.sums(args, isa).saturated);
    for (const std::int64_t step : {std::int64_t{0}, std::int64_t{69}, std::int64_t{2 * 70 + 33}}) {
      for (const int lane : {0, 7, 15}) {
        const std::uint16_t bit = static_cast<std::uint16_t>(1 << lane);
        for (int o = 0; o <= 4; ++o) {
          float& value =
              o < 4 ? r.obs[(step * 4 + o) * kGroup + lane] : r.advantage[step * kGroup + lane];
          const float before = value;
          for (const float bad : {std::nextafterf(before, kInf), -2 * before, kInf, kNan}) {
            value = bad;
            EXPECT_TRUE(batch.sums(args, isa).saturated)
                << isa_name(isa) << " component " << o << " lane " << lane << " value " << bad;
            r.valid[step] = static_cast<std::uint16_t>(r.valid[step] & ~bit);
            EXPECT_FALSE(batch.sums(args, isa).saturated) << "a step that does not count";
            r.valid[step] = static_cast<std::uint16_t>(r.valid[step] | bit);
          }
          value = before;
        }
      }
    }
    EXPECT_FALSE(batch.sums(args, isa).saturated);
  }
}

/// One row of the table of batches the order tests run on.
struct Kind {
  const char* environment;
  PolicyKind policy;
  int hidden;
  PolicyOptions options;
};
const Kind kKinds[] = {
    {"cartpole", PolicyKind::kMlp, 32, {}},
    {"corridor", PolicyKind::kMlp, 13, {}},
    {"cartpole", PolicyKind::kLinear, 0, {}},
    {"corridor", PolicyKind::kLinear, 0, {}},
    {"cartpole", PolicyKind::kMlp, 37, {Activation::kLeakyRelu, 0.0}},
    {"cartpole", PolicyKind::kMlp, 130, {Activation::kRelu, 0.5}},
    {"corridor", PolicyKind::kMlp, 35, {Activation::kLeakyRelu, 0.3}},
};

FloatBatch played_batch(const Kind& kind) {
  FloatBatch batch(kind.environment, kind.policy, kind.hidden, kind.options, 75, 90);
  batch.set_parameters(random_parameters(batch.shape(), 5));
  batch.rollout({11, 4}, 0.97f);
  return batch;
}
GradientArgs<float> played_args(const FloatBatch& batch) {
  GradientArgs<float> args = batch.gradient_args();
  args.mean = 0.3f;
  args.inv_std = 0.07f;
  args.entropy_coef = 0.02f;
  for (float& scale : args.scale) scale = 0x1p18f;
  args.loss_scale = args.entropy_scale = 0x1p14f;
  return args;
}

TEST(GradientSums, AreEqualInAnyOrderSplitAndInstructionSet) {
  for (const Kind& kind : kKinds) {
    const FloatBatch batch = played_batch(kind);
    const auto args = played_args(batch);
    const IntegerSums expected = batch.sums(args, Isa::kScalar);
    ASSERT_FALSE(expected.saturated);
    auto order = batch.in_order();
    std::mt19937_64 bits(3);
    for (const Isa isa : available_isas()) {
      for (const int parts : {1, 2, 5}) {
        EXPECT_EQ(batch.sums(args, isa, order, parts), expected)
            << kind.environment << " H " << kind.hidden << " " << isa_name(isa);
        std::shuffle(order.begin(), order.end(), bits);
      }
    }
  }
}

TEST(GradientSums, AreEqualWhenThePhysicsIsReplayed) {
  for (const Kind& kind : kKinds) {
    const FloatBatch batch = played_batch(kind);
    auto args = played_args(batch);
    const IntegerSums expected = batch.sums(args, Isa::kScalar);
    args.record.obs = nullptr;
    args.record.logits = nullptr;
    for (const Isa isa : available_isas()) {
      EXPECT_EQ(batch.sums(args, isa), expected) << kind.environment << " H " << kind.hidden;
    }
  }
}

/// The sums again, a step and a unit at a time, in plain 64-bit integers.
template <class E>
std::vector<std::int64_t> plain_sums(const FloatBatch& batch, const GradientArgs<float>& args) {
  constexpr int O = E::kObservationSize, A = E::kNumActions, Z = logits_of(A);
  const auto& r = args.record;
  const auto layout = batch.layout();
  std::vector<std::int64_t> sums(static_cast<std::size_t>(layout.size()));
  const auto add = [&](std::int64_t place, float value, float scale) {
    sums[static_cast<std::size_t>(place)] +=
        static_cast<std::int64_t>(std::nearbyint(static_cast<double>(value * scale)));
  };
  for (std::int64_t env = 0; env < args.num_envs; ++env) {
    const std::int64_t group = env / kGroup, lane = env % kGroup;
    for (int t = 0; t < r.steps[group]; ++t) {
      const std::int64_t step = group * r.T + t;
      if (((r.valid[step] >> lane) & 1) == 0) continue;
      float obs[O], logits[Z];
      for (int o = 0; o < O; ++o) obs[o] = r.obs[(step * O + o) * kGroup + lane];
      for (int z = 0; z < Z; ++z) logits[z] = r.logits[(step * Z + z) * kGroup + lane];
      const float advantage = (r.advantage[step * kGroup + lane] - args.mean) * args.inv_std;
      LogitGradient<float, Z> g;
      if constexpr (A == 2) {
        g = logit_gradient(logits, ((r.action_bits[step] >> lane) & 1) != 0, advantage,
                           args.entropy_coef);
      } else {
        g = logit_gradient(logits, std::int32_t{r.action[step * kGroup + lane]}, advantage,
                           args.entropy_coef);
      }
      DropoutMask<float> mask;
      if (args.policy.drop_below != 0) {
        draw_dropout<float>(args.stream, args.policy, static_cast<std::uint32_t>(env),
                            static_cast<std::uint32_t>(t), mask.word);
      }
      const auto add_terms = [&](std::int64_t place) {
        for (int z = 0; z < Z; ++z) {
          for (int o = 0; o <= O; ++o) {
            const float term = o < O ? g.grad[z] * obs[o < O ? o : 0] : g.grad[z];
            add(place + z * (O + 1) + o, term, args.scale[o]);
          }
        }
      };
      add_terms(layout.all());
      add(layout.loss(), advantage * g.neg_log_prob, args.loss_scale);
      add(layout.entropy(), g.entropy, args.entropy_scale);
      for (int position = 0; position < layout.units; ++position) {
        const int j = position / args.policy.chain + kPartials * (position % args.policy.chain);
        if (j >= args.policy.hidden) continue;
        const bool kept = args.policy.drop_below == 0 || mask.kept(j);
        const float h = hidden_unit<float, O>(
            args.policy.units + std::int64_t{position} * unit_stride(O, Z), obs);
        if (kept && h > 0) add_terms(layout.active(position));
        if (kept && layout.has_kept) add_terms(layout.kept(position));
      }
    }
  }
  return sums;
}

TEST(GradientSums, EqualPlainIntegerSums) {
  for (const Kind& kind : kKinds) {
    const FloatBatch batch = played_batch(kind);
    const auto args = played_args(batch);
    const auto expected = std::string(kind.environment) == "cartpole"
                              ? plain_sums<CartPole>(batch, args)
                              : plain_sums<Corridor>(batch, args);
    EXPECT_EQ(batch.sums(args, Isa::kScalar).value, expected)
        << kind.environment << " H " << kind.hidden;
  }
}

}  // namespace fixed_point_test
}  // namespace lockstep::test
