// Whole updates, of REINFORCE and of PPO: rollout, returns, gradient, optimiser, as
// CpuBackend::update() does them, with both choices of --store, and op by op.
#include "bench/benches.h"
#include "host/cpu/actor_critic.h"
#include "host/options/options.h"

namespace lockstep::bench {
namespace {

constexpr std::int64_t kPpoEnvs = 4096;
constexpr std::int32_t kPpoSteps = 32;

void run_update(benchmark::State& state, const Sizes& sizes, Store store, Isa isa, int threads) {
  const Config config = workload_config(sizes, store);
  const auto backend = make_backend(config, isa, threads);
  const TrainingState initial = backend->download();
  backend->update(0, config.lr);  // touches the buffers, starts the threads
  for (auto _ : state) {
    backend->upload(initial);  // every turn does the same work
    benchmark::DoNotOptimize(backend->update(0, config.lr).grad_norm);
  }
  count_steps(state, static_cast<double>(sizes.num_envs) * sizes.steps,
              policy_flops_per_step(config), isa, threads);
  state.counters[counter::kBytes] = bytes_per_step(store);
}

/// An update of PPO: every step played once and learned from kEpochs times.
void run_ppo_update(benchmark::State& state, Isa isa) {
  const Config config = resolve_config({.flags = {{"recipe", "ppo"},
                                                  {"envs", std::to_string(kPpoEnvs)},
                                                  {"horizon", std::to_string(kPpoSteps)},
                                                  {"hidden", "64"},
                                                  {"critic", "separate"},
                                                  {"critic-hidden", "64"},
                                                  {"epochs", "4"},
                                                  {"minibatches", "8"}},
                                        .environment = {}});
  CpuActorCritic backend(config, find_environment(config.env), {isa, 1});
  const TrainingState initial = initial_state(config);
  backend.upload(initial);
  backend.update(0, config.lr);  // touches the buffers
  for (auto _ : state) {
    backend.upload(initial);
    benchmark::DoNotOptimize(backend.update(0, config.lr).grad_norm);
  }
  count_steps(state, static_cast<double>(kPpoEnvs) * kPpoSteps, 0, isa, 1);
}

void run_op_by_op(benchmark::State& state, const Sizes& sizes, std::int64_t num_envs, Isa isa) {
  const Config config = workload_config(sizes);
  const auto baseline = make_op_by_op(config, num_envs, sizes.steps, isa, /*record=*/true);
  const TrainingState initial = initial_state(config);
  for (auto _ : state) {
    baseline->set_parameters(initial.parameters);
    baseline->update(0);
    benchmark::DoNotOptimize(baseline->gradient_view().data());
  }
  count_steps(state, static_cast<double>(num_envs) * sizes.steps, policy_flops_per_step(config),
              isa, 1);
}

}  // namespace

void register_training(const Sizes& sizes) {
  for (const Store store : {Store::kLogits, Store::kRecompute}) {
    for (const Isa isa : {Isa::kAvx512, Isa::kAvx2}) {
      if (!has_isa(isa)) continue;
      for (const int threads : {1, 2}) {
        register_steps(benchmark_name(store == Store::kLogits ? op::kTraining : op::kRecompute,
                                      backend_name(isa, threads), sizes.num_envs, sizes.steps),
                       threads, [=](benchmark::State& state) {
                         run_update(state, sizes, store, isa, threads);
                       });
      }
    }
  }
  for (const Isa isa : {Isa::kAvx512, Isa::kAvx2}) {
    if (!has_isa(isa)) continue;
    register_steps(benchmark_name(op::kPpoUpdate, backend_name(isa, 1), kPpoEnvs, kPpoSteps), 1,
                   [=](benchmark::State& state) { run_ppo_update(state, isa); });
  }
  for (const std::int64_t N : {sizes.num_envs, std::int64_t{1024}}) {
    if (N > sizes.num_envs) continue;
    register_steps(benchmark_name(op::kTraining, kOpByOpBackend, N, sizes.steps), 1,
                   [=](benchmark::State& state) { run_op_by_op(state, sizes, N, choose_isa()); });
  }
}

}  // namespace lockstep::bench
