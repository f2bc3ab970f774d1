// Tests for host/cpu/number_backend.h: the integer gradient of a training update against the same
// kernels in double, within a derived bound; and what happens when a term does not fit.
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

#include "envs/cartpole.h"
#include "host/cpu/number_backend.h"
#include "host/errors.h"
#include "tests/support/corridor.h"
#include "tests/support/gradient_reference.h"
#include "tests/support/training.h"

namespace lockstep::test {
namespace gradient_test {

struct Workload {
  const char* name;
  const char* env;
  PolicyKind policy;
  std::int64_t hidden;
  Activation activation;
  double dropout;
  Normalize normalize;
  Baseline baseline;
  double entropy_coef;
};
const Workload kWorkloads[] = {
    {"ReLU", "cartpole", PolicyKind::kMlp, 33, Activation::kRelu, 0, Normalize::kScale,
     Baseline::kTimeMean, 0},
    {"ReLU, entropy", "cartpole", PolicyKind::kMlp, 32, Activation::kRelu, 0, Normalize::kBatch,
     Baseline::kNone, 0.1},
    {"linear", "cartpole", PolicyKind::kLinear, 0, Activation::kRelu, 0, Normalize::kNone,
     Baseline::kNone, 0},
    {"leaky", "cartpole", PolicyKind::kMlp, 20, Activation::kLeakyRelu, 0, Normalize::kNone,
     Baseline::kBatchMean, 0},
    {"dropout 0.5", "cartpole", PolicyKind::kMlp, 64, Activation::kRelu, 0.5, Normalize::kEpisode,
     Baseline::kNone, 0},
    {"leaky, dropout 0.3", "cartpole", PolicyKind::kMlp, 21, Activation::kLeakyRelu, 0.3,
     Normalize::kBatch, Baseline::kNone, 0.05},
    {"ReLU", "corridor", PolicyKind::kMlp, 16, Activation::kRelu, 0, Normalize::kScale,
     Baseline::kTimeMean, 0.02},
    {"linear", "corridor", PolicyKind::kLinear, 0, Activation::kRelu, 0, Normalize::kNone,
     Baseline::kNone, 0},
    {"leaky, dropout 0.3", "corridor", PolicyKind::kMlp, 19, Activation::kLeakyRelu, 0.3,
     Normalize::kNone, Baseline::kNone, 0},
};

Config config_of(const Workload& work, std::int64_t envs) {
  Config config = small_config(envs, work.hidden);
  config.env = work.env;
  config.policy = work.policy;
  config.activation = work.activation;
  config.dropout = work.dropout;
  config.normalize = work.normalize;
  config.baseline = work.baseline;
  config.entropy_coef = work.entropy_coef;
  config.init = Init::kKaimingUniform;
  config.gamma = 0.99;
  return config;
}

void check_within(const CpuBackend& backend, const Config& config, std::uint32_t epoch,
                  std::span<const float> parameters, const char* name) {
  const GradientReference ref =
      config.env == std::string("cartpole")
          ? gradient_reference<CartPole>(backend, config, epoch, parameters)
          : gradient_reference<Corridor>(backend, config, epoch, parameters);
  double worst = 0, difference = 0, norm = 0, bound = 0;
  for (std::size_t i = 0; i < ref.gradient.size(); ++i) {
    const double error =
        std::fabs(static_cast<double>(backend.gradient_view()[i]) - ref.gradient[i]);
    EXPECT_LE(error, ref.bound[i]) << config.env << " " << name << ", parameter " << i;
    worst = std::max(worst, error / ref.bound[i]);
    difference += error * error;
    norm += ref.gradient[i] * ref.gradient[i];
    bound += ref.bound[i] * ref.bound[i];
  }
  EXPECT_GT(norm, 0.0);
  std::printf(
      "%-9s %-20s relative L2 %.1e, bound %.1e; worst element %.3f of its bound, %d flips\n",
      config.env.c_str(), name, std::sqrt(difference / norm), std::sqrt(bound / norm), worst,
      ref.flips);
}

TEST(CpuGradient, StaysWithinTheQuantisationBoundOfTheDoubleGradient) {
  for (const Workload& work : kWorkloads) {
    const Config config = config_of(work, 61);
    CpuBackend backend = make_cpu_backend(config, {.isa = available_isas().back()});
    const auto parameters = backend.download().parameters;
    backend.rollout(3);
    backend.credit();
    EXPECT_EQ(backend.gradient(), 0) << "no rescaling is needed within the limits";
    check_within(backend, config, 3, parameters, work.name);
  }
}

/// An environment that promises smaller observations than it gives.
struct Understated {
  Understated(const char* name, double factor)
      : entry(find_environment(name)), facts(*entry.facts) {
    for (int o = 0; o < facts.observation_size; ++o) {
      limits.push_back(facts.observation_limit[o] * static_cast<float>(factor));
    }
    facts.observation_limit = limits.data();
    entry.facts = &facts;
  }
  EnvironmentEntry entry;
  EnvironmentFacts facts;
  std::vector<float> limits;
};

TrainingState initial_state(const CpuBackend& backend, const Config& config) {
  TrainingState state;
  state.parameters = initial_parameters(backend.shape(), config.init, config.seed);
  state.first_moment.assign(state.parameters.size(), 0.0f);
  state.second_moment = state.first_moment;
  return state;
}

TEST(CpuGradient, IsComputedAgainOneBitSmallerUntilItFits) {
  for (const std::size_t i : {std::size_t{0}, std::size_t{5}, std::size_t{7}}) {
    const Workload& work = kWorkloads[i];
    const Config config = config_of(work, 61);
    int rescalings[2];
    for (const int bits : {7, 12}) {
      const Understated world(work.env, std::ldexp(1.0, -bits));
      CpuBackend backend(config, world.entry, {.isa = available_isas().back()});
      const TrainingState state = initial_state(backend, config);
      backend.upload(state);
      backend.rollout(3);
      backend.credit();
      rescalings[bits == 12] = backend.gradient();
      EXPECT_LE(rescalings[bits == 12], bits) << "a scale that fits was passed over";
      check_within(backend, config, 3, state.parameters, work.name);
    }
    EXPECT_GT(rescalings[0], 0) << work.env << " " << work.name;
    EXPECT_EQ(rescalings[1], rescalings[0] + 5) << "5 bits less need 5 rescalings more";
  }
}

TEST(CpuGradient, ReportsRescalingsWithTheUpdate) {
  const Config config = config_of(kWorkloads[0], 61);
  const Understated world("cartpole", 0x1p-7);
  CpuBackend backend(config, world.entry, {});
  backend.upload(initial_state(backend, config));
  EXPECT_GT(backend.update(3, 0.01).rescalings, 0);
  CpuBackend honest = make_cpu_backend(config);
  EXPECT_EQ(honest.update(3, 0.01).rescalings, 0);
}

TEST(CpuGradient, ThatStaysSaturatedStopsTheUpdateAndLeavesTheState) {
  const Config config = config_of(kWorkloads[0], 61);
  const Understated world("cartpole", 0x1p-30);
  CpuBackend backend(config, world.entry, {});
  const TrainingState state = initial_state(backend, config);
  backend.upload(state);
  try {
    backend.update(3, 0.01);
    FAIL() << "a saturated gradient was applied";
  } catch (const NumericError& error) {
    EXPECT_NE(std::string(error.what()).find("saturated"), std::string::npos) << error.what();
    EXPECT_EQ(static_cast<int>(error.exit_code()), 7);
  }
  EXPECT_EQ(backend.download().parameters, state.parameters);
  EXPECT_EQ(backend.download().second_moment, state.second_moment);
  EXPECT_EQ(backend.download().beta1_power, 1.0);
}

TEST(CpuGradient, OfBrokenWeightsStopsTheUpdate) {
  const Config config = config_of(kWorkloads[0], 16);
  CpuBackend backend = make_cpu_backend(config);
  TrainingState state = backend.download();
  state.parameters[3] = std::numeric_limits<float>::quiet_NaN();
  backend.upload(state);
  EXPECT_THROW(backend.update(0, 0.01), NumericError);
}

}  // namespace gradient_test
}  // namespace lockstep::test
