// See mode_option.h.
#include "host/cli/mode_option.h"

#include <string>
#include <string_view>

namespace lockstep::cli {
namespace {

constexpr std::string_view kModes[] = {"greedy", "sample", "epsilon"};
constexpr std::string_view kEpsilonPrefix = "epsilon=";

}  // namespace

ArgumentRow mode_row() {
  return {.name = "mode",
          .value = any_text(),
          .help =
              "how actions are chosen: greedy, sample, or epsilon=X with X in [0, 1]: a random "
              "action with that probability",
          .fallback = "greedy",
          .completion = Completion::kNothing};
}

void set_mode(const Arguments& arguments, EvalOptions& options) {
  const std::string text = arguments.text("mode");
  const Origin origin{"--mode"};
  if (text.starts_with(kEpsilonPrefix)) {
    options.mode = ActionMode::kEpsilon;
    options.epsilon =
        parse_real(real_in(0, 1), std::string_view(text).substr(kEpsilonPrefix.size()), origin);
    return;
  }
  constexpr ActionMode kByIndex[] = {ActionMode::kGreedy, ActionMode::kSample,
                                     ActionMode::kEpsilon};
  options.mode = kByIndex[parse_choice(one_of(kModes), text, origin)];
  if (options.mode == ActionMode::kEpsilon) {
    throw_bad_value(origin, "'epsilon' needs a value in [0, 1], such as epsilon=0.05");
  }
}

}  // namespace lockstep::cli
