// Reads tests/golden/pong_ale.txt (its format is described there) and plays its commands. Test code
// only.
#pragma once

#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/pong_record.h"

namespace lockstep::test {

struct PongGoldenCase {
  std::string name;
  std::vector<std::string> options;
  std::string commands;
  std::map<long, std::uint32_t> sums;  // after so many records
};

/// Errors: runtime_error if the file is missing or not as described.
inline std::vector<PongGoldenCase> read_pong_golden(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::vector<PongGoldenCase> cases;
  for (std::string line; std::getline(file, line);) {
    const std::size_t space = line.find(' ');
    const std::string kind = line.substr(0, space);
    if (space == std::string::npos) throw std::runtime_error("not a line of " + path);
    const std::string rest = line.substr(space + 1);
    if (kind == "case") {
      cases.push_back({rest, {}, {}, {}});
      continue;
    }
    if (cases.empty()) throw std::runtime_error("no case yet in " + path);
    std::istringstream words(rest);
    if (kind == "commands") {
      cases.back().commands += rest;
    } else if (kind == "options") {
      for (std::string word; words >> word;) cases.back().options.push_back(word);
    } else if (kind == "sums") {
      for (std::string word; words >> word;) {
        const std::size_t colon = word.find(':');
        cases.back().sums[std::stol(word)] =
            static_cast<std::uint32_t>(std::stoul(word.substr(colon + 1), nullptr, 16));
      }
    } else {
      throw std::runtime_error("not a line of " + path);
    }
  }
  return cases;
}

/// The action of a tracker: up where the drawn bat + aim lies below the ball, else down.
inline int tracker_action(const PongAle& game, int aim, bool fire) {
  const auto& s = game.state();
  return (s.human_bat + aim > s.ball_y ? 2 : 3) + (fire ? 2 : 0);
}

/// Plays the commands of a case; visit(record) is called for each record.
template <class Visit>
void play_golden(const PongGoldenCase& golden, const Visit& visit) {
  const PongTraceOptions options = pong_trace_options(golden.options);
  PongAle game(options.game);
  PongRecorder record_of(options);
  const std::string& text = golden.commands;
  std::size_t i = 0;
  const auto number = [&](char end) {
    const std::size_t stop = text.find(end, i);
    const std::string digits = text.substr(i, stop - i);
    i = stop + 1;
    return std::stoll(digits);
  };
  const auto show = [&](const PongAleStep& step) { visit(record_of(game, step)); };
  while (i < text.size()) {
    const char command = text[i++];
    if (command >= 'a' && command <= 'r') {
      show(game.step(command - 'a'));
    } else if (command == 'T' || command == 'F') {
      const int aim = static_cast<int>(number('*'));
      for (long long left = number(';'); left > 0; --left) {
        show(game.step(tracker_action(game, aim, command == 'F')));
      }
    } else {
      if (command == 'A') {
        game.seed_ale(static_cast<std::int32_t>(number(';')));
      } else if (command == 'G') {
        game.seed_gymnasium(static_cast<std::uint64_t>(number(';')));
      } else if (command != 'Z') {
        throw std::runtime_error("no such command");
      }
      game.reset();
      show({});
    }
  }
}

}  // namespace lockstep::test
