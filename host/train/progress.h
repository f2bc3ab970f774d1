// Counters of a training run and their form in a checkpoint.
#pragma once

#include <cstdint>
#include <deque>
#include <nlohmann/json_fwd.hpp>

#include "host/backend/backend.h"
#include "host/config.h"
#include "host/files/checkpoint.h"

namespace lockstep {

/// Where a run stands, besides the numbers of TrainingState.
struct TrainProgress {
  std::int64_t update = 0;    // optimiser steps done
  std::int64_t episodes = 0;  // finished episodes
  std::int64_t steps = 0;     // environment steps
  double seconds = 0;         // in the training loops of all processes so far
  std::deque<float> recent;   // last `over` scores, ordered by (update, environment id, time)
  bool reached = false;       // the threshold
  std::int64_t reached_update = 0, reached_episodes = 0, reached_steps = 0;
  double reached_seconds = 0;
  std::int64_t cut_steps = 0;         // steps of episodes that the horizon cut
  std::int64_t gradient_updates = 0;  // updates whose gradient was not 0
  double best_eval = 0;               // highest evaluation score, valid if has_best
  bool has_best = false;

  /// Mean of `recent`; NaN if there is none.
  double mean_score() const;
  /// Counts an update that was done; `over` as in Config.
  void add(const UpdateResult& result, std::int64_t over);
};

/// A checkpoint of the run; `config_toml` is kept for people and for eval.
Checkpoint make_checkpoint(const Config& config, const std::string& config_toml,
                           const PolicyShape& shape, const TrainingState& state,
                           const TrainProgress& progress);

/// Reads a checkpoint back. The threshold counts as not reached if the configuration asks for
/// another one now. Errors: BadInput naming what is missing or does not fit.
void restore_checkpoint(const Checkpoint& checkpoint, const Config& config,
                        const PolicyShape& shape, TrainingState& state, TrainProgress& progress);

}  // namespace lockstep
