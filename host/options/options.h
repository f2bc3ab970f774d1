// The option table: one row per setting of a training run. Command line flags, TOML keys, LS_*
// variables, help, ranges, config.toml and the rules for resuming are all made from its rows.
// Decided here: names, order of precedence, which settings may change on resume. Not decided here:
// how a command line is taken apart (host/cli/).
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "host/config.h"
#include "host/options/option_value.h"
#include "host/options/program_options.h"

namespace lockstep {

/// Which life a setting has.
enum class OptionScope {
  kRun,     // belongs to the run: stands in its config.toml; a field of Config
  kCall,    // belongs to one call: flag, variable or file, but not in a run's config.toml
  kSource,  // says where settings come from: flag or variable only
};

/// Access to an enum field by its index in the row's choices.
struct EnumField {
  int (*get)(const Config&);
  void (*set)(Config&, int);
};

/// A field that a run does not have.
using ProgramField = std::variant<std::int64_t ProgramOptions::*, bool ProgramOptions::*,
                                  std::string ProgramOptions::*>;

using OptionField =
    std::variant<std::int64_t Config::*, std::uint64_t Config::*, double Config::*, bool Config::*,
                 std::string Config::*, FrameSkip Config::*, EnumField, ProgramField>;

/// One row. `name` is the flag without dashes and the TOML key; the variable is LS_<NAME>, but for
/// a name that belongs to another program.
struct Option {
  std::string_view name;
  std::string_view group;  // heading in help and in TOML
  ValueSpec value;
  OptionField field;
  std::string_view help;  // one line, no full stop
  OptionScope scope = OptionScope::kRun;
  bool may_change = false;         // a resumed run may have another value
  std::string_view variable = {};  // where it is not LS_<NAME>

  /// Whether its field is one of ProgramOptions alone.
  bool of_program() const { return std::holds_alternative<ProgramField>(field); }
};

/// All rows, grouped. The default of a row is the value of its field in `ProgramOptions{}`.
std::span<const Option> option_table();
/// The row, or nullptr.
const Option* find_option(std::string_view name);
/// "LS_LR_DECAY" for "lr-decay", for options of commands outside the table too.
std::string variable_name(std::string_view option);

/// The current value as text that set_option() takes; of a Config not for a row of_program().
std::string option_text(const Config& config, const Option& option);
std::string option_text(const ProgramOptions& options, const Option& option);
/// Errors: InvalidArgument, or BadInput if origin.from_file, naming origin, value and range.
void set_option(Config& config, const Option& option, std::string_view text, const Origin& origin);
void set_option(ProgramOptions& options, const Option& option, std::string_view text,
                const Origin& origin);

/// A named set of values, below everything a user sets and above the defaults.
struct Recipe {
  std::string_view name;
  std::string_view summary;
  std::span<const std::pair<std::string_view, std::string_view>> values;  // option, text
  std::string_view env;  // whose it is; empty: of all environments without recipes of their own
  std::span<const std::pair<std::string_view, std::string_view>> base = {};  // `fast`, below these
};
std::span<const Recipe> recipes();
/// Errors: as throw_bad_value, naming the recipes of the environment.
const Recipe& find_recipe(std::string_view env, std::string_view name, const Origin& origin);

/// What a user gave, besides files. Names of flags come without dashes.
struct ConfigSources {
  std::vector<std::pair<std::string, std::string>> flags;        // {"lr", "0.1"}; the last one wins
  std::vector<std::pair<std::string, std::string>> environment;  // {"LS_LR", "0.1"}, others ignored
  std::vector<std::pair<std::string, std::string>> own{};        // a command's own, as flags
};

/// The LS_* variables of this process.
std::vector<std::pair<std::string, std::string>> lockstep_environment();
/// Errors: InvalidArgument for an LS_* name that is probably an option's, misspelled.
void require_no_misspelled(std::span<const std::pair<std::string, std::string>> environment);
/// LS_* names that are neither options nor known to others (such as LS_COLORS): worth a note.
std::vector<std::string> unknown_variables(
    std::span<const std::pair<std::string, std::string>> environment);

/// Settings from all sources: flag > variable > file > the command's own > recipe > default. The
/// file is the one named by the option `config`. With the option `resume`, that run's config.toml
/// takes the place of recipe and defaults, and what must not change on resume is checked. Of two
/// options that say one thing in two ways, such as seed and seeds, the one from the stronger source
/// counts and the other is as if not given.
///
/// Errors: InvalidArgument for flags, variables and their combination; BadInput with file and line
/// for files, unknown keys included.
ProgramOptions resolve_config(const ConfigSources& sources);

/// Ranges of every field and the combinations that cannot work.
/// Errors: InvalidArgument naming the option, the value and the range.
void validate(const Config& config);
void validate(const ProgramOptions& options);
/// What cannot learn, though it could be played: advantages that are 0 whatever happens, and a
/// threshold that no episode reaches. Engine::train() and the train command ask.
/// Errors: InvalidArgument naming the option, the reason and what to use instead.
void validate_training(const Config& config);
/// What somebody who is about to train so should know.
std::vector<std::string> training_notes(const Config& config);

/// Errors: InvalidArgument naming the first option that a resumed run must not change.
void require_same_run(const Config& saved, const Config& wanted);

/// TOML with one line per option, headings by group: what belongs to the run, as in its
/// config.toml. Reads back to the same settings.
std::string to_toml(const Config& config);
/// The same with what belongs to one call (out, force, seeds, json, quiet): --print-config.
std::string to_toml_of_call(const ProgramOptions& options);

/// Settings of a file over its recipe and the defaults, validated. Environment and flags play no
/// part. Errors: BadInput with file and line.
ProgramOptions config_from_toml(const std::filesystem::path& path);
/// The same from memory; `where` names the text in messages.
ProgramOptions config_from_toml_text(std::string_view text, const std::string& where);

/// Larger files are refused: the parser recurses once per dotted key segment, and some 30,000 of
/// them end a stack of 8 MiB.
inline constexpr std::uint64_t kMaxConfigBytes = 16384;

/// One value of an option and where it was given.
struct Setting {
  const Option* option;
  std::string text;  // what set_option() takes
  Origin origin;     // e.g. "run.toml:3: lr"
};
/// Reads TOML without applying it, in the order of lines.
/// Errors: BadInput for syntax, unknown keys and wrong types, with the line.
std::vector<Setting> read_toml(std::string_view text, const std::string& where);

/// What an algorithm cannot do, and what others than it have no use for.
/// Errors: InvalidArgument naming the option, the reason and what to use instead.
void validate_learner(const Config& config);

/// What an environment of objects, or one of numbers, cannot do.
/// Errors: InvalidArgument naming the option and what to use instead.
void validate_environment(const Config& config);

/// First and last seed of "A..B" (A <= B) or "A".
/// Errors: as throw_bad_value.
std::pair<std::uint64_t, std::uint64_t> parse_seed_range(std::string_view text,
                                                         const Origin& origin);

}  // namespace lockstep
