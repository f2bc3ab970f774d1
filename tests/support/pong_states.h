// States of Pong for tests: by hand, and at random over all that play can reach. Test code only.
#pragma once

#include <cstdint>
#include <random>

#include "envs/pong.h"

namespace lockstep::test {

using State = PongState<std::int32_t>;
using Input = PongInput<std::int32_t>;

/// A rally in the middle of nowhere; tests change what they are about. The clock says that the
/// CPU's bat rests and the human's paddle is not sampled.
inline State rally() {
  State s = Pong::reset<std::int32_t>();
  s.clock = 512;
  s.serve = 0;
  s.last = 1;
  s.ball_x = 128;
  s.ball_y = 120;
  s.vel_x = 1;
  s.vel_y = 1;
  s.cpu_bat = 120;
  return s;
}

/// Plays one frame from a copy.
inline State after_frame(State s, Input input = {0, 0}) {
  Pong::frame(s, input);
  return s;
}

/// A random state with every field over its whole range, near walls, bats and goals more often.
inline State random_state(std::mt19937& random) {
  const auto between = [&](int low, int high) {
    return std::uniform_int_distribution<int>(low, high)(random);
  };
  const auto one_in = [&](int n) { return between(1, n) == 1; };
  State s{};
  s.clock = one_in(8) ? between(0, 255) : between(0, 0xffff);
  s.paddle = Pong::kPaddleStart;
  for (int i = between(0, 40), turn = between(-1, 1); i > 0; --i) {
    s.paddle += turn * Pong::kPaddleStep;
    s.paddle = min(max(s.paddle, Pong::kPaddleMin), Pong::kPaddleMax);
  }
  s.serve = one_in(4) ? between(0, Pong::kServeWait) : one_in(8) ? 1 : 0;
  s.cpu_score = between(0, 20);
  s.human_score = between(0, 20);
  constexpr int kLast[3] = {0, 1, 255};
  s.last = kLast[between(0, 2)];
  s.ball_x = one_in(3) ? between(49, 208) : one_in(2) ? between(186, 206) : between(51, 70);
  s.ball_y = one_in(6) ? between(0, 48) : one_in(5) ? between(203, 208) : between(43, 208);
  s.vel_y = between(-3, 3);
  s.vel_x = between(1, Pong::kMaxSpeed) * (one_in(2) ? 1 : -1);
  const bool near = one_in(2);
  s.cpu_bat = near ? (s.ball_y + between(-16, 6)) & ~1 : 2 * between(0, 104);
  s.cpu_bat = min(max(s.cpu_bat, 0), 208);
  s.human_bat = near ? s.ball_y + between(-18, 4) : between(38, 203);
  s.human_bat = min(max(s.human_bat, 38), 203);
  s.filter = between(38, 203);
  s.fire = between(0, 1);
  s.active = one_in(6) ? 0 : 1;
  return s;
}

inline Input random_input(std::mt19937& random) {
  return Pong::input(std::uniform_int_distribution<std::int32_t>(0, 5)(random));
}

}  // namespace lockstep::test
