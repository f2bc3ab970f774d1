// lockstep replay: steps recorded actions from given states, or in the game of an emulator, so that
// anyone can compare us with another implementation. Arrays come and go as NumPy files.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "host/cli/command.h"
#include "host/cli/output.h"
#include "host/cli/record.h"
#include "host/engine.h"
#include "host/errors.h"
#include "host/files/npy.h"
#include "host/game_replay.h"
#include "host/text.h"

namespace lockstep::cli {
namespace {

using json = nlohmann::ordered_json;

constexpr std::string_view kTypes[] = {"float32", "float64"};

std::span<const std::string_view> presets() {
  static const std::vector<std::string_view> ids = game_presets();
  return ids;
}

std::vector<ArgumentRow> replay_rows() {
  return {
      environment_row(),
      {.name = "actions",
       .value = any_text(),
       .help = ".npy file of integers, [T] or [T, N]; a game's: [T], of its minimal set; required"},
      {.name = "initial",
       .value = any_text(),
       .help = ".npy file of start states, [S] or [N, S]; else a reset with --seed"},
      {.name = "dtype",
       .value = one_of(kTypes),
       .help = "float32 as in training, or float64 with the reference arithmetic",
       .fallback = "float32"},
      {.name = "preset",
       .value = one_of(presets()),
       .help = "a game as this id of Gymnasium plays it: seeded by --seed, reset at ends"},
      {.name = "save",
       .value = output_path(),
       .help =
           ".npz file to write: state [T+1, ...], obs, reward, terminated, truncated; a game's: "
           "reward, terminated, truncated, frames, ram [T, 128], frame80_crc32, "
           "picture_crc32; required"},
      option_row("seed"),
      option_row("json"),
      option_row("quiet"),
  };
}

struct Input {
  std::vector<std::uint8_t> actions;  // [T, N]
  std::vector<double> initial;        // [N, S] or empty
  std::int64_t T = 0, N = 0;
  bool has_env_axis = true;  // false: outputs go without the N axis
};

Input read_input(const std::string& actions_file, const std::string& initial_file, std::int64_t S) {
  Input input;
  const NpyArray actions = read_npy(actions_file);
  const std::size_t rank = actions.shape.size();
  if ((rank != 1 && rank != 2) || actions.size() == 0) {
    throw BadInput(actions_file + ": shape " + shape_text(actions.shape) +
                   " is not [T] or [T, N] with T, N >= 1");
  }
  input.T = actions.shape[0];
  input.N = rank == 2 ? actions.shape[1] : 1;
  input.has_env_axis = rank == 2;
  input.actions = actions.to_uint8(actions_file);
  if (initial_file.empty()) return input;
  const NpyArray initial = read_npy(initial_file);
  const std::vector<std::int64_t> batch = {input.N, S};
  const bool fits =
      initial.shape == batch || (input.N == 1 && initial.shape == std::vector<std::int64_t>{S});
  if (!fits) {
    throw BadInput(initial_file + ": shape " + shape_text(initial.shape) + " is not " +
                   shape_text(batch) + (input.N == 1 ? fmt::format(" or [{}]", S) : ""));
  }
  input.initial = initial.to_float64(initial_file);
  return input;
}

void save_replay(const std::string& path, const ReplayResult& result, bool float64,
                 bool has_env_axis, const json& record) {
  const auto shape = [&](std::int64_t steps, std::int64_t width) {
    std::vector<std::int64_t> axes = {steps};
    if (has_env_axis) axes.push_back(result.N);
    if (width > 0) axes.push_back(width);
    return axes;
  };
  NpzWriter archive(path);
  if (float64) {
    archive.add("state", shape(result.T + 1, result.S), result.state);
  } else {
    std::vector<float> state(result.state.size());
    std::transform(result.state.begin(), result.state.end(), state.begin(),
                   [](double value) { return static_cast<float>(value); });
    archive.add("state", shape(result.T + 1, result.S), state);
  }
  archive.add("obs", shape(result.T + 1, result.O), result.obs);
  archive.add("reward", shape(result.T, 0), result.reward);
  archive.add("terminated", shape(result.T, 0), result.terminated, NpyType::kBool);
  archive.add("truncated", shape(result.T, 0), result.truncated, NpyType::kBool);
  add_record(archive, record);
  archive.close();
}

std::int64_t state_size(const std::string& env) {
  const std::vector<EnvironmentInfo> environments = list_environments();
  const auto found = std::find_if(environments.begin(), environments.end(),
                                  [&](const EnvironmentInfo& info) { return info.name == env; });
  return found->state_size;  // the configuration's environment was checked
}

std::int64_t count(const std::vector<std::uint8_t>& flags) {
  return static_cast<std::int64_t>(
      std::count_if(flags.begin(), flags.end(), [](std::uint8_t flag) { return flag != 0; }));
}

int replay_states(const ProgramOptions& config, const Arguments& arguments) {
  const std::string actions_file = arguments.path("actions"), out = arguments.path("save");
  require(!arguments.given("preset"), "--preset: " + config.env + " is no arcade game");
  ReplayOptions options;
  options.env = config.env;
  options.float64 = arguments.text("dtype") == "float64";
  options.seed = config.seed;
  const Input input = read_input(actions_file, arguments.path("initial"), state_size(config.env));
  ReplayResult result;
  try {
    result = replay(input.actions, input.T, input.N, input.initial, options);
  } catch (const InvalidArgument& error) {  // an action or state that the file holds
    throw BadInput(actions_file + ": " + error.what());
  }
  const json record = record_of("replay", arguments, config, {});
  save_replay(out, result, options.float64, input.has_env_axis, record);
  if (config.json) {
    print_json("replay", {{"env", config.env},
                          {"dtype", arguments.text("dtype")},
                          {"steps", input.T},
                          {"envs", input.N},
                          {"terminated", count(result.terminated)},
                          {"truncated", count(result.truncated)},
                          {"saved", out},
                          {"record", record}});
  } else {
    std::string text = fmt::format("{}: {} steps of {} environments in {}\n", config.env,
                                   grouped(input.T), grouped(input.N), arguments.text("dtype"));
    text += result_line("terminated", grouped(count(result.terminated)) + " steps");
    text += result_line("truncated", grouped(count(result.truncated)) + " steps");
    text += result_line("saved", out);
    print(text);
  }
  return 0;
}

void save_replay(const std::string& path, const GameReplay& result, const json& record) {
  const auto T = static_cast<std::int64_t>(result.reward.size());
  NpzWriter archive(path);
  archive.add("reward", NpyType::kInt8, {T}, std::as_bytes(std::span(result.reward)));
  archive.add("terminated", {T}, result.terminated, NpyType::kBool);
  archive.add("truncated", {T}, result.truncated, NpyType::kBool);
  archive.add("frames", {T}, result.frames);
  archive.add("ram", {T, 128}, result.ram);
  for (const auto& [name, values] : {std::pair("frame80_crc32", std::span(result.frame80_crc32)),
                                     std::pair("picture_crc32", std::span(result.picture_crc32))}) {
    archive.add(name, NpyType::kUint32, {T}, std::as_bytes(values));
  }
  add_record(archive, record);
  archive.close();
}

int replay_arcade(const ProgramOptions& config, const Arguments& arguments) {
  const std::string actions_file = arguments.path("actions"), out = arguments.path("save");
  for (const char* name : {"initial", "dtype"}) {
    require(!arguments.given(name),
            fmt::format("--{}: {} is a game of integers that starts where its emulator does", name,
                        config.env));
  }
  GameReplayOptions options;
  options.env = config.env;
  options.preset = arguments.text("preset");
  options.seed = config.seed;
  const NpyArray actions = read_npy(actions_file);
  if (actions.shape.size() != 1 || actions.size() == 0) {
    throw BadInput(actions_file + ": shape " + shape_text(actions.shape) +
                   " is not [T] with T >= 1");
  }
  GameReplay result;
  try {
    result = replay_game(actions.to_uint8(actions_file), options);
  } catch (const InvalidArgument& error) {  // an action that the file holds
    throw BadInput(actions_file + ": " + error.what());
  }
  json record = record_of("replay", arguments, config, {});
  record["options"].erase("dtype");
  save_replay(out, result, record);
  const auto steps = static_cast<std::int64_t>(result.reward.size());
  const std::int64_t frames = std::accumulate(result.frames.begin(), result.frames.end(), 0LL);
  const std::int64_t reward = std::accumulate(result.reward.begin(), result.reward.end(), 0LL);
  if (config.json) {
    json document = {{"env", config.env},
                     {"preset", nullptr},
                     {"seed", config.seed},
                     {"steps", steps},
                     {"frames", frames},
                     {"episodes", result.episodes},
                     {"reward", reward},
                     {"terminated", count(result.terminated)},
                     {"truncated", count(result.truncated)},
                     {"saved", out},
                     {"record", record}};
    if (!options.preset.empty()) document["preset"] = options.preset;
    print_json("replay", document);
  } else {
    std::string text = fmt::format("{}: {} steps, {}\n", config.env, grouped(steps),
                                   options.preset.empty() ? "bare game" : options.preset);
    text += result_line("frames", grouped(frames));
    text += result_line("episodes", grouped(result.episodes) + " ended");
    text += result_line("reward", grouped(reward));
    text += result_line("saved", out);
    print(text);
  }
  return 0;
}

int run_replay(const Arguments& arguments) {
  const ProgramOptions config = arguments.config();
  require(!arguments.path("actions").empty(), "--actions: a .npy file is required");
  require(!arguments.path("save").empty(), "--save: an .npz file is required");
  return is_arcade_game(config.env) ? replay_arcade(config, arguments)
                                    : replay_states(config, arguments);
}

}  // namespace

constinit const Command kReplayCommand = {
    "replay", "step recorded actions from given states or in a game, for comparison", replay_rows,
    run_replay, nullptr};

}  // namespace lockstep::cli
