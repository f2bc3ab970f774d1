// Plays Pong as told on standard input and writes what can be seen of it, for a script that holds
// it against ALE (tests/python/ale_parity.py).
//
// usage: lockstep_pong_trace [OPTION...]     (pong_trace_options() in pong_record.h lists them)
// Input, one byte a command: 0..17 an action; 252 + int32 ALE seed, 253 + uint64 Gymnasium seed
// (both then reset), 254 a reset. Output, one PongRecord a command, little-endian.
#include <cstdio>
#include <exception>

#include "tests/support/pong_record.h"

namespace lockstep {
namespace {

constexpr int kAleSeed = 252, kGymnasiumSeed = 253, kReset = 254;

template <class T>
T read_number() {
  T value;
  if (std::fread(&value, sizeof value, 1, stdin) != 1) {
    throw std::invalid_argument("the input ends within a command");
  }
  return value;
}

void play(const test::PongTraceOptions& options) {
  PongAle game(options.game);
  test::PongRecorder record_of(options);
  const int actions = test::pong_action_count(options.game.actions);
  for (int command = std::getchar(); command != EOF; command = std::getchar()) {
    PongAleStep step;
    if (command < actions) {
      step = game.step(command);
    } else {
      if (command == kAleSeed) {
        game.seed_ale(read_number<std::int32_t>());
      } else if (command == kGymnasiumSeed) {
        game.seed_gymnasium(read_number<std::uint64_t>());
      } else if (command != kReset) {
        throw std::invalid_argument("no such action or command");
      }
      game.reset();
    }
    const test::PongRecord record = record_of(game, step);
    if (std::fwrite(&record, sizeof record, 1, stdout) != 1)
      throw std::runtime_error("cannot write");
  }
  if (std::fflush(stdout) != 0) throw std::runtime_error("cannot write");
}

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) {
  try {
    lockstep::play(lockstep::test::pong_trace_options({argv + 1, argv + argc}));
  } catch (const std::exception& error) {
    std::fprintf(stderr, "lockstep_pong_trace: %s\n", error.what());
    return 2;
  }
  return 0;
}
