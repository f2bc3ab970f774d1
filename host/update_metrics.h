// What a training run reports at every log point. A plain struct with a header of its own, because
// the public API hands it out; the logs it is written to are metrics.h's. NaN stands for what there
// is not: a mean of no episodes, or the entropy of an update that had none to learn from.
#pragma once

#include <cstdint>

#include "kernels/update_figures.h"

namespace lockstep {

struct UpdateMetrics : UpdateFigures {
  std::int64_t update = 0;    // optimiser steps done
  std::int64_t episodes = 0;  // finished episodes so far
  std::int64_t steps = 0;     // environment steps so far; the x axis of every curve
  double seconds = 0;         // inside the training loop
  double mean_score = 0;      // over the last `over` episodes
  double batch_score = 0;     // mean score of this update's episodes
  double batch_length = 0;    // mean length of this update's episodes, steps
  double learning_rate = 0;
  double eval_score = 0;  // mean greedy score; valid where has_eval
  bool has_eval = false;
  bool at_end = false;  // no point of --log-every: the run ended here
};

}  // namespace lockstep
