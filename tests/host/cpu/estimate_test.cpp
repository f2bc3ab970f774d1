// Tests for the estimate of host/cpu/number_backend.h: every baseline with every normalisation over
// a whole batch, against the definitions in double.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "host/cpu/number_backend.h"
#include "tests/support/return_cases.h"

namespace lockstep {
namespace estimate_test {

constexpr std::int64_t kEnvs = 20;  // one group and a part of one

Config config_of(Baseline baseline, Normalize normalize, StdKind std_kind, ReturnKind returns,
                 std::int64_t horizon) {
  Config config;
  config.envs = kEnvs;
  config.hidden = 8;
  config.gamma = 0.97;
  config.baseline = baseline;
  config.normalize = normalize;
  config.std_kind = std_kind;
  config.returns = returns;
  config.horizon = horizon;
  return config;
}

CpuBackend backend_for(const Config& config) {
  CpuBackend backend(config, find_environment("cartpole"), {.isa = choose_isa(), .threads = 1});
  TrainingState state;
  state.parameters = initial_parameters(backend.shape(), config.init, 3);
  state.first_moment = state.second_moment = std::vector<float>(state.parameters.size());
  backend.upload(state);
  return backend;
}

/// Steps of the batch by environment; value is NaN where no finished episode has a step.
struct Batch {
  int T = 0;
  std::vector<std::vector<double>> value;  // [env][t]
  std::vector<std::vector<int>> first;     // [env][t] first step of the episode

  double sum() const {
    return fold([](double v) { return v; });
  }
  double count() const {
    return fold([](double) { return 1.0; });
  }
  template <class Term>
  double fold(Term term) const {
    double total = 0;
    for (const auto& row : value) {
      for (const double v : row) total += std::isnan(v) ? 0 : term(v);
    }
    return total;
  }
};

/// Returns by the definition, from the ends of episodes; every reward is 1.
Batch returns_of(const CpuBackend& backend, const Config& config) {
  const auto& record = backend.record();
  Batch batch;
  batch.T = record.T;
  for (std::int64_t env = 0; env < kEnvs; ++env) {
    std::vector<double> value(static_cast<std::size_t>(record.T), std::nan(""));
    std::vector<int> first(value.size());
    int start = 0;
    for (int t = 0; t < record.steps[env / kGroup]; ++t) {
      const std::int64_t word = env / kGroup * record.T + t;
      const int ends = record.terminated[word] | record.truncated[word];
      if (((ends >> (env % kGroup)) & 1) == 0) continue;
      for (int k = start; k <= t; ++k) {
        const int from = config.returns == ReturnKind::kFull ? start : k;
        double total = 0;
        for (int i = t; i >= from; --i) total = 1 + config.gamma * total;
        value[static_cast<std::size_t>(k)] = total;
        first[static_cast<std::size_t>(k)] = start;
      }
      start = t + 1;
      if (config.horizon == 0) break;  // an episode each
    }
    batch.value.push_back(value);
    batch.first.push_back(first);
  }
  return batch;
}

void subtract_baseline(Batch& batch, const Config& config, double running_mean) {
  const double mean = batch.sum() / batch.count();
  std::vector<double> by_time(static_cast<std::size_t>(batch.T));
  for (const auto& row : batch.value) {
    for (std::size_t t = 0; t < row.size(); ++t) by_time[t] += std::isnan(row[t]) ? 0 : row[t];
  }
  for (auto& row : batch.value) {
    for (std::size_t t = 0; t < row.size(); ++t) {
      switch (config.baseline) {
        case Baseline::kNone:
          break;
        case Baseline::kBatchMean:
          row[t] -= mean;
          break;
        case Baseline::kTimeMean:
          row[t] -= by_time[t] / static_cast<double>(kEnvs);
          break;
        case Baseline::kRunningMean:
          row[t] -= running_mean;
          break;
      }
    }
  }
}

struct MeanAndDeviation {
  double mean, deviation;
};
MeanAndDeviation of(const std::vector<double>& values, bool sample) {
  const double n = static_cast<double>(values.size());
  double mean = 0, spread = 0;
  for (const double v : values) mean += v / n;
  for (const double v : values) spread += (v - mean) * (v - mean);
  return {mean, std::sqrt(spread / (sample ? n - 1 : n))};
}

void normalise(Batch& batch, const Config& config) {
  const bool sample = config.std_kind == StdKind::kSample;
  std::vector<double> all;
  batch.fold([&](double v) { return all.push_back(v), 0.0; });
  const auto whole = of(all, sample);
  for (std::size_t env = 0; env < batch.value.size(); ++env) {
    const auto before = batch.value[env];
    const auto& first = batch.first[env];
    MeanAndDeviation own{};
    for (std::size_t t = 0; t < before.size(); ++t) {
      if (std::isnan(before[t])) continue;
      double& v = batch.value[env][t];
      if (config.normalize == Normalize::kScale) v /= whole.deviation;
      if (config.normalize == Normalize::kBatch) v = (v - whole.mean) / whole.deviation;
      if (config.normalize != Normalize::kEpisode) continue;
      if (first[t] == static_cast<int>(t)) {
        std::vector<double> episode;
        for (std::size_t k = t; k < before.size() && first[k] == first[t]; ++k) {
          if (!std::isnan(before[k])) episode.push_back(before[k]);
        }
        own = of(episode, sample);
      }
      v = (v - own.mean) / own.deviation;
    }
  }
}

/// Largest distance between the backend's advantages and the definition's.
double distance(const CpuBackend& backend, const Batch& want) {
  const auto& record = backend.record();
  const Moments m = backend.advantage_moments();
  double worst = 0;
  for (std::int64_t env = 0; env < kEnvs; ++env) {
    for (int t = 0; t < record.steps[env / kGroup]; ++t) {
      const std::int64_t word = env / kGroup * record.T + t;
      const bool valid = ((record.valid[word] >> (env % kGroup)) & 1) != 0;
      const double expected =
          want.value[static_cast<std::size_t>(env)][static_cast<std::size_t>(t)];
      EXPECT_EQ(valid, !std::isnan(expected)) << "environment " << env << ", step " << t;
      if (!valid) continue;
      const double got =
          (static_cast<double>(record.advantage[word * kGroup + env % kGroup]) - m.mean) *
          m.inv_std;
      worst = std::max(worst, std::abs(got - expected));
    }
  }
  return worst;
}

class EstimateTest : public testing::TestWithParam<std::int64_t> {};

TEST_P(EstimateTest, EveryBaselineAndNormalisationFollowsItsDefinition) {
  for (const auto baseline :
       {Baseline::kNone, Baseline::kBatchMean, Baseline::kTimeMean, Baseline::kRunningMean}) {
    for (const auto normalize :
         {Normalize::kNone, Normalize::kScale, Normalize::kBatch, Normalize::kEpisode}) {
      for (const auto returns : {ReturnKind::kStepwise, ReturnKind::kFull}) {
        if (returns == ReturnKind::kFull && normalize == Normalize::kEpisode) continue;
        for (const auto std_kind : {StdKind::kPopulation, StdKind::kSample}) {
          const Config config = config_of(baseline, normalize, std_kind, returns, GetParam());
          CpuBackend backend = backend_for(config);
          backend.rollout(0);
          backend.credit();
          Batch want = returns_of(backend, config);
          ASSERT_GT(want.count(), 200);
          subtract_baseline(want, config, 0);
          normalise(want, config);
          // values reach 33: float rounding, and a quantum of 66 / 2^23 in mean and deviation
          EXPECT_LE(distance(backend, want), 3e-5)
              << "baseline " << static_cast<int>(baseline) << ", normalisation "
              << static_cast<int>(normalize) << ", returns " << static_cast<int>(returns)
              << ", deviation " << static_cast<int>(std_kind);
        }
      }
    }
  }
}
INSTANTIATE_TEST_SUITE_P(Modes, EstimateTest, testing::Values(0, 70), [](const auto& horizon) {
  return horizon.param == 0 ? std::string("episodic") : std::string("horizon");
});

TEST(EstimateTest, RunningMeanIsTheOneFromBeforeTheBatch) {
  const Config config = config_of(Baseline::kRunningMean, Normalize::kNone, StdKind::kPopulation,
                                  ReturnKind::kStepwise, 0);
  CpuBackend backend = backend_for(config);
  double running = 0;
  for (std::uint32_t epoch = 0; epoch < 5; ++epoch) {
    backend.rollout(epoch);
    backend.credit();
    Batch want = returns_of(backend, config);
    const double mean = want.sum() / want.count();
    subtract_baseline(want, config, running);
    EXPECT_LE(distance(backend, want), 3e-5) << "update " << epoch;
    running = 0.9 * running + 0.1 * mean;
    EXPECT_NEAR(backend.download().running_mean, running, 1e-5);
  }
}

}  // namespace estimate_test
}  // namespace lockstep
