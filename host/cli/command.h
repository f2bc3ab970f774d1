// What a command of the program is: its rows of options and the function that runs it. Parsing,
// help and completion are made from the rows; each command has a file of its own.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/option_value.h"
#include "host/options.h"

namespace lockstep::cli {

/// What shells complete for an argument without choices.
enum class Completion { kNothing, kPath };

/// One option or positional argument.
struct ArgumentRow {
  std::string name;  // "seed" for --seed; for a positional the word shown in help
  ValueSpec value{};
  std::string help{};
  std::string fallback{};  // default as text; empty = none
  std::string group = "options";
  bool positional = false;
  bool required = false;                      // positional only
  bool shared = false;                        // a row of the option table: LS_* variables count
  Completion completion = Completion::kPath;  // used where there are no choices
};

/// The row of a training option under its own name.
ArgumentRow option_row(std::string_view name);
/// The same with another default.
ArgumentRow option_row(std::string_view name, std::string_view fallback);
/// The positional environment argument.
ArgumentRow environment_row();

/// What stood on the command line after the command's name.
class Arguments {
 public:
  explicit Arguments(std::vector<ArgumentRow> rows) : rows_(std::move(rows)) {}

  void add(const std::string& name, const std::string& text) { given_.emplace_back(name, text); }
  void set_command_line(std::string line) { command_line_ = std::move(line); }
  void set_rest(std::vector<std::string> rest) { rest_ = std::move(rest); }

  /// The whole command line, for the record.
  const std::string& command_line() const { return command_line_; }
  /// Arguments handed on unparsed (Command::forwards_arguments).
  const std::vector<std::string>& rest() const { return rest_; }

  /// All options and positionals that were given, in the order of the command line.
  const std::vector<std::pair<std::string, std::string>>& all_given() const { return given_; }
  bool given(std::string_view name) const;
  /// Value of a row that is not shared: as given, else its fallback.
  /// Errors: InvalidArgument naming the option, the value and the range.
  std::string text(std::string_view name) const;
  std::int64_t integer(std::string_view name) const;
  std::string path(std::string_view name) const { return text(name); }

  /// Settings from the shared rows and their LS_* variables, over the rows' fallbacks.
  /// Errors: as resolve_config().
  Config config() const;

 private:
  const ArgumentRow& row(std::string_view name) const;
  std::string raw(const ArgumentRow& row) const;

  std::vector<ArgumentRow> rows_;
  std::vector<std::pair<std::string, std::string>> given_;  // in order of the command line
  std::vector<std::string> rest_;
  std::string command_line_;
};

struct Command {
  std::string_view name, summary;
  std::vector<ArgumentRow> (*rows)();
  int (*run)(const Arguments&);     // returns the exit code
  std::string (*epilogue)();        // more help text, or nullptr
  bool forwards_arguments = false;  // everything behind the name goes on unparsed
};

/// All commands, in the order of the help text.
std::span<const Command> commands();
const Command* find_command(std::string_view name);

extern const Command kTrainCommand, kEvalCommand, kRolloutCommand, kReplayCommand, kPlotCommand,
    kViewCommand, kRenderCommand, kListCommand, kInfoCommand, kBenchCommand, kCompletionCommand;

}  // namespace lockstep::cli
