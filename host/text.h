// Pieces of what people read, in reports and messages: numbers, shapes, and texts of strangers made
// fit to be shown. Knows nothing else of the library, so that all of it may use it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace lockstep {

/// Shortest text that reads back as the same double, always with a point or exponent; nan and inf
/// as such.
std::string format_real(double value);

/// "[3, 4]"
std::string shape_text(std::span<const std::int64_t> shape);

/// Bytes of the well-formed UTF-8 sequence at the start of `text`, which is not empty; 0 if it is
/// malformed. Source: RFC 3629.
std::size_t sequence_length(std::string_view text);

/// Whether `text` is well-formed UTF-8 without control characters of ASCII.
bool is_plain_utf8(std::string_view text);

/// Printable UTF-8: control characters become '?', malformed bytes U+FFFD.
std::string printable(std::string_view text);

/// The first 80 bytes, or the few less that end a character, printable().
std::string excerpt(std::string_view text);

/// An excerpt() in single quotes, with an ellipsis where something is left out.
std::string in_quotes(std::string_view text);

/// Line ends and other control characters as spaces; bytes beyond ASCII stay as they are.
std::string one_line(std::string_view text);

}  // namespace lockstep
