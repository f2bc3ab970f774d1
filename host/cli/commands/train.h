// Pieces of the train command that its two forms, one run and a range of seeds, share.
#pragma once

#include <csignal>
#include <string>

#include "host/options/program_options.h"

namespace lockstep::cli {

/// "cartpole, 16 environments, mlp 128 relu, adam 0.03": what is trained, in one line.
std::string training_summary(const Config& config);

/// Trains every seed of options.seeds without run folders; prints one summary. Returns the exit
/// code.
int train_seeds(const ProgramOptions& options, const volatile std::sig_atomic_t* stop_signal);

}  // namespace lockstep::cli
