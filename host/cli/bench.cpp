// lockstep bench: becomes the benchmark program lockstep_bench, which the build puts beside this
// one or in its folder bench/.
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <string>
#include <system_error>
#include <vector>

#include "host/cli/command.h"
#include "host/errors.h"

namespace lockstep::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kProgram = "lockstep_bench";

std::vector<ArgumentRow> rows() { return {}; }

std::string epilogue() {
  return "The arguments are those of lockstep_bench; --quick prints the table in under a minute.\n";
}

fs::path find_program() {
  const fs::path here = fs::read_symlink("/proc/self/exe").parent_path();
  for (const fs::path& path : {here / kProgram, here / "bench" / kProgram}) {
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  throw RunFailure(std::string(kProgram) + " is not built: not in " + here.string() +
                   " nor its folder bench");
}

int run(const Arguments& arguments) {
  const std::string path = find_program().string();
  std::vector<std::string> words = arguments.rest();
  words.insert(words.begin(), path);
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  execv(path.c_str(), argv.data());
  throw RunFailure("cannot start " + path + ": " + std::generic_category().message(errno));
}

}  // namespace

constinit const Command kBenchCommand = {
    "bench", "measure this machine: steps per second of every part", rows, run, epilogue, true};

}  // namespace lockstep::cli
