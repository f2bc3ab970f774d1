// What can be seen of Pong after a reset or a step, in the record that tests/python/ale_pong.py
// takes of ALE too, and the options by which both make an environment. Test code only.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>
#include <vector>

#include "envs/pong_ale.h"
#include "tests/support/crc32.h"

namespace lockstep::test {

struct PongRecord {
  std::uint8_t ram[128];
  std::uint32_t frame80, codes,
      rgb;  // CRC-32 of the 80x80 picture, the colour codes, the observation
  std::int32_t reward, frames;
  std::uint8_t terminated, truncated, unused[2];
};
static_assert(sizeof(PongRecord) == 152);

struct PongTraceOptions {
  PongOptions game;
  // one record in so many has the colour codes, the RGB observation; 0: none
  long codes_every = 1, rgb_every = 0;
};

/// Options as words: --id ID, --skip MIN MAX, --sticky P, --limit FRAMES, --actions
/// minimal|full|updown, --pool SKIP, --noops MAX, --codes EVERY, --rgb EVERY. Errors:
/// invalid_argument.
inline PongTraceOptions pong_trace_options(const std::vector<std::string>& words) {
  PongTraceOptions options;
  PongOptions& game = options.game;
  std::size_t i = 0;
  const auto next = [&] {
    if (++i >= words.size()) throw std::invalid_argument("an option lacks its value");
    return words[i];
  };
  for (; i < words.size(); ++i) {
    const std::string& name = words[i];
    if (name == "--id") {
      if (!pong_preset(next(), game)) throw std::invalid_argument("no such environment id");
    } else if (name == "--skip") {
      game.min_skip = std::stoi(next());
      game.max_skip = std::stoi(next());
    } else if (name == "--sticky") {
      game.repeat_probability = std::stof(next());
    } else if (name == "--limit") {
      game.frame_limit = std::stoi(next());
    } else if (name == "--pool") {
      game.pooled_skip = std::stoi(next());
    } else if (name == "--noops") {
      game.max_noops = std::stoi(next());
    } else if (name == "--actions") {
      const std::string set = next();
      if (set != "minimal" && set != "full" && set != "updown") {
        throw std::invalid_argument("no such action set");
      }
      game.actions = set == "full"     ? PongActions::kFull
                     : set == "updown" ? PongActions::kUpDown
                                       : PongActions::kMinimal;
    } else if (name == "--codes") {
      options.codes_every = std::stol(next());
    } else if (name == "--rgb") {
      options.rgb_every = std::stol(next());
    } else {
      throw std::invalid_argument("unknown option " + name);
    }
  }
  return options;
}

/// Takes the records of a run, one after the other.
class PongRecorder {
 public:
  explicit PongRecorder(const PongTraceOptions& options) : options_(options) {}

  PongRecord operator()(const PongAle& game, const PongAleStep& step) {
    PongRecord r{};
    game.ram(r.ram);
    game.frame80(frame_.data());
    r.frame80 = crc32(frame_.data(), frame_.size());
    if (is_due(options_.codes_every)) {
      game.codes(codes_.data());
      r.codes = crc32(codes_.data(), codes_.size());
    }
    if (is_due(options_.rgb_every)) {
      game.rgb(rgb_.data());
      r.rgb = crc32(rgb_.data(), rgb_.size());
    }
    r.reward = step.reward;
    r.frames = step.frames;
    r.terminated = step.terminated;
    r.truncated = step.truncated;
    ++taken_;
    return r;
  }

 private:
  bool is_due(long every) const { return every > 0 && taken_ % every == 0; }

  static constexpr std::size_t kPixels = pong_picture::kRows * pong_picture::kColumns;
  PongTraceOptions options_;
  long taken_ = 0;
  std::vector<std::uint8_t> frame_ = std::vector<std::uint8_t>(kFrame80 * kFrame80);
  std::vector<std::uint8_t> codes_ = std::vector<std::uint8_t>(kPixels);
  std::vector<std::uint8_t> rgb_ = std::vector<std::uint8_t>(3 * kPixels);
};

inline int pong_action_count(PongActions actions) {
  return actions == PongActions::kMinimal ? 6 : actions == PongActions::kFull ? 18 : 2;
}

}  // namespace lockstep::test
