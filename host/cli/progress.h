// Progress of a training run on stderr: a bar that redraws itself on a terminal, a line now and
// then elsewhere, nothing with --quiet.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "host/engine.h"
#include "host/options/program_options.h"

namespace lockstep::cli {

class Progress {
 public:
  /// `label` stands before the bar.
  Progress(const ProgramOptions& options, std::string label);
  /// Wipes the bar.
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// Draws if enough time has passed since the last time, or always with --print-every; cheap
  /// otherwise.
  void update(const UpdateMetrics& metrics);
  void clear();

 private:
  enum class Style { kSilent, kLines, kBar };
  using Clock = std::chrono::steady_clock;

  const Config& config_;
  std::string label_;
  Style style_;
  Clock::duration interval_;
  Clock::time_point next_;
  bool drawn_ = false;
};

/// Calls `show` when progress is due: every --print-every updates, or else at log points, where it
/// has to look at the clock itself.
void show_with(const ProgramOptions& options, TrainHooks& hooks,
               std::function<void(const UpdateMetrics&)> show);

/// Part of the run that is done, in [0, 1]: the nearest of its limits, or the score on its way to
/// the threshold.
double fraction_done(const Config& config, const UpdateMetrics& metrics);

}  // namespace lockstep::cli
