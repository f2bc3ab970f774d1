// The training loop: updates until a stopping rule holds, with logs, checkpoints and evaluations.
// Knows no device (host/backend/backend.h) and no file format (host/files).
#pragma once

#include "host/backend/backend.h"
#include "host/files/run_folder.h"
#include "host/training.h"

namespace lockstep {

/// Trains `backend` from `initial`, or from the newest checkpoint with config.resume.
///
/// Result: bitwise; a resumed run ends with the bits of an uninterrupted one.
/// `program` says what was built, for run.json; the run adds what it is.
/// Errors: as Engine::train(). With NumericError the last good state is saved first.
TrainResult run_training(Backend& backend, const Config& config,
                         const EnvironmentEntry& environment, const TrainingState& initial,
                         const TrainHooks& hooks, const RunRecord& program = {});

}  // namespace lockstep
