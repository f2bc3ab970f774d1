// Tests for envs/pong_scene.h: the scene is the game, and the arcade game is the preset's.
#include "envs/pong_scene.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace lockstep {
namespace pong_scene_test {

using Pixels = std::vector<std::uint8_t>;
constexpr std::size_t kBytes = 210 * 160 * 3;

template <class Game>
Pixels picture(const Game& game) {
  Pixels rgb(kBytes);
  game.rgb(rgb.data());
  return rgb;
}

TEST(PongSceneTest, IsTheGameFrameByFrameUntilItIsOver) {
  PongOptions options;
  options.min_skip = options.max_skip = 1;
  options.repeat_probability = 0;
  PongAle game(options);
  PongScene scene;
  std::uint32_t word = 1;
  Pixels rgb(kBytes);
  int score = 0, frames = 0;
  for (; frames < 20000; ++frames) {
    if (frames % 7 == 0) word = word * 1664525u + 1013904223u;
    const int action = static_cast<int>(word >> 30) % 3 - 1;
    const PongAleStep step = game.step(action == 0 ? 0 : action < 0 ? 2 : 3);
    scene.frame(action);
    score += step.reward;
    ASSERT_EQ(scene.score(), score) << frames;
    ASSERT_EQ(scene.is_over(), step.terminated) << frames;
    if (step.reward != 0 || frames % 97 == 0 || step.terminated) {
      scene.draw(rgb.data());
      ASSERT_EQ(rgb, picture(game)) << frames;  // digits, which lag, included
    }
    if (step.terminated) break;
  }
  ASSERT_TRUE(scene.is_over()) << "too short a test";
  scene.frame(1);
  Pixels after(kBytes);
  scene.draw(after.data());
  EXPECT_EQ(after, rgb) << "it plays on";
}

TEST(PongArcadeTest, PresetsAreThoseOfAlePy) {
  std::string ids;
  for (const std::string_view id : ArcadeOf<ObjectPong>::kPresets) ids += std::string(id) + " ";
  EXPECT_EQ(ids, "ALE/Pong-v5 PongNoFrameskip-v4 PongNoFrameskip-v0 Pong-v4 Pong-v0 ");
}

TEST(PongArcadeTest, PresetsPlayAsTheyAreSeeded) {
  for (const std::string_view id : ArcadeOf<ObjectPong>::kPresets) {
    PongOptions options;
    ASSERT_TRUE(pong_preset(id, options));
    PongAle expected(options);
    expected.seed_gymnasium(99);
    expected.reset();
    ArcadeOf<ObjectPong>::Game game(id, 99);
    for (int t = 0; t < 400; ++t) {
      const PongAleStep a = expected.step(t / 5 % 6), b = game.step(t / 5 % 6);
      ASSERT_EQ(a.frames, b.frames) << id << " " << t;
      ASSERT_EQ(a.reward, b.reward) << id << " " << t;
    }
    EXPECT_EQ(picture(expected), picture(game)) << id;
  }
}

TEST(PongArcadeTest, BareGamePlaysSingleFramesWithoutChance) {
  ArcadeOf<ObjectPong>::Game a("", 1), b("", 2);
  for (int t = 0; t < 500; ++t) {
    ASSERT_EQ(a.step(t / 9 % 6).frames, 1);
    b.step(t / 9 % 6);
  }
  EXPECT_EQ(picture(a), picture(b));
}

}  // namespace pong_scene_test
}  // namespace lockstep
