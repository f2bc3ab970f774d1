// Tests for the dense path on pictures (host/backend/dense_policy.h, Pong) where sums round: logits
// of both paths within a derived bound of exact arithmetic, and the greedy games of tables.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "envs/pong_frame80.h"
#include "host/cpu/dense.h"
#include "host/engine.h"
#include "tests/support/dense_reference.h"
#include "tests/support/pong_training.h"

namespace lockstep::test {
namespace dense_pictures_rounding_test {

constexpr std::int64_t kPixels = 6400;

struct Policy {
  std::string name;
  Activation activation;
  std::int64_t hidden;
  std::vector<float> flat;
};
Config config_of(const Policy& policy, std::int64_t envs) {
  Config config = small_pong_config(envs, policy.hidden);
  config.activation = policy.activation;
  return config;
}
Engine engine_of(const Policy& policy, std::int64_t envs) {
  const Config config = config_of(policy, envs);
  Engine engine(config);
  engine.set_policy(policy_shape(config, find_environment("pong")).tensors(policy.flat));
  return engine;
}

/// Fresh weights, and weights of trainings.
std::vector<Policy> policies() {
  std::vector<Policy> all;
  for (const auto& [activation, hidden] :
       {std::pair(Activation::kRelu, 40), std::pair(Activation::kLeakyRelu, 64)}) {
    for (const std::int64_t updates : {0, 12}) {
      Config config = small_pong_config(16, hidden);
      config.activation = activation;
      config.updates = std::max<std::int64_t>(updates, 1);
      config.until_score = 100;
      Engine engine(config);
      TrainHooks hooks;
      hooks.write_files = false;
      if (updates > 0) engine.train(hooks);
      const PolicyShape shape = policy_shape(config, find_environment("pong"));
      all.push_back({std::to_string(updates) + " updates, " + std::to_string(hidden) + " units",
                     activation, hidden, shape.flatten(engine.policy())});
    }
  }
  return all;
}

/// Logits of pictures in double, and how far off sums in float may be.
///
/// A unit is a sum of n terms w x, n the pixels that differ: any order of float additions is off by
/// at most gamma_n sum |w| (zeros add exactly). Tables sum the pixels of both pictures first, at
/// most m of each and then some: gamma_(m + 4) (sum |w| over both), which is the larger one. Leaky
/// ReLU rounds once more; the output is a sum of H products: gamma_(H + 1).
BoundedLogits reference(const Policy& policy, const std::vector<std::int8_t>& pictures,
                        const std::vector<std::int8_t>& lit) {
  constexpr double u = 0x1p-24;
  const auto H = static_cast<std::size_t>(policy.hidden);
  const float* output = policy.flat.data() + policy.hidden * kPixels;
  const double leak = policy.activation == Activation::kLeakyRelu ? static_cast<double>(kLeak) : 0;
  BoundedLogits result;
  for (std::size_t row = 0; row < pictures.size() / kPixels; ++row) {
    const std::int8_t* x = pictures.data() + row * kPixels;
    const std::int8_t* both = lit.data() + row * kPixels;  // in how many of the two pictures
    double logit = 0, sizes = 0, inherited = 0;
    for (std::size_t j = 0; j < H; ++j) {
      double h = 0, weights = 0, terms = 8;
      for (std::size_t p = 0; p < kPixels; ++p) {
        if (both[p] == 0) continue;
        const auto w = static_cast<double>(policy.flat[j * kPixels + p]);
        h += w * x[p];
        weights += std::abs(w) * both[p];
        terms += both[p];
      }
      double off = terms * u / (1 - terms * u) * weights;
      if (h < 0) {
        off = off + std::abs(h) * leak * u;  // a unit near 0 may fall on either side
        h *= leak;
      }
      const auto v = static_cast<double>(output[j]);
      logit += v * h;
      sizes += std::abs(v) * (std::abs(h) + off);
      inherited += std::abs(v) * off;
    }
    const double terms = static_cast<double>(H) + 1;
    result.value.push_back(logit);
    result.bound.push_back(terms * u / (1 - terms * u) * sizes + inherited);
  }
  return result;
}

/// In how many of the pictures of a step and of the one before a pixel is lit; [T][6400] of one
/// environment from its actions, 0 at the start of an episode. And the differences.
struct Drawn {
  std::vector<std::int8_t> lit, difference;
};
Drawn draw(const Trajectory& t, std::int64_t env) {
  Drawn drawn;
  std::vector<std::uint8_t> now(kPixels), before(kPixels);
  auto state = Pong::reset<std::int32_t>();
  bool first = true;
  for (std::int64_t step = 0; step < t.T; ++step) {
    const auto at = static_cast<std::size_t>(step * t.N + env);
    draw_frame80(pong_picture::view_of(state), now.data());
    for (std::size_t p = 0; p < now.size(); ++p) {
      drawn.lit.push_back(static_cast<std::int8_t>(first ? 0 : now[p] + before[p]));
      drawn.difference.push_back(static_cast<std::int8_t>(first ? 0 : now[p] - before[p]));
    }
    before.swap(now);
    const int turn = t.action[at] != 0 ? -Pong::kPaddleStep : Pong::kPaddleStep;
    for (int f = 0; f < 4 && !Pong::is_over(state); ++f)
      Pong::frame<std::int32_t>(state, {turn, 0});
    first = Pong::is_over(state);
    if (first) state = Pong::reset<std::int32_t>();
  }
  return drawn;
}

TEST(DensePicturesRoundingTest, LogitsOfBothPathsAreWithinTheBoundOfExactArithmetic) {
  for (const Policy& policy : policies()) {
    Engine engine = engine_of(policy, 2);
    const Trajectory t = engine.rollout({.steps = 1000, .keep = true}).trajectory;
    CpuDense dense(find_environment("pong"), {.isa = choose_isa()});
    const PolicyShape shape = policy_shape(config_of(policy, 2), find_environment("pong"));
    dense.set_layers(dense_layers(shape, policy.flat, policy.activation));
    for (std::int64_t env = 0; env < 2; ++env) {
      const Drawn drawn = draw(t, env);
      std::vector<float> logits;
      for (std::int64_t step = 0; step < t.T; ++step) {
        const std::int8_t* row = t.pictures.data() + (step * t.N + env) * kPixels;
        ASSERT_TRUE(std::equal(row, row + kPixels, drawn.difference.data() + step * kPixels))
            << policy.name << ", step " << step;
        logits.push_back(t.logits[static_cast<std::size_t>(step * t.N + env)]);
      }
      const BoundedLogits want = reference(policy, drawn.difference, drawn.lit);
      EXPECT_LE(worst_of_bound(logits, want), 1) << policy.name;
      const std::vector<float> input(drawn.difference.begin(), drawn.difference.end());
      EXPECT_LE(worst_of_bound(dense.forward(input), want), 1) << policy.name;
      // and the bound says something
      Policy wrong = policy;
      for (std::size_t j = wrong.flat.size() - 8; j < wrong.flat.size(); ++j) {
        wrong.flat[j] *= 1.001f;
      }
      EXPECT_GT(worst_of_bound(logits, reference(wrong, drawn.difference, drawn.lit)), 1)
          << policy.name;
    }
  }
}

TEST(DensePicturesRoundingTest, GreedyGamesAreThoseOfTables) {
  for (const Policy& policy : policies()) {
    Engine engine = engine_of(policy, 1);
    EvalOptions options{.episodes = 6, .noops = 29, .keep_actions = true};
    const EvalResult exact = engine.evaluate(options);
    options.math = Math::kDense;
    const EvalResult dense = engine.evaluate(options);
    for (std::size_t i = 0; i < 6; ++i) {
      if (exact.actions[i] == dense.actions[i]) {
        EXPECT_EQ(exact.scores[i], dense.scores[i]) << policy.name;
        EXPECT_EQ(exact.frames[i], dense.frames[i]) << policy.name;
        continue;
      }
      // only a logit within rounding of 0 may make another game of it
      auto state = Pong::reset<std::int32_t>();
      for (int f = 0; f < exact.noops[i]; ++f) Pong::frame<std::int32_t>(state, {0, 0});
      std::vector<std::uint8_t> now(kPixels), before(kPixels);
      std::size_t t = 0;
      for (; exact.actions[i][t] == dense.actions[i][t]; ++t) {
        draw_frame80(pong_picture::view_of(state), before.data());
        const int turn = exact.actions[i][t] != 0 ? -Pong::kPaddleStep : Pong::kPaddleStep;
        for (int f = 0; f < 4; ++f) Pong::frame<std::int32_t>(state, {turn, 0});
      }
      draw_frame80(pong_picture::view_of(state), now.data());
      std::vector<std::int8_t> difference(kPixels), lit(kPixels);
      for (std::size_t p = 0; p < now.size(); ++p) {
        difference[p] = static_cast<std::int8_t>(now[p] - before[p]);
        lit[p] = static_cast<std::int8_t>(now[p] + before[p]);
      }
      const BoundedLogits logit = reference(policy, difference, lit);
      EXPECT_LE(std::abs(logit.value[0]), logit.bound[0]) << policy.name << ", step " << t;
    }
  }
}

}  // namespace dense_pictures_rounding_test
}  // namespace lockstep::test
