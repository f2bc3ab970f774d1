// lockstep completion: scripts for bash, zsh and fish, made from the rows of all commands.
#include <fmt/format.h>

#include <string>
#include <vector>

#include "host/cli/command.h"
#include "host/cli/output.h"
#include "host/engine.h"

namespace lockstep::cli {
namespace {

constexpr std::string_view kShells[] = {"bash", "zsh", "fish"};

std::vector<ArgumentRow> completion_rows() {
  return {{.name = "shell",
           .value = one_of(kShells),
           .help = "print the completion script of this shell",
           .positional = true,
           .required = true}};
}

std::string completion_epilogue() {
  return "bash:  source <(lockstep completion bash)\n"
         "zsh:   lockstep completion zsh > ~/.zfunc/_lockstep\n"
         "fish:  lockstep completion fish > ~/.config/fish/completions/lockstep.fish\n";
}

/// Words a row's value can be, space-separated; empty if there is no list.
std::string value_words(const ArgumentRow& row) {
  std::string words;
  const auto add = [&](std::string_view word) {
    words += (words.empty() ? "" : " ") + std::string(word);
  };
  if (row.name == "env") {
    for (const EnvironmentInfo& info : list_environments()) add(info.name);
  }
  for (const std::string_view choice : row.value.choices) add(choice);
  return words;
}

bool completes_paths(const ArgumentRow& row) {
  return row.value.type == ValueType::kText && row.value.choices.empty() &&
         row.completion == Completion::kPath;
}

std::string escaped(std::string_view text, std::string_view special) {
  std::string result;
  for (const char c : text) {
    if (special.find(c) != std::string_view::npos) result += '\\';
    result += c;
  }
  return result;
}

/// Patterns "command:--option" and what completes the word after them.
std::string bash_cases(const Command& command, const std::vector<ArgumentRow>& rows) {
  std::string text, no_list;
  for (const ArgumentRow& row : rows) {
    if (row.positional || row.value.type == ValueType::kBoolean) continue;
    const std::string words = value_words(row);
    if (words.empty() && !completes_paths(row)) {
      no_list += fmt::format("{}{}:--{}", no_list.empty() ? "" : "|", command.name, row.name);
      continue;
    }
    const std::string source = words.empty() ? "-f" : fmt::format("-W '{}'", words);
    text += fmt::format("    {}:--{}) COMPREPLY=($(compgen {} -- \"$word\")); return ;;\n",
                        command.name, row.name, source);
  }
  return no_list.empty() ? text : text + fmt::format("    {}) return ;;\n", no_list);
}

std::string bash_script() {
  std::string names, values, words;
  for (const Command& command : commands()) {
    const std::vector<ArgumentRow> list = command.rows();
    names += fmt::format("{}{}", names.empty() ? "" : " ", command.name);
    values += bash_cases(command, list);
    std::string flags = "--help", positional;
    for (const ArgumentRow& row : list) {
      if (row.positional) {
        positional = value_words(row);
      } else {
        flags += " --" + row.name;
      }
    }
    words += fmt::format("    {}) flags='{}' words='{}' ;;\n", command.name, flags, positional);
  }
  return fmt::format(R"(# bash completion for lockstep; made by `lockstep completion bash`
_lockstep() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}
  local command=${{COMP_WORDS[1]}} flags words
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '{} --help --version' -- "$word"))
    return
  fi
  case "$command:$before" in
{}  esac
  case "$command" in
{}  esac
  if [ "${{word#-}}" != "$word" ]; then
    COMPREPLY=($(compgen -W "$flags" -- "$word"))
  elif [ -n "$words" ]; then
    COMPREPLY=($(compgen -W "$words" -- "$word"))
  else
    COMPREPLY=($(compgen -f -- "$word"))
  fi
}}
complete -o filenames -F _lockstep lockstep
)",
                     names, values, words);
}

std::string zsh_spec(const ArgumentRow& row) {
  const std::string help = escaped(row.help, "[]:'\\");
  const std::string words = value_words(row);
  const std::string action = !words.empty()         ? "(" + words + ")"
                             : completes_paths(row) ? "_files"
                                                    : "";
  if (row.positional) return fmt::format("'1:{}:{}'", row.name, action);
  if (row.value.type == ValueType::kBoolean) return fmt::format("'--{}[{}]'", row.name, help);
  return fmt::format("'--{}=[{}]:{}:{}'", row.name, help, row.name, action);
}

std::string zsh_script() {
  std::string names, cases;
  for (const Command& command : commands()) {
    names += fmt::format("    '{}:{}'\n", command.name, escaped(command.summary, ":'\\"));
    cases += fmt::format("    {})\n      _arguments '--help[print help]'", command.name);
    for (const ArgumentRow& row : command.rows()) cases += " \\\n        " + zsh_spec(row);
    cases += " ;;\n";
  }
  return fmt::format(R"(#compdef lockstep
# zsh completion for lockstep; made by `lockstep completion zsh`
_lockstep() {{
  local -a names=(
{}  )
  if (( CURRENT == 2 )); then
    _describe command names
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
{}  esac
}}
_lockstep "$@"
)",
                     names, cases);
}

std::string fish_script() {
  std::string text = "# fish completion for lockstep; made by `lockstep completion fish`\n";
  text += "complete -c lockstep -n __fish_use_subcommand -l version -d 'print the version'\n";
  for (const Command& command : commands()) {
    text += fmt::format("complete -c lockstep -f -n __fish_use_subcommand -a {} -d '{}'\n",
                        command.name, escaped(command.summary, "'\\"));
    const std::string condition =
        fmt::format("complete -c lockstep -n '__fish_seen_subcommand_from {}'", command.name);
    for (const ArgumentRow& row : command.rows()) {
      const std::string words = value_words(row);
      if (row.positional) {
        if (!words.empty()) text += fmt::format("{} -f -a '{}'\n", condition, words);
        continue;
      }
      text += fmt::format("{} -l {} -d '{}'", condition, row.name, escaped(row.help, "'\\"));
      if (row.value.type != ValueType::kBoolean) {
        text += !words.empty()         ? fmt::format(" -x -a '{}'", words)
                : completes_paths(row) ? " -r"
                                       : " -x";
      }
      text += "\n";
    }
  }
  return text;
}

int run_completion(const Arguments& arguments) {
  const std::string shell = arguments.text("shell");
  print(shell == "bash" ? bash_script() : shell == "zsh" ? zsh_script() : fish_script());
  return 0;
}

}  // namespace

constinit const Command kCompletionCommand = {"completion",
                                              "print a completion script for bash, zsh or fish",
                                              completion_rows, run_completion, completion_epilogue};

}  // namespace lockstep::cli
