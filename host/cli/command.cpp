// The list of commands, and access to parsed arguments.
#include "host/cli/command.h"

#include <algorithm>
#include <array>
#include <stdexcept>

namespace lockstep::cli {

ArgumentRow option_row(std::string_view name) { return option_row(name, ""); }

ArgumentRow option_row(std::string_view name, std::string_view fallback) {
  const Option& option = *find_option(name);
  ArgumentRow row;
  row.name = option.name;
  row.value = option.value;
  row.help = option.help;
  row.fallback = fallback;
  row.shared = true;
  return row;
}

ArgumentRow environment_row() {
  ArgumentRow row = option_row("env");
  row.positional = true;
  row.completion = Completion::kNothing;
  return row;
}

Arguments::Arguments(std::vector<ArgumentRow> rows,
                     const std::vector<std::pair<std::string, std::string>>& environment)
    : rows_(std::move(rows)) {
  for (const ArgumentRow& row : rows_) {
    if (!row.has_variable()) continue;
    const std::string name = variable_name(row.name);
    for (const auto& [variable, text] : environment) {
      if (variable == name) given_.push_back({row.name, text, variable});
    }
  }
}

void Arguments::add(const std::string& name, const std::string& text) {
  given_.push_back({name, text, ""});
}

void Arguments::check() const {
  for (const ArgumentRow& row : rows_) {
    if (given(row.name)) check_value(row.value, last(row.name)->text, origin(row.name));
  }
}

const Arguments::Given* Arguments::last(std::string_view name) const {
  const auto found = std::find_if(given_.rbegin(), given_.rend(),
                                  [&](const Given& given) { return given.name == name; });
  return found == given_.rend() ? nullptr : &*found;
}

bool Arguments::given(std::string_view name) const { return last(name) != nullptr; }

const ArgumentRow& Arguments::row(std::string_view name) const {
  const auto found = std::find_if(rows_.begin(), rows_.end(),
                                  [&](const ArgumentRow& row) { return row.name == name; });
  if (found == rows_.end()) throw std::logic_error("no option row " + std::string(name));
  return *found;
}

Origin Arguments::origin(std::string_view name) const {
  const ArgumentRow& wanted = row(name);
  const Given* given = last(name);
  if (given != nullptr && !given->variable.empty()) return Origin{given->variable};
  return Origin{wanted.positional ? wanted.name : "--" + wanted.name};
}

std::string Arguments::text(std::string_view name) const {
  const ArgumentRow& wanted = row(name);
  const Given* given = last(name);
  return given == nullptr ? wanted.fallback : given->text;
}

std::int64_t Arguments::integer(std::string_view name) const {
  return parse_integer(row(name).value, text(name), origin(name));
}

ProgramOptions Arguments::config(
    const std::vector<std::pair<std::string, std::string>>& implied) const {
  ConfigSources sources;
  sources.flags = implied;
  for (const ArgumentRow& row : rows_) {
    if (row.shared && !row.fallback.empty()) sources.own.emplace_back(row.name, row.fallback);
  }
  for (const Given& given : given_) {
    if (!row(given.name).shared) continue;
    const bool is_flag = given.variable.empty();
    (is_flag ? sources.flags : sources.environment)
        .emplace_back(is_flag ? given.name : given.variable, given.text);
  }
  return resolve_config(sources);
}

ProgramOptions Arguments::defaults() const {
  Arguments named(rows_, {});
  for (const Given& given : given_) {
    const bool names = given.name == "env" || given.name == "recipe" || given.name == "algorithm";
    if (names) named.given_.push_back(given);
  }
  return named.config();
}

std::span<const Command> commands() {
  static const std::array<Command, 11> all = {kTrainCommand,  kEvalCommand,      kRolloutCommand,
                                              kReplayCommand, kPlotCommand,      kViewCommand,
                                              kRenderCommand, kListCommand,      kInfoCommand,
                                              kBenchCommand,  kCompletionCommand};
  return all;
}

const Command* find_command(std::string_view name) {
  for (const Command& command : commands()) {
    if (command.name == name) return &command;
  }
  return nullptr;
}

std::vector<std::pair<std::string, std::string>> other_variables() {
  std::vector<std::pair<std::string, std::string>> others = lockstep_environment();
  for (const Command& command : commands()) {
    const std::vector<ArgumentRow> rows = command.rows();
    std::erase_if(others, [&](const auto& variable) {
      return std::any_of(rows.begin(), rows.end(), [&](const ArgumentRow& row) {
        return row.has_variable() && variable_name(row.name) == variable.first;
      });
    });
  }
  return others;
}

}  // namespace lockstep::cli
