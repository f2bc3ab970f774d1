// The benchmark program: checks that everything timed computes the same, registers all rows, adds
// what machine and build they ran on, and prints the library's report, the table of floors or a
// comparison with an earlier run.
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <omp.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>

#include "bench/bench_options.h"
#include "bench/benches.h"
#include "bench/comparison.h"
#include "bench/cuda_bench.h"
#include "bench/floors.h"
#include "bench/recorder.h"
#include "host/build_stamp.h"
#include "host/errors.h"

namespace lockstep::bench {
namespace {

/// "AMD EPYC, family 26 model 2": the model name alone is the same for several generations.
std::string cpu_name() {
  std::ifstream file("/proc/cpuinfo");
  std::string line, name = "unknown", family, model;
  while (std::getline(file, line) && !line.empty()) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos || colon + 2 > line.size()) continue;
    const std::string value = line.substr(colon + 2);
    if (line.starts_with("model name")) {
      name = value;
    } else if (line.starts_with("cpu family")) {
      family = value;
    } else if (line.starts_with("model\t")) {
      model = value;
    }
  }
  return family.empty() ? name : fmt::format("{}, family {} model {}", name, family, model);
}

std::string peak_text() {
  std::string text;
  for (const Isa isa : {Isa::kAvx512, Isa::kAvx2}) {
    if (!has_isa(isa)) continue;
    text += fmt::format("{}{:.1f} GF/s ({})", text.empty() ? "" : ", ", fma_peak(isa) / 1e9,
                        isa_name(isa));
  }
  return text.empty() ? "none" : text;
}

std::map<std::string, std::string> context() {
  return {{"cpu", cpu_name()},
          {"cores", std::to_string(omp_get_num_procs())},
          {"isa", isa_name(choose_isa())},
          {"fma_peak", peak_text()},
          {"version", build_stamp::kVersion},
          {"commit", build_stamp::kCommit},
          {"compiler", build_stamp::kCompiler},
          {"build_type", build_stamp::kBuildType},
          {"flags", build_stamp::kFlags},
          {"baseline", OpByOp::library()}};
}

/// A variable that makes the baseline slower than it could be would flatter us.
void note_blas_variables() {
  const char* core = std::getenv("OPENBLAS_CORETYPE");
  if (core == nullptr) return;
  std::fprintf(stderr, "lockstep: OPENBLAS_CORETYPE=%s chooses the kernels of the baseline\n",
               core);
}

/// Arguments for the library: our defaults first, so that the user's win.
std::vector<std::string> library_arguments(const BenchOptions& options) {
  std::vector<std::string> words = {"lockstep_bench"};
  if (options.smoke) {
    words.push_back("--benchmark_min_time=0.001");
  } else if (options.quick) {
    words.push_back("--benchmark_min_time=0.05");
  }
  if (options.quick || options.compares() || !options.save.empty()) {
    words.push_back(options.smoke ? "--benchmark_repetitions=3" : "--benchmark_repetitions=5");
    // a slow minute of the machine then hits all rows alike
    words.push_back("--benchmark_enable_random_interleaving=true");
  }
  if (options.json) words.push_back("--benchmark_format=json");
  words.insert(words.end(), options.rest.begin(), options.rest.end());
  return words;
}

/// Errors: InvalidArgument if the library does not know an argument.
void initialize_library(const BenchOptions& options) {
  static std::vector<std::string> words = library_arguments(options);
  static std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  int argc = static_cast<int>(argv.size());
  argv.push_back(nullptr);
  benchmark::Initialize(&argc, argv.data());
  require(argc < 2, std::string("unknown option '") + argv[1] + "'; see lockstep bench --help");
}

int report(const Comparison& comparison, const BenchOptions& options) {
  std::cout << (options.json ? comparison_json(comparison, options.max_regress)
                             : comparison_text(comparison, options.max_regress));
  return static_cast<int>(comparison.count(Verdict::kSlow) > 0 ? ExitCode::kRegression
                                                               : ExitCode::kOk);
}

int measure(const BenchOptions& options) {
  require(!options.emulated || cuda_is_emulated(),
          "--emulated: the device is in another program, lockstep_bench_emulated");
  Measurements baseline;  // a bad file is better found before an hour of measuring
  if (options.compares()) baseline = read_measurements(options.baseline);
  std::unique_ptr<ResultFile> file;
  if (!options.save.empty()) file = std::make_unique<ResultFile>(options.save);
  initialize_library(options);
  check_correctness();
  check_pong_correctness(options.sizes);
  const bool has_cuda = (options.emulated || !cuda_is_emulated()) && !cuda_context().empty();
  if (has_cuda) check_cuda_correctness();
  register_rollouts(options.sizes);
  register_step_calls();
  register_training(options.sizes);
  register_learning(options.sizes);
  register_pong(options.sizes);
  register_kernels(options.sizes);
  if (has_cuda) register_cuda(options.sizes);
  note_blas_variables();
  auto facts = context();
  if (has_cuda) facts.merge(cuda_context());
  for (const auto& [key, value] : facts) benchmark::AddCustomContext(key, value);

  const bool own_report = options.quick || (options.compares() && options.json);
  Recorder recorder(own_report ? nullptr
                               : std::unique_ptr<benchmark::BenchmarkReporter>(
                                     benchmark::CreateDefaultDisplayReporter()),
                    std::move(file));
  std::string filter = benchmark::GetBenchmarkFilter();
  if (filter.empty()) filter = options.quick ? floor_filter(options.sizes) : ".";
  if (own_report) std::fprintf(stderr, "lockstep: measuring, under a minute ...\n");
  benchmark::RunSpecifiedBenchmarks(&recorder, filter);
  if (!recorder.failure().empty()) throw RunFailure(recorder.failure());

  Measurements now = recorder.measurements();
  now.context = facts;
  if (options.quick && !(options.compares() && options.json)) {
    const auto table = floor_table(now, options.sizes);
    std::cout << (options.json ? floor_json(table, now) : floor_text(table, now));
  }
  return options.compares() ? report(compare(baseline, now, options.max_regress), options) : 0;
}

int run(int argc, char** argv) {
  const BenchOptions options = parse_bench_options(argc, argv);
  if (options.help) {
    std::cout << bench_help();
    return 0;
  }
  if (!options.candidate.empty()) {
    return report(compare(read_measurements(options.baseline), read_measurements(options.candidate),
                          options.max_regress),
                  options);
  }
  return measure(options);
}

}  // namespace
}  // namespace lockstep::bench

int main(int argc, char** argv) {
  try {
    return lockstep::bench::run(argc, argv);
  } catch (const lockstep::Error& error) {
    std::fprintf(stderr, "lockstep: error: %s\n", error.what());
    return static_cast<int>(error.exit_code());
  } catch (const std::exception& error) {
    std::fprintf(stderr, "lockstep: error: %s\n", error.what());
    return 1;
  }
}
