// Rows of a log with a number of their own in every field.
#pragma once

#include <cmath>
#include <cstdint>
#include <vector>

#include "host/files/metrics.h"

namespace lockstep::test {

inline UpdateMetrics sample(std::int64_t update) {
  const double u = static_cast<double>(update);
  UpdateMetrics m;
  m.update = update;
  m.episodes = 16 * update;
  m.steps = 1000 * update;
  m.seconds = u / 7000;
  m.mean_score = u / 3;
  m.batch_score = std::sqrt(u);
  m.batch_length = 20;
  m.learning_rate = 0.03;
  m.policy_loss = -1 / u;
  m.entropy = 0.69;
  m.grad_norm = 1e-7 * u;
  m.has_eval = update % 5 == 0;
  if (m.has_eval) m.eval_score = 500;
  return m;
}

inline void append_samples(MetricsLog& log, std::int64_t first, std::int64_t last) {
  for (std::int64_t update = first; update <= last; ++update) log.append(sample(update));
}

inline std::vector<std::int64_t> updates_of(const std::vector<UpdateMetrics>& rows) {
  std::vector<std::int64_t> updates;
  for (const auto& row : rows) updates.push_back(row.update);
  return updates;
}

inline std::vector<std::int64_t> one_to(std::int64_t last) {
  std::vector<std::int64_t> updates;
  for (std::int64_t update = 1; update <= last; ++update) updates.push_back(update);
  return updates;
}

}  // namespace lockstep::test
