// Pairs of backends, CPU and emulated CUDA, and what a test compares between them. Test code only.
#pragma once

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <string>
#include <vector>

#include "host/cpu/number_backend.h"
#include "host/cuda/number_backend.h"
#include "tests/support/training.h"

namespace lockstep::test {

inline CudaBackend make_cuda_backend(const Config& config, const EnvironmentEntry& environment) {
  return {config, environment, *cuda::find_operations(environment.facts->name), {}};
}
inline CudaBackend make_cuda_backend(const Config& config) {
  return make_cuda_backend(config, find_environment(config.env));
}

/// A small training that ends within a second on the emulator.
inline Config tiny_config(std::int64_t envs = 18, std::int64_t hidden = 9) {
  Config config;
  config.envs = envs;
  config.hidden = hidden;
  config.threads = 1;
  config.lr = 3e-3;
  config.until_score = 1e9;
  return config;
}

/// The environment with a bound on observations that is too small: gradients saturate.
class UnderstatedWorld {
 public:
  UnderstatedWorld(const std::string& name, double factor)
      : facts_(*find_environment(name).facts), entry_(find_environment(name)) {
    for (int i = 0; i < facts_.observation_size; ++i) {
      limits_.push_back(facts_.observation_limit[i] * static_cast<float>(factor));
    }
    facts_.observation_limit = limits_.data();
    entry_.facts = &facts_;
  }
  UnderstatedWorld(const UnderstatedWorld&) = delete;
  UnderstatedWorld& operator=(const UnderstatedWorld&) = delete;
  const EnvironmentEntry& entry() const { return entry_; }

 private:
  EnvironmentFacts facts_;
  EnvironmentEntry entry_;
  std::vector<float> limits_;
};

/// Bits of floats, so that -0 differs from 0 and NaN equals itself.
inline std::vector<std::uint32_t> all_bits_of(std::span<const float> values) {
  std::vector<std::uint32_t> bits;
  bits.reserve(values.size());
  for (const float value : values) bits.push_back(std::bit_cast<std::uint32_t>(value));
  return bits;
}

inline void expect_same_state(const TrainingState& got, const TrainingState& want) {
  EXPECT_EQ(all_bits_of(got.parameters), all_bits_of(want.parameters));
  EXPECT_EQ(all_bits_of(got.first_moment), all_bits_of(want.first_moment));
  EXPECT_EQ(all_bits_of(got.second_moment), all_bits_of(want.second_moment));
  EXPECT_EQ(got.beta1_power, want.beta1_power);
  EXPECT_EQ(got.beta2_power, want.beta2_power);
  EXPECT_EQ(got.running_mean, want.running_mean);
}

inline void expect_same_result(const UpdateResult& got, const UpdateResult& want) {
  EXPECT_EQ(got.scores, want.scores);
  EXPECT_EQ(got.lengths, want.lengths);
  EXPECT_EQ(got.episodes, want.episodes);
  EXPECT_EQ(got.score_sum, want.score_sum);
  EXPECT_EQ(got.length_sum, want.length_sum);
  EXPECT_EQ(got.steps, want.steps);
  EXPECT_EQ(got.cut_steps(), want.cut_steps());
  EXPECT_EQ(got.policy_loss, want.policy_loss);
  EXPECT_EQ(got.entropy, want.entropy);
  EXPECT_EQ(got.grad_norm, want.grad_norm);
  EXPECT_EQ(got.rescalings, want.rescalings);
}

/// Runs the same updates on both, the device's in one batch, and compares all they tell.
template <class Cuda, class Cpu>
void expect_same_updates(Cuda& cuda, Cpu& cpu, std::span<const double> lr,
                         std::uint32_t first = 0) {
  std::vector<UpdateResult> got;
  while (got.size() < lr.size()) {
    for (UpdateResult& result :
         cuda.updates(first + static_cast<std::uint32_t>(got.size()), lr.subspan(got.size()))) {
      got.push_back(std::move(result));
    }
  }
  for (std::size_t i = 0; i < lr.size(); ++i) {
    SCOPED_TRACE("update " + std::to_string(first + i));
    expect_same_result(got[i], cpu.update(first + static_cast<std::uint32_t>(i), lr[i]));
  }
  EXPECT_EQ(all_bits_of(cuda.read_gradient()), all_bits_of(cpu.gradient_view()));
  expect_same_state(cuda.download(), cpu.download());
}

}  // namespace lockstep::test
