// See workload.h.
#include "bench/workload.h"

#include <cmath>

#include "host/backend/record.h"
#include "host/errors.h"
#include "host/files/fnv.h"

namespace lockstep::bench {
namespace {

std::uint64_t hash_of_update(const Config& config, Isa isa, int threads) {
  const auto backend = make_backend(config, isa, threads);
  const UpdateResult result = backend->update(0, config.lr);
  Fnv64 hash;
  hash.add(std::span(result.scores));
  hash.add(backend->gradient_view());
  hash.add(std::span<const float>(backend->download().parameters));
  return hash.value();
}

/// Relative distance |a - b| / |b|.
double distance(std::span<const float> a, std::span<const float> b) {
  double difference = 0, size = 0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const double x = static_cast<double>(a[i]), y = static_cast<double>(b[i]);
    difference += (x - y) * (x - y);
    size += y * y;
  }
  return std::sqrt(difference / size);
}

void check_op_by_op(const Sizes& sizes) {
  const Config config = workload_config(sizes);
  const auto ours = make_backend(config, Isa::kScalar, 1);
  const auto theirs =
      make_op_by_op(config, sizes.num_envs, sizes.steps, choose_isa(), /*record=*/true);
  TrainingState state = initial_state(config);
  for (std::size_t i = 0; i < state.parameters.size(); ++i) {
    state.parameters[i] += 0.01f * (static_cast<float>(i % 7) - 3);  // biases that are not zero
  }
  ours->upload(state);
  theirs->set_parameters(state.parameters);
  const UpdateResult result = ours->update(0, config.lr);
  theirs->update(0);
  const double episodes = static_cast<double>(result.scores.size());
  const double apart = distance(theirs->gradient_view(), ours->gradient_view());
  // same random numbers, so usually within 1e-6; another order of summation in the logit may flip
  // single actions, each of which bends one of many trajectories
  if (std::abs(static_cast<double>(theirs->episodes()) - episodes) > 0.01 * episodes + 1 ||
      !(apart < 0.01)) {
    throw NumericError("the op-by-op baseline computes something else: its gradient is " +
                       std::to_string(apart) + " away, episodes " +
                       std::to_string(theirs->episodes()) + " against " +
                       std::to_string(result.scores.size()));
  }
}

}  // namespace

Config workload_config(const Sizes& sizes, Store store) {
  Config config;
  config.env = "cartpole";
  config.envs = sizes.num_envs;
  config.horizon = sizes.steps;
  config.hidden = 128;
  config.gamma = 0.99;
  config.baseline = Baseline::kNone;
  config.normalize = Normalize::kBatch;
  config.store = store;
  return config;
}

TrainingState initial_state(const Config& config) {
  const PolicyShape shape = policy_shape(config, find_environment(config.env));
  TrainingState state;
  state.parameters = initial_parameters(shape, config.init, config.seed);
  state.first_moment.assign(state.parameters.size(), 0.0f);
  state.second_moment = state.first_moment;
  return state;
}

std::unique_ptr<CpuBackend> make_backend(const Config& config, Isa isa, int threads) {
  CpuTuning tuning;
  tuning.isa = isa;
  tuning.threads = threads;
  auto backend = std::make_unique<CpuBackend>(config, find_environment(config.env), tuning);
  backend->upload(initial_state(config));
  return backend;
}

PlayRequest rollout_request(const Sizes& sizes, bool random_actions) {
  PlayRequest request;
  request.num_envs = sizes.num_envs;
  request.T = sizes.steps;
  request.episodic = false;
  request.random_policy = random_actions;
  request.choice = ActionChoice::kSample;
  request.stream = {1, 0};
  return request;
}

std::unique_ptr<OpByOp> make_op_by_op(const Config& config, std::int64_t num_envs,
                                      std::int32_t steps, Isa isa, bool record) {
  auto baseline = std::make_unique<OpByOp>(OpByOp::Settings{.N = num_envs,
                                                            .T = steps,
                                                            .H = static_cast<int>(config.hidden),
                                                            .seed = config.seed,
                                                            .gamma = config.gamma,
                                                            .lr = config.lr,
                                                            .isa = isa,
                                                            .record = record});
  baseline->set_parameters(initial_state(config).parameters);
  return baseline;
}

double policy_flops_per_step(const Config& config) {
  constexpr double kObservationSize = 4;
  return 2.0 * static_cast<double>(config.hidden) * (kObservationSize + 1);
}

double bytes_per_step(Store store) {
  return record_bytes_per_step(
      {.O = 4, .A = 2, .obs_and_logits = store == Store::kLogits, .advantage = true});
}

void check_correctness() {
  const Sizes sizes{.num_envs = 256, .steps = 64};
  const std::uint64_t expected = hash_of_update(workload_config(sizes), Isa::kScalar, 1);
  for (const Isa isa : {Isa::kScalar, Isa::kAvx2, Isa::kAvx512}) {
    if (!has_isa(isa)) continue;
    for (const Store store : {Store::kLogits, Store::kRecompute}) {
      for (const int threads : {1, 2}) {
        if (hash_of_update(workload_config(sizes, store), isa, threads) == expected) continue;
        throw NumericError("results differ: " + backend_name(isa, threads) + " with --store " +
                           (store == Store::kLogits ? "logits" : "recompute"));
      }
    }
  }
  check_op_by_op(sizes);
}

}  // namespace lockstep::bench
