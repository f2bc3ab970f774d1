// Tests for host/cli/command.h: for every option of every command a flag beats its variable, and a
// variable what holds without it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "host/cli/parser.h"
#include "host/text.h"
#include "tests/support/option_errors.h"

namespace lockstep::cli {
namespace precedence_test {

using ::testing::StartsWith;
using Words = std::vector<std::string>;

/// A variable of this process for as long as it lives.
class Variable {
 public:
  Variable(std::string name, const std::string& text) : name_(std::move(name)) {
    setenv(name_.c_str(), text.c_str(), 1);
  }
  ~Variable() { unsetenv(name_.c_str()); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  std::string name_;
};

Arguments parse(const Words& words) {
  std::vector<const char*> argv = {"lockstep"};
  for (const std::string& word : words) argv.push_back(word.c_str());
  return *parse_command_line(static_cast<int>(argv.size()), argv.data()).arguments;
}

/// The command with an argument where it needs one.
Words line_of(const Command& command) {
  Words words = {std::string(command.name)};
  for (const ArgumentRow& row : command.rows()) {
    if (row.required)
      words.push_back(row.value.choices.empty() ? "x" : std::string(row.value.choices[0]));
  }
  return words;
}

/// The row's option with a value: two words, or one for the positional environment.
Words flag(const ArgumentRow& row, const std::string& text) {
  if (row.positional) return {text};
  return {"--" + row.name + "=" + text};
}

/// Two values other than the row's default where it has one.
std::pair<std::string, std::string> values_of(const ArgumentRow& row) {
  static const std::map<std::string, std::pair<std::string, std::string>> special = {
      {"block-size", {"32", "64"}},       {"env", {"pong", "cartpole"}},
      {"seeds", {"1..2", "3..4"}},        {"mode", {"sample", "epsilon=0.5"}},
      {"policy", {"linear", "mlp"}},      {"init", {"normal", "kaiming_uniform"}},
      {"critic", {"separate", "shared"}},
  };
  if (const auto found = special.find(row.name); found != special.end()) return found->second;
  const ValueSpec& spec = row.value;
  switch (spec.type) {
    case ValueType::kInteger:
      return {std::to_string(spec.int_min + 2), std::to_string(spec.int_min + 3)};
    case ValueType::kRange:
      return {"2", "3-5"};
    case ValueType::kSeed:
      return {"5", "6"};
    case ValueType::kReal: {
      const double low = std::isfinite(spec.real_min) ? spec.real_min : 0;
      const double width = std::isfinite(spec.real_max) ? spec.real_max - low : 4;
      return {format_real(low + width / 4), format_real(low + width / 2)};
    }
    case ValueType::kBoolean:
      return {"false", "true"};
    case ValueType::kText:
      break;
  }
  if (spec.choices.empty()) return {"7", "8"};
  return {std::string(spec.choices[1]), std::string(spec.choices[0])};
}

/// What a value must not be; empty where every text is one.
std::string bad_value(const ArgumentRow& row) {
  const bool any = row.value.type == ValueType::kText && row.value.choices.empty();
  return any ? "" : "no such value";
}

/// What the option needs beside it to be allowed.
Words company_of(const std::string& name) {
  for (const char* of_games : {"frame-skip", "repeat-action-probability", "noops", "credit"}) {
    if (name == of_games) return {"pong"};
  }
  if (name == "returns") return {"--baseline=none"};
  if (name == "horizon") return {"--baseline=none"};
  if (name == "momentum") return {"--optimizer=sgd"};
  const Option* option = find_option(name);
  const bool of_critic =
      option != nullptr && (option->group == "critic" || option->group == "passes");
  return of_critic ? Words{"--algorithm=ppo"} : Words{};
}

/// The value that the command works with.
std::string effective(const Arguments& arguments, const ArgumentRow& row) {
  const bool needs_files = row.name == "config" || row.name == "resume";
  if (!row.shared || needs_files) return arguments.text(row.name);
  return option_text(arguments.config(), *find_option(row.name));
}

template <typename Check>
void for_every_option(Check&& check) {
  int count = 0;
  for (const Command& command : commands()) {
    for (const ArgumentRow& row : command.rows()) {
      // no command but those with --math has the maximum of two frames
      if (!row.has_variable() || (row.name == "max-pool" && row.shared)) continue;
      SCOPED_TRACE(std::string(command.name) + " --" + row.name);
      Words line = line_of(command);
      if (row.shared && !row.positional) {
        for (const std::string& word : company_of(row.name)) line.push_back(word);
      }
      check(line, row);
      ++count;
    }
  }
  EXPECT_GT(count, 130);
}

TEST(PrecedenceTest, AFlagBeatsAVariableForEveryOptionOfEveryCommand) {
  for_every_option([](const Words& line, const ArgumentRow& row) {
    const auto [by_flag, by_variable] = values_of(row);
    const std::string name = variable_name(row.name);
    Words with_flag = line;
    for (const std::string& word : flag(row, by_flag)) with_flag.push_back(word);
    const std::string before = effective(parse(line), row);
    {
      const Variable variable(name, by_variable);
      const Arguments arguments = parse(line);
      EXPECT_EQ(effective(arguments, row), by_variable);
      EXPECT_EQ(arguments.origin(row.name).name, name);
      EXPECT_TRUE(arguments.given(row.name));
      EXPECT_EQ(effective(parse(with_flag), row), by_flag);
    }
    EXPECT_EQ(effective(parse(line), row), before);
    EXPECT_FALSE(parse(line).given(row.name));
  });
}

TEST(PrecedenceTest, ABadVariableIsNamedUnlessAFlagTakesItsPlace) {
  for_every_option([](const Words& line, const ArgumentRow& row) {
    const std::string bad = bad_value(row), name = variable_name(row.name);
    if (bad.empty()) return;
    Words with_flag = line;
    for (const std::string& word : flag(row, values_of(row).first)) with_flag.push_back(word);
    const Variable variable(name, bad);
    EXPECT_THAT(test::thrown_by([&] { parse(line); }),
                StartsWith("2 " + name + ": '" + bad + "' is not"));
    EXPECT_EQ(test::thrown_by([&] { parse(with_flag); }), "nothing");
  });
}

TEST(PrecedenceTest, AStrongerSourceBeatsAnotherWordForTheSame) {
  const auto config = [](const Words& words) { return parse(words).config(); };
  {
    const Variable seeds("LS_SEEDS", "1..5");
    EXPECT_EQ(config({"train"}).seeds, "1..5");
    EXPECT_EQ(config({"train", "--seed", "3"}).seeds, "");
    EXPECT_EQ(config({"train", "--out", "x"}).seeds, "");
  }
  {
    const Variable seed("LS_SEED", "9"), from("LS_INIT_FROM", "file"), out("LS_OUT", "folder");
    EXPECT_EQ(config({"train", "--seeds", "1..2"}).seeds, "1..2");
    EXPECT_EQ(config({"train"}).init_from, "file");
    EXPECT_EQ(config({"train", "--init", "normal"}).init_from, "");
    EXPECT_EQ(config({"train", "--seeds", "1..2"}).out, "");
  }
  EXPECT_EQ(test::thrown_by([&] {
              config({"train", "--seed", "1", "--seeds", "2..3"});
            }),
            "2 --seed: not allowed with --seeds");
}

}  // namespace precedence_test
}  // namespace lockstep::cli
