// What a result depends on, beside it: enough to repeat the call.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "host/cli/command.h"
#include "host/files/npy.h"
#include "host/tensor.h"

namespace lockstep::cli {

/// {"command", "version", "recipe", "options": {"env": "pong", ...}, "weights_crc32c"}: the value
/// of every option that counts, given or not, as text that the option takes, by the command's rows.
/// Not in it: where results go and what only changes the speed (device, threads, mapping, block
/// size), so that the record of equal results is equal.
///
/// config: the settings that the command worked with. `weights`: of the policy; empty: null
nlohmann::ordered_json record_of(std::string_view command, const Arguments& arguments,
                                 const Config& config, const std::vector<NamedTensor>& weights);

/// Adds it to an archive as the array `record`: uint8, UTF-8 text of JSON.
void add_record(NpzWriter& archive, const nlohmann::ordered_json& record);

}  // namespace lockstep::cli
