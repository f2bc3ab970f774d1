// run.json of a folder that somebody hands on (host/files/run_folder.h): asked for, taken up by a
// resumed run, and completed.
#include "host/errors.h"
#include "host/files/json_text.h"
#include "host/files/run_folder.h"
#include "host/options/options.h"
#include "tests/fuzz/fuzz.h"

namespace lockstep::fuzz {
namespace {

RunRecord record() {
  RunRecord r;
  r.command_line = "lockstep train cartpole";
  r.build.version = "0";
  r.threads = 1;
  return r;
}

void run(std::string_view input) {
  const std::filesystem::path path = scratch();
  spill(path / "run.json", input);
  const std::size_t most = 64 * input.size() + (64 << 10);
  if (!bounded(most, [&] { return is_run_folder(path); })) {
    try {
      RunFolder::open(path);
      check(false, "a folder that is none was opened");
    } catch (const BadInput&) {
      return;
    }
  }
  // start() copies and prints what it read, and both recurse
  check(depth_of(input) <= kMaxJsonDepth, "a record of many levels accepted");
  RunFolder folder = RunFolder::open(path);
  folder.start(record(), "");
  check(is_run_folder(path), "start() left no run.json");
  const std::string started = slurp(path / "run.json");
  check(started.size() <= 64 * input.size() + (64 << 10), "run.json grew without bound");
  folder.finish(Config(), TrainResult(), "finished");
  check(is_run_folder(path), "finish() left no run.json");
}

std::vector<std::string> seeds() {
  Config config;
  config.out = (scratch() / "made").string();
  config.force = true;
  std::vector<std::string> list;
  RunFolder folder = RunFolder::create(config);
  const auto keep = [&] { list.push_back(slurp(folder.path() / "run.json")); };
  keep();
  folder.start(record(), "");
  keep();
  folder.start(record(), "");
  folder.finish(config, TrainResult(), "failed", "no space");
  keep();
  return list;
}

std::vector<std::string> words() {
  return {"\"schema\": \"lockstep.run/1\"", "\"earlier\": [", "\"start_time\": ", "\"status\": "};
}

std::string mutate(std::string input, Random& random,
                   const std::function<std::string(std::string)>& bytes) {
  return random() % 3 == 0 ? bytes(input) : mutate_json(input, random);
}

const Registration registration({"run_json", seeds, run, words, mutate});

}  // namespace
}  // namespace lockstep::fuzz
