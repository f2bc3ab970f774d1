// See mode_option.h.
#include "host/cli/mode_option.h"

#include <string>
#include <string_view>
#include <utility>

namespace lockstep::cli {
namespace {

constexpr std::string_view kModes[] = {"greedy", "sample", "epsilon"};
constexpr std::string_view kEpsilonPrefix = "epsilon=";

}  // namespace

ArgumentRow mode_row(std::string fallback) {
  return {.name = "mode",
          .value = any_text(),
          .help =
              "how actions are chosen: greedy, sample, or epsilon=X with X in [0, 1]: a random "
              "action with that probability",
          .fallback = std::move(fallback),
          .completion = Completion::kNothing};
}

Mode mode_of(const Arguments& arguments) {
  const std::string text = arguments.text("mode");
  const Origin origin = arguments.origin("mode");
  if (text.starts_with(kEpsilonPrefix)) {
    return {
        ActionMode::kEpsilon,
        parse_real(real_in(0, 1), std::string_view(text).substr(kEpsilonPrefix.size()), origin)};
  }
  constexpr ActionMode kByIndex[] = {ActionMode::kGreedy, ActionMode::kSample,
                                     ActionMode::kEpsilon};
  const ActionMode mode = kByIndex[parse_choice(one_of(kModes), text, origin)];
  if (mode == ActionMode::kEpsilon) {
    throw_bad_value(origin, "'epsilon' needs a value in [0, 1], such as epsilon=0.05");
  }
  return {mode, 0};
}

}  // namespace lockstep::cli
