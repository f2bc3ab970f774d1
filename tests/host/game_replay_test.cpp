// Tests for host/game_replay.h: arrays, ends and errors. Equality with ale-py and Gymnasium:
// tests/python/pong_replay.py.
#include "host/game_replay.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "envs/pong_ale.h"
#include "host/errors.h"
#include "tests/support/crc32.h"

namespace lockstep {
namespace game_replay_test {

using ::testing::HasSubstr;

/// Actions that are held for a few steps each.
std::vector<std::uint8_t> some_actions(std::size_t steps) {
  std::vector<std::uint8_t> actions(steps);
  std::uint32_t word = 7;
  for (std::size_t t = 0; t < steps; ++t) {
    if (t % 5 == 0) word = word * 1664525u + 1013904223u;
    actions[t] = static_cast<std::uint8_t>((word >> 24) % 6);
  }
  return actions;
}

/// Whether step t is what `game` has just played.
void expect_step(const GameReplay& replay, std::size_t t, const PongAleStep& step,
                 const PongAle& game) {
  std::uint8_t ram[128];
  game.ram(ram);
  std::vector<std::uint8_t> frame80(80 * 80), rgb(210 * 160 * 3);
  game.frame80(frame80.data());
  game.rgb(rgb.data());
  ASSERT_EQ(replay.reward[t], step.reward) << t;
  ASSERT_EQ(replay.terminated[t], step.terminated ? 1 : 0) << t;
  ASSERT_EQ(replay.truncated[t], step.truncated ? 1 : 0) << t;
  ASSERT_EQ(replay.frames[t], step.frames) << t;
  ASSERT_TRUE(std::equal(ram, ram + 128, replay.ram.begin() + static_cast<std::ptrdiff_t>(t * 128)))
      << t;
  ASSERT_EQ(replay.frame80_crc32[t], test::crc32(frame80.data(), frame80.size())) << t;
  ASSERT_EQ(replay.picture_crc32[t], test::crc32(rgb.data(), rgb.size())) << t;
}

TEST(GameReplayTest, PresetsGoOnAfterAReset) {
  const std::vector<std::uint8_t> actions = some_actions(2500);
  const GameReplay replay = replay_game(actions, {"pong", "Pong-v0", 5});
  PongOptions options;
  ASSERT_TRUE(pong_preset("Pong-v0", options));
  PongAle game(options);
  game.seed_gymnasium(5);
  game.reset();
  std::int64_t ends = 0;
  for (std::size_t t = 0; t < actions.size(); ++t) {
    const PongAleStep step = game.step(actions[t]);
    ASSERT_NO_FATAL_FAILURE(expect_step(replay, t, step, game));
    if (step.terminated || step.truncated) {
      ++ends;
      game.reset();
    }
  }
  EXPECT_EQ(replay.episodes, ends);
  EXPECT_GE(ends, 2) << "too short a test";
}

TEST(GameReplayTest, BareGameStandsStillAfterItsEnd) {
  const std::vector<std::uint8_t> actions = some_actions(6000);
  const GameReplay replay = replay_game(actions, {});
  const auto end = static_cast<std::size_t>(
      std::find(replay.terminated.begin(), replay.terminated.end(), 1) - replay.terminated.begin());
  ASSERT_LT(end, 5990u) << "too short a test";
  EXPECT_EQ(replay.episodes, 1);
  for (std::size_t t = 0; t < actions.size(); ++t) {
    ASSERT_EQ(replay.terminated[t], t >= end ? 1 : 0) << t;
    ASSERT_EQ(replay.frames[t], t > end ? 0 : 1) << t;
    if (t > end) {
      ASSERT_EQ(replay.reward[t], 0) << t;
      ASSERT_EQ(replay.picture_crc32[t], replay.picture_crc32[end]) << t;
    }
  }
  EXPECT_EQ(*std::max_element(replay.truncated.begin(), replay.truncated.end()), 0);
}

std::string error(const std::vector<std::uint8_t>& actions, const GameReplayOptions& options) {
  try {
    replay_game(actions, options);
  } catch (const InvalidArgument& thrown) {
    return thrown.what();
  }
  return "no error";
}

TEST(GameReplayTest, NamesWhatItCannotPlay) {
  EXPECT_EQ(error({0, 5, 6}, {}), "replay: action 6 at step 2 is not in [0, 6)");
  EXPECT_EQ(error({}, {}), "replay: there are no actions");
  EXPECT_THAT(error({0}, {"pong", "Pong-v5", 1}),
              ::testing::AllOf(HasSubstr("'Pong-v5'"), HasSubstr("ALE/Pong-v5, PongNo")));
  EXPECT_EQ(error({0}, {"cartpole", "", 1}), "replay: cartpole is no arcade game");
  EXPECT_THAT(error({0}, {"chess", "", 1}), HasSubstr("unknown environment"));
}

TEST(GameReplayTest, TellsWhichEnvironmentsItIsFor) {
  EXPECT_TRUE(is_arcade_game("pong"));
  EXPECT_FALSE(is_arcade_game("cartpole"));
  EXPECT_EQ(game_presets().size(), 5u);
}

}  // namespace game_replay_test
}  // namespace lockstep
