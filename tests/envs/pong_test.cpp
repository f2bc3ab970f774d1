// Tests for envs/pong.h: each rule of a frame by itself. Whole games: pong_play_test.cpp, and
// against recordings pong_golden_test.cpp.
#include "envs/pong.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/pong_states.h"

namespace lockstep {
namespace pong_test {

using test::after_frame;
using test::rally;
using test::State;

constexpr test::Input kUp{-Pong::kPaddleStep, 0}, kDown{Pong::kPaddleStep, 0}, kFire{0, 1};

TEST(PongResetTest, GivesTheOneStartState) {
  std::int32_t saved[Pong::kStateSize];
  Pong::save(Pong::reset<std::int32_t>(), saved);
  const std::int32_t expected[] = {327, 14106, 59, 0, 0, 255, 22, 0, 60, 0, 0, 109, 109, 0, 1};
  for (int i = 0; i < Pong::kStateSize; ++i) EXPECT_EQ(saved[i], expected[i]) << "field " << i;
}

TEST(PongInputTest, ReadsTheMinimalActions) {
  constexpr int step = Pong::kPaddleStep;
  const int turn[6] = {0, 0, -step, step, -step, step}, fire[6] = {0, 1, 0, 0, 1, 1};
  for (int a = 0; a < 6; ++a) {
    EXPECT_EQ(Pong::input(a).turn, turn[a]) << a;
    EXPECT_EQ(Pong::input(a).fire, fire[a]) << a;
  }
}

TEST(PongInputTest, ReadsTheTwoActionsUpAndDown) {
  EXPECT_EQ(Pong::input_up_down<std::int32_t>(true).turn, -Pong::kPaddleStep);
  EXPECT_EQ(Pong::input_up_down<std::int32_t>(false).turn, Pong::kPaddleStep);
  EXPECT_EQ(Pong::input_up_down<std::int32_t>(true).fire, 0);
  EXPECT_EQ(Pong::input_up_down<std::int32_t>(false).fire, 0);
}

// ---- CPU bat ----------------------------------------------------------------------------------

TEST(PongCpuBatTest, GoesTwoRowsTowardsTheBallInSevenOfEightFrames) {
  for (int clock = 512; clock < 528; ++clock) {
    const int step = clock % 8 != 0 ? 2 : 0;
    for (const int bat : {60, 110, 118, 120, 122, 130, 200}) {
      State s = rally();
      s.clock = clock;
      s.cpu_bat = bat;
      s.vel_y = 0;
      s.ball_y = 120;
      EXPECT_EQ(after_frame(s).cpu_bat, bat < 120 ? bat + step : bat > 120 ? bat - step : bat);
      s.ball_y = 121;  // never odd itself, it swings around
      EXPECT_EQ(after_frame(s).cpu_bat, bat < 121 ? bat + step : bat - step);
    }
  }
}

TEST(PongCpuBatTest, LooksAtTheBallAfterItsMove) {
  State s = rally();
  s.clock = 513;
  s.ball_y = s.cpu_bat = 120;
  s.vel_y = -1;
  EXPECT_EQ(after_frame(s).cpu_bat, 118);
}

TEST(PongCpuBatTest, ClimbsToZeroWhileTheServeWaits) {
  State s = rally();
  s.serve = 40;
  s.cpu_bat = 4;
  for (int i = 0; i < 8; ++i) s = after_frame(s);
  EXPECT_EQ(s.cpu_bat, 0);
}

// ---- serve ------------------------------------------------------------------------------------

TEST(PongServeTest, HidesTheBallAndKeepsItsVelocity) {
  State s = rally();
  s.serve = 2;
  s.vel_x = -3;
  s.vel_y = 2;
  s.ball_x = 205;
  s = after_frame(s);
  EXPECT_EQ(s.serve, 1);
  EXPECT_EQ(s.ball_y, 0);
  EXPECT_EQ(s.ball_x, 205);
  EXPECT_EQ(s.vel_x, -3);
  EXPECT_EQ(s.vel_y, 2);
}

TEST(PongServeTest, GoesTowardsWhoConcededAndKeepsTheSignOfTheLastVelocity) {
  for (const int last : {0, 1, 255}) {
    for (int vel_y = -3; vel_y <= 3; ++vel_y) {
      State s = rally();
      s.clock = 513;
      s.serve = 1;
      s.last = last;
      s.vel_x = -4;
      s.vel_y = vel_y;
      s.cpu_bat = 0;
      const auto event = Pong::frame(s, {0, 0});
      EXPECT_TRUE(event.serve);
      EXPECT_EQ(s.vel_x, last == 0 ? -1 : 1);
      EXPECT_EQ(s.vel_y, vel_y < 0 ? -1 : 1);
      EXPECT_EQ(s.ball_x, 128 - s.vel_x);
      EXPECT_EQ(s.ball_y, 128 + s.vel_y);
      EXPECT_EQ(s.cpu_bat, 128 + 2 * s.vel_y);  // set to 128, then its step
      EXPECT_EQ(s.last, last);
    }
  }
}

// ---- points and walls -------------------------------------------------------------------------

TEST(PongPointTest, IsScoredWhereTheBallLeaves) {
  for (int x = 49; x <= 208; ++x) {
    State s = rally();
    s.ball_x = x;
    s.cpu_score = 3;
    s.human_score = 5;
    s.last = 77;
    const bool human = x <= 52, cpu = x >= 205;
    const auto event = Pong::frame(s, {0, 0});
    EXPECT_EQ(event.point, human || cpu) << x;
    EXPECT_EQ(s.human_score, human ? 6 : 5) << x;
    EXPECT_EQ(s.cpu_score, cpu ? 4 : 3) << x;
    if (!human && !cpu) continue;
    EXPECT_EQ(s.last, human ? 1 : 0);
    EXPECT_EQ(s.serve, 63);
    EXPECT_EQ(s.ball_x, x) << "not moved";
    EXPECT_EQ(s.ball_y, 120) << "not moved";
  }
}

TEST(PongPointTest, ComesBeforeTheWall) {
  State s = rally();
  s.ball_x = 50;
  s.ball_y = 44;
  s.vel_y = -2;
  const auto event = Pong::frame(s, {0, 0});
  EXPECT_TRUE(event.point);
  EXPECT_EQ(s.ball_y, 44);
  EXPECT_EQ(s.vel_y, -2);
}

TEST(PongWallTest, ReflectsTheBallWhereItIsDeepInside) {
  for (int y = 43; y <= 208; ++y) {
    for (const int vel_y : {-2, -1, 0, 1, 2}) {
      State s = rally();
      s.ball_y = y;
      s.vel_y = vel_y;
      const auto event = Pong::frame(s, {0, 0});
      const int push = y <= 45 ? 1 : y >= 206 ? -1 : 0;
      EXPECT_EQ(event.wall, push != 0) << y;
      EXPECT_EQ(s.vel_y, push != 0 ? -vel_y : vel_y) << y;
      EXPECT_EQ(s.ball_y, y + push + s.vel_y) << y;
      EXPECT_EQ(s.ball_x, 127) << y;
    }
  }
}

TEST(PongWallTest, LeavesTheBatsOutOfThatFrame) {
  State s = rally();
  s.ball_x = 190;
  s.ball_y = 45;
  s.human_bat = 40;
  s.vel_x = -1;
  EXPECT_TRUE(Pong::on_human_bat(s));
  const auto event = Pong::frame(s, {0, 0});
  EXPECT_FALSE(event.human_hit);
  EXPECT_EQ(s.vel_x, -1);
}

// ---- hits -------------------------------------------------------------------------------------

/// vy after a hit at offset kappa = ball_y - bat, from the table of zones.
int zone(int kappa) {
  if (kappa == -4) return -3;  // the CPU's bat alone reaches so far up
  if (kappa <= 0) return -2;
  if (kappa <= 4) return -1;
  if (kappa <= 8) return 0;
  return kappa <= 12 ? 1 : 2;
}

TEST(PongHitTest, EveryContactWithTheHumanBat) {
  int contacts = 0;
  for (int kappa = -2; kappa <= 16; ++kappa) {
    for (int speed = 1; speed <= 4; ++speed) {
      for (const int side : {1, -1}) {
        for (const int fire : {0, 1}) {
          for (int vel_y = -3; vel_y <= 3; ++vel_y) {
            State s = rally();
            s.ball_x = 190;
            s.human_bat = 100;
            s.ball_y = 100 + kappa;
            if (!Pong::on_human_bat(s)) {  // an odd bat reaches one line further
              s.human_bat = 101;
              s.ball_y = 101 + kappa;
            }
            s.vel_x = side * speed;
            s.vel_y = vel_y;
            s.fire = fire;
            s.last = 0;
            const State before = s;
            const auto event = Pong::frame(s, {0, 1 - fire});  // the latch counts, not the button
            ASSERT_TRUE(event.human_hit) << kappa;
            const int after = std::min(speed + fire, 4);  // away from the bat whatever it was
            EXPECT_EQ(s.vel_x, after);
            EXPECT_EQ(s.vel_y, zone(kappa)) << kappa;
            EXPECT_EQ(s.ball_x, before.ball_x - after);
            EXPECT_EQ(s.ball_y, before.ball_y + zone(kappa));
            EXPECT_EQ(s.last, 1);
            ++contacts;
          }
        }
      }
    }
  }
  EXPECT_EQ(contacts, 19 * 4 * 2 * 2 * 7);
}

TEST(PongHitTest, EveryContactWithTheCpuBat) {
  for (int kappa = -4; kappa <= 14; ++kappa) {
    for (int speed = 1; speed <= 4; ++speed) {
      for (const int side : {1, -1}) {
        for (const int fire : {0, 1}) {
          for (int vel_y = -3; vel_y <= 3; ++vel_y) {
            State s = rally();
            s.ball_x = 66;
            s.cpu_bat = 100;
            s.ball_y = 100 + kappa;
            s.vel_x = side * speed;
            s.vel_y = vel_y;
            s.fire = fire;
            const State before = s;
            const auto event = Pong::frame(s, {0, 1});
            ASSERT_TRUE(event.cpu_hit) << kappa;
            EXPECT_EQ(s.vel_x, -speed) << "FIRE is the human's alone";
            EXPECT_EQ(s.vel_y, zone(kappa)) << kappa;
            EXPECT_EQ(s.ball_x, before.ball_x + speed);
            EXPECT_EQ(s.ball_y, before.ball_y + zone(kappa));
            EXPECT_EQ(s.last, 0);
          }
        }
      }
    }
  }
}

TEST(PongHitTest, FireIsLatchedForOneFrame) {
  State s = after_frame(rally(), kFire);
  EXPECT_EQ(s.fire, 1);
  EXPECT_EQ(after_frame(s).fire, 0);
}

TEST(PongHitTest, GoesOnWhileTheOverlapLasts) {
  State s = rally();
  s.ball_x = 188;
  s.human_bat = s.filter = 100;
  s.ball_y = 106;  // flies level
  s.vel_x = -1;
  s.fire = 1;
  s = after_frame(s, kFire);
  EXPECT_EQ(s.vel_x, 2);
  s.ball_x = 190;  // still over the bat, now leaving it
  s = after_frame(s, kFire);
  EXPECT_EQ(s.vel_x, 3) << "faster again, and not turned back";
}

TEST(PongHitTest, ReachesFromColumnToColumn) {
  for (int x = 53; x <= 204; ++x) {
    State s = rally();
    s.ball_x = x;
    s.human_bat = s.cpu_bat = 118;
    const auto event = Pong::frame(s, {0, 0});
    EXPECT_EQ(event.cpu_hit, 64 <= x && x <= 68) << x;
    EXPECT_EQ(event.human_hit, 188 <= x && x <= 192) << x;
  }
}

// ---- attract mode, end, steps -----------------------------------------------------------------

TEST(PongAttractTest, BeginsWhenTheUpperByteOfTheClockRunsOver) {
  for (const int serve : {0, 1, 20}) {
    State s = rally();
    s.clock = 0x10000 - 1;
    s.serve = serve == 0 ? 0 : serve + 1;
    s.cpu_score = 7;
    s.human_score = 4;
    s = after_frame(s);  // the last frame of play
    EXPECT_EQ(s.clock, 0);
    EXPECT_EQ(s.active, 1);
    const State last = s;
    s = after_frame(s);
    EXPECT_EQ(s.active, 0);
    EXPECT_EQ(s.cpu_score, 1) << "the number of the game";
    EXPECT_EQ(s.human_score, 4);
    EXPECT_EQ(s.ball_y, last.ball_y) << "shown once more, not moved";
    EXPECT_EQ(s.ball_x, last.ball_x);
    EXPECT_EQ(s.serve, last.serve);
    s = after_frame(s);
    EXPECT_EQ(s.ball_y, 0);
    EXPECT_EQ(s.ball_x, last.ball_x);
    EXPECT_EQ(s.vel_x, last.vel_x);
    EXPECT_EQ(s.serve, last.serve);
    EXPECT_FALSE(Pong::is_over(s));
  }
}

TEST(PongAttractTest, LastsWhenTheClockGoesOnAndBatsStillMove) {
  State s = rally();
  s.clock = 0;
  s.cpu_bat = 9 * 256 / 16;
  for (int i = 0; i < 5000; ++i) s = after_frame(s, kDown);
  EXPECT_EQ(s.clock, 5000);
  EXPECT_EQ(s.active, 0);
  EXPECT_EQ(s.cpu_score, 1);
  EXPECT_EQ(s.cpu_bat, 0);
  EXPECT_EQ(s.human_bat, 203);
  EXPECT_EQ(s.fire, 0);
}

TEST(PongEndTest, IsTwentyOnePointsOfEither) {
  State s = rally();
  EXPECT_FALSE(Pong::is_over(s));
  s.cpu_score = s.human_score = 20;
  EXPECT_FALSE(Pong::is_over(s));
  s.human_score = 21;
  EXPECT_TRUE(Pong::is_over(s));
  s.human_score = 0;
  s.cpu_score = 21;
  EXPECT_TRUE(Pong::is_over(s));
}

bool equal(const State& a, const State& b) {
  std::int32_t x[Pong::kStateSize], y[Pong::kStateSize];
  Pong::save(a, x);
  Pong::save(b, y);
  return std::equal(x, x + Pong::kStateSize, y);
}

TEST(PongStepTest, PlaysNoFrameAfterTheEnd) {
  State s = rally();
  s.cpu_score = 20;
  s.ball_x = 205 - 1;
  s.vel_x = -1;
  State by_frames = after_frame(after_frame(s, kUp), kUp);
  EXPECT_TRUE(Pong::is_over(by_frames));
  EXPECT_EQ(Pong::step<4>(s, [](int) { return kUp; }), -1);
  EXPECT_TRUE(equal(s, by_frames));
  EXPECT_EQ(Pong::step<4>(s, [](int) { return kUp; }), 0);
  EXPECT_TRUE(equal(s, by_frames));
}

TEST(PongStepTest, PlaysAsManyFramesAsToldWithAnInputEach) {
  for (std::int32_t frames = 0; frames <= 4; ++frames) {
    State s = rally(), by_frames = s;
    const auto input_of = [](int f) { return Pong::input(f + 2); };
    for (int f = 0; f < frames; ++f) by_frames = after_frame(by_frames, input_of(f));
    EXPECT_EQ(Pong::step<4>(s, input_of, frames), 0);
    EXPECT_TRUE(equal(s, by_frames)) << frames;
  }
}

TEST(PongStateTest, SurvivesSaveAndRestore) {
  std::int32_t from[Pong::kStateSize], to[Pong::kStateSize];
  for (int i = 0; i < Pong::kStateSize; ++i) from[i] = i + 1;
  Pong::save(Pong::restore(from), to);
  for (int i = 0; i < Pong::kStateSize; ++i) EXPECT_EQ(to[i], i + 1);
}

}  // namespace pong_test
}  // namespace lockstep
