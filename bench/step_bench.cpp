// Engine::step(): one call a step, with the caller's actions and observations as rows. A batch of
// 64 is what a call costs, the larger ones what an environment costs: sizes of their own, at most
// 65,536 steps.
#include <cstddef>
#include <cstdint>
#include <vector>

#include "bench/benches.h"
#include "host/engine.h"

namespace lockstep::bench {
namespace {

void run_steps(benchmark::State& state, std::int64_t num_envs) {
  Config config;
  config.envs = num_envs;
  config.threads = 1;
  config.device = "cpu";
  Engine engine(config);
  // as many as episodes of random actions are long: their ends are spread over the steps
  constexpr std::size_t kRounds = 23;
  std::vector<std::vector<std::uint8_t>> actions(kRounds);
  std::uint64_t word = 1;
  for (auto& round : actions) {
    for (std::int64_t i = 0; i < num_envs; ++i) {
      word = word * 6364136223846793005u + 1442695040888963407u;
      round.push_back(static_cast<std::uint8_t>(word >> 63));
    }
  }
  engine.reset();
  std::size_t round = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(engine.step(actions[round]).obs.data());
    round = round + 1 == kRounds ? 0 : round + 1;
  }
  count_steps(state, static_cast<double>(num_envs), 0, choose_isa(), 1);
}

}  // namespace

void register_step_calls() {
  for (const std::int64_t N : {64, 4096, 65536}) {
    register_steps(benchmark_name(op::kStepCall, backend_name(choose_isa(), 1), N, 1), 1,
                   [=](benchmark::State& state) { run_steps(state, N); });
  }
}

}  // namespace lockstep::bench
