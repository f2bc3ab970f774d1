// Sizes and names of the rows: what the benchmarks register and the reports look up.
#pragma once

#include <cstdint>
#include <string>

#include "host/isa.h"

namespace lockstep::bench {

struct Sizes {
  std::int64_t num_envs = 16384;  // N; a multiple of 16
  std::int32_t steps = 500;       // T
  int seeds = 100;                // training runs to 475 of which the median is taken
  int processes = 20;             // runs of the program of which the median is taken
};

/// Operations.
namespace op {
inline constexpr const char* kEnvironment = "env_random";
inline constexpr const char* kPolicy = "env_policy";
inline constexpr const char* kTraining = "train_step";
inline constexpr const char* kRecompute = "train_step_recompute";
inline constexpr const char* kLaunchOverhead = "launch_overhead";
inline constexpr const char* kSolve = "train_to_475";
inline constexpr const char* kProcess = "process_train_to_475";
}  // namespace op
inline constexpr const char* kOpByOpBackend = "openblas_x1";

/// Counters of a row.
namespace counter {
inline constexpr const char* kRate = "items_per_second";  // the library's name; steps/s
inline constexpr const char* kPeak =
    "%fma_peak";  // the policy's multiply-adds of the measured peak
inline constexpr const char* kCopy = "%copy_peak";       // of a copy within the device
inline constexpr const char* kBytes = "bytes_per_step";  // recorded
}  // namespace counter

/// "cpu_avx512_x2": instruction set and threads.
std::string backend_name(Isa isa, int threads);
/// BM_<op>/<env>/<backend>/N:<n>/T:<t>
std::string benchmark_name(const std::string& op, const std::string& backend, std::int64_t N,
                           std::int64_t T);
/// BM_<op>/<env>/<backend>, for what has no fixed number of steps.
std::string benchmark_name(const std::string& op, const std::string& backend);

}  // namespace lockstep::bench
