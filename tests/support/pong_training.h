// Small trainings of Pong on a table backend of a test's choice. Test code only.
#pragma once

#include "host/cpu/table_backend.h"
#include "tests/support/training.h"

namespace lockstep::test {

/// What `--recipe fast` says of the estimator and the optimiser, with other sizes and no run
/// folder.
inline Config small_pong_config(std::int64_t envs, std::int64_t hidden = 24, int threads = 1) {
  Config config = small_config(envs, hidden);
  config.env = "pong";
  config.threads = threads;
  config.init = Init::kNormal;
  config.gamma = 0.98;
  config.returns = ReturnKind::kPoint;
  config.normalize = Normalize::kBatch;
  config.baseline = Baseline::kNone;
  config.lr = 0.01;
  config.weight_decay = 1e-3;
  return config;
}

/// A backend with its initial state uploaded.
inline TableBackend make_table_backend(const Config& config, const CpuTuning& tuning = {}) {
  TableBackend backend(config, find_environment(config.env), tuning);
  backend.upload(initial_state(config));
  return backend;
}

}  // namespace lockstep::test
