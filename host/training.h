// What a training run asks of its caller and what it returns.
#pragma once

#include <csignal>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "host/update_metrics.h"

namespace lockstep {

struct TrainHooks {
  std::function<void(const UpdateMetrics&)> on_log;    // at every --log-every point, and at the end
  std::function<void(const UpdateMetrics&)> on_print;  // every `print_every` updates
  std::int64_t print_every = 0;                        // 0 = never
  const volatile std::sig_atomic_t* stop_signal =
      nullptr;                                         // non-zero: finish the update, save, stop
  std::function<void(const std::string&)> on_warning;  // what was lost without ending the run
  std::string command_line;                            // recorded in run.json
  bool write_files = true;                             // false: no run folder at all
};

struct TrainResult {
  std::int64_t updates = 0, episodes = 0, steps = 0;  // totals of the run
  double seconds = 0;          // in the training loops of all processes of the run
  double process_seconds = 0;  // of these, in this process
  double mean_score = 0;       // over the last `over` episodes; NaN if none has ended
  std::int64_t cut_steps = 0;  // of the steps, those in episodes that the horizon cut: no gradient
  std::int64_t gradient_updates = 0;  // updates whose gradient was not 0
  bool reached = false;               // the threshold was reached
  std::int64_t reached_update = 0, reached_episodes = 0, reached_steps = 0;
  double reached_seconds = 0;
  int stop_signal = 0;  // signal that ended the run, or 0
  bool time_limit_hit = false;
  std::vector<UpdateMetrics> curve;  // one entry a log point, of the whole run
  std::filesystem::path folder;      // run folder; empty with write_files = false
};

}  // namespace lockstep
