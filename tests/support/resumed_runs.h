// Runs that stop and go on, beside one that did not, and what has to be equal of them. Test code
// only.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "host/engine.h"
#include "host/files/checkpoint.h"
#include "tests/support/scratch_folder.h"
#include "tests/support/training.h"

namespace lockstep::test {

namespace fs = std::filesystem;

/// metrics.jsonl without the keys that hold times.
inline std::string metrics_without_times(const fs::path& run) {
  std::istringstream lines(slurp(run / "metrics.jsonl"));
  std::string out;
  for (std::string line; std::getline(lines, line);) {
    nlohmann::json object = nlohmann::json::parse(line);
    for (const char* key : {"time/seconds", "time/unix", "charts/SPS"}) {
      EXPECT_EQ(object.erase(key), 1u) << key;
    }
    out += object.dump() + '\n';
  }
  return out;
}

/// trainer.json without times and without what the time in it changes.
inline nlohmann::json trainer_without_times(const fs::path& checkpoint) {
  nlohmann::json trainer = load_checkpoint(checkpoint).trainer;
  for (const char* key : {"seconds", "reached_seconds", "config"}) {
    EXPECT_EQ(trainer.erase(key), 1u) << key;
  }
  return trainer;
}

inline void expect_same_run(const fs::path& got, const fs::path& want) {
  const fs::path a = got / "checkpoints/last", b = want / "checkpoints/last";
  EXPECT_EQ(fs::read_symlink(a), fs::read_symlink(b));
  EXPECT_EQ(slurp(a / "model.safetensors"), slurp(b / "model.safetensors"));
  EXPECT_EQ(slurp(a / "optimizer.safetensors"), slurp(b / "optimizer.safetensors"));
  EXPECT_EQ(trainer_without_times(a), trainer_without_times(b));
  EXPECT_EQ(metrics_without_times(got), metrics_without_times(want));
}

class ResumedRuns : public testing::Test {
 protected:
  ResumedRuns() {
    config = small_config(18, 9);
    config.until_score = 1e9;
    config.lr = 3e-3;
  }
  void TearDown() override { ::unsetenv("LS_ISA"); }

  fs::path run_whole(std::int64_t updates, const std::string& name = "whole") {
    Config c = config;
    c.updates = updates;
    c.out = (scratch / name).string();
    return Engine(c).train().folder;
  }
  /// Stops after `first` updates, then goes on; between the two everything that may change does.
  fs::path run_in_parts(const std::vector<std::int64_t>& stops, const std::string& name = "parts") {
    Config c = config;
    c.out = (scratch / name).string();
    const auto isas = available_isas();
    for (std::size_t i = 0; i < stops.size(); ++i) {
      ::setenv("LS_ISA", isa_name(isas[(i + isas.size() - 1) % isas.size()]), 1);
      c.updates = stops[i];
      c.threads = 1 + static_cast<std::int64_t>(i) * 2;
      Engine(c).train();
      c.out.clear();
      c.resume = (scratch / name).string();
    }
    ::unsetenv("LS_ISA");
    return scratch / name;
  }

  ScratchFolder scratch{memory_folder()};
  Config config;
};

}  // namespace lockstep::test
