// What a command of the program is: its rows of options and the function that runs it. Parsing,
// help and completion are made from the rows; each command has a file of its own.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/options/option_value.h"
#include "host/options/options.h"

namespace lockstep::cli {

/// What shells complete for an argument without choices.
enum class Completion { kNothing, kPath };

/// One option or positional argument.
struct ArgumentRow {
  std::string name;  // "seed" for --seed; for a positional the word shown in help
  ValueSpec value{};
  std::string help{};
  std::string fallback{};  // default as text; empty = none, or what the option table says
  std::string group = "options";
  bool positional = false;
  bool required = false;                      // positional only
  bool shared = false;                        // a setting of Arguments::config()
  Completion completion = Completion::kPath;  // used where there are no choices

  bool has_variable() const { return !positional || shared; }
};

/// The row of a training option under its own name; its default is the environment's and recipe's.
ArgumentRow option_row(std::string_view name);
/// The same with a default of the command's own.
ArgumentRow option_row(std::string_view name, std::string_view fallback);
/// The positional environment argument.
ArgumentRow environment_row();

/// What stood on the command line after the command's name, and in its options' LS_* variables: a
/// variable gives an option of any command its value, unless a flag does.
class Arguments {
 public:
  /// Takes the variables of `rows` from `environment`.
  Arguments(std::vector<ArgumentRow> rows,
            const std::vector<std::pair<std::string, std::string>>& environment);

  /// From the command line; the last one counts.
  void add(const std::string& name, const std::string& text);
  /// Errors: InvalidArgument naming the first value that is out of its row's range, where it was
  /// given, and the range.
  void check() const;
  void set_command_line(std::string line) { command_line_ = std::move(line); }
  void set_rest(std::vector<std::string> rest) { rest_ = std::move(rest); }

  /// The whole command line, for the record.
  const std::string& command_line() const { return command_line_; }
  /// Arguments handed on unparsed (Command::forwards_arguments).
  const std::vector<std::string>& rest() const { return rest_; }

  const std::vector<ArgumentRow>& rows() const { return rows_; }
  /// By flag or variable.
  bool given(std::string_view name) const;
  /// Where the value comes from: "--noops" or "LS_NOOPS"; also where it is the fallback.
  Origin origin(std::string_view name) const;
  /// Value of a row that is not shared: as given, else its fallback.
  std::string text(std::string_view name) const;
  std::int64_t integer(std::string_view name) const;
  std::string path(std::string_view name) const { return text(name); }

  /// What the shared rows say, over the rows' fallbacks; `implied` are options, with their
  /// values, that others of the command stand for. Variables that are no option of the command are
  /// left alone.
  /// Errors: as resolve_config().
  ProgramOptions config(const std::vector<std::pair<std::string, std::string>>& implied = {}) const;
  /// What the shared rows are where nothing but the environment and the recipe is given.
  ProgramOptions defaults() const;

 private:
  struct Given {
    std::string name, text;
    std::string variable;  // empty: a flag
  };
  const ArgumentRow& row(std::string_view name) const;
  const Given* last(std::string_view name) const;

  std::vector<ArgumentRow> rows_;
  std::vector<Given> given_;  // variables, then the command line in its order
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
/// LS_* variables of this process that are no option of any command.
std::vector<std::pair<std::string, std::string>> other_variables();

extern const Command kTrainCommand, kEvalCommand, kRolloutCommand, kReplayCommand, kPlotCommand,
    kViewCommand, kRenderCommand, kListCommand, kInfoCommand, kBenchCommand, kCompletionCommand;

}  // namespace lockstep::cli
