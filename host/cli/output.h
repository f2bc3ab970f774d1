// What commands print: results to stdout, messages to stderr, numbers as people read them.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lockstep::cli {

/// Results. Errors: IoError if stdout takes no more; none if its reader is gone and a signal that
/// ends the program in good order has come (signals.h).
void print(std::string_view text);
void flush_output();
/// One document with "schema": "lockstep.<command>/1" first; not finite numbers become null.
void print_json(std::string_view command, const nlohmann::ordered_json& document);

/// "lockstep: error: <message>" on stderr, always one line.
void print_error(std::string_view message);
/// "lockstep: <message>" on stderr.
void print_note(std::string_view message);

/// "1,234,567"
std::string grouped(std::int64_t value);
/// "36.6 M", three digits with k, M or G.
std::string with_unit(double value);
/// Seconds with three significant digits: "2.13 ms", "1.25 s".
std::string duration(double seconds);
/// "475.0"; "none" where there is none: NaN, or what stands for it in a sorted list.
std::string score_text(double score);
/// Values between lines of a result block: "  name          value\n".
std::string result_line(std::string_view name, std::string_view value);

/// Quantile by linear interpolation between order statistics (NumPy's default). `sorted` ascends
/// and may begin and end in infinities; NaN if empty.
double quantile(std::span<const double> sorted, double fraction);
inline constexpr double kQuantiles[] = {0.05, 0.25, 0.5, 0.75, 0.95};

}  // namespace lockstep::cli
