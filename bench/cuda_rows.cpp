// The rows of a CUDA device: rollouts without a record by mapping, the parts of an update one by
// one, whole updates, and what launching costs. Times of parts and rollouts are the device's, by
// events; whole updates are timed by the clock on the wall, as their caller sees them, read-back
// included.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "bench/cuda_bench.h"
#include "bench/cuda_lab.h"
#include "host/backend/record.h"
#include "host/errors.h"
#include "host/files/fnv.h"

namespace lockstep::bench {
namespace {

std::string cuda_backend(const std::string& mapping = "") {
  return (cuda_is_emulated() ? "cuda_emulated" : "cuda") + (mapping.empty() ? "" : "_" + mapping);
}

double steps_of(const Sizes& sizes) {
  return static_cast<double>(sizes.num_envs) * static_cast<double>(sizes.steps);
}

/// Rates and shares of the ceilings, of a loop that did `steps` steps a turn.
void count(benchmark::State& state, double steps, double flops_per_step, double bytes_per_step) {
  const double total = steps * static_cast<double>(state.iterations());
  state.SetItemsProcessed(static_cast<std::int64_t>(total));
  const auto share = [&](const char* name, double work, double ceiling) {
    state.counters[name] =
        benchmark::Counter(100 * total * work / ceiling, benchmark::Counter::kIsRate);
  };
  if (flops_per_step > 0) share(counter::kPeak, flops_per_step, cuda_ceilings().fma);
  if (bytes_per_step > 0) {
    share(counter::kCopy, bytes_per_step, cuda_ceilings().copy);
    state.counters[counter::kBytes] = bytes_per_step;
  }
}

// Turns of a row are decided here. The library would go on until the reported times add up to what
// it wants: minutes where they are a small part of what a turn takes, for ever where they are 0.
constexpr std::int64_t kTurns = 100;       // of what takes microseconds
constexpr double kStepsARow = 2e9;         // some 0.1 s of a rollout
constexpr double kTrainedStepsARow = 4e8;  // some 0.05 s, by updates

/// For about `total` environment steps, `steps` a turn.
std::int64_t turns_for(double total, double steps) {
  return std::clamp<std::int64_t>(std::llround(total / steps), 1, kTurns);
}

void register_row(const std::string& name, std::int64_t turns,
                  std::function<void(benchmark::State&)> body) {
  auto* row = benchmark::RegisterBenchmark(name.c_str(), std::move(body));
  row->Unit(benchmark::kMillisecond)->UseManualTime()->Iterations(cuda_is_emulated() ? 1 : turns);
}

void run_play(benchmark::State& state, const Sizes& sizes, bool random_actions,
              GpuMapping mapping) {
  Config config = workload_config(sizes);
  config.mapping = mapping;
  const auto backend = make_cuda_backend(config);
  const auto parameters = backend->download().parameters;
  const PlayRequest request = rollout_request(sizes, random_actions);
  backend->play(parameters, request, nullptr);  // the first launch loads the kernel
  for (auto _ : state) {
    state.SetIterationTime(backend->play(parameters, request, nullptr).seconds);
  }
  count(state, steps_of(sizes), random_actions ? 0 : policy_flops_per_step(config), 0);
}

void register_plays(const Sizes& sizes) {
  const auto add = [&](const char* op, bool random, const char* name, GpuMapping mapping) {
    register_row(benchmark_name(op, cuda_backend(name), sizes.num_envs, sizes.steps),
                 turns_for(kStepsARow, steps_of(sizes)),
                 [=](benchmark::State& state) { run_play(state, sizes, random, mapping); });
  };
  add(op::kEnvironment, true, "", GpuMapping::kAuto);
  add(op::kPolicy, false, "", GpuMapping::kAuto);
  add(op::kPolicy, false, "thread", GpuMapping::kThread);
  add(op::kPolicy, false, "lanes8", GpuMapping::kLanes8);
}

/// Made once: rows come in any order, and often. Never given back: at the end of the process the
/// runtime may be gone first.
CudaLab& lab_of(const Sizes& sizes) {
  static auto& labs = *new std::map<std::int64_t, std::unique_ptr<CudaLab>>;
  std::unique_ptr<CudaLab>& lab = labs[sizes.num_envs];
  if (lab == nullptr) lab = std::make_unique<CudaLab>(sizes);
  return *lab;
}

using Parts = UpdateParts;

struct Part {
  const char* op;
  const char* backend;
  bool runs_policy;       // useful multiply-adds
  double bytes_per_step;  // moved, where memory is what limits
  cudaError_t (*launch)(const Parts&);
};

template <cuda::Mapping kMapping, int kEnvs>
cudaError_t launch_rollout(const Parts& p) {
  return p.operations.rollout(p.args, {kMapping, 128, kEnvs}, p.stream);
}

constexpr Part kParts[] = {
    {"rollout", "thread1", true, 0, launch_rollout<cuda::Mapping::kThread, 1>},
    {"rollout", "thread4", true, 0, launch_rollout<cuda::Mapping::kThread, 4>},
    {"rollout", "thread8", true, 0, launch_rollout<cuda::Mapping::kThread, 8>},
    {"rollout", "lanes8", true, 0, launch_rollout<cuda::Mapping::kLanes8, 1>},
    // ends read; advantage and valid written
    {"returns", "", false, 0.25 + 4 + 0.125,
     [](const Parts& p) { return p.operations.returns(p.args, p.shape, p.stream); }},
    // valid and advantage read, advantage written
    {"baseline", "", false, 0.125 + 8,
     [](const Parts& p) { return p.operations.baseline(p.args, p.shape, p.stream); }},
    {"gradient", "", false, 0,
     [](const Parts& p) { return p.operations.gradient(p.args, p.shape, p.stream); }},
};

void register_parts(const Sizes& sizes) {
  for (const Part& part : kParts) {
    register_row(benchmark_name(part.op, cuda_backend(part.backend), sizes.num_envs, sizes.steps),
                 turns_for(kStepsARow, steps_of(sizes)), [=](benchmark::State& state) {
                   CudaLab& lab = lab_of(sizes);
                   for (auto _ : state) {
                     state.SetIterationTime(lab.seconds(cuda::Stop::kRunning, part.launch));
                   }
                   const double flops =
                       part.runs_policy ? policy_flops_per_step(workload_config(sizes)) : 0;
                   count(state, steps_of(sizes), flops, part.bytes_per_step);
                 });
  }
  register_row(benchmark_name("finish", cuda_backend(), sizes.num_envs, sizes.steps), kTurns,
               [=](benchmark::State& state) {
                 CudaLab& lab = lab_of(sizes);
                 for (auto _ : state) {
                   state.SetIterationTime(lab.seconds(cuda::Stop::kRunning, [](const Parts& p) {
                     return p.operations.finish(p.args, p.stream);
                   }));
                 }
               });
  // five kernels that return at once, a hundred times a turn
  register_row(
      benchmark_name(op::kLaunchOverhead, cuda_backend(), sizes.num_envs, sizes.steps), 20,
      [=](benchmark::State& state) {
        CudaLab& lab = lab_of(sizes);
        for (auto _ : state) {
          state.SetIterationTime(lab.seconds_each(cuda::Stop::kSaturated, 100, launch_update));
        }
      });
}

constexpr int kUpdates = 10;  // a turn, in one batch if the log of its episodes has room

void run_updates(benchmark::State& state, const Sizes& sizes, Store store) {
  const Config config = workload_config(sizes, store);
  const auto backend = make_cuda_backend(config);
  const TrainingState initial = backend->download();
  const std::vector<double> rates(kUpdates, config.lr);
  backend->list_at_most(config.over);  // as a training does
  backend->update(0, config.lr);       // allocates, captures the graph
  for (auto _ : state) {
    backend->upload(initial);  // every turn does the same work
    const auto start = std::chrono::steady_clock::now();
    std::uint32_t done = 0;
    while (done < kUpdates) {
      const auto results = backend->updates(done, std::span(rates).subspan(done));
      done += static_cast<std::uint32_t>(results.size());
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    state.SetIterationTime(took.count() / kUpdates);
  }
  count(state, steps_of(sizes), policy_flops_per_step(config), 0);
  // observations are never recorded: the gradient replays the physics
  state.counters[counter::kBytes] =
      record_bytes_per_step({.O = 4, .A = 2, .logits = store == Store::kLogits, .advantage = true});
}

void register_updates(const Sizes& sizes) {
  for (const Store store : {Store::kLogits, Store::kRecompute}) {
    register_row(benchmark_name(store == Store::kLogits ? op::kTraining : op::kRecompute,
                                cuda_backend(), sizes.num_envs, sizes.steps),
                 turns_for(kTrainedStepsARow, kUpdates * steps_of(sizes)),
                 [=](benchmark::State& state) { run_updates(state, sizes, store); });
  }
}

template <class B>
std::uint64_t hash_of(B& backend, std::span<const float> gradient, const UpdateResult& result) {
  Fnv64 hash;
  hash.add(std::span(result.scores));
  hash.add(gradient);
  const std::vector<float> parameters = backend.download().parameters;
  hash.add(std::span<const float>(parameters));
  return hash.value();
}

}  // namespace

void check_cuda_correctness() {
  if (cuda_operations() == nullptr) return;
  const Sizes sizes =
      cuda_is_emulated() ? Sizes{.num_envs = 32, .steps = 32} : Sizes{.num_envs = 256, .steps = 64};
  const Config config = workload_config(sizes);
  const auto reference = make_backend(config, choose_isa(), 1);
  const UpdateResult expected = reference->update(0, config.lr);
  const std::uint64_t expected_hash = hash_of(*reference, reference->gradient_view(), expected);
  const std::map<const char*, GpuMapping> mappings = {{"thread", GpuMapping::kThread},
                                                      {"lanes8", GpuMapping::kLanes8}};
  for (const auto& [name, mapping] : mappings) {
    for (const Store store : {Store::kLogits, Store::kRecompute}) {
      Config variant = workload_config(sizes, store);
      variant.mapping = mapping;
      const auto backend = make_cuda_backend(variant);
      const UpdateResult result = backend->update(0, variant.lr);
      if (hash_of(*backend, backend->read_gradient(), result) == expected_hash) continue;
      throw NumericError("results differ from the CPU's: " + cuda_backend(name) + " with --store " +
                         (store == Store::kLogits ? "logits" : "recompute"));
    }
  }
}

void register_cuda(const Sizes& sizes) {
  if (cuda_operations() == nullptr) return;
  std::vector<std::int64_t> batches = {64, 4096, 65536, 1 << 20};
  if (sizes.num_envs != Sizes{}.num_envs) batches = {sizes.num_envs};
  for (const std::int64_t num_envs : batches) {
    Sizes batch = sizes;
    batch.num_envs = num_envs;
    register_plays(batch);
    register_parts(batch);
    register_updates(batch);
  }
}

}  // namespace lockstep::bench
