// Pong's rows: games of random actions, recorded rollouts with the policy, whole
// trainings, the part of an update that no step makes longer, and what they are compared with: the
// dense network's matrix products over pictures that are ready in memory, and, where ale-py is
// installed, ALE itself.
#include <time.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "bench/benches.h"
#include "bench/pong_dense.h"
#include "host/errors.h"
#include "host/options/options.h"

namespace lockstep::bench {
namespace {

/// Runs work; returns its seconds on this thread's own clock, which a busy neighbour does not move.
template <class Work>
double seconds_of(const Work& work) {
  const auto now = [] {
    timespec t{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  };
  const double start = now();
  work();
  return now() - start;
}

Config pong_config(std::int64_t envs, std::int64_t horizon, std::uint64_t seed) {
  Config config = resolve_config({{{"env", "pong"}, {"recipe", "fast"}}, {}});
  config.envs = envs > 0 ? envs : config.envs;
  config.horizon = horizon;
  config.seed = seed;
  return config;
}

CpuTuning one_thread(Isa isa) {
  CpuTuning tuning;
  tuning.isa = isa;
  return tuning;
}

TableBackend make_table_backend(const Config& config, Isa isa) {
  const EnvironmentEntry& pong = find_environment("pong");
  TableBackend backend(config, pong, one_thread(isa));
  TrainingState state;
  state.parameters = initial_parameters(policy_shape(config, pong), config.init, config.seed);
  state.first_moment.assign(state.parameters.size(), 0.0f);
  state.second_moment = state.first_moment;
  backend.upload(state);
  return backend;
}

/// A backend whose rollout is recorded, and the dense network over its pictures.
struct Lab {
  Lab(const Sizes& sizes, Isa isa)
      : backend(make_table_backend(pong_config(sizes.pong_envs, sizes.pong_steps, 1), isa)) {
    constexpr int kFirstStep = 200;  // games are under way
    backend.rollout(0);
    dense =
        std::make_unique<DensePong>(backend, *find_environment("pong").facts->tables, kFirstStep);
  }
  TableBackend backend;
  std::unique_ptr<DensePong> dense;
};

/// The one of the best instruction set, made when it is first wanted.
Lab& lab(const Sizes& sizes) {
  static Lab only(sizes, choose_isa());
  return only;
}

void count(benchmark::State& state, double items_per_turn) {
  state.SetItemsProcessed(
      static_cast<std::int64_t>(items_per_turn * static_cast<double>(state.iterations())));
}

/// Whether this build has Pong for an instruction set, and this processor has that.
bool plays(Isa isa) {
  return has_isa(isa) && find_environment("pong").tables[static_cast<int>(isa)] != nullptr;
}

/// As `lockstep rollout pong --policy random --threads 1 --envs N --steps T` plays.
struct RandomGames {
  RandomGames(Isa isa, std::int64_t envs, int steps)
      : backend(pong_config(0, 0, 1), find_environment("pong"), one_thread(isa)) {
    const Config config = pong_config(0, 0, 1);
    request.num_envs = envs;
    request.T = steps;
    request.episodic = false;
    request.random_policy = true;
    request.game = game_options(config, find_environment("pong"), config.noops);
  }
  PlayResult play(std::uint64_t seed) {
    request.stream.seed = seed;
    return backend.play({}, request, nullptr);
  }
  TableBackend backend;
  PlayRequest request;
};

void run_games(benchmark::State& state, const Sizes& sizes, Isa isa) {
  RandomGames games(isa, sizes.pong_games, sizes.pong_games_steps);
  std::uint64_t seed = 0;
  for (auto _ : state) benchmark::DoNotOptimize(games.play(++seed).episodes.data());
  count(state, static_cast<double>(sizes.pong_games) * sizes.pong_games_steps);
}

void run_rollout(benchmark::State& state, const Sizes& sizes) {
  TableBackend& backend = lab(sizes).backend;
  std::uint32_t epoch = 0;
  for (auto _ : state) backend.rollout(epoch++ % 4);
  count(state, static_cast<double>(sizes.pong_envs) * sizes.pong_steps);
}

void run_dense(benchmark::State& state, const Sizes& sizes, bool backward) {
  DensePong& dense = *lab(sizes).dense;
  for (auto _ : state) {
    dense.forward();
    if (backward) dense.backward();
  }
  count(state, DensePong::kPictures);
}

/// Steps and seconds of a training of the default recipe, from nothing to its threshold.
struct Training {
  std::int64_t steps = 0;
  int updates = 0;
  double seconds = 0;
};
Training train(std::uint64_t seed, Isa isa, int most_updates) {
  const Config config = pong_config(0, 0, seed);
  TableBackend backend = make_table_backend(config, isa);
  const auto over = static_cast<std::size_t>(config.over);
  std::vector<float> scores;
  Training run;
  while (run.updates < most_updates) {
    UpdateResult result;
    run.seconds += seconds_of(
        [&] { result = backend.update(static_cast<std::uint32_t>(run.updates), config.lr); });
    ++run.updates;
    run.steps += result.steps;
    scores.insert(scores.end(), result.scores.begin(), result.scores.end());
    if (scores.size() < over) continue;
    const double mean =
        std::accumulate(scores.end() - config.over, scores.end(), 0.0) / static_cast<double>(over);
    if (mean >= config.until_score) break;
  }
  return run;
}

void run_training(benchmark::State& state, const Sizes& sizes) {
  double updates = 0, steps = 0, trainings = 0;
  for (auto _ : state) {
    double seconds = 0;
    for (int seed = 1; seed <= sizes.pong_seeds; ++seed) {
      const Training run =
          train(static_cast<std::uint64_t>(seed), choose_isa(), sizes.pong_updates);
      seconds += run.seconds;
      steps += static_cast<double>(run.steps);
      updates += run.updates;
      ++trainings;
    }
    state.SetIterationTime(seconds);
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(steps));
  state.counters["updates"] = updates / trainings;
  state.counters["steps"] = steps / trainings;
}

/// What remains of an update where its steps go to 0, on a line through updates of 1 and 32 games.
void run_fixed(benchmark::State& state) {
  for (auto _ : state) {
    std::array<double, 2> seconds{}, steps{};
    for (const int i : {0, 1}) {
      const Config config = pong_config(i == 0 ? 1 : 32, 0, 1);
      TableBackend backend = make_table_backend(config, choose_isa());
      backend.update(0, config.lr);  // touches the buffers
      UpdateResult result;
      seconds[i] = seconds_of([&] { result = backend.update(1, config.lr); });
      steps[i] = static_cast<double>(result.steps);
    }
    const double a_step = (seconds[1] - seconds[0]) / (steps[1] - steps[0]);
    state.SetIterationTime(std::max(seconds[0] - steps[0] * a_step, 1e-9));
  }
}

/// What ale_speed.py says; empty if there is no ale-py, or no such script any more.
std::string ask_ale(const std::string& argument) {
  const std::string command = "'" LS_ALE_SPEED "' " + argument + " 2>/dev/null </dev/null";
  std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  char line[128] = "";
  if (pipe == nullptr || std::fgets(line, sizeof line, pipe.get()) == nullptr) return "";
  return line;
}

void run_ale(benchmark::State& state, int wanted) {
  double steps = 0;
  for (auto _ : state) {
    double played = 0, seconds = 0;
    if (std::sscanf(ask_ale(std::to_string(wanted)).c_str(), "%lf %lf", &played, &seconds) != 2) {
      state.SkipWithError("ale_speed.py does not answer");
      return;
    }
    steps += played;
    state.SetIterationTime(seconds);
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(steps));
}

}  // namespace

void check_pong_correctness(const Sizes& sizes) {
  const auto games_of = [](Isa isa) { return RandomGames(isa, 32, 3000).play(1); };
  const PlayResult want = games_of(Isa::kScalar);
  for (const Isa isa : {Isa::kAvx2, Isa::kAvx512}) {
    if (!plays(isa)) continue;
    const PlayResult got = games_of(isa);
    if (got.score != want.score || got.length != want.length || got.episodes != want.episodes) {
      throw NumericError("Pong's games differ between instruction sets");
    }
  }
  if (std::accumulate(want.episodes.begin(), want.episodes.end(), 0) < 64) {
    throw NumericError("Pong's games do not end");
  }
  Lab& both = lab(sizes);
  both.dense->forward();
  if (!(both.dense->distance() < 1e-4)) {
    throw NumericError("the dense network over Pong's pictures computes something else");
  }
}

void register_pong(const Sizes& sizes) {
  const PongNames names(sizes);
  for (const Isa isa : {Isa::kAvx512, Isa::kAvx2, Isa::kScalar}) {
    if (!plays(isa)) continue;
    register_steps(names.environment(isa), 1,
                   [=](benchmark::State& state) { run_games(state, sizes, isa); });
  }
  register_steps(names.policy(choose_isa()), 1,
                 [=](benchmark::State& state) { run_rollout(state, sizes); });
  register_steps(names.dense_forward(), 1,
                 [=](benchmark::State& state) { run_dense(state, sizes, false); });
  register_steps(names.dense_training(), 1,
                 [=](benchmark::State& state) { run_dense(state, sizes, true); });
  const auto register_once = [](const std::string& name, auto body) {
    benchmark::RegisterBenchmark(name.c_str(), body)
        ->Iterations(1)
        ->UseManualTime()
        ->Unit(benchmark::kMillisecond);
  };
  register_once(names.training(choose_isa()),
                [=](benchmark::State& state) { run_training(state, sizes); });
  register_once(names.fixed(choose_isa()), [](benchmark::State& state) { run_fixed(state); });
  if (!ask_ale("--version").empty()) {
    register_once(names.ale(),
                  [steps = sizes.ale_steps](benchmark::State& state) { run_ale(state, steps); });
  }
}

}  // namespace lockstep::bench
