// Rollouts without learning: the environment alone with random actions, and with the policy. The
// baseline is the same rollout op by op (op_by_op.h).
#include "bench/benches.h"

namespace lockstep::bench {

void count_steps(benchmark::State& state, double steps, double flops_per_step, Isa isa,
                 int threads) {
  const double total = steps * static_cast<double>(state.iterations());
  state.SetItemsProcessed(static_cast<std::int64_t>(total));
  const double peak = fma_peak(isa) * threads;
  if (flops_per_step > 0 && peak > 0) {
    state.counters[counter::kPeak] =
        benchmark::Counter(100 * total * flops_per_step / peak, benchmark::Counter::kIsRate);
  }
}

void register_steps(const std::string& name, int threads,
                    std::function<void(benchmark::State&)> body) {
  auto* row = benchmark::RegisterBenchmark(name.c_str(), std::move(body));
  row->Unit(benchmark::kMillisecond);
  if (threads > 1) row->UseRealTime();
}

namespace {

void run_rollout(benchmark::State& state, const Sizes& sizes, bool random_actions, Isa isa,
                 int threads) {
  const Config config = workload_config(sizes);
  const auto backend = make_backend(config, isa, threads);
  const auto parameters = backend->download().parameters;
  const PlayRequest request = rollout_request(sizes, random_actions);
  backend->play(parameters, request, nullptr);  // starts the threads
  for (auto _ : state) {
    benchmark::DoNotOptimize(backend->play(parameters, request, nullptr).episodes.data());
  }
  count_steps(state, static_cast<double>(sizes.num_envs) * sizes.steps,
              random_actions ? 0 : policy_flops_per_step(config), isa, threads);
}

void run_op_by_op(benchmark::State& state, const Sizes& sizes, std::int64_t num_envs, Isa isa) {
  const Config config = workload_config(sizes);
  const auto baseline = make_op_by_op(config, num_envs, sizes.steps, isa, /*record=*/false);
  for (auto _ : state) baseline->rollout(0);
  count_steps(state, static_cast<double>(num_envs) * sizes.steps, policy_flops_per_step(config),
              isa, 1);
}

}  // namespace

void register_rollouts(const Sizes& sizes) {
  for (const bool random : {true, false}) {
    for (const Isa isa : {Isa::kAvx512, Isa::kAvx2, Isa::kScalar}) {
      if (!has_isa(isa)) continue;
      for (const int threads : {1, 2}) {
        // scalar code calls the C library for every multiply-add: the environment is enough to show
        // it
        if (isa == Isa::kScalar && (threads > 1 || !random)) continue;
        register_steps(benchmark_name(random ? op::kEnvironment : op::kPolicy,
                                      backend_name(isa, threads), sizes.num_envs, sizes.steps),
                       threads, [=](benchmark::State& state) {
                         run_rollout(state, sizes, random, isa, threads);
                       });
      }
    }
  }
  // the smaller batch keeps the hidden layer in the second-level cache: the baseline at its best
  for (const std::int64_t N : {sizes.num_envs, std::int64_t{1024}}) {
    if (N > sizes.num_envs) continue;
    register_steps(benchmark_name(op::kPolicy, kOpByOpBackend, N, sizes.steps), 1,
                   [=](benchmark::State& state) { run_op_by_op(state, sizes, N, choose_isa()); });
  }
}

}  // namespace lockstep::bench
