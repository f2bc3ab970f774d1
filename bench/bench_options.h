// Arguments of the benchmark program. What it does not know itself goes on to the benchmark library
// (--benchmark_filter=REGEX and its like).
#pragma once

#include <string>
#include <vector>

#include "bench/names.h"

namespace lockstep::bench {

struct BenchOptions {
  bool quick = false, smoke = false, json = false, help = false;
  bool emulated = false;  // rows of the emulated CUDA device
  std::string baseline, candidate, save;
  double max_regress = 0.05;  // fraction
  Sizes sizes;
  std::vector<std::string> rest;  // for the library

  bool compares() const { return !baseline.empty(); }
};

/// Errors: InvalidArgument naming the option, the value and the range.
BenchOptions parse_bench_options(int argc, char** argv);

std::string bench_help();

}  // namespace lockstep::bench
