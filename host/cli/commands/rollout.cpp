// lockstep rollout: steps environments with a policy, without learning; throughput and
// trajectories.
#include <fmt/format.h>

#include <cstddef>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "host/cli/command.h"
#include "host/cli/device.h"
#include "host/cli/game_option.h"
#include "host/cli/math_option.h"
#include "host/cli/mode_option.h"
#include "host/cli/output.h"
#include "host/cli/policy_agreement.h"
#include "host/cli/policy_source.h"
#include "host/cli/record.h"
#include "host/engine.h"
#include "host/errors.h"
#include "host/files/npy.h"

namespace lockstep::cli {
namespace {

using json = nlohmann::ordered_json;

constexpr std::string_view kPolicies[] = {"mlp", "linear", "random", "run:"};
constexpr std::string_view kRunPrefix = "run:";

std::vector<ArgumentRow> rollout_rows() {
  return {
      environment_row(),
      option_row("envs", "1024"),
      {.name = "steps",
       .value = integer_in(1, 2147483647),
       .help = "steps of every environment",
       .fallback = "500"},
      {.name = "repeats",
       .value = integer_in(1, 1000000),
       .help = "rollouts one after another; the last one is saved",
       .fallback = "1"},
      {.name = "policy",
       .value = any_text(),
       .help = "mlp or linear with initial weights, random actions, or run:PATH of a run, "
               "checkpoint or safetensors file",
       .fallback = "mlp",
       .completion = Completion::kNothing},
      mode_row("sample"),
      {.name = "save", .value = output_path(), .help = "write the trajectories to this .npz file"},
      option_row("hidden"),
      option_row("activation"),
      option_row("init"),
      option_row("frame-skip"),
      option_row("repeat-action-probability"),
      option_row("noops"),
      option_row("seed"),
      math_row(),
      max_pool_row(),
      option_row("device"),
      option_row("threads"),
      option_row("mapping"),
      option_row("block-size"),
      option_row("json"),
      option_row("quiet"),
  };
}

/// PATH of --policy run:PATH, else empty.
std::string run_path(const Arguments& arguments) {
  const std::string policy = arguments.text("policy");
  return policy.starts_with(kRunPrefix) ? policy.substr(kRunPrefix.size()) : "";
}

/// The run or file that --policy names, if any. Read before the settings of the call, which are
/// checked against its environment.
std::optional<PolicySource> source_of(const Arguments& arguments) {
  const std::string path = run_path(arguments);
  if (path.empty()) return std::nullopt;
  Config fallback = arguments.defaults();
  const char* const name = "activation";
  if (arguments.given(name)) {
    set_option(fallback, *find_option(name), arguments.text(name), arguments.origin(name));
  }
  return load_policy(path, fallback);
}

/// Settings of the call; the policy decides which others go together.
ProgramOptions call_of(const Arguments& arguments, const std::optional<PolicySource>& source) {
  if (source && !arguments.given("env")) return arguments.config({{"env", source->config.env}});
  if (arguments.text("policy") != "linear") return arguments.config();
  return arguments.config({{"policy", "linear"}});
}

/// An engine with the policy that --policy names.
Engine make_engine(Config config, const std::optional<PolicySource>& source,
                   const Arguments& arguments) {
  const std::string policy = arguments.text("policy");
  const Origin origin = arguments.origin("policy");
  if (source) {
    require_agreement(arguments, config, *source, run_path(arguments));
    config.env = source->config.env;
    config.policy = source->config.policy;
    config.hidden = source->config.hidden;
    config.activation = source->config.activation;
    set_game_of_run(arguments, source->config, config);
    Engine engine(config);
    engine.set_policy(source->tensors);
    return engine;
  }
  const std::string_view kind = kPolicies[parse_choice(one_of(kPolicies), policy, origin)];
  if (kind == kRunPrefix) throw_bad_value(origin, "run: needs a path, such as run:runs/cartpole-1");
  config.policy = kind == "linear" ? PolicyKind::kLinear : PolicyKind::kMlp;
  return Engine(config);
}

void save_rollout(const std::string& path, const Trajectory& t, const json& record) {
  const std::int64_t ends = std::ssize(t.final_obs) / t.O + std::ssize(t.final_pictures) / t.O;
  NpzWriter archive(path);
  if (t.pictures.empty()) {
    archive.add("obs", {t.T + 1, t.N, t.O}, t.obs);
    archive.add("final_obs", {ends, t.O}, t.final_obs);
  } else {
    const auto bytes = [](const auto& values) { return std::as_bytes(std::span(values)); };
    archive.add("obs", NpyType::kInt8, {t.T + 1, t.N, t.O}, bytes(t.pictures));
    archive.add("final_obs", NpyType::kInt8, {ends, t.O}, bytes(t.final_pictures));
  }
  if (!t.logits.empty()) archive.add("logits", {t.T, t.N, t.Z}, t.logits);
  archive.add("action", {t.T, t.N}, t.action);
  archive.add("reward", {t.T, t.N}, t.reward);
  archive.add("terminated", {t.T, t.N}, t.terminated, NpyType::kBool);
  archive.add("truncated", {t.T, t.N}, t.truncated, NpyType::kBool);
  add_record(archive, record);
  archive.close();
}

RolloutOptions rollout_options(const Arguments& arguments) {
  RolloutOptions options;
  const Mode mode = mode_of(arguments);
  options.steps = arguments.integer("steps");
  options.repeats = arguments.integer("repeats");
  options.mode = mode.mode;
  options.epsilon = mode.epsilon;
  options.random_policy = arguments.text("policy") == "random";
  options.keep = !arguments.text("save").empty();
  options.math = math_of(arguments);
  options.max_pool = max_pool_of(arguments);
  if (!options.random_policy) return options;
  require(options.math == Math::kExact,
          arguments.origin("math").name + " dense: there is no network with --policy random");
  require(options.mode == ActionMode::kSample,
          arguments.origin("mode").name + ": there is no choice to make with --policy random");
  return options;
}

int run_rollout(const Arguments& arguments) {
  const std::optional<PolicySource> source = source_of(arguments);
  const ProgramOptions config = call_of(arguments, source);
  const std::string policy = arguments.text("policy"), mode = arguments.text("mode");
  const std::string file = arguments.text("save");
  const RolloutOptions options = rollout_options(arguments);
  note_device(config, config.quiet);
  Engine engine = make_engine(config, source, arguments);
  const RolloutResult result = engine.rollout(options);
  const json record =
      record_of("rollout", arguments, engine.config(),
                options.random_policy ? std::vector<NamedTensor>{} : engine.policy());
  if (!file.empty()) save_rollout(file, result.trajectory, record);
  const double rate = result.seconds > 0 ? static_cast<double>(result.steps) / result.seconds : 0.0;
  if (config.json) {
    json document = {{"env", engine.config().env},
                     {"policy", policy},
                     {"mode", mode},
                     {"math", math_name(options.math)},
                     {"library", library_json(result.library)},
                     {"seed", config.seed},
                     {"envs", config.envs},
                     {"steps_per_env", options.steps},
                     {"repeats", options.repeats},
                     {"steps", result.steps},
                     {"episodes", result.episodes},
                     {"mean_score", result.mean_score},
                     {"seconds", result.seconds},
                     {"steps_per_second", rate},
                     {"saved", nullptr},
                     {"record", record}};
    if (!file.empty()) document["saved"] = file;
    print_json("rollout", document);
    return 0;
  }
  std::string text = fmt::format("{}: {} environments, policy {}\n", engine.config().env,
                                 grouped(config.envs), policy);
  if (options.mode != ActionMode::kSample) text += result_line("mode", mode);
  text += result_line("steps", grouped(result.steps));
  text += result_line("episodes", fmt::format("{} ended, mean score {}", grouped(result.episodes),
                                              score_text(result.mean_score)));
  text += math_line(options.math, result.library);
  text += result_line("time", duration(result.seconds));
  text += result_line("steps/s", with_unit(rate));
  if (!file.empty()) text += result_line("saved", file);
  print(text);
  return 0;
}

std::string rollout_epilogue() {
  return "--policy run:PATH: --noops, --frame-skip and --repeat-action-probability are as in the\n"
         "run unless given.\n"
         "--save: obs [T + 1, N, O], of which the last is behind the last step; action, reward,\n"
         "terminated, truncated [T, N] and logits [T, N, Z]. final_obs [E, O] holds what a step "
         "that\n"
         "ended an episode showed of it, where obs has the next start already:\n"
         "  next_obs = obs[1:].copy(); next_obs[terminated | truncated] = final_obs\n"
         "record: JSON text in UTF-8 with every option the rollout depends on.\n";
}

}  // namespace

constinit const Command kRolloutCommand = {
    "rollout", "step environments without learning: throughput, trajectories", rollout_rows,
    run_rollout, rollout_epilogue};

}  // namespace lockstep::cli
