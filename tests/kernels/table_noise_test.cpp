// Tests for kernels/game_noise.h as kernels/cpu/table_rollout.h uses it: frame skips, sticky
// actions, no-op starts and uniformly random actions, on every instruction set.
#include "kernels/game_noise.h"

#include <gtest/gtest.h>

#include "tests/support/table_reference.h"

namespace lockstep {
namespace table_noise_test {

using test::bit_at;
using test::step_at;
using test::TableRun;
using test::TableSettings;

class TableNoiseTest : public testing::TestWithParam<const cpu::TableOperations*> {};
INSTANTIATE_TEST_SUITE_P(Isas, TableNoiseTest, testing::ValuesIn(test::usable_tables()),
                         [](const auto& isa) { return isa.param->isa; });

TableSettings small() {
  TableSettings s;
  s.envs = 5;
  s.hidden = 40;
  return s;
}

/// One environment played again frame by frame, with numbers drawn as game_noise.h says.
class NoisyGame {
 public:
  NoisyGame(const TableSettings& settings, std::uint32_t env) : set_(settings), env_(env) {
    restart();
  }
  void restart() {
    state = ObjectPong::reset<std::int32_t>();
    const auto u = words(2, 0, episode_++).w[0] >> 8;
    noops = static_cast<int>((std::uint64_t{u} * (set_.game.max_noops + 1u)) >> 24);
    if (set_.game.noops_in_turn) noops = static_cast<int>(env_) % (set_.game.max_noops + 1);
    for (int f = 0; f < noops; ++f) Pong::frame(state, PongInput<std::int32_t>{0, 0});
    executed_ = {0, 0};
  }
  int step(bool up, int t) {
    const auto wanted = Pong::input_up_down<std::int32_t>(up);
    const auto at = static_cast<std::uint32_t>(t);
    const int range = set_.game.max_skip - set_.game.min_skip + 1;
    const auto u = words(5, 255, at).w[0] >> 8;
    frames = set_.game.min_skip +
             static_cast<int>((std::uint64_t{u} * static_cast<unsigned>(range)) >> 24);
    const int before = state.human_score - state.cpu_score;
    for (int f = 0; f < frames && !Pong::is_over(state); ++f) {
      const auto word = words(5, static_cast<std::uint32_t>(f / 4), at).w[f % 4];
      const bool repeats = (word >> 8) < set_.game.repeat_below;
      repeated += repeats;
      if (!repeats) executed_ = wanted;
      Pong::frame(state, executed_);
    }
    return state.human_score - state.cpu_score - before;
  }
  PongState<std::int32_t> state;
  int frames = 0, repeated = 0, noops = 0;

 private:
  PhiloxWords<std::uint32_t> words(std::uint32_t purpose, std::uint32_t draw,
                                   std::uint32_t index) const {
    return philox4x32<std::uint32_t>(env_, index, 3u, purpose + 256 * draw, set_.seed);
  }
  const TableSettings& set_;
  std::uint32_t env_, episode_ = 0;
  PongInput<std::int32_t> executed_{};
};

TEST_P(TableNoiseTest, NoiseFollowsItsRandomWords) {
  for (const bool in_turn : {false, true}) {
    TableSettings s = small();
    s.episodic = false;
    s.T = 2500;
    s.envs = 18;
    s.game = {.min_skip = 2,
              .max_skip = 6,
              .repeat_below = 1u << 22,
              .max_noops = 30,
              .noops_in_turn = in_turn,
              .max_steps = 1200};
    TableRun run(*GetParam(), s);
    test::initialise(run, 7);
    run.play(3, ActionChoice::kSample, true);
    int repeated = 0, starts = 0;
    std::vector<int> skips(7), noops(31);
    for (std::uint32_t env = 0; env < 18; ++env) {
      NoisyGame game(s, env);
      ++noops[static_cast<std::size_t>(game.noops)];
      for (int t = 0, steps = 0; t < s.T; ++t) {
        std::int32_t row[3];
        ObjectPong::rows(game.state, row);
        for (int i = 0; i < 3; ++i) {
          const std::int64_t step = env / kGroup * s.T + t;
          ASSERT_EQ(run.shown[(step * 3 + i) * kGroup + env % kGroup], row[i]) << env << " " << t;
        }
        const int reward = game.step(bit_at(run, run.actions, env, t), t);
        ++skips[static_cast<std::size_t>(game.frames)];
        ASSERT_EQ(run.reward[step_at(run, env, t)], reward);
        const bool over = Pong::is_over(game.state);
        ASSERT_EQ(bit_at(run, run.terminated, env, t), over);
        if (!over && ++steps < 1200) continue;
        ASSERT_EQ(bit_at(run, run.truncated, env, t), !over);
        repeated += game.repeated;
        game.repeated = 0;
        game.restart();
        ++starts;
        steps = 0;
      }
    }
    EXPECT_GT(starts, 18);
    EXPECT_GT(repeated, 10000);  // a quarter of the frames
    for (int n = 0; n < 7; ++n) EXPECT_EQ(skips[static_cast<std::size_t>(n)] > 8000, n > 1) << n;
    if (in_turn) {
      for (int n = 0; n < 31; ++n) EXPECT_EQ(noops[static_cast<std::size_t>(n)], n < 18) << n;
    }
  }
}

TEST_P(TableNoiseTest, RandomActionsAreBits) {
  TableSettings s = small();
  s.T = 300;
  s.random_policy = true;
  TableRun run(*GetParam(), s);
  run.play(3, ActionChoice::kSample, true);
  for (std::uint32_t env = 0; env < 5; ++env) {
    for (int t = 0; t < 300; ++t) {
      const auto words =
          philox4x32<std::uint32_t>(env, static_cast<std::uint32_t>(t / 128), 3u, 1u, s.seed);
      ASSERT_EQ(bit_at(run, run.actions, env, t), ((words.w[t / 32 % 4] >> (t % 32)) & 1) != 0);
    }
  }
}

}  // namespace table_noise_test
}  // namespace lockstep
