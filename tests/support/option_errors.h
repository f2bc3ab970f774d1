// What tests of the options share: what a call throws, and all settings as text. Test code only.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "host/errors.h"
#include "host/options/options.h"

namespace lockstep::test {

using Pairs = std::vector<std::pair<std::string, std::string>>;

/// What `call` throws, as "<exit code> <message>"; "nothing" if it does not.
template <typename Call>
std::string thrown_by(Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    return std::to_string(static_cast<int>(error.exit_code())) + " " + error.what();
  }
  return "nothing";
}

inline std::string flag_error(const std::string& name, const std::string& text) {
  return thrown_by([&] { resolve_config({.flags = {{name, text}}, .environment = {}}); });
}

/// One "name = text" for each row.
inline std::vector<std::string> all_texts(const ProgramOptions& config) {
  std::vector<std::string> texts;
  for (const Option& option : option_table()) {
    texts.push_back(std::string(option.name) + " = " + option_text(config, option));
  }
  return texts;
}

}  // namespace lockstep::test
