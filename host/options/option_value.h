// What one option may be set to, and how text becomes such a value. Decided here: the wording of
// every "not in range" and "unknown name" message. Not decided here: which options exist
// (options.h) and which exit code a wrong value has beyond flag or file.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace lockstep {

enum class ValueType {
  kInteger,  // int64
  kRange,    // two int64, "2-4", or both the same, "4"
  kSeed,     // uint64, the whole range
  kReal,     // finite double
  kBoolean,  // true | false
  kText,     // any UTF-8 text, or one of `choices`
};

/// The allowed values of one option. Built by the constexpr helpers below.
struct ValueSpec {
  ValueType type = ValueType::kText;
  std::int64_t int_min = 0, int_max = 0;  // both allowed
  double real_min = 0, real_max = 0;
  bool open_min = false, open_max = false;      // real: the bound itself is not allowed
  std::span<const std::string_view> choices{};  // text: the only values; empty = any
  bool optional = false;                        // "none" is a value too: -1 or +infinity
  bool output = false;                          // text: names what is written, so not "-"
  std::string_view numbered{};                  // text: the choice that may be followed by ":N"
  bool empty = false;                           // text: nothing is a value too: "--out="
  bool float32 = false;                         // real: computed with as one, so neither 0 nor
                                                // infinite there unless it is 0 here
};

constexpr ValueSpec integer_in(std::int64_t min, std::int64_t max) {
  return {.type = ValueType::kInteger, .int_min = min, .int_max = max};
}
/// "A-B" with min <= A <= B <= max, or "A".
constexpr ValueSpec range_in(std::int64_t min, std::int64_t max) {
  return {.type = ValueType::kRange, .int_min = min, .int_max = max};
}
/// [min, max)
constexpr ValueSpec real_below(double min, double max) {
  return {.type = ValueType::kReal, .real_min = min, .real_max = max, .open_max = true};
}
/// (min, max)
constexpr ValueSpec real_between(double min, double max) {
  return {.type = ValueType::kReal,
          .real_min = min,
          .real_max = max,
          .open_min = true,
          .open_max = true};
}
/// [min, max]
constexpr ValueSpec real_in(double min, double max) {
  return {.type = ValueType::kReal, .real_min = min, .real_max = max};
}
constexpr ValueSpec seed_value() { return {.type = ValueType::kSeed}; }
constexpr ValueSpec boolean_value() { return {.type = ValueType::kBoolean}; }
constexpr ValueSpec any_text() { return {.type = ValueType::kText}; }
/// The file or folder that something is written to. "-" would be standard output, which is for the
/// report, and is refused.
constexpr ValueSpec output_path() { return {.type = ValueType::kText, .output = true}; }
constexpr ValueSpec one_of(std::span<const std::string_view> choices) {
  return {.type = ValueType::kText, .choices = choices};
}
/// `choice` may name one of several: "cuda" and "cuda:1".
constexpr ValueSpec with_number(ValueSpec spec, std::string_view choice) {
  spec.numbered = choice;
  return spec;
}
constexpr ValueSpec or_empty(ValueSpec spec) {
  spec.empty = true;
  return spec;
}
constexpr ValueSpec as_float32(ValueSpec spec) {
  spec.float32 = true;
  return spec;
}
constexpr ValueSpec or_none(ValueSpec spec) {
  spec.optional = true;
  return spec;
}

inline constexpr std::int64_t kNoLimit = -1;  // "none" of an optional integer
inline constexpr double kInfinity = std::numeric_limits<double>::infinity();

/// Where a value came from, for messages and the exit code.
struct Origin {
  std::string name;        // "--lr", "LS_LR" or "run.toml:3: lr"
  bool from_file = false;  // BadInput instead of InvalidArgument
};

/// Throws InvalidArgument, or BadInput for a file: "<origin>: <what>".
[[noreturn]] void throw_bad_value(const Origin& origin, const std::string& what);

/// Whether `text` is a value. Errors: as throw_bad_value, naming the value and the range.
void check_value(const ValueSpec& spec, std::string_view text, const Origin& origin);

/// Text to value. Errors: as check_value().
std::int64_t parse_integer(const ValueSpec& spec, std::string_view text, const Origin& origin);
/// First and last.
std::pair<std::int64_t, std::int64_t> parse_range(const ValueSpec& spec, std::string_view text,
                                                  const Origin& origin);
std::uint64_t parse_seed(std::string_view text, const Origin& origin);
double parse_real(const ValueSpec& spec, std::string_view text, const Origin& origin);
bool parse_boolean(std::string_view text, const Origin& origin);
/// Checks UTF-8 and, with choices, membership.
std::string parse_text(const ValueSpec& spec, std::string_view text, const Origin& origin);
/// Index into spec.choices; an unknown name is answered with one that is near (suggestion.h).
int parse_choice(const ValueSpec& spec, std::string_view text, const Origin& origin);

/// "[1, 4096]", "(0, inf)", "adam | sgd", "true | false", "text"; with " or none" if optional.
std::string range_text(const ValueSpec& spec);

}  // namespace lockstep
