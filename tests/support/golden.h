// Reads the golden trajectories of tests/golden/ (their format is described there). Test code only.
#pragma once

#include <bit>
#include <cstdint>
#include <fstream>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace lockstep::test {

struct GoldenState {
  std::vector<double> state;
  std::vector<float> obs;
};

struct GoldenTrajectory {
  std::string name;
  std::int64_t steps = 0;
  std::vector<std::uint8_t> action, reward, terminated, truncated;  // [steps]
  std::map<std::int64_t, GoldenState> states;                       // some of 0 .. steps
};

inline std::vector<std::uint8_t> digits_of(const std::string& text, std::int64_t count) {
  std::vector<std::uint8_t> values;
  for (const char c : text) values.push_back(static_cast<std::uint8_t>(c - '0'));
  if (static_cast<std::int64_t>(values.size()) != count) {
    throw std::runtime_error("a golden file has the wrong number of digits");
  }
  return values;
}

/// Errors: runtime_error if the file is missing or not as described.
inline std::vector<GoldenTrajectory> read_golden(const std::string& path, int state_size,
                                                 int observation_size) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::vector<GoldenTrajectory> all;
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string key, text;
    words >> key;
    if (key.empty() || key[0] == '#') continue;
    if (key == "trajectory") {
      all.emplace_back();
      words >> all.back().name >> all.back().steps;
      continue;
    }
    if (all.empty()) throw std::runtime_error(path + ": no trajectory before '" + key + "'");
    GoldenTrajectory& now = all.back();
    if (key == "state") {
      std::int64_t t = 0;
      words >> t;
      GoldenState& at = now.states[t];
      for (int i = 0; i < state_size && words >> text; ++i) {
        at.state.push_back(std::bit_cast<double>(std::uint64_t{std::stoull(text, nullptr, 16)}));
      }
      for (int i = 0; i < observation_size && words >> text; ++i) {
        at.obs.push_back(
            std::bit_cast<float>(static_cast<std::uint32_t>(std::stoul(text, nullptr, 16))));
      }
      if (static_cast<int>(at.obs.size()) != observation_size) {
        throw std::runtime_error(path + ": a state line is too short");
      }
      continue;
    }
    words >> text;
    auto& digits = key == "action"       ? now.action
                   : key == "reward"     ? now.reward
                   : key == "terminated" ? now.terminated
                                         : now.truncated;
    digits = digits_of(text, now.steps);
  }
  return all;
}

}  // namespace lockstep::test
