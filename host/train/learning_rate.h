// How the learning rate falls: constant, linear or exponential (--lr-decay). When the decay begins
// is the trainer's business.
#pragma once

#include <cstdint>

#include "host/config.h"

namespace lockstep {

/// Learning rate after so many updates of its decay; `factor` is TrainingState::lr_factor.
double learning_rate(const Config& config, std::int64_t decayed, double factor);
/// What lr_factor is multiplied by after each update: 10^(-1 / lr_decay_updates), or 1.
double decay_factor(const Config& config);

}  // namespace lockstep
