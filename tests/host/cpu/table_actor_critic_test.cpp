// Tests for host/cpu/table_actor_critic.h: games that go on, and their values. The same bits in
// every way, resumption and failures: actor_critic_test.cpp; the truth of updates:
// tests/python/torch_actor_critic.py.
#include "host/cpu/table_actor_critic.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "envs/pong_objects.h"
#include "host/errors.h"
#include "kernels/game_noise.h"
#include "tests/support/actor_critic.h"
#include "tests/support/actor_critic_reference.h"

namespace lockstep {
namespace table_actor_critic_test {

using test::start;

Config pong(std::int64_t envs) {
  Config c = test::ppo_config(envs);
  test::make_pong(c);
  return c;
}

const TableRecord& tables_of(const CpuUpdates& backend) {
  return dynamic_cast<const TableActorCritic&>(backend).record();
}

TEST(TableActorCritic, GamesGoOnFromUpdateToUpdate) {
  constexpr int kSkip = 20;  // frames: games of some hundred steps
  Config config = pong(19);
  config.frame_skip = {kSkip, kSkip};
  config.horizon = 50;
  config.noops = 0;
  config.repeat_action_probability = 0.25;
  const GameOptions options = game_options(config, find_environment("pong"), 0);
  auto backend = start(config);
  std::vector<std::int32_t> executed(19);
  std::vector<PongState<std::int32_t>> state(19);
  std::vector<std::int32_t> steps(19);
  std::vector<float> score(19);
  int finished = 0, spanning = 0;
  for (std::uint32_t update = 0; update < 12; ++update) {
    const UpdateResult result = backend->update(update, config.lr);
    const TableRecord& record = tables_of(*backend);
    std::size_t listed = 0;
    for (std::int64_t i = 0; i < 19; ++i) {
      const auto e = static_cast<std::size_t>(i);
      const RecordedEnv env(record.steps, 0, 2, i);
      for (int t = 0; t < 50; ++t) {
        if (steps[e] == 0) {  // no frames without an action, so that all start alike
          state[e] = ObjectPong::start<std::int32_t>(0, 0);
          executed[e] = 0;
        }
        std::int32_t row[3];
        ObjectPong::rows(state[e], row);
        const std::int64_t at = (i / kGroup * 50 + t) * 3 * kGroup + i % kGroup;
        for (int o = 0; o < 3; ++o) ASSERT_EQ(record.rows[at + o * kGroup], row[o]) << t;
        const bool up = env.action(t) != 0;
        const RandomStream stream{config.seed, update};
        StepNoise<std::uint32_t> noise(options, stream, static_cast<std::uint32_t>(i),
                                       static_cast<std::uint32_t>(t));
        const auto step = ObjectPong::step(
            state[e], up, kSkip, [](int) { return true; }, [&](int f) { return noise.repeats(f); },
            executed[e]);
        score[e] += static_cast<float>(step.reward);
        ++steps[e];
        ASSERT_EQ(env.terminated(t) != 0, step.over);
        if (!step.over) continue;
        ASSERT_LT(listed, result.lengths.size());
        EXPECT_EQ(result.lengths[listed], steps[e]);
        EXPECT_EQ(result.scores[listed++], score[e]);
        ++finished;
        spanning += steps[e] > t + 1 ? 1 : 0;
        steps[e] = 0;
        score[e] = 0;
      }
    }
    EXPECT_EQ(listed, result.lengths.size());
    EXPECT_EQ(backend->download().environments.steps, steps);
    EXPECT_EQ(backend->download().environments.score, score);
  }
  EXPECT_GT(finished, 19);
  EXPECT_GT(spanning, 19);
}

TEST(TableActorCritic, AGameShowsItsLastPictureToTheNextUpdate) {
  Config config = pong(20);
  auto backend = start(config);
  std::vector<std::uint16_t> last;
  for (std::uint32_t update = 0; update < 3; ++update) {
    backend->update(update, config.lr);
    const TableRecord& record = tables_of(*backend);
    constexpr std::int64_t kRow = 3 * kGroup;
    for (std::int64_t i = 0; i < 2 * kRow; ++i) {
      const std::uint16_t before = record.rows_before[i];
      // at first there was none: the picture itself, for a difference of nothing
      const std::int64_t first = i / kRow * 12 * kRow + i % kRow;
      EXPECT_EQ(before, update == 0 ? record.rows[first] : last[static_cast<std::size_t>(i)]);
    }
    last.clear();
    for (std::int64_t i = 0; i < 2 * kRow; ++i) {
      last.push_back(record.rows[(i / kRow * 12 + 11) * kRow + i % kRow]);
    }
  }
}

/// V of a dense network in double, whose pictures are differences.
double dense_value(const std::vector<float>& parameters, const std::vector<float>& picture, int H) {
  double value = 0;
  const std::size_t P = picture.size();
  for (std::size_t j = 0; j < static_cast<std::size_t>(H); ++j) {
    double h = 0;
    for (std::size_t p = 0; p < P; ++p) h += double{parameters[j * P + p]} * double{picture[p]};
    value += double{parameters[(P + 1) * static_cast<std::size_t>(H) + j]} * std::max(h, 0.0);
  }
  return value;
}

TEST(TableActorCritic, ValuesAreThoseOfTheStatesThatWereReached) {
  Config config = pong(17);
  config.lr = 0.01;
  auto backend = start(config);
  for (std::uint32_t update = 0; update < 3; ++update) backend->update(update, config.lr);
  const auto first = test::dump_update(*backend, config, 3, 0);
  const auto second = test::dump_update(*backend, config, 4, 0);
  int moving = 0;
  for (std::size_t n = 0; n < 17; ++n) {
    for (const std::size_t t : {std::size_t{0}, std::size_t{5}, std::size_t{11}}) {
      const std::size_t i = t * 17 + n;
      const std::vector<float> picture(
          first.obs.begin() + static_cast<std::ptrdiff_t>(i * 6400),
          first.obs.begin() + static_cast<std::ptrdiff_t>(i * 6400 + 6400));
      const double want = dense_value(first.before.parameters, picture, 21);
      EXPECT_NEAR(double{first.value[i]}, want, 1e-5);
      moving += want != 0 ? 1 : 0;
    }
    // of the state that the batch was cut at: the next one goes on from there
    EXPECT_EQ(first.next_value[11 * 17 + n], second.value[n]);
  }
  EXPECT_GT(moving, 40);
}

/// The gradient of the last minibatch's mean loss by back-propagation through a dense network in
/// double, from what was recorded of its steps: no step of the optimiser has changed the policy.
std::vector<double> dense_gradient(const Config& config, const test::ActorCriticDump& dump) {
  const auto H = static_cast<std::size_t>(config.hidden), P = static_cast<std::size_t>(dump.O);
  const double leak = config.activation == Activation::kLeakyRelu ? 0.01 : 0;
  const std::vector<float>& w = dump.before.parameters;
  std::vector<std::size_t> steps;
  for (std::size_t i = 0; i < dump.value.size(); ++i) {
    if (dump.minibatch[i] == config.minibatches - 1) steps.push_back(i);
  }
  std::vector<double> advantages;
  for (const std::size_t i : steps) advantages.push_back(double{dump.advantage[i]});
  test::normalise(config, advantages);
  std::vector<double> gradient(w.size());
  for (std::size_t s = 0; s < steps.size(); ++s) {
    const std::size_t i = steps[s];
    const double z = double{dump.logits[i]}, p = 1 / (1 + std::exp(-z));
    const double g[2] = {
        -advantages[s] * (dump.action[i] - p) + config.entropy_coef * z * p * (1 - p),
        -config.value_coef * double{dump.advantage[i]}};  // V - G
    for (std::size_t j = 0; j < H; ++j) {
      double h = 0;
      for (std::size_t o = 0; o < P; ++o) h += double{w[j * P + o]} * double{dump.obs[i * P + o]};
      const double slope = (h > 0 ? 1 : leak) / static_cast<double>(steps.size());
      double hidden = 0;
      for (std::size_t y = 0; y < 2; ++y) {
        const std::size_t at = (P + y) * H + j;
        gradient[at] += g[y] * h * slope;
        hidden += g[y] * double{w[at]} * slope;
      }
      for (std::size_t o = 0; o < P; ++o)
        gradient[j * P + o] += hidden * double{dump.obs[i * P + o]};
    }
  }
  return gradient;
}

double relative_error(const std::vector<float>& got, const std::vector<double>& want) {
  double error = 0, size = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    error += std::pow(double{got[i]} - want[i], 2);
    size += want[i] * want[i];
  }
  return std::sqrt(error / size);
}

TEST(TableActorCritic, TheGradientIsThatOfADenseNetwork) {
  for (const Activation activation : {Activation::kRelu, Activation::kLeakyRelu}) {
    Config config = pong(20);
    config.activation = activation;
    config.frame_skip = {20, 20};
    config.horizon = 50;
    config.epochs = 1;
    config.entropy_coef = 0.1;
    if (activation == Activation::kLeakyRelu) config.minibatches = 1;  // tiles of 50 steps
    auto backend = start(config);
    int ends = 0;
    for (std::uint32_t update = 0; update < 4; ++update) backend->update(update, 0.003);
    for (std::uint32_t update = 4; update < 8; ++update) {
      const auto dump = test::dump_update(*backend, config, update, 1e-20);
      for (const std::uint8_t end : dump.terminated) ends += end;
      EXPECT_LE(relative_error(dump.gradient, dense_gradient(config, dump)), 1e-5);
      if (config.minibatches > 1) continue;
      // an episode's first step has no part in the gradient, but in what is told: V - G is -A
      double squares = 0;
      for (const float a : dump.advantage) squares += double{a} * double{a};
      const double loss = squares / 2 / static_cast<double>(dump.advantage.size());
      EXPECT_NEAR(dump.told.value_loss, loss, 1e-5 * loss);
    }
    EXPECT_GT(ends, 0);
  }
}

TEST(TableActorCritic, TruncatedGamesAreWorthWhatWouldHaveFollowed) {
  Config config = pong(20);
  config.epochs = 1;
  auto backend = start(config);
  backend->update(0, 0.003);
  TrainingState state = backend->download();
  const std::int32_t limit = game_options(config, find_environment("pong"), 0).max_steps;
  state.environments.steps.assign(20, limit - 4);
  backend->upload(state);
  const auto dump = test::dump_update(*backend, config, 1, 1e-20);
  for (std::size_t n = 0; n < 20; ++n) {
    const std::size_t i = 3 * 20 + n;
    ASSERT_EQ(dump.truncated[i], 1);
    EXPECT_NE(dump.next_value[i], 0.0f);
    EXPECT_NEAR(
        double{dump.advantage[i]},
        double{dump.reward[i]} + config.gamma * double{dump.next_value[i]} - double{dump.value[i]},
        1e-6);
    EXPECT_EQ(dump.value[i + 20], 0.0f);  // an episode's first picture, beside none
  }
  EXPECT_LE(relative_error(dump.gradient, dense_gradient(config, dump)), 1e-5);
}

TEST(TableActorCritic, APointEndsWhatIsSummed) {
  Config config = pong(32);
  config.frame_skip = {20, 20};
  config.horizon = 64;
  config.gamma = 0.9;
  config.returns = ReturnKind::kPoint;
  auto backend = start(config);
  backend->update(0, config.lr);
  const Record<float>& record = backend->steps();
  int points = 0;
  for (std::int64_t i = 0; i < 32; ++i) {
    const RecordedEnv env(record, 0, 2, i);
    for (int t = 0; t < 64; ++t) {
      if (env.reward(t) == 0) continue;
      const float value = record.value[(i / kGroup * 64 + t) * kGroup + i % kGroup];
      EXPECT_EQ(env.advantage(t), env.reward(t) - value);
      ++points;
    }
  }
  EXPECT_GT(points, 100);
}

TEST(TableActorCritic, GamesOfAFileStayWithinTheTable) {
  const Config config = pong(16);
  for (const Isa isa : test::available_isas()) {
    auto backend = start(config, {.isa = isa});
    TrainingState state = backend->download();
    const auto S = static_cast<std::size_t>(find_environment("pong").facts->carried_size);
    std::uint32_t word = 1;
    for (std::size_t i = 0; i < 16 * S; ++i) {  // numbers that no game has
      word = word * 1664525u + 1013904223u;
      state.environments.state.push_back(i % S < S - 3 ? static_cast<float>(word >> 16) - 32768
                                                       : 0);
    }
    state.environments.steps.assign(16, 0);
    state.environments.score.assign(16, 0);
    backend->upload(state);
    backend->update(0, config.lr);
    const TableRecord& record = tables_of(*backend);
    for (std::int64_t i = 0; i < 12 * 3 * kGroup; ++i) {
      EXPECT_LT(record.rows[i], ObjectPong::kRows);
    }
  }
}

/// A value loss so steep that no scale keeps its terms in range.
TEST(TableActorCritic, TermsOutOfRangeAreTold) {
  Config config = pong(16);
  config.value_coef = 2e37;
  EXPECT_THAT([&] { start(config)->update(0, config.lr); },
              testing::ThrowsMessage<NumericError>(testing::HasSubstr("stays saturated")));
}

TEST(TableActorCritic, WhoPlaysHasNoUseForTheCritic) {
  Config config = pong(16);
  auto backend = start(config);
  for (std::uint32_t update = 0; update < 2; ++update) backend->update(update, 0.01);
  const std::vector<float> parameters = backend->download().parameters;
  PlayRequest request;
  request.stream = {5, 0};
  request.num_envs = 16;
  request.T = 300;
  request.episodic = false;
  config.frame_skip = {20, 20};
  request.game = game_options(config, find_environment("pong"), 0);
  const PlayResult with = backend->play(parameters, request, nullptr);
  config.critic = Critic::kNone;
  config.algorithm = Algorithm::kReinforce;
  TableBackend other(config, find_environment("pong"), {});
  const std::vector<float> actor(parameters.begin(), parameters.begin() + 21 * 6401);
  const PlayResult without = other.play(actor, request, nullptr);
  EXPECT_EQ(with.score, without.score);
  EXPECT_EQ(with.length, without.length);
  EXPECT_GT(with.episodes[0], 0);
}

}  // namespace table_actor_critic_test
}  // namespace lockstep
