// Tests for kernels/cpu/game_frames.h and the group step of kernels/cpu/picture_step.h: games whose
// frames are played in packs leave every byte as picture_step() does environment by environment,
// on every instruction set, whatever ends, starts or stands still beside them.
#include "kernels/cpu/game_frames.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "envs/pong_objects.h"
#include "kernels/cpu/picture_step.h"
#include "tests/support/step_side.h"
#include "tests/support/table_reference.h"

namespace lockstep::test {
namespace game_frames_test {

using Game = PictureGame<ObjectPong>;
using Side = StepSide<std::vector<std::uint8_t>>;

class GameFramesTest : public testing::TestWithParam<const cpu::TableOperations*> {};

/// Frames that count the games they play.
std::int64_t played_in_packs;
cpu::PlayFrames counted;
std::uint32_t play_counted(const StepBuffers& args, std::int64_t group, std::uint32_t lanes,
                           cpu::GameFrames& frames) {
  const std::uint32_t played = counted(args, group, lanes, frames);
  EXPECT_EQ(played & ~lanes, 0u);
  played_in_packs += __builtin_popcount(played);
  return played;
}

/// The same steps twice: in groups, and environment by environment. T: of the pictures.
template <class T>
class Twice {
 public:
  Twice(const cpu::TableOperations& operations, std::int64_t envs, const GameOptions& game)
      : game_(game), envs_(envs), groups_(envs, kSizes), alone_(envs, kSizes) {
    counted = operations.frames;
    played_in_packs = 0;
    for (StepBuffers* const args : both()) {
      std::fill_n(args->number, (envs + kGroup - 1) / kGroup * kGroup, ~0u);
    }
    reset(nullptr, nullptr);
  }
  /// actions: [envs] and not one more.
  void step(const std::vector<std::uint8_t>& actions, Restart restart) {
    for (StepBuffers* const args : both()) {
      args->reset_only = false;
      args->restart = restart;
      args->action = actions.data();
    }
    run();
    for (std::int64_t i = 0; i < envs_; ++i) {
      terminated += groups_.args.terminated[i];
      truncated += groups_.args.truncated[i];
    }
  }
  void reset(const std::uint8_t* mask, const std::uint64_t* seeds) {
    for (StepBuffers* const args : both()) {
      args->reset_only = true;
      args->mask = mask;
      args->new_seed = seeds;
      args->own_seeds = args->own_seeds || seeds != nullptr;
    }
    run();
  }
  bool same() const { return groups_.memory == alone_.memory; }
  PongState<std::int32_t> state(std::int64_t env) const {
    return Game::load(groups_.args.state + env / kGroup * Game::kNumbers * kGroup + env % kGroup)
        .now;
  }
  /// Of one group.
  void forget_scores() {
    constexpr int kScores = 3;  // cpu_score, human_score
    for (StepBuffers* const args : both()) {
      std::fill_n(args->state + kScores * kGroup, 2 * kGroup, 0.0f);
    }
  }

  int terminated = 0, truncated = 0;

 private:
  static constexpr StepSizes kSizes{Game::kNumbers, 0, 2 * ObjectPong::kObjects,
                                    ObjectPong::kPixels, sizeof(T)};
  std::vector<StepBuffers*> both() { return {&groups_.args, &alone_.args}; }
  void run() {
    const TableFacts& facts = *cpu::environment_facts_pong.tables;
    const auto step_group = sizeof(T) == 1 ? facts.step : facts.step_floats;
    for (std::int64_t group = 0; group * kGroup < envs_; ++group) {
      step_group(groups_.args, game_, group, play_counted);
    }
    for (std::int64_t env = 0; env < envs_; ++env) {
      picture_step<ObjectPong, T>(alone_.args, game_, env, cpu::Alone<ObjectPong>{});
    }
  }

  GameOptions game_;
  std::int64_t envs_;
  Side groups_, alone_;
};

std::vector<std::uint8_t> random_bits(std::int64_t envs, int t, std::uint32_t key) {
  std::vector<std::uint8_t> bits;
  for (std::int64_t i = 0; i < envs; ++i) {
    const auto r = philox4x32<std::uint32_t>(static_cast<std::uint32_t>(i),
                                             static_cast<std::uint32_t>(t), 0, 0, key);
    bits.push_back(r.w[0] & 1u);
  }
  return bits;
}

/// Random actions; every 90 steps a reset of a random half, every other one with seeds.
template <class T>
void play(Twice<T>& games, std::int64_t envs, int steps, Restart restart) {
  const std::vector<std::uint64_t> seeds(static_cast<std::size_t>(envs), 1234567);
  for (int t = 0; t < steps; ++t) {
    if (t % 90 == 89) {
      games.reset(random_bits(envs, t, 2).data(), t % 180 == 89 ? seeds.data() : nullptr);
    }
    games.step(random_bits(envs, t, 1), restart);
    ASSERT_TRUE(games.same()) << "envs " << envs << ", step " << t << ", restart "
                              << static_cast<int>(restart);
  }
}

TEST_P(GameFramesTest, LeaveEveryByteAsStepsOneByOne) {
  for (const Restart restart : {Restart::kNever, Restart::kNextStep, Restart::kSameStep}) {
    for (const std::int64_t envs : {1, 15, 16, 21}) {
      Twice<std::int8_t> games(*GetParam(), envs, {.max_noops = 30, .max_steps = 70});
      play(games, envs, 400, restart);
      EXPECT_GT(games.truncated, 2) << envs;
      EXPECT_GT(played_in_packs, 200 * envs);
    }
    // to 21 points
    Twice<std::int8_t> games(*GetParam(), 19, {.max_steps = ObjectPong::kMaxEpisodeSteps});
    for (int t = 0; t < 2500; ++t) {
      if (restart == Restart::kNever && t % 1200 == 0) games.reset(nullptr, nullptr);
      games.step(random_bits(19, t, 3), restart);
      ASSERT_TRUE(games.same()) << t;
    }
    EXPECT_GT(games.terminated, 9);
  }
  Twice<float> floats(*GetParam(), 18, {.max_noops = 30, .max_steps = 70});
  play(floats, 18, 200, Restart::kSameStep);
}

TEST_P(GameFramesTest, AreForPlainGamesAlone) {
  const GameOptions others[] = {{.min_skip = 3, .max_skip = 3, .max_steps = 50},
                                {.min_skip = 2, .max_skip = 4, .max_steps = 50},
                                {.repeat_below = 1 << 22, .max_steps = 50},
                                {.max_pool = true, .max_steps = 50}};
  for (const GameOptions& game : others) {
    Twice<std::int8_t> games(*GetParam(), 18, game);
    play(games, 18, 120, Restart::kNextStep);
    EXPECT_EQ(played_in_packs, 0);
  }
}

TEST_P(GameFramesTest, GoOnToWhereTheTableEnds) {
  // games in which no point counts: past 2^15 frames, where the clock runs over its sign, past the
  // last picture that the table knows, into attract mode
  Twice<std::int8_t> games(*GetParam(), 3, {.max_steps = ObjectPong::kFrameLimit / 4});
  for (int t = 0; t < 17000; ++t) {
    games.forget_scores();
    games.step(random_bits(3, t, 4), Restart::kNever);
    ASSERT_TRUE(games.same()) << t;
  }
  EXPECT_EQ(games.terminated + games.truncated, 0);
  EXPECT_EQ(games.state(0).active, 0);
  EXPECT_EQ(played_in_packs, 3 * ObjectPong::kMaxEpisodeSteps);
}

INSTANTIATE_TEST_SUITE_P(Isas, GameFramesTest, testing::ValuesIn(usable_tables()),
                         [](const auto& isa) { return isa.param->isa; });

}  // namespace game_frames_test
}  // namespace lockstep::test
