// What a user waits for: CartPole's recipes trained until its mean score is 475. Inside the
// process the training loop alone, on one core; and the whole program from start to exit, with its
// run folder written. One turn trains many seeds and counts as their median.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "bench/benches.h"
#include "host/engine.h"
#include "host/errors.h"
#include "host/options/options.h"

extern char** environ;

namespace lockstep::bench {
namespace {

namespace fs = std::filesystem;

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

/// Folder for run folders, removed at the end.
class Scratch {
 public:
  Scratch() {
    std::string name = (fs::temp_directory_path() / "lockstep-bench-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw IoError("cannot make a folder like " + name);
    path_ = name;
  }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  fs::path run(int number) const { return path_ / std::to_string(number); }

 private:
  fs::path path_;
};

void solve(benchmark::State& state, int seeds, const std::string& recipe) {
  std::vector<double> updates, steps, loop;
  for (auto _ : state) {
    std::vector<double> seconds;
    for (int seed = 1; seed <= seeds; ++seed) {
      Config config = resolve_config({.flags = {{"recipe", recipe}}, .environment = {}});
      config.threads = 1;
      config.seed = static_cast<std::uint64_t>(seed);
      TrainHooks hooks;
      hooks.write_files = false;
      const TrainResult result = Engine(config).train(hooks);
      if (!result.reached) {
        state.SkipWithError(("seed " + std::to_string(seed) + " never reached 475").c_str());
        return;
      }
      seconds.push_back(result.reached_seconds);
      loop.push_back(result.seconds);
      updates.push_back(static_cast<double>(result.reached_update));
      steps.push_back(static_cast<double>(result.reached_steps));
    }
    state.SetIterationTime(median(seconds));
  }
  state.counters["updates"] = median(updates);
  state.counters["steps"] = median(steps);
  // the recipe goes on for some updates after the threshold
  state.counters["whole_loop_ms"] = 1e3 * median(loop);
}

/// Seconds from the start of the program to its exit. Errors: RunFailure.
double time_program(const std::string& program, int seed, const fs::path& out) {
  std::vector<std::string> words = {
      program,         "train", "cartpole", "--seed", std::to_string(seed),
      "--until-score", "475",   "--quiet",  "--out",  out.string()};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  const auto start = std::chrono::steady_clock::now();
  pid_t child = 0;
  const int failure = posix_spawn(&child, program.c_str(), &actions, nullptr, argv.data(), environ);
  int status = 0;
  if (failure == 0) waitpid(child, &status, 0);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  posix_spawn_file_actions_destroy(&actions);
  if (failure != 0 || status != 0 || !fs::exists(out / "checkpoints" / "last")) {
    throw RunFailure(program + " did not train and leave its run folder");
  }
  return took.count();
}

void run_program(benchmark::State& state, const std::string& program, int runs) {
  for (auto _ : state) {
    const Scratch scratch;
    std::vector<double> seconds;
    try {
      for (int run = 1; run <= runs; ++run) {
        seconds.push_back(time_program(program, run, scratch.run(run)));
      }
    } catch (const Error& error) {
      state.SkipWithError(error.what());
      return;
    }
    state.SetIterationTime(median(seconds));
  }
}

/// The program beside this one; empty if it was not built.
std::string program_path() {
  const fs::path here = fs::read_symlink("/proc/self/exe").parent_path();
  const std::string path = (here / "lockstep").string();
  return access(path.c_str(), X_OK) == 0 ? path : "";
}

}  // namespace

void register_learning(const Sizes& sizes) {
  const auto register_once = [](const std::string& name, auto body) {
    benchmark::RegisterBenchmark(name.c_str(), body)
        ->Iterations(1)
        ->UseManualTime()
        ->Unit(benchmark::kMillisecond);
  };
  const std::pair<const char*, const char*> solved[] = {
      {op::kSolve, "fast"}, {op::kSolvePpo, "ppo"}, {op::kSolveA2c, "a2c"}};
  for (const auto& [name, recipe] : solved) {
    register_once(benchmark_name(name, backend_name(choose_isa(), 1)),
                  [seeds = sizes.seeds, recipe = std::string(recipe)](benchmark::State& state) {
                    solve(state, seeds, recipe);
                  });
  }
  const std::string program = program_path();
  if (program.empty()) return;
  register_once(benchmark_name(op::kProcess, "all_cores"),
                [program, runs = sizes.processes](benchmark::State& state) {
                  run_program(state, program, runs);
                });
}

}  // namespace lockstep::bench
