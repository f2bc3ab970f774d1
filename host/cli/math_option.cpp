// See math_option.h.
#include "host/cli/math_option.h"

#include "host/cli/output.h"

namespace lockstep::cli {
namespace {

constexpr std::string_view kNames[] = {"exact", "dense"};  // in the order of Math

}  // namespace

ArgumentRow math_row() {
  return {.name = "math",
          .value = one_of(kNames),
          .help =
              "exact: the same bits everywhere; dense: matrix products by OpenBLAS or cuBLAS, "
              "whose bits are theirs (training is always exact)",
          .fallback = "exact"};
}

Math math_of(const Arguments& arguments) {
  return static_cast<Math>(
      parse_choice(one_of(kNames), arguments.text("math"), arguments.origin("math")));
}

std::string math_name(Math math) { return std::string(kNames[static_cast<int>(math)]); }

nlohmann::ordered_json library_json(const std::string& library) {
  return library.empty() ? nlohmann::ordered_json(nullptr) : nlohmann::ordered_json(library);
}

std::string math_line(Math math, const std::string& library) {
  return math == Math::kExact ? "" : result_line("math", math_name(math) + " (" + library + ")");
}

}  // namespace lockstep::cli
