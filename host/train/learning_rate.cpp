// The schedule of the learning rate, with the same bits whatever the C library.
#include "host/train/learning_rate.h"

#include <algorithm>

namespace lockstep {

double learning_rate(const Config& config, std::int64_t decayed, double factor) {
  switch (config.lr_decay) {
    case LrDecay::kConstant:
      return config.lr;
    case LrDecay::kLinear: {
      const double done =
          static_cast<double>(decayed) / static_cast<double>(config.lr_decay_updates);
      return config.lr * std::max(0.0, 1.0 - done);
    }
    case LrDecay::kExponential:
      return config.lr * factor;
  }
  return config.lr;
}

double decay_factor(const Config& config) {
  if (config.lr_decay != LrDecay::kExponential) return 1.0;
  // exp(-ln 10 / n) by its series: the same bits whatever the C library
  const double x = -2.302585092994046 / static_cast<double>(config.lr_decay_updates);
  double term = 1, sum = 1;
  for (int n = 1; n < 40; ++n) {
    term *= x / n;
    sum += term;
  }
  return sum;
}

}  // namespace lockstep
