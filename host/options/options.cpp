// Where settings come from and which of them go together; see options.h. The rows themselves are
// in option_table.cpp, the files in config_file.cpp.
#include "host/options/options.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "host/backend/environments.h"
#include "host/errors.h"
#include "host/files/durable_file.h"
#include "host/options/suggestion.h"
#include "host/text.h"
#include "kernels/trajectory.h"

extern char** environ;

namespace lockstep {
namespace {

constexpr std::string_view kPrefix = "LS_";

// LS_* names with another reader: the engine and its tests, the build, and ls(1)
constexpr std::string_view kOtherVariables[] = {
    "LS_ISA",      "LS_REQUIRE_GPU",   "LS_CUDA_EMULATOR", "LS_CUDA",
    "LS_TESTS",    "LS_BENCH",         "LS_CLI",           "LS_INSTALL",
    "LS_WERROR",   "LS_COLORS",        "LS_OPTIONS",       "LS_BLOCK_SIZE",
    "LS_SANITIZE", "LS_SYNC_LAUNCHES", "LS_PLUGIN_DIR",    "LS_LAUNCH_STEPS",
};

using Pairs = std::span<const std::pair<std::string, std::string>>;

bool has_other_reader(std::string_view name) {
  return name.starts_with("LS_EMULATOR_") ||
         std::find(std::begin(kOtherVariables), std::end(kOtherVariables), name) !=
             std::end(kOtherVariables);
}

const Option* option_of_variable(std::string_view name) {
  for (const Option& option : option_table()) {
    if (variable_name(option.name) == name) return &option;
  }
  return nullptr;
}

/// Whether `name` holds `part` as one of its words: LS_NUM_ENVS holds ENVS.
bool has_word(std::string_view name, std::string_view part) {
  return ("_" + std::string(name) + "_").find("_" + std::string(part) + "_") != std::string::npos;
}

/// The variable of an option that `name` was probably meant to be; empty if it is far from all.
std::string misspelled_option(std::string_view name) {
  std::string nearest;
  int smallest = name.size() < kPrefix.size() + 5 ? 2 : 3;  // one edit, or two in a longer name
  for (const Option& option : option_table()) {
    const std::string variable = variable_name(option.name);
    const std::string_view word = std::string_view(variable).substr(kPrefix.size());
    int distance = edit_distance(name.substr(0, 64), variable);
    if (word.size() > 1 && has_word(name.substr(kPrefix.size()), word)) distance = 1;
    if (distance < smallest) {
      smallest = distance;
      nearest = variable;
    }
  }
  return nearest;
}

std::vector<Setting> settings_of_flags(Pairs flags) {
  std::vector<Setting> settings;
  for (const auto& [name, text] : flags) {
    const Option* option = find_option(name);
    if (option == nullptr) {
      std::vector<std::string_view> names;
      for (const Option& row : option_table()) names.push_back(row.name);
      throw InvalidArgument("unknown option " + in_quotes("--" + name) +
                            nearest_hint(name, names, "--"));
    }
    // the environment is no flag but stands behind the command
    settings.push_back({option, text, Origin{name == "env" ? name : "--" + name}});
  }
  return settings;
}

std::vector<Setting> settings_of_variables(Pairs environment) {
  require_no_misspelled(environment);
  std::vector<Setting> settings;
  for (const auto& [name, text] : environment) {
    if (const Option* option = option_of_variable(name)) {
      settings.push_back({option, text, Origin{name}});
    }
  }
  return settings;
}

std::vector<Setting> settings_of_file(const std::string& path) {
  return read_toml(read_file(path, kMaxConfigBytes), path);
}

// Two ways to say one thing, or one that leaves the other nothing to say.
constexpr std::pair<std::string_view, std::string_view> kRivals[] = {
    {"seed", "seeds"}, {"out", "resume"},     {"seeds", "resume"},
    {"seeds", "out"},  {"init", "init-from"},
};

bool gives(const std::vector<Setting>& settings, std::string_view name) {
  return std::any_of(settings.begin(), settings.end(), [&](const Setting& setting) {
    return setting.option->name == name && !setting.text.empty();
  });
}

/// Leaves out of `weak` what an option of the list `strong` is a rival of.
void drop_rivals(std::vector<Setting>& weak, const std::vector<Setting>& strong) {
  for (const auto& [one, other] : kRivals) {
    const bool has_one = gives(strong, one), has_other = gives(strong, other);
    std::erase_if(weak, [&, one = one, other = other](const Setting& setting) {
      const std::string_view name = setting.option->name;
      return (has_one && name == other) || (has_other && name == one);
    });
  }
}

/// The last value given for an option in the strongest list that has one; lists weakest first.
const Setting* last_setting(std::initializer_list<const std::vector<Setting>*> lists,
                            std::string_view name) {
  const Setting* last = nullptr;
  for (const std::vector<Setting>* list : lists) {
    for (const Setting& setting : *list) {
      if (setting.option->name == name) last = &setting;
    }
  }
  return last;
}

void require_environment(std::string_view name, const Origin& origin) {
  std::vector<std::string_view> names;
  for (const EnvironmentEntry& entry : environment_entries()) names.push_back(entry.facts->name);
  if (!names.empty()) parse_choice(one_of(names), name, origin);
}

void apply_settings(ProgramOptions& config, const std::vector<Setting>& settings) {
  for (const Setting& setting : settings) {
    set_option(config, *setting.option, setting.text, setting.origin);
    if (setting.option->name == "env") require_environment(setting.text, setting.origin);
  }
}

/// Whether the option bounds the length of a run.
bool is_limit(std::string_view name) {
  return name == "updates" || name == "episodes" || name == "steps" || name == "time-limit";
}

/// Defaults and the recipe that the lists (weakest first) ask for. A recipe's limits are there so
/// that a run without any comes to an end: they give way to whatever limit a user sets. When its
/// decay begins is said of that decay, not of one that a user asks for.
ProgramOptions recipe_config(std::initializer_list<const std::vector<Setting>*> lists) {
  ProgramOptions config;
  Origin origin{"--recipe"};
  for (const std::string_view name : {"env", "recipe"}) {
    const Setting* last = last_setting(lists, name);
    if (last == nullptr) continue;
    set_option(config, *last->option, last->text, last->origin);
    if (name == "env") require_environment(last->text, last->origin);
    if (name == "recipe") origin = last->origin;
  }
  // an algorithm is asked for with its recipe, unless another one is
  const Setting* algorithm = last_setting(lists, "algorithm");
  if (algorithm != nullptr && last_setting(lists, "recipe") == nullptr) {
    set_option(config, *algorithm->option, algorithm->text, algorithm->origin);
    if (config.algorithm != Algorithm::kReinforce) config.recipe = algorithm->text;
    origin = algorithm->origin;
  }
  bool limited = false;
  for (const std::vector<Setting>* list : lists) {
    for (const Setting& setting : *list) {
      limited |= is_limit(setting.option->name) && setting.text != "none";
    }
  }
  const bool own_decay = last_setting(lists, "lr-decay") != nullptr;
  const Recipe& recipe = find_recipe(config.env, config.recipe, origin);
  for (const auto& values : {recipe.base, recipe.values}) {
    for (const auto& [name, text] : values) {
      if (limited && is_limit(name)) continue;
      if (own_decay && name == "lr-decay-start") continue;
      set_option(config, *find_option(name), text, Origin{"recipe " + config.recipe});
    }
  }
  return config;
}

/// Rules say "--name: ..." of a value wherever it comes from. A user finds it where it was given,
/// or is told that it is a recipe's; lists weakest first.
[[noreturn]] void throw_where_given(const InvalidArgument& error, const Config& config,
                                    std::initializer_list<const std::vector<Setting>*> lists) {
  const std::string_view told = error.what();
  const std::size_t colon = told.find(": ");
  if (!told.starts_with("--") || colon == std::string_view::npos) throw error;
  const std::string_view name = told.substr(2, colon - 2);
  if (const Setting* given = last_setting(lists, name)) {
    if (given->origin.name == told.substr(0, colon)) throw error;
    throw_bad_value(given->origin, std::string(told.substr(colon + 2)));
  }
  const Recipe& recipe = find_recipe(config.env, config.recipe, Origin{"--recipe"});
  for (const auto& values : {recipe.base, recipe.values}) {
    const bool sets = std::any_of(values.begin(), values.end(),
                                  [&](const auto& value) { return value.first == name; });
    if (sets) throw InvalidArgument(std::string(told) + " (set by recipe " + config.recipe + ")");
  }
  throw error;
}

void validate_combinations(const Config& c) {
  require(
      !(c.normalize == Normalize::kEpisode && c.returns == ReturnKind::kFull),
      "--normalize: episode with --returns full makes every return 0; use none, scale or batch");
  const bool draws = c.init_from.empty() || c.critic != Critic::kNone;  // the critic may be drawn
  require(!(c.init == Init::kZeros && c.policy == PolicyKind::kMlp && draws),
          "--init: zeros with --policy mlp makes the gradient 0; use xavier_uniform or "
          "kaiming_uniform");
  require(!(c.horizon > 0 && c.baseline == Baseline::kTimeMean),
          "--horizon: " + std::to_string(c.horizon) +
              " with --baseline time_mean has no common step to average over; use none, batch_mean "
              "or running_mean, or --horizon 0");
  require(!(c.dropout > 0 && c.policy == PolicyKind::kLinear),
          "--dropout: " + format_real(c.dropout) +
              " with --policy linear has no hidden units to drop; use 0");
  require(!(c.dropout > 0 && c.hidden > kMaxHidden),
          "--hidden: " + std::to_string(c.hidden) + " with --dropout is not in [1, " +
              std::to_string(kMaxHidden) + "], the units a dropout mask has room for");
  require(!(c.momentum > 0 && c.optimizer == OptimizerKind::kAdam),
          "--momentum: " + format_real(c.momentum) +
              " with --optimizer adam has no effect; use 0, or --beta1");
  require(c.resume.empty() || c.out.empty(),
          "--out: not allowed with --resume, which goes on in the run's own folder");
}

/// What changes the speed of a GPU alone, but not every mapping has a kernel for every policy.
void validate_launch_shape(const Config& c) {
  constexpr std::int64_t kWarp = 32;
  require(c.block_size % kWarp == 0, "--block-size: " + std::to_string(c.block_size) +
                                         " is not 0 or a multiple of 32 in [32, 256]");
  if (c.mapping != GpuMapping::kLanes8) return;
  const auto has_kernel = [](bool has, const std::string& wanted, const char* instead) {
    require(has, "--mapping: lanes8 has no kernel for " + wanted + "; use " + instead +
                     ", or --mapping thread");
  };
  has_kernel(c.policy == PolicyKind::kMlp, "--policy linear", "mlp");
  has_kernel(c.activation == Activation::kRelu, "--activation leaky_relu", "relu");
  has_kernel(c.dropout == 0, "--dropout " + format_real(c.dropout), "0");
  require(c.hidden <= kLanes8MaxHidden,
          "--hidden: " + std::to_string(c.hidden) + " with --mapping lanes8 is not in [1, " +
              std::to_string(kLanes8MaxHidden) + "], the units 8 lanes have registers for");
}

void validate_seeds(const ProgramOptions& c) {
  if (c.seeds.empty()) return;
  parse_seed_range(c.seeds, Origin{"--seeds"});
  require(c.resume.empty(), "--seeds: not allowed with --resume, which continues one run");
  require(c.out.empty(), "--seeds: not allowed with --out, for no run folder is written");
}

}  // namespace

std::vector<std::pair<std::string, std::string>> lockstep_environment() {
  std::vector<std::pair<std::string, std::string>> variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    const std::size_t equals = text.find('=');
    if (!text.starts_with(kPrefix) || equals == std::string_view::npos) continue;
    variables.emplace_back(text.substr(0, equals), text.substr(equals + 1));
  }
  return variables;
}

void require_no_misspelled(Pairs environment) {
  for (const auto& [name, text] : environment) {
    if (!name.starts_with(kPrefix) || has_other_reader(name)) continue;
    if (option_of_variable(name) != nullptr) continue;
    const std::string nearest = misspelled_option(name);
    require(nearest.empty(),
            "unknown variable " + in_quotes(name) + "; the nearest is '" + nearest + "'");
  }
}

std::vector<std::string> unknown_variables(Pairs environment) {
  std::vector<std::string> names;
  for (const auto& [name, text] : environment) {
    const bool known =
        !name.starts_with(kPrefix) || has_other_reader(name) || option_of_variable(name) != nullptr;
    if (!known) names.push_back(name);
  }
  return names;
}

ProgramOptions resolve_config(const ConfigSources& sources) {
  const std::vector<Setting> flags = settings_of_flags(sources.flags);
  std::vector<Setting> own = settings_of_flags(sources.own), file;
  std::vector<Setting> variables = settings_of_variables(sources.environment);
  const auto both_seeds = [](const auto& list) {
    return gives(list, "seed") && gives(list, "seeds");
  };
  require(!both_seeds(flags) && !both_seeds(variables), "--seed: not allowed with --seeds");
  drop_rivals(variables, flags);
  if (const Setting* path = last_setting({&variables, &flags}, "config")) {
    file = settings_of_file(path->text);
  }
  for (std::vector<Setting>* weak : {&own, &file}) {
    drop_rivals(*weak, variables);
    drop_rivals(*weak, flags);
  }
  ProgramOptions base;
  const Setting* resume = last_setting({&variables, &flags}, "resume");
  if (resume != nullptr) {
    base = config_from_toml(std::filesystem::path(resume->text) / "config.toml");
  } else {
    base = recipe_config({&own, &file, &variables, &flags});
  }
  ProgramOptions config = base;
  apply_settings(config, own);
  apply_settings(config, file);
  apply_settings(config, variables);
  apply_settings(config, flags);
  if (resume != nullptr) require_same_run(base, config);
  try {
    validate(config);
  } catch (const InvalidArgument& error) {
    throw_where_given(error, config, {&own, &file, &variables, &flags});
  }
  return config;
}

ProgramOptions config_from_toml_text(std::string_view text, const std::string& where) {
  const std::vector<Setting> settings = read_toml(text, where);
  ProgramOptions config = recipe_config({&settings});
  apply_settings(config, settings);
  try {
    validate(config);
  } catch (const InvalidArgument& error) {
    throw BadInput(where + ": " + error.what());
  }
  return config;
}

void validate(const Config& config) {
  Config scratch;
  for (const Option& option : option_table()) {
    if (option.of_program()) continue;
    set_option(scratch, option, option_text(config, option), Origin{std::string(option.name)});
  }
  require_environment(config.env, Origin{"env"});
  validate_combinations(config);
  validate_environment(config);
  validate_learner(config);
  validate_launch_shape(config);
}

void validate(const ProgramOptions& options) {
  ProgramOptions scratch;
  for (const Option& option : option_table()) {
    if (!option.of_program()) continue;
    set_option(scratch, option, option_text(options, option), Origin{std::string(option.name)});
  }
  validate(static_cast<const Config&>(options));
  validate_seeds(options);
}

void require_same_run(const Config& saved, const Config& wanted) {
  for (const Option& option : option_table()) {
    if (option.may_change) continue;
    const std::string before = option_text(saved, option);
    const std::string now = option_text(wanted, option);
    require(before == now, "--" + std::string(option.name) + ": " + now +
                               " differs from the run's " + before +
                               ", which --resume cannot change");
  }
}

std::pair<std::uint64_t, std::uint64_t> parse_seed_range(std::string_view text,
                                                         const Origin& origin) {
  constexpr std::string_view kDots = "..";
  const std::size_t dots = text.find(kDots);
  const std::string_view last =
      dots == std::string_view::npos ? text : text.substr(dots + kDots.size());
  const std::uint64_t first_seed = parse_seed(text.substr(0, dots), origin);
  const std::uint64_t last_seed = parse_seed(last, origin);
  if (first_seed > last_seed) {
    throw_bad_value(origin, in_quotes(text) + " is empty; give A..B with A <= B");
  }
  return {first_seed, last_seed};
}

}  // namespace lockstep
