// Engine::step(), one call a step, with the caller's actions and observations as rows; and a
// stepper's step of Pong, whose pictures are int8. CartPole: a batch of 64 is what a call costs,
// the larger ones what an environment costs. Pong beside what setting the memory of its pictures
// costs. Sizes of their own, at most 65,536 steps.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "bench/benches.h"
#include "host/cpu/stepper.h"
#include "host/engine.h"
#include "host/options/options.h"

namespace lockstep::bench {
namespace {

// as many as episodes of CartPole with random actions are long: their ends are spread over the
// steps
constexpr std::size_t kRounds = 23;
constexpr std::int64_t kGames = 1024;

std::vector<std::vector<std::uint8_t>> random_actions(std::int64_t num_envs) {
  std::vector<std::vector<std::uint8_t>> actions(kRounds);
  std::uint64_t word = 1;
  for (auto& round : actions) {
    for (std::int64_t i = 0; i < num_envs; ++i) {
      word = word * 6364136223846793005u + 1442695040888963407u;
      round.push_back(static_cast<std::uint8_t>(word >> 63));
    }
  }
  return actions;
}

Config config_of(const char* env, std::int64_t num_envs) {
  Config config = resolve_config({{{"env", env}}, {}});
  config.envs = num_envs;
  config.threads = 1;
  config.device = "cpu";
  return config;
}

/// Calls step(actions) in turn.
template <class Step>
void run_steps(benchmark::State& state, std::int64_t num_envs, const Step& step) {
  const auto actions = random_actions(num_envs);
  std::size_t round = 0;
  for (auto _ : state) {
    step(actions[round]);
    round = round + 1 == kRounds ? 0 : round + 1;
  }
  count_steps(state, static_cast<double>(num_envs), 0, choose_isa(), 1);
}

void run_engine(benchmark::State& state, const char* env, std::int64_t num_envs) {
  Engine engine(config_of(env, num_envs));
  engine.reset();
  run_steps(state, num_envs, [&](const std::vector<std::uint8_t>& actions) {
    benchmark::DoNotOptimize(engine.step(actions).obs.data());
  });
}

/// Seconds that setting so many bytes takes: the shortest of some times, once they are there.
double seconds_to_set(std::int64_t bytes) {
  std::vector<std::uint8_t> memory(static_cast<std::size_t>(bytes));
  double best = 1;
  for (int i = 0; i < 20; ++i) {
    const auto start = std::chrono::steady_clock::now();
    std::memset(memory.data(), i, memory.size());
    benchmark::DoNotOptimize(memory.data());
    benchmark::ClobberMemory();
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    best = std::min(best, took.count());
  }
  return best;
}

/// The pictures of a turn, written at so many per cent of memset's speed.
void count_pictures(benchmark::State& state, std::int64_t bytes) {
  state.counters[counter::kMemset] =
      benchmark::Counter(100 * seconds_to_set(bytes) * static_cast<double>(state.iterations()),
                         benchmark::Counter::kIsRate);
}

void run_games(benchmark::State& state) {
  const Config config = config_of("pong", kGames);
  const EnvironmentEntry& pong = find_environment("pong");
  CpuStepper stepper(pong, {.isa = choose_isa(), .threads = 1},
                     {.num_envs = kGames,
                      .stream = {config.seed, 0},
                      .game = game_options(config, pong, config.noops, true)});
  stepper.reset(nullptr, nullptr);
  run_steps(state, kGames, [&](const std::vector<std::uint8_t>& actions) {
    stepper.step(actions.data(), Restart::kNextStep);
    benchmark::DoNotOptimize(stepper.views().obs.data);
  });
}

}  // namespace

void register_step_calls() {
  const std::string backend = backend_name(choose_isa(), 1);
  for (const std::int64_t N : {64, 4096, 65536}) {
    register_steps(benchmark_name(op::kStepCall, backend, N, 1), 1,
                   [=](benchmark::State& state) { run_engine(state, "cartpole", N); });
  }
  const std::int64_t pixels = find_environment("pong").facts->observation_size;
  register_steps(benchmark_name(op::kStepCall, backend, kGames, 1, "pong"), 1,
                 [=](benchmark::State& state) {
                   run_engine(state, "pong", kGames);
                   count_pictures(state, kGames * pixels * std::int64_t{sizeof(float)});
                 });
  register_steps(benchmark_name(op::kStepper, backend, kGames, 1, "pong"), 1,
                 [=](benchmark::State& state) {
                   run_games(state);
                   count_pictures(state, kGames * pixels);
                 });
}

}  // namespace lockstep::bench
