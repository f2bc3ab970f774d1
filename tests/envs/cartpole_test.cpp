// Tests for envs/cartpole.h.
#include "envs/cartpole.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "host/engine.h"
#include "kernels/rollout_step.h"
#include "tests/support/compare.h"
#include "tests/support/golden.h"
#include "tests/support/interval.h"

namespace lockstep {
namespace cartpole_test {

using test::Interval;
using test::same_bits;

constexpr double kAngle = 12 * 2 * 3.141592653589793 / 360;

template <class F>
bool terminal(F x, F theta) {
  return CartPole::is_terminal<F>({x, F(0), theta, F(0)});
}

/// A pseudo-random state within the given half widths, from Philox.
template <class F>
CartPole::State<F> state_of(std::uint32_t i, const double (&width)[4]) {
  const auto r = philox4x32<std::uint32_t>(i, 0, 0, 0, 99);
  F v[4];
  for (int k = 0; k < 4; ++k) v[k] = static_cast<F>((uniform<double>(r.w[k]) * 2 - 1) * width[k]);
  return CartPole::restore<F>(v);
}

TEST(CartPoleTest, TerminatesBeyondButNotAtTheThresholds) {
  for (const double sign : {1.0, -1.0}) {
    EXPECT_FALSE(terminal(sign * 2.4, 0.0));
    EXPECT_TRUE(terminal(sign * std::nextafter(2.4, 3.0), 0.0));
    EXPECT_FALSE(terminal(0.0, sign * kAngle));
    EXPECT_TRUE(terminal(0.0, sign * std::nextafter(kAngle, 1.0)));
    const float s = static_cast<float>(sign);
    const float angle = static_cast<float>(kAngle);
    EXPECT_FALSE(terminal(s * 2.4f, 0.0f));
    EXPECT_TRUE(terminal(s * std::nextafter(2.4f, 3.0f), 0.0f));
    EXPECT_FALSE(terminal(0.0f, s * angle));
    EXPECT_TRUE(terminal(0.0f, s * std::nextafter(angle, 1.0f)));
  }
  EXPECT_FALSE(terminal(std::nan(""), std::nan("")));  // as Gymnasium's comparisons
}

template <class F, class Arithmetic>
void expect_mirror_symmetry(const double (&width)[4]) {
  for (std::uint32_t i = 0; i < 20000; ++i) {
    auto state = state_of<F>(i, width);
    CartPole::State<F> mirrored{-state.x, -state.v, -state.theta, -state.omega};
    const auto a = CartPole::step<F, Arithmetic>(state, true);
    const auto b = CartPole::step<F, Arithmetic>(mirrored, false);
    F left[4], right[4];
    CartPole::save(state, left);
    CartPole::save(mirrored, right);
    for (F& value : right) value = -value;
    ASSERT_TRUE((same_bits<F>(left, right))) << "state " << i;
    ASSERT_EQ(a.terminated, b.terminated);
    ASSERT_EQ(a.reward, F(1));
  }
}

TEST(CartPoleTest, MirroredStateAndActionGiveTheMirroredStateBitForBit) {
  expect_mirror_symmetry<float, FusedArithmetic<float>>({2.4, 5, 0.21, 5});
  expect_mirror_symmetry<float, FusedArithmeticAnyAngle>({9, 9, 40, 9});
  expect_mirror_symmetry<double, UnfusedArithmetic>({9, 9, 40, 9});
}

TEST(CartPoleTest, AnyAngleArithmeticHasTheSameBitsWhereAnglesAreSmall) {
  for (std::uint32_t i = 0; i < 20000; ++i) {
    auto a = state_of<float>(i, {2.4, 5, 0.2199, 5});
    auto b = a;
    CartPole::step<float>(a, i % 2 != 0);
    CartPole::step<float, FusedArithmeticAnyAngle>(b, i % 2 != 0);
    float left[4], right[4];
    CartPole::save(a, left);
    CartPole::save(b, right);
    ASSERT_TRUE((same_bits<float>(left, right))) << "state " << i;
  }
}

TEST(CartPoleTest, PositionUpdatesUseTheOldVelocities) {
  CartPole::State<double> state{0.5, 2.0, 0.1, -3.0};
  CartPole::step<double, UnfusedArithmetic>(state, true);
  EXPECT_EQ(state.x, 0.5 + 0.02 * 2.0);
  EXPECT_EQ(state.theta, 0.1 + 0.02 * -3.0);
}

TEST(CartPoleTest, ResetCoversTheHalfOpenRangeAndNothingElse) {
  const auto at = [](float u) {
    const float uniforms[4] = {u, u, u, u};
    float state[4];
    CartPole::save(CartPole::reset<float>(uniforms), state);
    for (const float value : state) EXPECT_EQ(value, state[0]);
    return state[0];
  };
  EXPECT_EQ(at(0.0f), -0.05f);
  EXPECT_LT(at(1.0f - 0x1p-24f), 0.05f);
  EXPECT_GT(at(1.0f - 0x1p-24f), 0.05f - 1e-7f);
  EXPECT_NEAR(at(0.5f), 0.0f, 1e-9f);
  for (std::uint32_t word = 0; word < (1u << 24); word += 4093) {
    const float u = static_cast<float>(word) * 0x1p-24f;
    EXPECT_NEAR(at(u), 0.1 * static_cast<double>(u) - 0.05, 4e-9);
  }
}

/// Whether the episode can end within `steps` steps for some start in the box, some actions.
bool may_end(const CartPole::State<Interval>& state, int steps) {
  if (steps == 0) return false;
  for (const bool action : {false, true}) {
    auto next = state;
    if (CartPole::step<Interval, test::IntervalArithmetic>(next, action).terminated) return true;
    if (may_end(next, steps - 1)) return true;
  }
  return false;
}

TEST(CartPoleTest, NoEpisodeIsShorterThanTheMinimum) {
  // every start state at once, by interval arithmetic, over every sequence of actions; the widened
  // range covers the rounding of 8 float steps many times over
  const Interval start(-0.0501, 0.0501);
  EXPECT_FALSE(may_end({start, start, start, start}, CartPole::kMinEpisodeSteps - 1));
}

TEST(CartPoleTest, TheMinimumLengthOccurs) {
  int shortest = std::numeric_limits<int>::max();
  for (unsigned corner = 0; corner < 16; ++corner) {
    for (const bool action : {false, true}) {
      const float largest = 1.0f - 0x1p-24f;
      const float u[4] = {corner & 1 ? largest : 0.0f, corner & 2 ? largest : 0.0f,
                          corner & 4 ? largest : 0.0f, corner & 8 ? largest : 0.0f};
      auto state = CartPole::reset<float>(u);
      int steps = 1;
      while (!CartPole::step<float>(state, action).terminated) ++steps;
      shortest = std::min(shortest, steps);
    }
  }
  EXPECT_EQ(shortest, CartPole::kMinEpisodeSteps);
}

/// Steps one environment that stands still at `x` with its pole at `theta`, `done` steps old.
StepOutcome<float> outcome_after(int done, float theta) {
  Episode<CartPole, float> episode{{0, 0, theta, 0}, done, 0, true};
  return advance<CartPole, float>(episode, true);
}

TEST(CartPoleTest, TimeLimitTruncatesAtStepFiveHundredAndNotBefore) {
  EXPECT_FALSE(outcome_after(498, 0).truncated);
  EXPECT_FALSE(outcome_after(498, 0).ended);
  const auto last = outcome_after(499, 0);
  EXPECT_TRUE(last.truncated && last.ended);
  EXPECT_FALSE(last.terminated);
}

TEST(CartPoleTest, TerminatedAndTruncatedCanBothHold) {
  const auto last = outcome_after(499, 0.21f);
  EXPECT_TRUE(last.terminated && last.truncated && last.ended);
  const auto before = outcome_after(498, 0.21f);
  EXPECT_TRUE(before.terminated && before.ended);
  EXPECT_FALSE(before.truncated);
}

class CartPoleGoldenTest : public testing::Test {
 protected:
  const std::vector<test::GoldenTrajectory> golden_ =
      test::read_golden("tests/golden/cartpole_gymnasium.txt", 4, 4);
};

TEST_F(CartPoleGoldenTest, CoversEveryCondition) {
  std::size_t states = 0, both = 0, beyond = 0, terminated = 0, truncated = 0;
  for (const auto& g : golden_) {
    states += g.states.size();
    for (std::size_t t = 0; t < g.action.size(); ++t) {
      const bool ended_before = t > 0 && g.terminated[t - 1] != 0;
      both += g.terminated[t] != 0 && g.truncated[t] != 0 && !ended_before;
      beyond += ended_before;
      terminated += g.terminated[t];
      truncated += g.truncated[t];
    }
  }
  EXPECT_GE(states, 400u);
  EXPECT_GE(both, 1u);
  EXPECT_GE(beyond, 100u);
  EXPECT_GE(terminated, 100u);
  EXPECT_GE(truncated, 20u);
}

TEST_F(CartPoleGoldenTest, ReferenceArithmeticReplaysGymnasiumBitForBit) {
  for (const auto& g : golden_) {
    ReplayOptions options;
    options.float64 = true;
    const auto out = replay(g.action, g.steps, 1, g.states.at(0).state, options);
    for (const auto& [t, want] : g.states) {
      const auto at = static_cast<std::size_t>(t * 4);
      ASSERT_TRUE(same_bits<double>({out.state.data() + at, 4}, want.state))
          << g.name << " step " << t;
      ASSERT_TRUE(same_bits<float>({out.obs.data() + at, 4}, want.obs)) << g.name << " step " << t;
    }
    EXPECT_EQ(out.terminated, g.terminated) << g.name;
    EXPECT_EQ(out.truncated, g.truncated) << g.name;
    EXPECT_EQ(out.reward, std::vector<float>(g.reward.begin(), g.reward.end())) << g.name;
  }
}

TEST_F(CartPoleGoldenTest, ProductArithmeticStaysWithinItsOneStepBound) {
  // 5e-7 (1 + |x|): the rounding of the state and of the step; 1.5e-7 was seen in a million steps
  double largest = 0;
  for (const auto& g : golden_) {
    for (const auto& [t, from] : g.states) {
      if (!g.states.contains(t + 1)) continue;
      const std::vector<std::uint8_t> action{g.action[static_cast<std::size_t>(t)]};
      const auto out = replay(action, 1, 1, from.state, {});
      const auto& want = g.states.at(t + 1).state;
      for (std::size_t i = 0; i < 4; ++i) {
        largest = std::max(largest, std::abs(out.state[4 + i] - want[i]) / (1 + std::abs(want[i])));
      }
    }
  }
  EXPECT_GT(largest, 0);
  EXPECT_LE(largest, 5e-7);
}

}  // namespace cartpole_test
}  // namespace lockstep
