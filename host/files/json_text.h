// JSON of files that a stranger may have made, as a tree. Decided here: how deep it may be. What
// must be in it is decided by the readers.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "host/errors.h"

namespace lockstep {

/// Copying and printing a tree call themselves once a level: some ten thousand levels, a file of
/// twenty kilobytes, end a stack of 8 MiB. Our own files have four.
inline constexpr int kMaxJsonDepth = 16;

/// The value that `text` holds, at most `levels` deep.
/// Errors: BadInput with the reason alone; callers say which file it is.
template <class Json = nlohmann::json>
Json parse_json(std::string_view text, int levels = kMaxJsonDepth) {
  constexpr std::size_t kLongestReason = 200;  // the parser's words repeat what it read last
  const typename Json::parser_callback_t bound_depth = [levels](int depth, auto event, Json&) {
    using Event = typename Json::parse_event_t;
    const bool opens = event == Event::object_start || event == Event::array_start;
    if (opens && depth >= levels) throw BadInput("nested too deeply");
    return true;
  };
  try {
    return Json::parse(text, bound_depth);
  } catch (const typename Json::exception& error) {
    throw BadInput("not JSON: " + std::string(error.what()).substr(0, kLongestReason));
  }
}

}  // namespace lockstep
