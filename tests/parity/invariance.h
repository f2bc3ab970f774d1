// What the two invariance tests share: the variants of a training, and the matrix of ways to
// compute one that must not be told apart.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/training.h"

namespace lockstep::test {

struct Variant {
  const char* name;
  void (*apply)(Config&);
};

// lr is large enough that 50 updates move every weight, small enough that episodes stay short
inline const std::vector<Variant>& variants() {
  static const std::vector<Variant> list = {
      {"Episodic",
       [](Config& c) {
         c.lr = 1e-3;
         c.hidden = 8;
       }},
      {"Horizon",
       [](Config& c) {
         c.horizon = 14;
         c.baseline = Baseline::kBatchMean;
         c.normalize = Normalize::kBatch;
         c.gamma = 0.97;
       }},
      {"Dropout",
       [](Config& c) {
         c.lr = 1e-3;
         c.hidden = 8;
         c.dropout = 0.5;
         c.horizon = 15;
         c.normalize = Normalize::kEpisode;
         c.std_kind = StdKind::kSample;
         c.baseline = Baseline::kNone;
         c.gamma = 0.99;
       }},
      {"LeakyDropout",
       [](Config& c) {
         c.lr = 1e-3;
         c.hidden = 11;  // not a multiple of the eight partial sums
         c.activation = Activation::kLeakyRelu;
         c.dropout = 0.3;
         c.entropy_coef = 0.01;
         c.optimizer = OptimizerKind::kRmsprop;
         c.momentum = 0.5;
         c.baseline = Baseline::kRunningMean;
         c.horizon = 13;
       }},
      {"Linear",
       [](Config& c) {
         c.policy = PolicyKind::kLinear;
         c.lr = 1e-3;
         c.optimizer = OptimizerKind::kSgd;
         c.returns = ReturnKind::kFull;
         c.max_grad_norm = 0.7;
       }},
  };
  return list;
}

inline Config variant_config(const Variant& variant, std::int64_t envs) {
  Config config = small_config(envs, 16);
  config.seed = 0x9e3779b97f4a7c15u;  // both halves of the key
  variant.apply(config);
  return config;
}

inline constexpr Isa kAllIsas[] = {Isa::kScalar, Isa::kAvx2, Isa::kAvx512};

inline std::string describe(const CpuTuning& tuning, const Config& config) {
  return std::string(isa_name(tuning.isa)) + ", " + std::to_string(tuning.threads) + " threads, " +
         std::to_string(tuning.groups_per_block) + " groups a block, " +
         std::to_string(config.envs) + " environments, " +
         (config.store == Store::kLogits ? "logits" : "recompute");
}

/// Trains in one way and compares with `want`; recompute has no record to compare.
inline void expect_same_training(Config config, const CpuTuning& tuning, int updates,
                                 const TrainingHash& want) {
  CpuBackend backend = make_cpu_backend(config, tuning);
  TrainingHash got = hash_training(backend, config, updates);
  if (config.store == Store::kRecompute) got.record = want.record;
  EXPECT_EQ(got, want) << describe(tuning, config);
}

/// The plainest way: scalar, one thread.
inline TrainingHash reference_training(const Config& config, int updates) {
  CpuBackend backend = make_cpu_backend(config, {.isa = Isa::kScalar, .threads = 1});
  return hash_training(backend, config, updates);
}

}  // namespace lockstep::test
