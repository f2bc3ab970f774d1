// See record.h.
#include "host/cli/record.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <span>

#include "host/backend/environments.h"
#include "host/build_stamp.h"
#include "host/files/crc32c.h"

namespace lockstep::cli {
namespace {

using json = nlohmann::ordered_json;

constexpr std::string_view kNotResults[] = {"save",    "json",    "quiet",     "device",
                                            "threads", "mapping", "block-size"};

/// Whether the row is about games, and there is none.
bool means_nothing(const ArgumentRow& row, const Config& config) {
  const Option* option = find_option(row.name);
  const bool of_games = row.name == "starts" || (option != nullptr && option->group == "game");
  return of_games && !find_environment(config.env).has_objects();
}

std::string value_of(const ArgumentRow& row, const Arguments& arguments, const Config& config) {
  const std::string text = arguments.text(row.name);
  const Option* option = find_option(row.name);
  // a row that is not shared and has no value leaves it to the run
  const bool from_config = option != nullptr && (row.shared || text.empty());
  return from_config ? option_text(config, *option) : text;
}

}  // namespace

json record_of(std::string_view command, const Arguments& arguments, const Config& config,
               const std::vector<NamedTensor>& weights) {
  json options = json::object();
  for (const ArgumentRow& row : arguments.rows()) {
    const bool no_result = std::find(std::begin(kNotResults), std::end(kNotResults), row.name) !=
                           std::end(kNotResults);
    if (no_result || means_nothing(row, config)) continue;
    const std::string value = value_of(row, arguments, config);
    if (!value.empty()) options[row.name] = value;
  }
  json record = {{"command", command},
                 {"version", build_stamp::kVersion},
                 {"recipe", config.recipe},
                 {"options", options},
                 {"weights_crc32c", nullptr}};
  std::uint32_t crc = 0;
  for (const NamedTensor& tensor : weights)
    crc = crc32c(std::as_bytes(std::span(tensor.data)), crc);
  if (!weights.empty()) record["weights_crc32c"] = fmt::format("{:08x}", crc);
  return record;
}

void add_record(NpzWriter& archive, const json& record) {
  const std::string text = record.dump(-1, ' ', false, json::error_handler_t::replace);
  archive.add("record", NpyType::kUint8, {static_cast<std::int64_t>(text.size())},
              std::as_bytes(std::span(text)));
}

}  // namespace lockstep::cli
