// Help texts, made from the rows of the commands.
#include <algorithm>

#include "host/cli/parser.h"

namespace lockstep::cli {
namespace {

constexpr std::size_t kNameColumn = 30;
constexpr std::size_t kWidth = 100;

std::string placeholder(const ArgumentRow& row) {
  switch (row.value.type) {
    case ValueType::kInteger:
    case ValueType::kRange:
    case ValueType::kSeed:
      return " N";
    case ValueType::kReal:
      return " X";
    case ValueType::kBoolean:
      return "";
    case ValueType::kText:
      break;
  }
  return row.value.choices.empty() ? " TEXT" : " NAME";
}

std::string facts(const ArgumentRow& row) {
  std::string text;
  const bool has_range = row.value.type != ValueType::kBoolean &&
                         !(row.value.type == ValueType::kText && row.value.choices.empty());
  if (has_range) text = range_text(row.value);
  if (!row.fallback.empty() && row.value.type != ValueType::kBoolean) {
    text += (text.empty() ? "" : "; ") + ("default " + row.fallback);
  }
  return text.empty() ? row.help : row.help + " (" + text + ")";
}

/// Two columns; the second one is wrapped at spaces.
std::string two_columns(const std::string& left, const std::string& right) {
  std::string line = "  " + left;
  if (line.size() + 1 > kNameColumn) line += "\n" + std::string(kNameColumn, ' ');
  std::size_t column = kNameColumn;
  line.resize(std::max(line.size(), kNameColumn), ' ');
  std::size_t start = 0;
  while (start < right.size()) {
    const std::size_t end = std::min(right.find(' ', start), right.size());
    if (column + (end - start) > kWidth) {
      line.back() = '\n';
      line += std::string(kNameColumn, ' ');
      column = kNameColumn;
    }
    line += right.substr(start, end - start) + " ";
    column += end - start + 1;
    start = end + 1;
  }
  line.back() = '\n';
  return line;
}

std::string row_line(const ArgumentRow& row) {
  const std::string left = row.positional ? row.name : "--" + row.name + placeholder(row);
  return two_columns(left, facts(row));
}

/// The rows with the defaults of the option table, where they have none of their own.
std::vector<ArgumentRow> rows_with_defaults(const Arguments& arguments) {
  std::vector<ArgumentRow> rows = arguments.rows();
  const bool has_shared =
      std::any_of(rows.begin(), rows.end(), [](auto& row) { return row.shared; });
  const ProgramOptions defaults = has_shared ? arguments.defaults() : ProgramOptions{};
  for (ArgumentRow& row : rows) {
    if (row.shared) row.fallback = option_text(defaults, *find_option(row.name));
  }
  return rows;
}

}  // namespace

std::string help_text() {
  std::string text =
      "lockstep: batched reinforcement learning rollouts, bit for bit the same everywhere\n\n"
      "usage: lockstep COMMAND [ARGUMENTS]\n\ncommands:\n";
  for (const Command& command : commands()) {
    text += two_columns(std::string(command.name), std::string(command.summary));
  }
  text += "\noptions:\n" + two_columns("--version", "print the version") +
          two_columns("--help", "print this text; lockstep help COMMAND tells more");
  return text + "\nStart with: lockstep train cartpole\n";
}

std::string help_text(const Command& command, const Arguments& arguments) {
  std::vector<ArgumentRow> rows = rows_with_defaults(arguments);
  std::string text = "lockstep " + std::string(command.name) + ": " + std::string(command.summary) +
                     "\n\nusage: lockstep " + std::string(command.name);
  for (const ArgumentRow& row : rows) {
    if (row.positional) text += row.required ? " " + row.name : " [" + row.name + "]";
  }
  text += command.forwards_arguments ? " [ARGUMENTS]\n" : " [OPTIONS]\n";
  std::string group;
  const auto positional_first = [](const ArgumentRow& row) { return row.positional; };
  std::stable_partition(rows.begin(), rows.end(), positional_first);
  for (const ArgumentRow& row : rows) {
    const std::string heading = row.positional ? "arguments" : row.group;
    if (heading != group) {
      group = heading;
      text += "\n" + group + ":\n";
    }
    text += row_line(row);
  }
  if (command.epilogue != nullptr) text += "\n" + command.epilogue();
  return text;
}

}  // namespace lockstep::cli
