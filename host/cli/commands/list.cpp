// lockstep list: environments, policies, recipes and optimisers, with the defaults that the named
// environment's first recipe gives them.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "host/cli/command.h"
#include "host/cli/output.h"
#include "host/engine.h"
#include "host/errors.h"

namespace lockstep::cli {
namespace {

using json = nlohmann::ordered_json;

struct Group {
  std::string_view name;
  std::vector<std::string_view> options;  // those whose defaults are shown
};

// which options an optimiser or policy reads
const std::vector<Group>& optimizers() {
  static const std::vector<Group> groups = {
      {"adam", {"lr", "beta1", "beta2", "eps", "weight-decay", "decoupled-weight-decay"}},
      {"sgd", {"lr", "momentum", "weight-decay", "decoupled-weight-decay"}},
      {"rmsprop", {"lr", "alpha", "eps", "momentum", "weight-decay", "decoupled-weight-decay"}},
  };
  return groups;
}

const std::vector<Group>& policies() {
  static const std::vector<Group> groups = {
      {"mlp", {"hidden", "activation", "dropout", "init"}},
      {"linear", {"init"}},
  };
  return groups;
}

std::vector<ArgumentRow> list_rows() { return {option_row("json")}; }

/// The defaults of an environment where `choice` (policy or optimizer) is the group; nothing where
/// the environment does not offer it.
std::optional<Config> defaults_of(const std::string& env, const char* choice, const Group& group) {
  try {
    return resolve_config(
        {.flags = {{"env", env}, {choice, std::string(group.name)}}, .environment = {}});
  } catch (const InvalidArgument&) {
    return std::nullopt;
  }
}

/// Calls `with` an environment's name and its defaults, for each that offers the group.
template <typename With>
void for_environments(const char* choice, const Group& group, With&& with) {
  for (const EnvironmentInfo& info : list_environments()) {
    if (const auto config = defaults_of(info.name, choice, group)) with(info.name, *config);
  }
}

/// One line a group, and another for each environment whose defaults differ from those of the
/// first.
std::string defaults_text(const char* choice, const std::vector<Group>& groups) {
  std::string text;
  for (const Group& group : groups) {
    std::string first;
    for_environments(choice, group, [&](const std::string& env, const Config& config) {
      std::string values;
      for (const std::string_view name : group.options) {
        values += fmt::format("{}{}={}", values.empty() ? "" : " ", name,
                              option_text(config, *find_option(name)));
      }
      if (first.empty()) {
        text += result_line(group.name, values);
        first = values;
      } else if (values != first) {
        text += result_line("  " + env, values);
      }
    });
  }
  return text;
}

json defaults_json(const char* choice, const std::vector<Group>& groups) {
  json result = json::array();
  for (const Group& group : groups) {
    json item = {{"name", group.name}, {"defaults", nullptr}, {"defaults_of", json::object()}};
    for_environments(choice, group, [&](const std::string& env, const Config& config) {
      json& values = item["defaults_of"][env];
      for (const std::string_view name : group.options) {
        values[std::string(name)] = option_text(config, *find_option(name));
      }
      if (item["defaults"].is_null()) item["defaults"] = values;
    });
    result.push_back(item);
  }
  return result;
}

void print_as_json() {
  json environments = json::array();
  for (const EnvironmentInfo& info : list_environments()) {
    environments.push_back({{"name", info.name},
                            {"summary", info.summary},
                            {"observation_size", info.observation_size},
                            {"state_size", info.state_size},
                            {"actions", info.num_actions},
                            {"max_episode_steps", info.max_episode_steps}});
  }
  json recipe_list = json::array();
  for (const Recipe& recipe : recipes()) {
    json item = {{"name", recipe.name},
                 {"env", recipe.env.empty() ? "cartpole" : recipe.env},
                 {"summary", recipe.summary},
                 {"values", json::object()}};
    for (const auto& values : {recipe.base, recipe.values}) {
      for (const auto& [name, value] : values) item["values"][std::string(name)] = value;
    }
    recipe_list.push_back(item);
  }
  print_json("list", {{"environments", environments},
                      {"policies", defaults_json("policy", policies())},
                      {"recipes", recipe_list},
                      {"optimizers", defaults_json("optimizer", optimizers())}});
}

int run_list(const Arguments& arguments) {
  if (arguments.config().json) {
    print_as_json();
    return 0;
  }
  std::string text = "environments\n";
  for (const EnvironmentInfo& info : list_environments()) {
    text += result_line(
        info.name, fmt::format("{}; observation {}, actions {}, at most {} steps", info.summary,
                               info.observation_size, info.num_actions, info.max_episode_steps));
  }
  text += "policies\n";
  text += defaults_text("policy", policies());
  text += "recipes\n";
  for (const Recipe& recipe : recipes()) {
    text += result_line(recipe.name, recipe.env.empty()
                                         ? std::string(recipe.summary)
                                         : fmt::format("{}: {}", recipe.env, recipe.summary));
  }
  text += "optimizers\n";
  text += defaults_text("optimizer", optimizers());
  print(text);
  return 0;
}

}  // namespace

constinit const Command kListCommand = {"list", "environments, policies, recipes, optimizers",
                                        list_rows, run_list, nullptr};

}  // namespace lockstep::cli
