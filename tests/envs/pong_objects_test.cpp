// Tests for envs/pong_objects.h: the rows of the table against the 80x80 picture, in every shape
// and position that play can reach.
#include "envs/pong_objects.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <set>
#include <vector>

#include "kernels/philox.h"

namespace lockstep {
namespace pong_objects_test {

using State = PongState<std::int32_t>;
using View = PongView<std::int32_t>;
constexpr int kPixels = ObjectPong::kPixels;

/// The pixels of every row of the table.
const std::vector<std::vector<std::uint16_t>>& row_pixels() {
  static const auto rows = [] {
    std::vector<std::vector<std::uint16_t>> all;
    for (int r = 0; r < ObjectPong::kRows; ++r) {
      std::uint16_t pixel[ObjectPong::kMaxRowPixels];
      const int n = ObjectPong::pixels(r, pixel);
      all.emplace_back(pixel, pixel + n);
    }
    return all;
  }();
  return rows;
}

/// Whether the rows of a view, disjoint, are its picture; marks them in `seen`.
testing::AssertionResult rows_are_the_picture(const View& view, std::vector<bool>* seen = nullptr) {
  std::uint8_t frame[kPixels];
  draw_frame80(view, frame);
  std::int32_t row[ObjectPong::kObjects];
  ObjectPong::rows_of(pong_objects(view), row);
  for (const std::int32_t r : row) {
    if (r < 0 || r >= ObjectPong::kRows) return testing::AssertionFailure() << "row " << r;
    if (seen != nullptr) (*seen)[static_cast<std::size_t>(r)] = true;
    for (const std::uint16_t p : row_pixels()[static_cast<std::size_t>(r)]) {
      if (frame[p] != 1) {
        return testing::AssertionFailure()
               << "row " << r << " lights pixel " << p / 80 << ", " << p % 80
               << (frame[p] == 0 ? " which is dark" : " again") << "; ball " << view.ball_x << ", "
               << view.ball_y << " human " << view.human_bat << " cpu " << view.cpu_bat;
      }
      frame[p] = 2;
    }
  }
  if (std::memchr(frame, 1, sizeof frame) != nullptr) {
    return testing::AssertionFailure()
           << "a lit pixel belongs to no row; ball " << view.ball_x << ", " << view.ball_y
           << " human " << view.human_bat << " cpu " << view.cpu_bat << " sample " << view.sample;
  }
  return testing::AssertionSuccess();
}

/// Calls body for every view of a rally: all ball positions; where a bat or the paddle sample
/// matters to the ball, all of those too.
template <class Body>
void for_every_view(const Body& body) {
  for (int x = 49; x <= 208; ++x) {
    const int j = (x - 48) / 2 % 80;
    for (int y = 37; y <= 208; ++y) {
      View v{x, y, 109, 22, 110, 0, 0};
      if (j == 8 || j == 9) {
        for (v.cpu_bat = 0; v.cpu_bat <= 208; v.cpu_bat += 2) body(v);
      } else if (j == 70 || j == 71) {
        for (v.human_bat = 38; v.human_bat <= 203; ++v.human_bat) body(v);
      } else if (j >= 75) {
        // the ball's shape hangs on the bat's and the sample's place relative to the ball
        for (int bat = -20; bat <= 8; bat += 2) {
          for (int sample = -4; sample <= 8; sample += 2) {
            v.human_bat = std::clamp(y + bat, 38, 203);
            v.sample = std::clamp((y + sample) & ~1, 38, 204);
            body(v);
          }
        }
      } else {
        body(v);
      }
    }
  }
}

TEST(ObjectPongTest, RowsAreThePictureForEveryBallAndOverlap) {
  std::int64_t views = 0;
  for_every_view([&](const View& v) {
    ++views;
    ASSERT_TRUE(rows_are_the_picture(v));
  });
  EXPECT_GT(views, 300'000);
}

TEST(ObjectPongTest, RowsAreThePictureForEveryPositionOfTheBats) {
  for (int cpu = 0; cpu <= 208; cpu += 2) {
    for (int human = 38; human <= 203; ++human) {
      ASSERT_TRUE(rows_are_the_picture({128, 0, human, cpu, 110, 0, 0}));
    }
  }
}

TEST(ObjectPongTest, EveryRowCanBeReached) {
  std::vector<bool> seen(ObjectPong::kRows, false);
  for_every_view([&](const View& v) { rows_are_the_picture(v, &seen).message(); });
  for (int cpu = 0; cpu <= 208; cpu += 2)
    rows_are_the_picture({128, 0, 109, cpu, 110, 0, 0}, &seen);
  for (int human = 38; human <= 203; ++human) {
    rows_are_the_picture({128, 0, human, 22, 110, 0, 0}, &seen);
  }
  for (int r = 0; r < ObjectPong::kRows; ++r) {
    EXPECT_TRUE(seen[static_cast<std::size_t>(r)]) << "row " << r << " is never shown";
  }
}

TEST(ObjectPongTest, RowsDifferAndListTheirPixelsInOrder) {
  std::set<std::vector<std::uint16_t>> all;
  for (const auto& row : row_pixels()) {
    EXPECT_TRUE(std::is_sorted(row.begin(), row.end()));
    EXPECT_TRUE(std::adjacent_find(row.begin(), row.end()) == row.end());
    all.insert(row);
  }
  EXPECT_EQ(static_cast<int>(all.size()), ObjectPong::kRows);
  EXPECT_TRUE(row_pixels()[0].empty());
}

TEST(ObjectPongTest, ResetPictureHasItsOwnBall) {
  const State s = ObjectPong::reset<std::int32_t>();
  EXPECT_TRUE(rows_are_the_picture(pong_picture::view_of(s)));
  std::int32_t row[3];
  ObjectPong::rows(s, row);
  const std::vector<std::uint16_t> ball = {5 * 80 + 1, 6 * 80 + 1};
  EXPECT_EQ(row_pixels()[static_cast<std::size_t>(row[2])], ball);
  EXPECT_EQ(row[0], 0);  // the CPU's bat starts out of sight
}

/// Plays games of random, held actions, and shows every state.
template <class Body>
void play(int steps, const Body& body) {
  State s = ObjectPong::reset<std::int32_t>();
  for (int t = 0; t < steps; ++t) {
    body(s);
    const auto words = random_words<std::uint32_t>({3, 0}, Purpose::kAction, 0, 0u,
                                                   static_cast<std::uint32_t>(t / 5));
    const auto result = ObjectPong::step<std::int32_t>(s, (words.w[0] & 1) != 0);
    if (result.over) s = ObjectPong::reset<std::int32_t>();
  }
}

TEST(ObjectPongTest, RowsAreThePictureInPlay) {
  int hidden = 0, cut = 0;
  play(100'000, [&](const State& s) {
    const View v = pong_picture::view_of(s);
    ASSERT_TRUE(rows_are_the_picture(v));
    std::int32_t row[3];
    ObjectPong::rows(s, row);
    hidden += row[2] == 0;
    const std::size_t height = row_pixels()[static_cast<std::size_t>(row[2])].size();
    cut += height == 1 || height == 3;
  });
  EXPECT_GT(hidden, 1000);
  EXPECT_GT(cut, 100);
}

TEST(ObjectPongTest, StepIsFourFramesWithTheBatUpOrDown) {
  int n = 0;
  play(3'000, [&](const State& s) {
    const bool up = ++n % 3 == 0;
    State stepped = s, framed = s;
    const auto result = ObjectPong::step<std::int32_t>(stepped, up);
    std::int32_t reward = 0;
    for (int f = 0; f < 4 && !Pong::is_over(framed); ++f) {
      const int before = framed.human_score - framed.cpu_score;
      Pong::frame<std::int32_t>(framed, {up ? -Pong::kPaddleStep : Pong::kPaddleStep, 0});
      reward += framed.human_score - framed.cpu_score - before;
    }
    std::int32_t a[Pong::kStateSize], b[Pong::kStateSize];
    Pong::save(stepped, a);
    Pong::save(framed, b);
    EXPECT_TRUE(std::equal(a, a + Pong::kStateSize, b));
    EXPECT_EQ(result.reward, reward);
    EXPECT_EQ(result.over, Pong::is_over(framed));
  });
}

TEST(ObjectPongTest, IncomingIsASeenBallThatFliesToTheRight) {
  State s = ObjectPong::reset<std::int32_t>();
  EXPECT_FALSE(ObjectPong::incoming(s));
  s = {400, 5000, 0, 0, 0, 1, 100, 120, 100, 1, -1, 109, 109, 0, 1};
  EXPECT_TRUE(ObjectPong::incoming(s));
  s.vel_x = 1;
  EXPECT_FALSE(ObjectPong::incoming(s));
  s.vel_x = -1;
  s.serve = 10;
  s.ball_y = 0;
  EXPECT_FALSE(ObjectPong::incoming(s));
}

TEST(ObjectPongTest, EpisodesEndBeforeAttractModeBegins) {
  // The bat can be held still in no way that keeps a game alive for ever, so the clock is moved on.
  State s = ObjectPong::reset<std::int32_t>();
  s.clock += 4 * (ObjectPong::kMaxEpisodeSteps - 1);
  ObjectPong::step<std::int32_t>(s, true);
  EXPECT_NE(s.active, 0);
  EXPECT_TRUE(rows_are_the_picture(pong_picture::view_of(s)));
  ObjectPong::step<std::int32_t>(s, true);
  EXPECT_EQ(s.active, 0);
}

TEST(ObjectPongTest, RestartTouchesNoOtherLane) {
  State s = ObjectPong::reset<std::int32_t>();
  ObjectPong::step<std::int32_t>(s, true);
  const State before = s;
  const State start = ObjectPong::start<std::int32_t>(0, 0);
  ObjectPong::restart(s, false, start);
  EXPECT_EQ(s.clock, before.clock);
  ObjectPong::restart(s, true, start);
  EXPECT_EQ(s.clock, Pong::kResetClock);
  EXPECT_EQ(s.paddle, Pong::kPaddleStart);
}

TEST(ObjectPongTest, AStartPlaysFramesWithoutAnAction) {
  for (const int noops : {0, 1, 7, 30}) {
    State wanted = ObjectPong::reset<std::int32_t>();
    for (int f = 0; f < noops; ++f) Pong::frame(wanted, PongInput<std::int32_t>{0, 0});
    const State start = ObjectPong::start<std::int32_t>(noops, 30);
    EXPECT_EQ(start.clock, wanted.clock);
    EXPECT_EQ(start.serve, wanted.serve);
    EXPECT_EQ(start.filter, wanted.filter);
    EXPECT_EQ(start.paddle, Pong::kPaddleStart);
  }
}

}  // namespace pong_objects_test
}  // namespace lockstep
