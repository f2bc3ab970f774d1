// Tests for kernels/cpu/random_games.h: games of random actions end as those that table_rollout.h
// plays group by group, on every instruction set and with groups side by side; and for who plays
// which rollout.
#include "kernels/cpu/random_games.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/table_reference.h"

namespace lockstep {
namespace random_games_test {

/// What a rollout tells, and a guard behind it.
struct Outcomes {
  std::vector<float> score;
  std::vector<std::int32_t> length, episodes;
  bool operator==(const Outcomes&) const = default;
  std::int64_t ended() const {
    std::int64_t sum = 0;
    for (const std::int32_t n : episodes) sum += n;
    return sum;
  }
};
constexpr int kGuard = 32;  // lanes that are nobody's

TableRolloutArgs arguments(std::int64_t envs, int T, bool episodic, const GameOptions& game) {
  TableRolloutArgs args{};
  args.stream = {9, 4};
  args.num_envs = envs;
  args.T = T;
  args.episodic = episodic;
  args.random_policy = true;
  args.game = game;
  return args;
}

template <class Play>
Outcomes outcomes(TableRolloutArgs args, const Play& play) {
  const auto lanes = static_cast<std::size_t>((args.num_envs + kGroup - 1) / kGroup * kGroup);
  Outcomes got;
  got.score.assign(lanes + kGuard, -77);
  got.length.assign(lanes + kGuard, -77);
  got.episodes.assign(lanes + kGuard, -77);
  args.score = got.score.data();
  args.length = got.length.data();
  args.episodes = got.episodes.data();
  play(args);
  for (std::size_t i = lanes; i < lanes + kGuard; ++i) {
    EXPECT_EQ(got.score[i], -77) << i;
    EXPECT_EQ(got.length[i], -77) << i;
    EXPECT_EQ(got.episodes[i], -77) << i;
  }
  got.episodes.resize(lanes);
  return got;
}

/// By the body that plays group by group, on scalars.
Outcomes group_by_group(const TableRolloutArgs& args) {
  std::vector<float> part(kGroup * kTableParts);  // all of the scratch that random actions need
  return outcomes(args, [&](const TableRolloutArgs& a) {
    for (std::int64_t group = 0; group * kGroup < a.num_envs; ++group) {
      cpu::tables_pong_scalar.rollout(a, group, {nullptr, part.data(), nullptr});
    }
  });
}
Outcomes by_tasks(const cpu::TableOperations& ops, const TableRolloutArgs& args) {
  return outcomes(args, [&](const TableRolloutArgs& a) {
    for (std::int64_t task = 0; task < ops.tasks(a); ++task) ops.play(a, task, {});
  });
}
/// Two groups side by side, whatever an instruction set would do.
Outcomes by_pairs(const TableRolloutArgs& args) {
  return outcomes(args, [](const TableRolloutArgs& a) {
    for (std::int64_t env = 0; env < a.num_envs; env += 32) {
      cpu::random_games<ObjectPong, float, std::int32_t, 32>(a, env);
    }
  });
}

const GameOptions kGames[] = {
    {.max_steps = 16302},
    {.max_noops = 30, .max_steps = 1000},  // some games are over before, some are cut
    {.max_noops = 200, .noops_in_turn = true, .max_steps = 16302},
    {.repeat_below = 1u << 22, .max_steps = 900},
    {.min_skip = 2, .max_skip = 6, .repeat_below = 1u << 20, .max_noops = 7, .max_steps = 16302},
    {.min_skip = 30, .max_skip = 60, .max_steps = 70},
    {.min_skip = 3, .max_skip = 3, .max_steps = 50},
};

class RandomGamesTest : public testing::TestWithParam<const cpu::TableOperations*> {};
INSTANTIATE_TEST_SUITE_P(Isas, RandomGamesTest, testing::ValuesIn(test::usable_tables()),
                         [](const auto& isa) { return isa.param->isa; });

TEST_P(RandomGamesTest, EndAsWhereGroupsArePlayedOneByOne) {
  for (const GameOptions& game : kGames) {
    for (const bool episodic : {false, true}) {
      for (const std::int64_t envs : {5, 33, 48}) {
        const int T = episodic ? game.max_steps : 1700;
        const TableRolloutArgs args = arguments(envs, T, episodic, game);
        const Outcomes want = group_by_group(args), got = by_tasks(*GetParam(), args);
        EXPECT_EQ(got, want) << envs << " environments, skip " << game.max_skip << ", noops "
                             << game.max_noops << (episodic ? ", whole games" : ", a horizon");
        EXPECT_GE(want.ended(), envs);
      }
    }
  }
}

TEST_P(RandomGamesTest, EndAlikeInEveryNumberOfEnvironmentsAndSteps) {
  const GameOptions game{.min_skip = 30, .max_skip = 60, .max_noops = 4, .max_steps = 75};
  for (const bool episodic : {false, true}) {
    for (const std::int64_t envs : {1, 2, 15, 16, 17, 31, 32, 33, 49, 65}) {
      for (const int T : {1, 75, 127, 128, 129, 200}) {
        const TableRolloutArgs args = arguments(envs, T, episodic, game);
        ASSERT_EQ(by_tasks(*GetParam(), args), group_by_group(args)) << envs << " x " << T;
      }
    }
  }
}

TEST(RandomGames, EndAlikeWithTwoGroupsSideBySide) {
  for (const GameOptions& game : kGames) {
    for (const bool episodic : {false, true}) {
      for (const std::int64_t envs : {1, 16, 31, 33, 64, 77}) {
        const TableRolloutArgs args = arguments(envs, 1100, episodic, game);
        ASSERT_EQ(by_pairs(args), group_by_group(args)) << envs << ", skip " << game.max_skip;
      }
    }
  }
}

// Points by the hundred would not fit in 16 bits for long.
struct Rich {
  static constexpr float kMaxAbsReward = 255;
};
TEST(TableScores, KeepAScoreThatOutgrowsAPack) {
  cpu::TableScores<Rich, std::int32_t, kGroup> scores(2000);
  std::int32_t reward[kGroup] = {};
  reward[3] = 255;
  for (int t = 0; t < 1000; ++t) scores.add(reward, t);
  scores.close(1u << 3, 1u << 3, 999);
  Outcomes got = outcomes(arguments(16, 1000, false, {}),
                          [&](const TableRolloutArgs& a) { scores.write(a, 0); });
  EXPECT_EQ(got.score[3], 255000);
  EXPECT_EQ(got.length[3], 1000);
  EXPECT_EQ(got.ended(), 1);
}

int random_tasks, group_tasks;
std::int64_t last_group;

TEST(TableOperations, PlayGamesAloneInWideTasks) {
  cpu::TableOperations ops = cpu::tables_pong_scalar;
  ops.random_groups = 2;
  ops.random = [](const TableRolloutArgs&, std::int64_t group) {
    ++random_tasks;
    last_group = group;
  };
  ops.rollout = [](const TableRolloutArgs&, std::int64_t group, const cpu::TableScratch&) {
    ++group_tasks;
    last_group = group;
  };
  TableRolloutArgs args = arguments(70, 1, false, {});  // five groups
  const auto play_all = [&] {
    random_tasks = group_tasks = 0;
    for (std::int64_t task = 0; task < ops.tasks(args); ++task) ops.play(args, task, {});
  };
  play_all();
  EXPECT_EQ(random_tasks, 3);
  EXPECT_EQ(last_group, 4);
  EXPECT_EQ(group_tasks, 0);
  args.record.steps.groups = 5;  // somebody wants to see them
  play_all();
  EXPECT_EQ(random_tasks, 0);
  EXPECT_EQ(group_tasks, 5);
  EXPECT_EQ(last_group, 4);
  args.record.steps.groups = 0;
  args.random_policy = false;
  play_all();
  EXPECT_EQ(random_tasks, 0);
  EXPECT_EQ(group_tasks, 5);
}

}  // namespace random_games_test
}  // namespace lockstep
