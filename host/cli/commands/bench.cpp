// lockstep bench: becomes the benchmark program lockstep_bench, which the build puts beside this
// one. The rows are here for help and completion; that program parses and checks them.
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "host/cli/command.h"
#include "host/errors.h"

namespace lockstep::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kProgram = "lockstep_bench";
constexpr const char* kEmulatedProgram = "lockstep_bench_emulated";

std::vector<ArgumentRow> bench_rows() {
  return {
      {.name = "quick",
       .value = boolean_value(),
       .help = "the table of floors: measured, floor, share of the multiply-add peak, ratio to the "
               "baseline; under a minute"},
      {.name = "save",
       .value = output_path(),
       .help = "write all repetitions to this file (Google Benchmark's JSON)"},
      {.name = "baseline",
       .value = any_text(),
       .help = "compare medians with those of this file; exit code 5 if a row became slower than "
               "allowed, beyond the noise"},
      {.name = "candidate",
       .value = any_text(),
       .help = "with --baseline: compare this file instead of measuring"},
      {.name = "max-regress",
       .value = any_text(),
       .help = "how much slower is allowed, in percent",
       .fallback = "5%",
       .completion = Completion::kNothing},
      {.name = "envs",
       .value = any_text(),
       .help = "environments, a multiple of 16",
       .fallback = "16384",
       .completion = Completion::kNothing},
      {.name = "steps",
       .value = any_text(),
       .help = "steps of every environment",
       .fallback = "500",
       .completion = Completion::kNothing},
      {.name = "smoke",
       .value = boolean_value(),
       .help = "tiny sizes, to see that everything runs"},
      {.name = "emulated",
       .value = boolean_value(),
       .help = "count the emulated CUDA device as one: for tests, its times mean nothing",
       .fallback = "false"},
      {.name = "json", .value = boolean_value(), .help = "one JSON document on stdout"},
  };
}

std::string bench_epilogue() {
  return "Without arguments every row is measured. --benchmark_... goes on to Google Benchmark, "
         "e.g.\n"
         "--benchmark_filter=train, --benchmark_repetitions=9, --benchmark_list_tests.\n";
}

fs::path find_program(const char* name) {
  const fs::path here = fs::read_symlink("/proc/self/exe").parent_path();
  const fs::path path = here / name;
  if (access(path.c_str(), X_OK) == 0) return path;
  throw RunFailure(
      std::string(name) + " is not built: not in " + here.string() + "; ./lockstep.sh bench" +
      (name == std::string_view(kEmulatedProgram) ? " --emulated" : "") + " builds it");
}

int run_bench(const Arguments& arguments) {
  const bool emulated = parse_boolean(arguments.text("emulated"), arguments.origin("emulated"));
  const char* const program = emulated ? kEmulatedProgram : kProgram;
  const std::string path = find_program(program).string();
  std::vector<std::string> words = {path};
  for (const ArgumentRow& row : arguments.rows()) {
    if (!arguments.given(row.name)) continue;
    const std::string text = arguments.text(row.name);
    if (row.value.type != ValueType::kBoolean) {
      words.push_back("--" + row.name + "=" + text);
    } else if (parse_boolean(text, arguments.origin(row.name))) {
      words.push_back("--" + row.name);
    }
  }
  for (const std::string& word : arguments.rest()) words.push_back(word);
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  execv(path.c_str(), argv.data());
  throw RunFailure("cannot start " + path + ": " + std::generic_category().message(errno));
}

}  // namespace

constinit const Command kBenchCommand = {
    "bench",        "measure this machine: steps per second of every part",
    bench_rows,     run_bench,
    bench_epilogue, true};

}  // namespace lockstep::cli
