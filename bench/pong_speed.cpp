// Pong's table of speeds on one core: what is promised, what is measured, and the ratio to the
// dense network's matrix products, or to ALE's frames, measured in turns with it. pong_speed.py
// starts it and measures ALE.
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <string>

#include "bench/measurements.h"
#include "bench/pong_dense.h"
#include "bench/pong_games.h"
#include "host/build_stamp.h"
#include "host/options.h"

namespace lockstep::bench {
namespace {

constexpr int kGamesSteps = 2000, kRolloutSteps = 1000;
constexpr std::int64_t kGamesEnvs = 1024, kRolloutEnvs = 256;

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

TableBackend make_table_backend(const Config& config, Isa isa) {
  CpuTuning tuning;
  tuning.isa = isa;
  const EnvironmentEntry& pong = find_environment("pong");
  TableBackend backend(config, pong, tuning);
  TrainingState state;
  state.parameters = initial_parameters(policy_shape(config, pong), config.init, config.seed);
  state.first_moment.assign(state.parameters.size(), 0.0f);
  state.second_moment = state.first_moment;
  backend.upload(state);
  return backend;
}

/// A training run of the default recipe, from nothing to its threshold.
struct Training {
  std::int64_t steps = 0;
  int updates = 0;
  double seconds = 0, mean = 0;
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
    run.mean =
        std::accumulate(scores.end() - config.over, scores.end(), 0.0) / static_cast<double>(over);
    if (run.mean >= config.until_score) break;
  }
  return run;
}

/// What does not grow with the steps of an update: one game's update, less what its steps take.
double fixed_seconds(Isa isa, double seconds_per_step) {
  TableBackend backend = make_table_backend(pong_config(1, 0, 1), isa);
  backend.update(0, 0.01);  // touches the buffers
  UpdateResult result;
  const double all = seconds_of([&] { result = backend.update(1, 0.01); });
  return all - static_cast<double>(result.steps) * seconds_per_step;
}

std::string check(const DensePong& dense) {
  const PongTotals want = pong_games[0]->play(1, 32, 3000);
  for (const PongGames* games : pong_games) {
    if (games != nullptr && !(games->play(1, 32, 3000) == want)) return "games differ";
  }
  if (want.games < 64) return "games do not end";
  return dense.distance() < 1e-4 ? "" : "the dense network computes something else";
}

std::string rate_text(double rate) {
  return rate >= 1e9   ? fmt::format("{:.3g}e9 /s", rate / 1e9)
         : rate >= 1e6 ? fmt::format("{:.3g}e6 /s", rate / 1e6)
                       : fmt::format("{:.3g}e3 /s", rate / 1e3);
}
void row(const char* work, double rate, double floor, double ratio, double ratio_floor,
         const char* to) {
  const bool ok = rate >= floor && (ratio == 0 || ratio >= ratio_floor);
  fmt::print("{:<45} {:>11} {:>9} {:>9} {:>8}  {:<10} {}\n", work, rate_text(rate),
             floor > 0 ? rate_text(floor) : "-", ratio > 0 ? fmt::format("{:.0f}x", ratio) : "-",
             ratio_floor > 0 ? fmt::format("{:.0f}x", ratio_floor) : "-", to, ok ? "ok" : "below");
}

int run(int rounds, int most_updates, double ale_frames) {
  unsetenv("OPENBLAS_CORETYPE");  // would choose the kernels of what we are compared with
  const Isa isa = choose_isa();
  const EnvironmentEntry& pong = find_environment("pong");
  TableBackend rollout = make_table_backend(pong_config(kRolloutEnvs, kRolloutSteps, 1), isa);
  rollout.rollout(0);
  DensePong dense(rollout, *pong.facts->tables, 200);
  dense.forward();
  const std::string fault = check(dense);
  if (!fault.empty()) {
    std::fprintf(stderr, "lockstep_pong_speed: %s\n", fault.c_str());
    return 7;
  }
  const PongGames& games = *pong_games[static_cast<int>(isa)];
  const double games_steps = double{kGamesEnvs} * kGamesSteps;
  const double rollout_steps = double{kRolloutEnvs} * kRolloutSteps;
  std::vector<double> alone, played, forward, both, trained, fixed, forward_ratio, train_ratio;
  std::vector<double> to_mean, steps, updates;
  for (int i = 0; i < rounds; ++i) {
    const auto seed = static_cast<std::uint64_t>(i + 1);
    alone.push_back(games_steps / seconds_of([&] { games.play(seed, kGamesEnvs, kGamesSteps); }));
    const double product = seconds_of([&] { dense.forward(); });
    forward.push_back(DensePong::kPictures / product);
    played.push_back(rollout_steps /
                     seconds_of([&] { rollout.rollout(static_cast<std::uint32_t>(i)); }));
    both.push_back(DensePong::kPictures / (product + seconds_of([&] { dense.backward(); })));
    const Training training = train(seed, isa, most_updates);
    trained.push_back(static_cast<double>(training.steps) / training.seconds);
    to_mean.push_back(training.seconds);
    steps.push_back(static_cast<double>(training.steps));
    updates.push_back(training.updates);
    fixed.push_back(fixed_seconds(isa, 1 / trained.back()));
    forward_ratio.push_back(played.back() / forward.back());
    train_ratio.push_back(trained.back() / both.back());
  }
  fmt::print("Pong, one core, {}, {} lanes of 16 bits, commit {}, {}; medians of {} rounds\n\n",
             isa_name(isa), games.lanes, build_stamp::kCommit, build_stamp::kCompiler, rounds);
  fmt::print("{:<45} {:>11} {:>9} {:>9} {:>8}  {:<10}\n", "work", "measured", "floor", "ratio",
             "floor", "to");
  const double frames = 4 * median(alone);
  row("environment, random actions, steps", median(alone), 1e8, 0, 0, "");
  row("the same, frames", frames, 4e8, ale_frames > 0 ? frames / ale_frames : 0, 1e4, "ALE");
  row("rollout: H = 200, sampling, environment", median(played), 11e6, median(forward_ratio), 300,
      "SGEMM");
  row("training, recipe fast, to its mean of 18", median(trained), 6e6, median(train_ratio), 300,
      "2 SGEMM");
  row("dense forward, 1024 pictures", median(forward), 0, 0, 0, "");
  row("dense forward and backward", median(both), 0, 0, 0, "");
  if (ale_frames > 0) row("ALE's act, frames", ale_frames, 0, 0, 0, "");
  fmt::print("\nan update beside its steps (tables, lists, Adam): {:.2f} ms (floor 2)\n",
             1e3 * median(fixed));
  fmt::print("those trainings: {:.3g} M steps, {:.0f} updates, {:.2f} s in the loop\n",
             median(steps) / 1e6, median(updates), median(to_mean));
  fmt::print("dense: {}\n", dense.library());
  return 0;
}

}  // namespace
}  // namespace lockstep::bench

int main(int argc, char** argv) {
  int rounds = 5, most_updates = 400;
  double ale_frames = 0;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--smoke") {
      rounds = 1;
      most_updates = 2;
    } else if (word.starts_with("--rounds=")) {
      rounds = std::max(1, std::atoi(word.c_str() + 9));
    } else if (word.starts_with("--ale-frames=")) {
      ale_frames = std::atof(word.c_str() + 13);
    } else {
      std::fprintf(stderr,
                   "usage: lockstep_pong_speed [--rounds=N] [--ale-frames=RATE] [--smoke]\n");
      return 2;
    }
  }
  try {
    return lockstep::bench::run(rounds, most_updates, ale_frames);
  } catch (const lockstep::Error& error) {
    std::fprintf(stderr, "lockstep_pong_speed: %s\n", error.what());
    return static_cast<int>(error.exit_code());
  }
}
