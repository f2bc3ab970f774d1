// The training loop: updates until a stopping rule holds, with logs, checkpoints and evaluations.
// Knows no device (host/backend.h) and no file format (checkpoint.h, metrics.h, run_folder.h).
#pragma once

#include "host/backend.h"
#include "host/engine.h"

namespace lockstep {

/// Trains `backend` from `initial`, or from the newest checkpoint with config.resume.
///
/// Result: bitwise; a resumed run ends with the bits of an uninterrupted one.
/// Errors: as Engine::train(). With NumericError the last good state is saved first.
TrainResult run_training(Backend& backend, const Config& config,
                         const EnvironmentEntry& environment, const TrainingState& initial,
                         const TrainHooks& hooks);

}  // namespace lockstep
