// Parsing and messages of single values; see option_value.h.
#include "host/options/option_value.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstddef>
#include <system_error>

#include "host/errors.h"
#include "host/options/suggestion.h"
#include "host/text.h"

namespace lockstep {
namespace {

constexpr std::string_view kNone = "none";

/// How a value from the outside is shown: numbers as they are, anything else in quotes.
std::string shown(std::string_view text) {
  const bool plain =
      !text.empty() && text.size() <= 32 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '.' || c == '-' || c == '+';
      });
  return plain ? std::string(text) : in_quotes(text);
}

[[noreturn]] void throw_out_of_range(const ValueSpec& spec, std::string_view text,
                                     const Origin& origin) {
  throw_bad_value(origin, shown(text) + " is not in " + range_text(spec));
}

[[noreturn]] void throw_wrong_type(const ValueSpec& spec, std::string_view text,
                                   const Origin& origin, const char* kind) {
  throw_bad_value(origin, in_quotes(text) + " is not " + kind + " in " + range_text(spec));
}

std::string joined(std::span<const std::string_view> names, std::string_view separator) {
  std::string text;
  for (const std::string_view name : names) {
    if (!text.empty()) text += separator;
    text += name;
  }
  return text;
}

/// All choices, the numbered one also as "cuda:N".
std::string choices_text(const ValueSpec& spec, std::string_view separator) {
  std::string text = joined(spec.choices, separator);
  if (!spec.numbered.empty()) text += std::string(separator) + std::string(spec.numbered) + ":N";
  return text;
}

/// Whether `text` is spec.numbered with a number of at most four digits, as "cuda:12".
bool is_numbered(const ValueSpec& spec, std::string_view text) {
  constexpr std::size_t kMostDigits = 4;
  if (spec.numbered.empty() || !text.starts_with(spec.numbered)) return false;
  text.remove_prefix(spec.numbered.size());
  return text.starts_with(':') && text.size() >= 2 && text.size() <= 1 + kMostDigits &&
         text.find_first_not_of("0123456789", 1) == std::string_view::npos;
}

}  // namespace

void throw_bad_value(const Origin& origin, const std::string& what) {
  const std::string message = origin.name + ": " + what;
  if (origin.from_file) throw BadInput(message);
  throw InvalidArgument(message);
}

void check_value(const ValueSpec& spec, std::string_view text, const Origin& origin) {
  switch (spec.type) {
    case ValueType::kInteger:
      parse_integer(spec, text, origin);
      break;
    case ValueType::kRange:
      parse_range(spec, text, origin);
      break;
    case ValueType::kSeed:
      parse_seed(text, origin);
      break;
    case ValueType::kReal:
      parse_real(spec, text, origin);
      break;
    case ValueType::kBoolean:
      parse_boolean(text, origin);
      break;
    case ValueType::kText:
      parse_text(spec, text, origin);
      break;
  }
}

std::int64_t parse_integer(const ValueSpec& spec, std::string_view text, const Origin& origin) {
  if (spec.optional && text == kNone) return kNoLimit;
  std::int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (stop != end || error == std::errc::invalid_argument) {
    throw_wrong_type(spec, text, origin, "an integer");
  }
  if (error != std::errc() || value < spec.int_min || value > spec.int_max) {
    throw_out_of_range(spec, text, origin);
  }
  return value;
}

std::uint64_t parse_seed(std::string_view text, const Origin& origin) {
  std::uint64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  const bool negative = text.size() > 1 && text[0] == '-' &&
                        text.find_first_not_of("0123456789", 1) == std::string_view::npos;
  if (!negative && (stop != end || error == std::errc::invalid_argument)) {
    throw_wrong_type(seed_value(), text, origin, "an integer");
  }
  if (negative || error != std::errc()) throw_out_of_range(seed_value(), text, origin);
  return value;
}

double parse_real(const ValueSpec& spec, std::string_view text, const Origin& origin) {
  if (spec.optional && text == kNone) return kInfinity;
  double value = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (stop != end || error == std::errc::invalid_argument) {
    throw_wrong_type(spec, text, origin, "a number");
  }
  const bool above = spec.open_min ? value > spec.real_min : value >= spec.real_min;
  const bool below = spec.open_max ? value < spec.real_max : value <= spec.real_max;
  // written so that NaN fails; infinity is in no range
  if (error != std::errc() || !(above && below) || std::isinf(value)) {
    throw_out_of_range(spec, text, origin);
  }
  const auto single = static_cast<float>(value);
  if (spec.float32 && (std::isinf(single) || (single == 0.0f && value != 0))) {
    throw_bad_value(origin, in_quotes(text) + " is " + (single == 0.0f ? "0" : "infinite") +
                                " as a float32, which has numbers from 1.5e-45 to 3.4e38");
  }
  return value;
}

std::pair<std::int64_t, std::int64_t> parse_range(const ValueSpec& spec, std::string_view text,
                                                  const Origin& origin) {
  const ValueSpec each = integer_in(spec.int_min, spec.int_max);
  const std::size_t dash = text.find('-', 1);
  const std::int64_t first = parse_integer(each, text.substr(0, dash), origin);
  if (dash == std::string_view::npos) return {first, first};
  const std::int64_t last = parse_integer(each, text.substr(dash + 1), origin);
  if (first > last) throw_bad_value(origin, in_quotes(text) + " is empty; give A-B with A <= B");
  return {first, last};
}

bool parse_boolean(std::string_view text, const Origin& origin) {
  if (text == "true" || text == "1") return true;
  if (text == "false" || text == "0") return false;
  throw_bad_value(origin, in_quotes(text) + " is not one of true, false");
}

std::string parse_text(const ValueSpec& spec, std::string_view text, const Origin& origin) {
  if (!is_plain_utf8(text)) {
    throw_bad_value(origin, in_quotes(text) + " is not UTF-8 text without control characters");
  }
  if (!spec.choices.empty() && !is_numbered(spec, text)) parse_choice(spec, text, origin);
  if (spec.output && text == "-") {
    throw_bad_value(origin,
                    "'-' is no file, and standard output is for the report; name a file "
                    "(./- for one of that name), a device or a FIFO");
  }
  return std::string(text);
}

int parse_choice(const ValueSpec& spec, std::string_view text, const Origin& origin) {
  const auto found = std::find(spec.choices.begin(), spec.choices.end(), text);
  if (found != spec.choices.end()) return static_cast<int>(found - spec.choices.begin());
  throw_bad_value(origin, in_quotes(text) + " is not one of " + choices_text(spec, ", ") +
                              nearest_hint(text, spec.choices));
}

std::string range_text(const ValueSpec& spec) {
  std::string text;
  switch (spec.type) {
    case ValueType::kInteger:
    case ValueType::kRange:
      text = "[" + std::to_string(spec.int_min) + ", " + std::to_string(spec.int_max) + "]";
      if (spec.type == ValueType::kRange) text += " or A-B";
      break;
    case ValueType::kSeed:
      text = "[0, " + std::to_string(std::numeric_limits<std::uint64_t>::max()) + "]";
      break;
    case ValueType::kReal: {
      const auto bound = [](double value) {
        char digits[32];
        const auto result = std::to_chars(digits, digits + sizeof digits, value);
        return std::string(digits, result.ptr);
      };
      text = (spec.open_min ? "(" : "[") + bound(spec.real_min) + ", " + bound(spec.real_max) +
             (spec.open_max ? ")" : "]");
      break;
    }
    case ValueType::kBoolean:
      text = "true | false";
      break;
    case ValueType::kText:
      text = spec.choices.empty() ? "text" : choices_text(spec, " | ");
      break;
  }
  return spec.optional ? text + " or none" : text;
}

}  // namespace lockstep
