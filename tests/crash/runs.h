// A training run as the crash tests see it: the program that makes it, and what must be true of its
// folder whenever that program ended. Test code only.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "host/errors.h"
#include "host/files/checkpoint.h"
#include "tests/support/process.h"

namespace lockstep::test {

namespace fs = std::filesystem;

/// What the newest checkpoint holds; update -1 if there is none that is whole.
struct Saved {
  std::int64_t update = -1;
  std::string model, optimizer;  // the files
  friend bool operator==(const Saved&, const Saved&) = default;
};

inline Saved newest_of(const fs::path& run) {
  try {
    const fs::path folder = newest_checkpoint(run / "checkpoints");
    return {load_checkpoint(folder).trainer.at("update").get<std::int64_t>(),
            slurp(folder / "model.safetensors"), slurp(folder / "optimizer.safetensors")};
  } catch (const Error&) {
    return {};
  }
}

/// Whether `last` is missing or leads to a whole checkpoint.
inline bool last_is_whole(const fs::path& run) {
  std::error_code error;
  if (!fs::is_symlink(run / "checkpoints/last", error)) return true;
  try {
    load_checkpoint(run / "checkpoints/last");
    return true;
  } catch (const Error&) {
    return false;
  }
}

/// Names of temporary files and folders that are left in the run.
inline std::vector<std::string> litter_of(const fs::path& run) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : fs::recursive_directory_iterator(run, error)) {
    const std::string name = entry.path().filename().string();
    if (name.find("tmp") != std::string::npos) names.push_back(name);
  }
  return names;
}

/// metrics.jsonl without the keys that hold times.
inline std::string metrics_without_times(const fs::path& run) {
  std::istringstream lines(slurp(run / "metrics.jsonl"));
  std::string out;
  for (std::string line; std::getline(lines, line);) {
    nlohmann::json object = nlohmann::json::parse(line);
    for (const char* key : {"time/seconds", "time/unix", "charts/SPS"}) object.erase(key);
    out += object.dump() + '\n';
  }
  return out;
}

/// The words that start a small run in `run`, and those that take it up again.
inline std::vector<std::string> train_words(const fs::path& run, std::int64_t updates) {
  return {"train",
          "cartpole",
          "--out",
          run.string(),
          "--updates",
          std::to_string(updates),
          "--envs",
          "8",
          "--hidden",
          "16",
          "--quiet",
          "--until-score",
          "1e9",
          "--normalize",
          "batch",
          "--baseline",
          "running_mean",
          "--lr-decay",
          "exponential",
          "--checkpoint-every",
          "1",
          "--keep",
          "2",
          "--threads",
          "1"};
}
inline std::vector<std::string> resume_words(const fs::path& run, std::int64_t updates,
                                             int threads = 1) {
  return {"train",      "--resume",
          run.string(), "--quiet",
          "--updates",  std::to_string(updates),
          "--threads",  std::to_string(threads)};
}

}  // namespace lockstep::test
