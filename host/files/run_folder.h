// The folder a training run leaves behind, and who may write to it:
//
// config.toml     resolved configuration
// run.json        who ran what, when, with which end
// metrics.jsonl   log points (host/files/metrics.h)
// events.out.*    the same for TensorBoard
// curve.svg       learning curve, made at the end
// checkpoints/    host/files/checkpoint.h
//
// Decided here: names, numbering, what --force may delete, run.json. Not decided here: the content
// of logs and checkpoints.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/build_info.h"
#include "host/config.h"
#include "host/training.h"

namespace lockstep {

/// Facts about the process that writes a run, for run.json.
struct RunRecord {
  Build build;
  std::string command_line;
  std::string device;
  std::int64_t threads = 0;
  std::uint64_t fingerprint = 0;  // Engine::fingerprint()
};

/// One run folder, held by this process alone until destruction.
///
/// Errors: IoError with path and reason from every member function.
class RunFolder {
 public:
  /// Makes config.out, or runs/<env>-<n> with n one above the highest there is. Processes that do
  /// this at the same time get different folders: mkdir decides.
  ///
  /// An existing folder is taken if it is empty. With config.force a run folder is emptied first:
  /// of everything this program writes, and of nothing else.
  /// Errors: InvalidArgument if the folder holds something else, a run and no config.force, or is
  /// in use by another process
  static RunFolder create(const Config& config);
  /// Takes up an existing run folder, for resume. Changes nothing.
  /// Errors: BadInput if it is no run folder, InvalidArgument if it is in use by another process
  static RunFolder open(const std::filesystem::path& path);

  ~RunFolder();
  RunFolder(RunFolder&& other) noexcept;
  RunFolder& operator=(RunFolder&& other) noexcept;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path config_file() const { return path_ / "config.toml"; }
  std::filesystem::path metrics_file() const { return path_ / "metrics.jsonl"; }
  std::filesystem::path checkpoints() const { return path_ / "checkpoints"; }
  std::filesystem::path curve_file() const { return path_ / "curve.svg"; }

  /// Writes config.toml and run.json with status "running". The record of an earlier process of the
  /// same run moves into run.json's list "earlier".
  void start(const RunRecord& record, std::string_view config_toml);
  /// Completes run.json and writes curve.svg. `status` is one word for how the run ended, such as
  /// "finished", "interrupted" or "failed"; `error` is the message of a failure. Where no new file
  /// can be made, the record is written over the one before if that cannot tear it.
  /// Returns why there is no curve.svg, or nothing: a run does not fail for its picture.
  std::string finish(const Config& config, const TrainResult& result, std::string_view status,
                     std::string_view error = {});

 private:
  RunFolder(std::filesystem::path path, int lock) : path_(std::move(path)), lock_(lock) {}

  std::filesystem::path path_;
  int lock_ = -1;  // descriptor of the folder, with flock(2) on it; -1 = moved from
};

/// Whether `path` is a folder that RunFolder made.
bool is_run_folder(const std::filesystem::path& path);

/// The learning curve as curve.svg shows it: scores of the updates, of the last config.over
/// episodes and of evaluations, over environment steps.
std::string curve_svg(const Config& config, const std::vector<UpdateMetrics>& curve);

}  // namespace lockstep
