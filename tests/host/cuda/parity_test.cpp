// Every setting of a training against every other: an update on the emulated device has the bits of
// the CPU's, for all optimisers x baselines x normalisations x returns x policies x stores x whole
// episodes or a horizon.
#include <gtest/gtest.h>

#include "host/errors.h"
#include "host/options/options.h"
#include "tests/support/cuda_backends.h"

namespace lockstep {
namespace parity_test {

struct Network {
  const char* name;
  PolicyKind policy;
  Activation activation;
  double dropout;
};
constexpr Network kNetworks[] = {
    {"relu", PolicyKind::kMlp, Activation::kRelu, 0},
    {"relu, dropout 0.5", PolicyKind::kMlp, Activation::kRelu, 0.5},
    {"leaky, dropout 0.2", PolicyKind::kMlp, Activation::kLeakyRelu, 0.2},
    {"linear", PolicyKind::kLinear, Activation::kRelu, 0},
};

/// Runs two updates on both; `number` picks the rest of the settings, each in turn.
void check(Config config, const Network& network, int number) {
  config.policy = network.policy;
  config.activation = network.activation;
  config.dropout = network.dropout;
  config.store = number % 2 == 0 ? Store::kLogits : Store::kRecompute;
  config.std_kind = number % 3 == 0 ? StdKind::kSample : StdKind::kPopulation;
  config.gamma = number % 5 == 0 ? 1.0 : 0.97;
  config.entropy_coef = number % 4 == 0 ? 0 : 0.01;
  config.max_grad_norm = number % 7 == 0 ? 0.5 : 0;
  config.weight_decay = number % 6 == 0 ? 0.01 : 0;
  config.decoupled_weight_decay = number % 11 == 0 ? 0.1 : 0;
  if (config.optimizer != OptimizerKind::kAdam && number % 2 == 0) config.momentum = 0.9;
  config.mapping = number % 2 == 0 ? GpuMapping::kAuto : GpuMapping::kThread;
  try {
    validate(config);
  } catch (const InvalidArgument&) {
    return;  // a combination nobody can ask for
  }
  const EnvironmentEntry& environment = find_environment(config.env);
  CudaBackend cuda = test::make_cuda_backend(config);
  CpuBackend cpu(config, environment, {});
  cuda.upload(test::initial_state(config));
  cpu.upload(test::initial_state(config));
  const std::vector<double> rates = {3e-3, 1e-3};
  test::expect_same_updates(cuda, cpu, rates);
}

// Of each optimiser and baseline one in so many combinations; a number that has no factor in common
// with the number of choices, so that every choice of one setting meets every choice of another. 1
// is all of them.
#ifndef LS_PARITY_STRIDE
#define LS_PARITY_STRIDE 17
#endif

class CudaParity : public testing::TestWithParam<std::tuple<OptimizerKind, Baseline>> {};

TEST_P(CudaParity, EverySettingHasTheBitsOfTheCpu) {
  Config config = test::tiny_config(17, 5);
  std::tie(config.optimizer, config.baseline) = GetParam();
  int number = static_cast<int>(config.optimizer) * 4 + static_cast<int>(config.baseline);
  int place = number;
  for (const char* env : {"cartpole", "corridor"}) {
    for (const Normalize normalize :
         {Normalize::kNone, Normalize::kScale, Normalize::kBatch, Normalize::kEpisode}) {
      for (const ReturnKind returns : {ReturnKind::kStepwise, ReturnKind::kFull}) {
        for (const Network& network : kNetworks) {
          for (const std::int64_t horizon : {0, 96}) {
            if (++place % LS_PARITY_STRIDE != 0) continue;
            config.env = env;
            config.normalize = normalize;
            config.returns = returns;
            config.horizon = horizon;
            SCOPED_TRACE(std::string(env) + " " + network.name + ", normalize " +
                         std::to_string(static_cast<int>(normalize)) + ", returns " +
                         std::to_string(static_cast<int>(returns)) + ", horizon " +
                         std::to_string(horizon) + ", number " + std::to_string(number));
            check(config, network, number);
            number += 3;
            if (HasFailure()) return;
          }
        }
      }
    }
  }
}

std::string name_of(const testing::TestParamInfo<std::tuple<OptimizerKind, Baseline>>& info) {
  constexpr const char* kOptimizers[] = {"Adam", "Sgd", "Rmsprop"};
  constexpr const char* kBaselines[] = {"NoBaseline", "BatchMean", "TimeMean", "RunningMean"};
  const auto& [optimizer, baseline] = info.param;
  return std::string(kOptimizers[static_cast<int>(optimizer)]) + "_" +
         kBaselines[static_cast<int>(baseline)];
}
INSTANTIATE_TEST_SUITE_P(All, CudaParity,
                         testing::Combine(testing::Values(OptimizerKind::kAdam, OptimizerKind::kSgd,
                                                          OptimizerKind::kRmsprop),
                                          testing::Values(Baseline::kNone, Baseline::kBatchMean,
                                                          Baseline::kTimeMean,
                                                          Baseline::kRunningMean)),
                         name_of);

}  // namespace parity_test
}  // namespace lockstep
