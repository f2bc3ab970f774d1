// CLI11 splits the line into options and positionals; see parser.h. Its config files, environment
// variables, validators and help formatter are not used: the option table has all four.
#include "host/cli/parser.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "host/build_stamp.h"
#include "host/errors.h"
#include "host/options/suggestion.h"
#include "host/text.h"

namespace lockstep::cli {
namespace {

constexpr std::string_view kHelp = "help";  // `help COMMAND` is `COMMAND --help`

/// The command that argv names; nothing of the others needs to be built.
const Command* named_command(int argc, const char* const* argv) {
  for (int i = 1; i < argc; ++i) {
    if (argv[i][0] != '-') return find_command(argv[i]);
  }
  return nullptr;
}

std::string joined_command_line(int argc, const char* const* argv) {
  std::string line = "lockstep";
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const bool plain =
        !word.empty() && word.find_first_of(" \t\n\"'\\$`*?&|;<>(){}[]#~!") == std::string::npos;
    line += plain ? " " + word : " '" + word + "'";
  }
  return line;
}

void define(CLI::App& app, const std::vector<ArgumentRow>& rows) {
  for (const ArgumentRow& row : rows) {
    CLI::Option* option = nullptr;
    if (row.positional) {
      option = app.add_option(row.name, CLI::callback_t{});
    } else if (row.value.type == ValueType::kBoolean) {
      option = app.add_flag("--" + row.name);
    } else {
      option = app.add_option("--" + row.name, CLI::callback_t{});
    }
    option->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  }
}

/// "eval and rollout" for "--math": who has an option of this name.
std::string commands_with(const std::string& flag) {
  std::string names;
  for (const Command& command : commands()) {
    const std::vector<ArgumentRow> rows = command.rows();
    const bool has = std::any_of(rows.begin(), rows.end(), [&](const ArgumentRow& row) {
      return !row.positional && "--" + row.name == flag;
    });
    if (has) names += (names.empty() ? "" : " and ") + std::string(command.name);
  }
  return names;
}

[[noreturn]] void throw_unknown_option(const std::string& word,
                                       const std::vector<ArgumentRow>& rows) {
  const std::string flag = word.substr(0, word.find('='));
  const std::string name = flag.substr(std::min(flag.size(), flag.find_first_not_of('-')));
  std::vector<std::string_view> names = {"help"};
  for (const ArgumentRow& row : rows) {
    require(!row.positional || row.name != name,
            "option " + in_quotes(flag) + ": " + name + " is given without dashes");
    if (!row.positional) names.push_back(row.name);
  }
  const std::string owners = commands_with(flag);
  if (!owners.empty()) {
    throw InvalidArgument("option " + in_quotes(flag) +
                          (rows.empty() ? " stands behind its command: "
                                        : " is not one of this command's; it belongs to ") +
                          owners);
  }
  throw InvalidArgument("unknown option " + in_quotes(flag) + nearest_hint(name, names, "--"));
}

[[noreturn]] void throw_unknown_command(const std::string& word) {
  std::vector<std::string_view> names = {kHelp};
  for (const Command& command : commands()) names.push_back(command.name);
  throw InvalidArgument("unknown command " + in_quotes(word) + nearest_hint(word, names));
}

/// The words of the line, an empty value behind an equals sign as a word of its own: CLI11 would
/// take the next one. Errors: InvalidArgument where an option may not be empty.
std::vector<std::string> words_of(int argc, const char* const* argv,
                                  const std::vector<ArgumentRow>& rows) {
  std::vector<std::string> words;
  for (int i = 1; i < argc; ++i) {
    words.emplace_back(argv[i]);
    if (!words.back().starts_with("--") || !words.back().ends_with("=")) continue;
    words.back().pop_back();
    const bool may_be_empty = std::any_of(rows.begin(), rows.end(), [&](const ArgumentRow& row) {
      return row.value.empty && words.back() == "--" + row.name;
    });
    require(may_be_empty, words.back() + ": no value after '='");
    words.emplace_back();
  }
  return words;
}

Arguments collect(const CLI::App& app, const std::vector<ArgumentRow>& rows) {
  Arguments arguments(rows, lockstep_environment());
  for (const ArgumentRow& row : rows) {
    const CLI::Option* option = app.get_option(row.positional ? row.name : "--" + row.name);
    for (const std::string& text : option->results()) arguments.add(row.name, text);
  }
  return arguments;
}

void check(const Arguments& arguments) {
  for (const ArgumentRow& row : arguments.rows()) {
    require(!row.required || arguments.given(row.name), "missing argument " + row.name);
  }
  arguments.check();
}

ParsedLine parse_command(const Command& command, CLI::App& root, CLI::App& app, int argc,
                         const char* const* argv) {
  const std::vector<ArgumentRow> rows = command.rows();
  define(app, rows);
  std::vector<std::string> words(argv + 1, argv + argc);
  if (command.forwards_arguments) {
    app.prefix_command();
  } else {
    app.allow_extras();
    words = words_of(argc, argv, rows);
  }
  std::reverse(words.begin(), words.end());  // as CLI11 takes them
  try {
    root.parse(std::move(words));
  } catch (const CLI::CallForHelp&) {
    return {.text = help_text(command, collect(app, rows))};
  } catch (const CLI::ArgumentMismatch& error) {
    const std::string message = error.what();  // "--lr: 1 required ..."
    throw InvalidArgument(message.substr(0, message.find(':')) + ": no value given");
  }
  ParsedLine line{.command = &command};
  const std::vector<std::string> rest = app.remaining();
  if (!command.forwards_arguments && !rest.empty()) {
    if (rest.front().starts_with("-")) throw_unknown_option(rest.front(), rows);
    throw InvalidArgument("unexpected argument " + in_quotes(rest.front()));
  }
  line.arguments = collect(app, rows);
  check(*line.arguments);
  line.arguments->set_rest(rest);
  line.arguments->set_command_line(joined_command_line(argc, argv));
  return line;
}

}  // namespace

ParsedLine parse_command_line(int argc, const char* const* argv) {
  if (argc > 1 && argv[1] == kHelp) {
    std::vector<const char*> words(argv, argv + argc);
    words.erase(words.begin() + 1);
    words.push_back("--help");
    return parse_command_line(argc, words.data());
  }
  CLI::App root("", "lockstep");
  root.add_flag("--version");
  root.allow_extras();
  const Command* command = named_command(argc, argv);
  try {
    if (command != nullptr) {
      CLI::App* app = root.add_subcommand(std::string(command->name));
      ParsedLine line = parse_command(*command, root, *app, argc, argv);
      if (!line.text.empty()) return line;
      const std::vector<std::string> before = root.remaining(false);
      if (!before.empty()) throw_unknown_option(before.front(), {});
      return line;
    }
    root.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    for (int i = 1; i < argc; ++i) {
      if (argv[i][0] != '-') throw_unknown_command(argv[i]);
    }
    return {.text = help_text()};
  } catch (const CLI::ParseError& error) {
    throw InvalidArgument(error.what());
  }
  if (root.count("--version") > 0) {
    return {.text = std::string("lockstep ") + build_stamp::kVersion + "\n"};
  }
  const std::vector<std::string> rest = root.remaining();
  if (rest.empty()) throw InvalidArgument("no command; see lockstep --help");
  for (const std::string& word : rest) {
    if (!word.starts_with("-")) throw_unknown_command(word);
  }
  throw_unknown_option(rest.front(), {});
}

}  // namespace lockstep::cli
