// Tests for kernels/finish_gradient.h: the gradient of every parameter, from the kernels of
// production in double, against finite differences of a textbook loss.
#include "kernels/finish_gradient.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <random>

#include "envs/cartpole.h"
#include "tests/support/corridor.h"
#include "tests/support/double_batch.h"
#include "tests/support/textbook_policy.h"

namespace lockstep::test {
namespace finish_gradient_test {

constexpr double kWidth = 1e-5;       // of the differences
constexpr double kKinkMargin = 4e-5;  // no pre-activation may be this close to 0
constexpr double kMostRelative = 1e-7;
constexpr double kMostElement = 1e-5;

/// What one case draws at random.
struct Case {
  PolicyShape shape;
  PolicyOptions options;
  std::int64_t envs;
  int T;
  bool episodic, replay, full_return;
  double gamma, mean, inv_std, entropy_coef;
  RandomStream stream;
  std::vector<double> parameters;
};

class Draw {
 public:
  explicit Draw(std::uint64_t seed) : bits_(seed) {}
  double real(double low, double high) {
    return low + (high - low) * (static_cast<double>(bits_() >> 11) * 0x1p-53);
  }
  int below(int n) { return static_cast<int>(bits_() % static_cast<std::uint64_t>(n)); }

 private:
  std::mt19937_64 bits_;
};

template <class E>
Case draw_case(Draw& draw, int number) {
  Case c{};
  const bool linear = number % 5 == 0;
  c.shape = {linear ? PolicyKind::kLinear : PolicyKind::kMlp, E::kObservationSize, E::kNumActions,
             linear ? 0 : 1 + draw.below(number % 7 == 0 ? 37 : 12)};
  if (number % 2 == 0) c.options.activation = Activation::kLeakyRelu;
  const double dropouts[] = {0.0, 0.5, 0.3};
  c.options.dropout = linear ? 0.0 : dropouts[number % 3];
  c.envs = number % 11 == 0 ? 19 : 1 + draw.below(4);
  c.T = number % 11 == 0 ? 12 : 40;
  c.episodic = draw.below(2) == 0;
  c.replay = draw.below(2) == 0;
  c.full_return = draw.below(3) == 0;
  c.gamma = draw.real(0.8, 1.0);
  c.mean = draw.real(-1, 1);
  c.inv_std = draw.real(0.5, 2);
  c.entropy_coef = draw.below(2) == 0 ? 0.0 : draw.real(0.01, 0.5);
  c.stream = {static_cast<std::uint64_t>(draw.below(1 << 30)),
              static_cast<std::uint32_t>(draw.below(1000))};
  for (std::int64_t i = 0; i < c.shape.size(); ++i) c.parameters.push_back(draw.real(-1.2, 1.2));
  return c;
}

/// The steps of a batch that count, for the textbook.
struct Sample {
  std::vector<double> obs;
  std::vector<std::uint32_t> kept;
  int action;
  double advantage;
};

template <class E>
std::vector<Sample> valid_samples(DoubleBatch<E>& batch, const Case& c) {
  std::vector<Sample> samples;
  const auto& r = batch.record();
  for (std::int64_t env = 0; env < c.envs; ++env) {
    const std::int64_t group = env / kGroup;
    const int lane = static_cast<int>(env % kGroup);
    for (int t = 0; t < r.steps[group]; ++t) {
      const std::int64_t step = group * r.T + t;
      if (((r.valid[step] >> lane) & 1) == 0) continue;
      Sample s{};
      for (int o = 0; o < E::kObservationSize; ++o) {
        s.obs.push_back(r.obs[(step * E::kObservationSize + o) * kGroup + lane]);
      }
      s.action = batch.action(group, lane, t);
      s.advantage = (r.advantage[step * kGroup + lane] - c.mean) * c.inv_std;
      if (c.options.dropout > 0) {
        s.kept.resize(kMaxHidden / 32);
        draw_dropout<double>(c.stream, batch.view(), static_cast<std::uint32_t>(env),
                             static_cast<std::uint32_t>(t), s.kept.data());
      }
      samples.push_back(s);
    }
  }
  return samples;
}

struct Outcome {
  bool used = false;  // episodes finished, and no kink is near
  bool kink = false;
  double relative = 0, element = 0, loss = 0;
};

template <class E>
Outcome run_case(const Case& c) {
  DoubleBatch<E> batch(c.shape, c.options, c.envs, c.T);
  batch.set_parameters(c.parameters);
  batch.rollout(c.stream, c.episodic);
  batch.returns(c.gamma, c.full_return ? ReturnMode::kFull : ReturnMode::kStepwise);
  const auto samples = valid_samples(batch, c);
  if (samples.empty()) return {};

  const TextbookPolicy textbook{
      c.shape, c.options.activation == Activation::kLeakyRelu ? static_cast<double>(kLeak) : 0,
      c.options.dropout};
  const double episodes = static_cast<double>(batch.episodes());
  double nearest_kink = 1e300;
  const auto loss = [&](std::span<const double> at, double entropy_coef) {
    double total = 0;
    for (const Sample& s : samples) {
      const auto out =
          textbook.evaluate(at, s.obs.data(), s.kept.empty() ? nullptr : s.kept.data());
      total -= s.advantage * out.log_prob[s.action] + entropy_coef * out.entropy;
      nearest_kink = std::min(nearest_kink, out.nearest_kink);
    }
    return total / episodes;
  };
  const double loss_here = loss(c.parameters, 0);
  Outcome outcome;
  outcome.kink = nearest_kink < kKinkMargin;
  if (outcome.kink) return outcome;
  const auto expected = finite_differences(
      c.parameters, kWidth, [&](const auto& at) { return loss(at, c.entropy_coef); });
  const auto gradient = batch.gradient({c.mean, c.inv_std, c.entropy_coef, c.replay}, episodes);
  outcome.used = true;
  outcome.relative = relative_l2(gradient, expected);
  for (std::size_t i = 0; i < expected.size(); ++i) {
    outcome.element = std::max(outcome.element, std::fabs(gradient[i] - expected[i]));
  }
  outcome.loss = std::fabs(batch.loss() - loss_here) / (1 + std::fabs(loss_here));
  return outcome;
}

/// 100 random networks and batches on one environment.
template <class E>
void run_cases(std::uint64_t seed) {
  Draw draw(seed);
  double worst = 0, worst_element = 0;
  int kinks = 0, idle = 0;
  for (int number = 0; number < 100; ++number) {
    Outcome outcome;
    for (int attempt = 0; attempt < 50 && !outcome.used; ++attempt) {
      const Case c = draw_case<E>(draw, number);
      outcome = run_case<E>(c);
      kinks += outcome.kink;
      idle += !outcome.kink && !outcome.used;
      if (!outcome.used) continue;
      EXPECT_LE(outcome.relative, kMostRelative)
          << "case " << number << ": H " << c.shape.H << " dropout " << c.options.dropout
          << " envs " << c.envs << (c.replay ? " replayed" : "") << (c.episodic ? " episodic" : "");
      EXPECT_LE(outcome.element, kMostElement) << "case " << number;
      EXPECT_LE(outcome.loss, 1e-12) << "case " << number;
      worst = std::max(worst, outcome.relative);
      worst_element = std::max(worst_element, outcome.element);
    }
    ASSERT_TRUE(outcome.used) << "case " << number << " never found a point away from kinks";
  }
  std::printf(
      "%s: 100 networks, worst relative L2 %.1e, worst element %.1e; "
      "drawn again: %d near a kink, %d without a finished episode\n",
      E::kName, worst, worst_element, kinks, idle);
}

TEST(FinishGradient, EqualsFiniteDifferencesWithTwoActions) { run_cases<CartPole>(11); }
TEST(FinishGradient, EqualsFiniteDifferencesWithThreeActions) { run_cases<Corridor>(12); }

TEST(FinishGradient, TwoActionRowsAreNegativesOfEachOther) {
  Draw draw(13);
  const Case c = draw_case<CartPole>(draw, 1);
  DoubleBatch<CartPole> batch(c.shape, c.options, 16, 100);
  batch.set_parameters(c.parameters);
  batch.rollout(c.stream, true);
  batch.returns(1.0, ReturnMode::kStepwise);
  const auto gradient = batch.gradient({}, 16.0);
  const auto H = static_cast<std::size_t>(c.shape.H);
  const std::size_t rows = H * 5;
  for (std::size_t j = 0; j < H; ++j) EXPECT_EQ(gradient[rows + j], -gradient[rows + H + j]);
  EXPECT_EQ(gradient[rows + 2 * H], -gradient[rows + 2 * H + 1]);
}

}  // namespace finish_gradient_test
}  // namespace lockstep::test
