// lockstep list: environments, policies, recipes and optimisers with their defaults.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "host/cli/command.h"
#include "host/cli/output.h"
#include "host/engine.h"

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

std::vector<ArgumentRow> rows() { return {option_row("json")}; }

std::string defaults_text(const Group& group) {
  std::string text;
  for (const std::string_view name : group.options) {
    text += fmt::format("{}{}={}", text.empty() ? "" : " ", name,
                        option_text(Config{}, *find_option(name)));
  }
  return text;
}

json defaults_json(const std::vector<Group>& groups) {
  json result = json::array();
  for (const Group& group : groups) {
    json item = {{"name", group.name}, {"defaults", json::object()}};
    for (const std::string_view name : group.options) {
      item["defaults"][std::string(name)] = option_text(Config{}, *find_option(name));
    }
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
                      {"policies", defaults_json(policies())},
                      {"recipes", recipe_list},
                      {"optimizers", defaults_json(optimizers())}});
}

int run(const Arguments& arguments) {
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
  for (const Group& group : policies()) text += result_line(group.name, defaults_text(group));
  text += "recipes\n";
  for (const Recipe& recipe : recipes()) {
    text += result_line(recipe.name, recipe.env.empty()
                                         ? std::string(recipe.summary)
                                         : fmt::format("{}: {}", recipe.env, recipe.summary));
  }
  text += "optimizers\n";
  for (const Group& group : optimizers()) text += result_line(group.name, defaults_text(group));
  print(text);
  return 0;
}

}  // namespace

constinit const Command kListCommand = {"list", "environments, policies, recipes, optimizers", rows,
                                        run, nullptr};

}  // namespace lockstep::cli
