// Options as TOML, both ways. Files are hostile input: bounded in size, every key known, every
// value of the right type, and each complaint with its line.
#include <algorithm>
#include <cstddef>

// our own writer needs no formatters; a failed assertion of the parser (3.3.0 has one for "[[[") is
// followed by a proper error, so hostile text must not abort a debug build
#define TOML_ENABLE_FORMATTERS 0
#define TOML_ASSERT(expr) static_assert(true)
#include <toml++/toml.h>

#include "host/errors.h"
#include "host/files/durable_file.h"
#include "host/options/options.h"
#include "host/options/suggestion.h"
#include "host/text.h"

namespace lockstep {
namespace {

std::string at_line(const std::string& where, const toml::source_region& source) {
  return where + ":" + std::to_string(source.begin.line);
}

toml::table parse(std::string_view text, const std::string& where) {
  if (text.size() > kMaxConfigBytes) {
    throw BadInput(where + ": " + std::to_string(text.size()) + " bytes, more than " +
                   std::to_string(kMaxConfigBytes));
  }
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& error) {
    throw BadInput(at_line(where, error.source()) + ": " + one_line(error.description()));
  }
}

std::string_view type_word(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a float";
    case toml::node_type::boolean:
      return "a boolean";
    default:
      return "a date or time";
  }
}

/// The value as the text set_option() takes.
std::string value_text(const toml::node& node, const Option& option, const Origin& origin) {
  const ValueType type = option.value.type;
  const bool text_allowed = type == ValueType::kText || type == ValueType::kSeed ||
                            type == ValueType::kRange || option.value.optional;
  if (node.is_string() && text_allowed) return node.as_string()->get();
  if (node.is_integer() && type != ValueType::kText && type != ValueType::kBoolean) {
    return std::to_string(node.as_integer()->get());
  }
  if (node.is_floating_point() && type == ValueType::kReal) {
    return format_real(node.as_floating_point()->get());
  }
  if (node.is_boolean() && type == ValueType::kBoolean) {
    return node.as_boolean()->get() ? "true" : "false";
  }
  throw_bad_value(origin, std::string(type_word(node)) + " is not in " + range_text(option.value));
}

[[noreturn]] void throw_unknown_key(std::string_view key, const std::string& line) {
  std::vector<std::string_view> names;
  for (const Option& option : option_table()) {
    if (option.scope != OptionScope::kSource) names.push_back(option.name);
  }
  throw BadInput(line + ": unknown key " + in_quotes(key) + nearest_hint(key, names));
}

Setting read_entry(std::string_view key, const toml::node& node, const std::string& where) {
  const std::string line = at_line(where, node.source());
  const Option* option = find_option(key);
  if (option == nullptr) throw_unknown_key(key, line);
  const Origin origin{line + ": " + std::string(key), true};
  if (option->scope == OptionScope::kSource) {
    throw_bad_value(origin, "allowed on the command line and as " + variable_name(option->name) +
                                ", not in a file");
  }
  return {option, value_text(node, *option, origin), origin};
}

std::string toml_string(std::string_view text) {
  std::string result = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') result += '\\';
    result += c;  // set_option() and validate() let no control character through
  }
  return result + "\"";
}

std::string toml_value(const std::string& text, const Option& option) {
  switch (option.value.type) {
    case ValueType::kText:
    case ValueType::kRange:
      return toml_string(text);
    case ValueType::kSeed: {
      // TOML integers end at 2^63 - 1
      const bool fits = text.size() < 19 || (text.size() == 19 && text <= "9223372036854775807");
      return fits ? text : toml_string(text);
    }
    default:
      return text == "none" ? toml_string(text) : text;
  }
}

/// The rows up to `last`, which are the run's or also the call's.
template <class Options>
std::string toml_of(const Options& options, OptionScope last) {
  std::string text = "# lockstep settings; `lockstep train --config FILE` reads them\n";
  std::string_view group;
  for (const Option& option : option_table()) {
    if (option.scope > last) continue;
    if (option.group != group) {
      group = option.group;
      text += "\n# " + std::string(group) + "\n";
    }
    text += std::string(option.name) + " = " + toml_value(option_text(options, option), option);
    text += "\n";
  }
  return text;
}

}  // namespace

std::vector<Setting> read_toml(std::string_view text, const std::string& where) {
  const toml::table table = parse(text, where);
  struct Entry {
    std::string_view key;
    const toml::node* node;
  };
  std::vector<Entry> entries;
  for (const auto& [key, node] : table) entries.push_back({key.str(), &node});
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return a.node->source().begin < b.node->source().begin;
  });
  std::vector<Setting> settings;
  settings.reserve(entries.size());
  for (const Entry& entry : entries) settings.push_back(read_entry(entry.key, *entry.node, where));
  return settings;
}

ProgramOptions config_from_toml(const std::filesystem::path& path) {
  return config_from_toml_text(read_file(path, kMaxConfigBytes), path.string());
}

std::string to_toml(const Config& config) { return toml_of(config, OptionScope::kRun); }

std::string to_toml_of_call(const ProgramOptions& options) {
  return toml_of(options, OptionScope::kCall);
}

}  // namespace lockstep
