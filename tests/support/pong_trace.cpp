// Plays Pong as told on standard input and writes what can be seen of it, for a script that holds
// it against ALE (tests/python/ale_parity.py).
//
// usage: lockstep_pong_trace [--id ID] [--skip MIN MAX] [--sticky P] [--limit FRAMES]
//                            [--actions minimal|full|updown] [--pool SKIP] [--noops MAX] [--rgb]
// Input, one byte a command: 0..17 an action; 252 + int32 ALE seed, 253 + uint64 Gymnasium seed
// (both then reset), 254 a reset. Output, one Record a command, little-endian.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "envs/pong_ale.h"
#include "tests/support/crc32.h"

namespace lockstep {
namespace {

struct Record {
  std::uint8_t ram[128];
  std::uint32_t frame80, codes,
      rgb;  // CRC-32 of the 80x80 picture, the colour codes, the observation
  std::int32_t reward, frames;
  std::uint8_t terminated, truncated, unused[2];
};
static_assert(sizeof(Record) == 152);

constexpr int kAleSeed = 252, kGymnasiumSeed = 253, kReset = 254;

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "lockstep_pong_trace: %s\n", what);
  std::exit(2);
}

template <class T>
T read_number() {
  T value;
  if (std::fread(&value, sizeof value, 1, stdin) != 1) fail("the input ends within a command");
  return value;
}

Record record_of(const PongAle& game, const PongAleStep& step, bool with_rgb) {
  static std::vector<std::uint8_t> codes(pong_picture::kRows * pong_picture::kColumns);
  static std::vector<std::uint8_t> rgb(3 * codes.size()), frame(kFrame80 * kFrame80);
  Record r{};
  game.ram(r.ram);
  game.frame80(frame.data());
  game.codes(codes.data());
  r.frame80 = test::crc32(frame.data(), frame.size());
  r.codes = test::crc32(codes.data(), codes.size());
  if (with_rgb) {
    game.rgb(rgb.data());
    r.rgb = test::crc32(rgb.data(), rgb.size());
  }
  r.reward = step.reward;
  r.frames = step.frames;
  r.terminated = step.terminated;
  r.truncated = step.truncated;
  return r;
}

void play(const PongOptions& options, bool with_rgb) {
  PongAle game(options);
  const int actions = options.actions == PongActions::kMinimal ? 6
                      : options.actions == PongActions::kFull  ? 18
                                                               : 2;
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
        fail("no such action or command");
      }
      game.reset();
    }
    const Record record = record_of(game, step, with_rgb);
    if (std::fwrite(&record, sizeof record, 1, stdout) != 1) fail("cannot write");
  }
  if (std::fflush(stdout) != 0) fail("cannot write");
}

int run(int argc, char** argv) {
  PongOptions options;
  bool with_rgb = false;
  int i = 1;
  const auto next = [&] {
    if (++i >= argc) fail("an option lacks its value");
    return std::string(argv[i]);
  };
  for (; i < argc; ++i) {
    const std::string name = argv[i];
    if (name == "--id") {
      if (!pong_preset(next(), options)) fail("no such environment id");
    } else if (name == "--skip") {
      options.min_skip = std::stoi(next());
      options.max_skip = std::stoi(next());
    } else if (name == "--sticky") {
      options.repeat_probability = std::stof(next());
    } else if (name == "--limit") {
      options.frame_limit = std::stoi(next());
    } else if (name == "--pool") {
      options.pooled_skip = std::stoi(next());
    } else if (name == "--noops") {
      options.max_noops = std::stoi(next());
    } else if (name == "--actions") {
      const std::string set = next();
      options.actions = set == "full"     ? PongActions::kFull
                        : set == "updown" ? PongActions::kUpDown
                                          : PongActions::kMinimal;
    } else if (name == "--rgb") {
      with_rgb = true;
    } else {
      fail("unknown option");
    }
  }
  play(options, with_rgb);
  return 0;
}

}  // namespace
}  // namespace lockstep

int main(int argc, char** argv) { return lockstep::run(argc, argv); }
