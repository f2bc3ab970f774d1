// What an update tells about its learning: the numbers of a log's line that a gradient gives. One
// struct from a device's memory to the public UpdateMetrics, so that a new figure is a field here,
// its formula (update_plan.h) and its name in the logs (host/files/metrics.cpp).
#pragma once

namespace lockstep {

struct UpdateFigures {
  double policy_loss = 0;  // sum over steps of -advantage * log-prob, divided by episodes; with a
                           // critic the mean over steps of what it minimises
  double entropy = 0;      // mean over steps, nats
  double grad_norm = 0;    // L2 norm of the gradient before clipping

  // with a critic: means over all steps of the optimiser; else NaN, and not in the logs
  double value_loss = kNone;          // of (V - G)^2 / 2, clipped where asked for
  double explained_variance = kNone;  // 1 - Var(G - V) / Var(G), before the update
  double approx_kl = kNone;           // of the new policy from the one that played, nats
  double clip_fraction = kNone;       // steps whose ratio is beyond the clip

  static constexpr double kNone = __builtin_nan("");
};

/// Those of an update without a finished episode.
inline constexpr UpdateFigures kNoFigures{UpdateFigures::kNone, UpdateFigures::kNone,
                                          UpdateFigures::kNone};

}  // namespace lockstep
