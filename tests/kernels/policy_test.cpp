// Tests for kernels/policy.h and PackedPolicy: the network against its formula in double, the order
// of summation by bits, and the dropout masks.
#include "kernels/policy.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "host/backend/policy_parameters.h"
#include "tests/support/compare.h"
#include "tests/support/return_cases.h"
#include "tests/support/statistics.h"

namespace lockstep {
namespace policy_test {

using test::Random;

constexpr int kO = 4;

/// Weights and an observation of ordinary size, any H and A.
struct Case {
  PolicyShape shape;
  std::vector<float> flat;
  float obs[1][kO];

  Case(PolicyKind kind, int A, int H, std::uint64_t seed) : shape{kind, kO, A, H} {
    Random random(seed);
    const auto value = [&] { return static_cast<float>(random.uniform() * 2 - 1); };
    for (std::int64_t i = 0; i < shape.size(); ++i) flat.push_back(value());
    for (float& o : obs[0]) o = 2 * value();
  }
  const float* layer(int n) const {  // 0 weight1, 1 bias1, 2 weight2, 3 bias2
    const int H = shape.H, A = shape.A;
    const int rows = shape.kind == PolicyKind::kLinear ? A : H;
    const int at[] = {0, rows * kO, H * kO + H, H * kO + H + A * H};
    return flat.data() + at[n];
  }
};

/// A mask that keeps a unit or not, by its number.
DropoutMask<float> mask_of(std::uint64_t seed) {
  DropoutMask<float> mask;
  Random random(seed);
  for (auto& word : mask.word) word = random.word();
  return mask;
}

/// Logits per action of the network as PyTorch computes them, in double.
std::vector<double> reference_logits(const Case& c, double leak, double drop_scale,
                                     const DropoutMask<float>* mask) {
  const auto input = [&](int i) { return static_cast<double>(c.obs[0][i]); };
  const auto dot = [&](const float* weight, int row) {
    double sum = 0;
    for (int i = 0; i < kO; ++i) sum += static_cast<double>(weight[row * kO + i]) * input(i);
    return sum;
  };
  std::vector<double> logits;
  for (int a = 0; a < c.shape.A; ++a) {
    if (c.shape.kind == PolicyKind::kLinear) {
      logits.push_back(dot(c.layer(0), a) + static_cast<double>(c.layer(1)[a]));
      continue;
    }
    double sum = static_cast<double>(c.layer(3)[a]);
    for (int j = 0; j < c.shape.H; ++j) {
      const double h = dot(c.layer(0), j) + static_cast<double>(c.layer(1)[j]);
      const bool kept = mask == nullptr || mask->kept(j);
      sum += static_cast<double>(c.layer(2)[a * c.shape.H + j]) * (h > 0 ? h : leak * h) *
             (kept ? drop_scale : 0);
    }
    logits.push_back(sum);
  }
  return logits;
}

template <PolicyForm kForm, int kInFlight, int Z>
std::vector<float> engine_logits(const Case& c, const PolicyOptions& options,
                                 const DropoutMask<float>* mask) {
  PackedPolicy packed(c.shape, options);
  packed.pack(c.flat);
  EXPECT_EQ(packed.view().form, kForm);
  float logits[1][Z];
  policy_logits<kForm, kInFlight, float, 1, kO, Z>(packed.view(), c.obs, mask, logits);
  return {logits[0], logits[0] + Z};
}

/// Compares one case; sums of H terms of size 1 in float, each rounding at most 2^-24 of the sum.
template <PolicyForm kForm, int A>
void expect_reference(const Case& c, const PolicyOptions& options, const DropoutMask<float>* mask) {
  const auto got = engine_logits<kForm, 1, logits_of(A)>(c, options, mask);
  const double leak = options.activation == Activation::kLeakyRelu ? 0.01 : 0;
  auto want = reference_logits(c, leak, 1 / (1 - options.dropout), mask);
  if (A == 2) want = {want[1] - want[0]};
  const double bound = 3e-7 * (4 + std::sqrt(c.shape.H) * 4 / (1 - options.dropout));
  for (std::size_t z = 0; z < got.size(); ++z) {
    EXPECT_NEAR(got[z], want[z], bound) << "H = " << c.shape.H << ", logit " << z;
  }
}

constexpr int kHidden[] = {1, 2, 7, 8, 9, 31, 32, 33, 64, 128, 200, 256, 1000};

TEST(PolicyLogitsTest, ReluNetworkFollowsItsFormula) {
  for (const int H : kHidden) {
    const auto seed = static_cast<std::uint64_t>(H);
    expect_reference<PolicyForm::kRelu, 2>({PolicyKind::kMlp, 2, H, seed}, {}, nullptr);
    expect_reference<PolicyForm::kRelu, 3>({PolicyKind::kMlp, 3, H, seed}, {}, nullptr);
  }
}

TEST(PolicyLogitsTest, LeakyReluNetworkFollowsItsFormula) {
  const PolicyOptions options{Activation::kLeakyRelu, 0};
  for (const int H : kHidden) {
    const auto seed = static_cast<std::uint64_t>(H);
    expect_reference<PolicyForm::kGeneral, 2>({PolicyKind::kMlp, 2, H, seed}, options, nullptr);
    expect_reference<PolicyForm::kGeneral, 3>({PolicyKind::kMlp, 3, H, seed}, options, nullptr);
  }
}

TEST(PolicyLogitsTest, DropoutKeepsAndScalesTheUnitsOfItsMask) {
  for (const auto activation : {Activation::kRelu, Activation::kLeakyRelu}) {
    for (const double dropout : {0.5, 0.2}) {
      for (const int H : kHidden) {
        const auto mask = mask_of(static_cast<std::uint64_t>(H));
        const auto seed = static_cast<std::uint64_t>(H);
        expect_reference<PolicyForm::kGeneral, 2>({PolicyKind::kMlp, 2, H, seed},
                                                  {activation, dropout}, &mask);
        expect_reference<PolicyForm::kGeneral, 3>({PolicyKind::kMlp, 3, H, seed},
                                                  {activation, dropout}, &mask);
      }
    }
  }
}

TEST(PolicyLogitsTest, LinearPolicyFollowsItsFormula) {
  for (std::uint64_t seed = 0; seed < 20; ++seed) {
    expect_reference<PolicyForm::kLinear, 2>({PolicyKind::kLinear, 2, 0, seed}, {}, nullptr);
    expect_reference<PolicyForm::kLinear, 3>({PolicyKind::kLinear, 3, 0, seed}, {}, nullptr);
  }
}

/// Logit of two actions in the documented order: eight interleaved chains, a tree, the bias.
float contract_logit(const Case& c) {
  float partial[8] = {};
  for (int j = 0; j < c.shape.H; ++j) {
    float h = c.layer(1)[j];
    for (int i = kO - 1; i >= 0; --i) h = std::fma(c.layer(0)[j * kO + i], c.obs[0][i], h);
    const float w = c.layer(2)[c.shape.H + j] - c.layer(2)[j];
    partial[j % 8] = std::fma(w, h > 0 ? h : 0.0f, partial[j % 8]);
  }
  for (int stride = 1; stride < 8; stride *= 2) {
    for (int r = 0; r < 8; r += 2 * stride) partial[r] += partial[r + stride];
  }
  return partial[0] + (c.layer(3)[1] - c.layer(3)[0]);
}

TEST(PolicyLogitsTest, SumsInTheDocumentedOrderWhateverIsInFlight) {
  for (const int H : kHidden) {
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
      const Case c(PolicyKind::kMlp, 2, H, seed);
      const auto want = std::vector<float>{contract_logit(c)};
      ASSERT_EQ((engine_logits<PolicyForm::kRelu, 1, 1>(c, {}, nullptr)), want) << "H = " << H;
      ASSERT_EQ((engine_logits<PolicyForm::kRelu, 2, 1>(c, {}, nullptr)), want) << "H = " << H;
      ASSERT_EQ((engine_logits<PolicyForm::kRelu, 4, 1>(c, {}, nullptr)), want) << "H = " << H;
      ASSERT_EQ((engine_logits<PolicyForm::kRelu, 8, 1>(c, {}, nullptr)), want) << "H = " << H;
    }
  }
}

/// The mask of one step, by the engine.
DropoutMask<float> drawn_mask(const RandomStream& stream, int H, double dropout, std::uint32_t env,
                              std::uint32_t t) {
  PackedPolicy packed({PolicyKind::kMlp, kO, 2, H}, {Activation::kRelu, dropout});
  DropoutMask<float> mask{};
  draw_dropout<float>(stream, packed.view(), env, t, mask.word);
  return mask;
}

TEST(DropoutTest, HalfTakesOneBitAUnit) {
  const RandomStream stream{3, 4};
  for (const int H : {1, 32, 128, 129, 300}) {
    const auto mask = drawn_mask(stream, H, 0.5, 6, 7);
    for (int j = 0; j < H; ++j) {
      const auto r = random_words<std::uint32_t>(stream, Purpose::kDropout,
                                                 static_cast<std::uint32_t>(j / 128), 6, 7);
      EXPECT_EQ(mask.kept(j), ((r.w[j % 128 / 32] >> (j % 32)) & 1) != 0) << j << " of " << H;
    }
  }
}

TEST(DropoutTest, OtherRatesTakeOneWordAUnit) {
  const RandomStream stream{3, 4};
  for (const int H : {1, 32, 128, 129, 300}) {
    const auto mask = drawn_mask(stream, H, 0.3, 6, 7);
    for (int j = 0; j < H; ++j) {
      const auto r = random_words<std::uint32_t>(stream, Purpose::kDropout,
                                                 static_cast<std::uint32_t>(j / 4), 6, 7);
      EXPECT_EQ(mask.kept(j), static_cast<double>(r.w[j % 4] >> 8) >= std::round(0.3 * 0x1p24))
          << j << " of " << H;
    }
  }
}

/// Deviations of the units kept in n masks from their expected number.
double kept_sigmas(double drawn_with, double dropout, std::uint32_t steps) {
  constexpr int kH = 128;
  double kept = 0;
  for (std::uint32_t t = 0; t < steps; ++t) {
    const auto mask = drawn_mask({9, 0}, kH, drawn_with, t % 7, t);
    for (int j = 0; j < kH; ++j) kept += mask.kept(j);
  }
  return test::binomial_sigmas(kept, static_cast<double>(steps) * kH, 1 - dropout);
}

TEST(DropoutTest, UnitsAreDroppedWithTheirRate) {
  constexpr std::uint32_t kSteps = 8000;  // 10^6 units
  for (const double dropout : {0.5, 0.1, 0.9}) {
    EXPECT_LE(std::abs(kept_sigmas(dropout, dropout, kSteps)), test::kNormalBound) << dropout;
  }
  const double bias = test::kDetectableSigmas * std::sqrt(0.1 * 0.9 / (kSteps * 128.0));
  EXPECT_GT(std::abs(kept_sigmas(0.1 + bias, 0.1, kSteps)), test::kNormalBound);
}

}  // namespace policy_test
}  // namespace lockstep
