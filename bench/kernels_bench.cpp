// The parts of an update alone, the generator alone, and the multiply-add ceiling they are held
// against. One thread each.
#include "bench/benches.h"

namespace lockstep::bench {
namespace {

/// A backend with an update behind it, so that every part finds the data of the one before.
void run_part(benchmark::State& state, const Sizes& sizes, Isa isa,
              void (*part)(CpuBackend&, const TrainingState&)) {
  const Config config = workload_config(sizes);
  const auto backend = make_backend(config, isa, 1);
  const TrainingState initial = backend->download();
  backend->update(0, config.lr);
  for (auto _ : state) part(*backend, initial);
}

struct Part {
  const char* op;
  bool runs_policy;       // useful multiply-adds
  double bytes_per_step;  // moved to and from the records, where memory is what limits
  void (*run)(CpuBackend&, const TrainingState&);
};

constexpr Part kParts[] = {
    {"rollout", true, 0, [](CpuBackend& b, const TrainingState&) { b.rollout(0); }},
    // returns written and read; read, reduced and written again; read for the moments
    {"returns", false, 20, [](CpuBackend& b, const TrainingState&) { b.credit(); }},
    {"gradient", false, 0,
     [](CpuBackend& b, const TrainingState&) { benchmark::DoNotOptimize(b.gradient()); }},
};

void register_parts(const Sizes& sizes, Isa isa) {
  const double steps = static_cast<double>(sizes.num_envs) * sizes.steps;
  for (const Part& part : kParts) {
    register_steps(benchmark_name(part.op, backend_name(isa, 1), sizes.num_envs, sizes.steps), 1,
                   [=](benchmark::State& state) {
                     run_part(state, sizes, isa, part.run);
                     const double flops =
                         part.runs_policy ? policy_flops_per_step(workload_config(sizes)) : 0;
                     count_steps(state, steps, flops, isa, 1);
                     if (part.bytes_per_step > 0) {
                       state.SetBytesProcessed(static_cast<std::int64_t>(
                           part.bytes_per_step * steps * static_cast<double>(state.iterations())));
                     }
                   });
  }
}

void register_ceilings(Isa isa) {
  const IsaKernels& kernels = isa_kernels(isa);
  benchmark::RegisterBenchmark(
      ("BM_philox/words/" + backend_name(isa, 1)).c_str(), [&kernels](benchmark::State& state) {
        constexpr std::int64_t kCalls = 10000;
        for (auto _ : state) {
          benchmark::DoNotOptimize(kernels.philox(kCalls));
        }
        state.SetItemsProcessed(kCalls * kernels.words_per_call * state.iterations());
      });
  if (kernels.fma_chains == nullptr) return;
  benchmark::RegisterBenchmark(
      ("BM_fma_peak/flop/" + backend_name(isa, 1)).c_str(), [&kernels](benchmark::State& state) {
        constexpr std::int64_t kRounds = 100000;
        for (auto _ : state) benchmark::DoNotOptimize(kernels.fma_chains(kRounds));
        state.SetItemsProcessed(static_cast<std::int64_t>(
            static_cast<double>(kRounds * state.iterations()) * kernels.flops_per_round));
      });
}

}  // namespace

void register_kernels(const Sizes& sizes) {
  for (const Isa isa : {Isa::kAvx512, Isa::kAvx2, Isa::kScalar}) {
    if (!has_isa(isa)) continue;
    if (isa != Isa::kScalar) register_parts(sizes, isa);
    register_ceilings(isa);
  }
  // 898 parameters once an update, in baseline code on every machine
  benchmark::RegisterBenchmark(
      benchmark_name("optimizer", backend_name(Isa::kScalar, 1), 16, 100).c_str(),
      [](benchmark::State& state) {
        const Config config = workload_config({.num_envs = 16, .steps = 100});
        const auto backend = make_backend(config, Isa::kScalar, 1);
        backend->update(0, config.lr);
        for (auto _ : state) backend->take_step(config.lr, 1.0);
        state.SetItemsProcessed(state.iterations() *
                                static_cast<std::int64_t>(backend->gradient_view().size()));
      });
}

}  // namespace lockstep::bench
