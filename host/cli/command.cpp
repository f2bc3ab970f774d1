// The list of commands, and access to parsed arguments.
#include "host/cli/command.h"

#include <algorithm>
#include <array>
#include <stdexcept>

namespace lockstep::cli {

ArgumentRow option_row(std::string_view name) {
  const Option& option = *find_option(name);
  return option_row(name, option_text(Config{}, option));
}

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

bool Arguments::given(std::string_view name) const {
  return std::any_of(given_.begin(), given_.end(),
                     [&](const auto& argument) { return argument.first == name; });
}

const ArgumentRow& Arguments::row(std::string_view name) const {
  const auto found = std::find_if(rows_.begin(), rows_.end(),
                                  [&](const ArgumentRow& row) { return row.name == name; });
  if (found == rows_.end()) throw std::logic_error("no option row " + std::string(name));
  return *found;
}

std::string Arguments::raw(const ArgumentRow& row) const {
  const auto last = std::find_if(given_.rbegin(), given_.rend(),
                                 [&](const auto& argument) { return argument.first == row.name; });
  return last == given_.rend() ? row.fallback : last->second;
}

namespace {

Origin origin_of(const ArgumentRow& row) {
  return Origin{row.positional ? row.name : "--" + row.name};
}

}  // namespace

std::string Arguments::text(std::string_view name) const {
  const ArgumentRow& wanted = row(name);
  const std::string value = raw(wanted);
  // an empty fallback stands for "not given" and need not be a choice
  return given(name) ? parse_text(wanted.value, value, origin_of(wanted)) : value;
}

std::int64_t Arguments::integer(std::string_view name) const {
  const ArgumentRow& wanted = row(name);
  return parse_integer(wanted.value, raw(wanted), origin_of(wanted));
}

Config Arguments::config() const {
  ConfigSources sources;
  for (const auto& variable : lockstep_environment()) {
    const bool ours = std::any_of(rows_.begin(), rows_.end(), [&](const ArgumentRow& row) {
      return row.shared && variable_name(*find_option(row.name)) == variable.first;
    });
    if (ours) sources.environment.push_back(variable);
  }
  for (const ArgumentRow& row : rows_) {
    if (!row.shared) continue;
    const Option& option = *find_option(row.name);
    const std::string variable = variable_name(option);
    const bool has_variable =
        std::any_of(sources.environment.begin(), sources.environment.end(),
                    [&](const auto& entry) { return entry.first == variable; });
    const bool own_fallback = row.fallback != option_text(Config{}, option);
    if (!given(row.name) && !has_variable && own_fallback) {
      sources.flags.emplace_back(row.name, row.fallback);
    }
  }
  for (const auto& [name, text] : given_) {
    if (row(name).shared) sources.flags.emplace_back(name, text);
  }
  return resolve_config(sources);
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

}  // namespace lockstep::cli
