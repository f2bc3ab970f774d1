// Short Pong as an environment with a name, for tests of whole backends: a game of 14 steps of four
// frames. Test code only.
#pragma once

#include "tests/support/short_pong.h"

namespace lockstep::test {

struct ShortWorld : ShortPong {
  static constexpr const char* kName = "shortpong";
  static constexpr const char* kSummary = "Pong in the middle of a rally, over after two points";
  static constexpr int kMaxEpisodeFrames = kShortSteps * kFrames;
};

}  // namespace lockstep::test
