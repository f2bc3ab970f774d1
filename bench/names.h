// Sizes and names of the rows: what the benchmarks register and the reports look up.
#pragma once

#include <cstdint>
#include <string>

#include "host/cpu/isa.h"

namespace lockstep::bench {

struct Sizes {
  std::int64_t num_envs = 16384;  // N; a multiple of 16
  std::int32_t steps = 500;       // T
  int seeds = 100;                // training runs to 475 of which the median is taken
  int processes = 20;             // runs of the program of which the median is taken

  std::int64_t pong_games = 1024;  // of the environment alone
  int pong_games_steps = 2000;     // of these
  std::int64_t pong_envs = 256;    // of recorded rollouts; at least 16
  int pong_steps = 1000;           // of these; at least 264
  int pong_seeds = 3;              // trainings
  int pong_updates = 400;          // of each at most
  int ale_steps = 4000;            // of the game in ALE, where that is installed
};

/// Operations.
namespace op {
inline constexpr const char* kEnvironment = "env_random";
inline constexpr const char* kPolicy = "env_policy";
inline constexpr const char* kStepCall = "engine_step";
inline constexpr const char* kStepper = "stepper";
inline constexpr const char* kTraining = "train_step";
inline constexpr const char* kRecompute = "train_step_recompute";
inline constexpr const char* kPpoUpdate = "ppo_update";
inline constexpr const char* kSolvePpo = "ppo_to_475";
inline constexpr const char* kSolveA2c = "a2c_to_475";
inline constexpr const char* kLaunchOverhead = "launch_overhead";
inline constexpr const char* kSolve = "train_to_475";
inline constexpr const char* kProcess = "process_train_to_475";
inline constexpr const char* kSolvePong = "train_to_18";
inline constexpr const char* kFixed = "update_fixed";
}  // namespace op
inline constexpr const char* kOpByOpBackend = "openblas_x1";
inline constexpr const char* kAleBackend = "ale_x1";

/// Counters of a row.
namespace counter {
inline constexpr const char* kRate = "items_per_second";  // the library's name; steps/s
inline constexpr const char* kPeak =
    "%fma_peak";  // the policy's multiply-adds of the measured peak
inline constexpr const char* kCopy = "%copy_peak";  // of a copy within the device
inline constexpr const char* kMemset =
    "%memset";  // pictures written, of what setting their memory allows
inline constexpr const char* kBytes = "bytes_per_step";  // recorded
}  // namespace counter

/// "cpu_avx512_x2": instruction set and threads.
std::string backend_name(Isa isa, int threads);
/// BM_<op>/<env>/<backend>/N:<n>/T:<t>
std::string benchmark_name(const std::string& op, const std::string& backend, std::int64_t N,
                           std::int64_t T, const char* env = "cartpole");
/// BM_<op>/<env>/<backend>, for what has no fixed number of steps.
std::string benchmark_name(const std::string& op, const std::string& backend,
                           const char* env = "cartpole");

/// Pong's rows.
struct PongNames {
  explicit PongNames(const Sizes& of) : sizes(of) {}
  std::string environment(Isa isa) const;
  std::string policy(Isa isa) const;
  std::string training(Isa isa) const;
  std::string fixed(Isa isa) const;
  std::string dense_forward() const;
  std::string dense_training() const;
  std::string ale() const;

  Sizes sizes;
};

}  // namespace lockstep::bench
