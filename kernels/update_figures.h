// What an update tells about its learning: the numbers of a log's line that a gradient gives. One
// struct from a device's memory to the public UpdateMetrics, so that a new figure is a field here,
// its formula (update_plan.h) and its name in the logs (host/files/metrics.cpp).
#pragma once

namespace lockstep {

struct UpdateFigures {
  double policy_loss = 0;  // sum over steps of -advantage * log-prob, divided by episodes
  double entropy = 0;      // mean over steps, nats
  double grad_norm = 0;    // L2 norm of the gradient before clipping
};

/// Those of an update without a finished episode.
inline constexpr UpdateFigures kNoFigures{__builtin_nan(""), __builtin_nan(""), __builtin_nan("")};

}  // namespace lockstep
