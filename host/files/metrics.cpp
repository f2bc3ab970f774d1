// See metrics.h. A run of the fast recipe takes a few milliseconds, so a log point may cost only a
// few microseconds: lines are formatted by std::to_chars, not by a JSON library. Reading is rare
// and its input may be anything, so it goes through the library.
#include "host/files/metrics.h"

#include <fcntl.h>

#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string_view>
#include <utility>

#include "host/errors.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;

constexpr double kFlushInterval = 1.0;     // seconds
constexpr std::size_t kMaxLine = 1 << 20;  // bytes; ours have some 400

struct CountField {
  const char* key;
  std::int64_t UpdateMetrics::*member;
};
struct RealField {
  const char* key;
  double UpdateMetrics::*member;
};

// the names of both logs, and their order in a line
constexpr CountField kCounts[] = {{"update", &UpdateMetrics::update},
                                  {"global_step", &UpdateMetrics::steps},
                                  {"episodes", &UpdateMetrics::episodes}};
constexpr RealField kReals[] = {{"charts/episodic_return", &UpdateMetrics::mean_score},
                                {"charts/batch_return", &UpdateMetrics::batch_score},
                                {"charts/episodic_length", &UpdateMetrics::batch_length},
                                {"charts/learning_rate", &UpdateMetrics::learning_rate},
                                {"losses/policy_loss", &UpdateMetrics::policy_loss},
                                {"losses/entropy", &UpdateMetrics::entropy},
                                {"losses/grad_norm", &UpdateMetrics::grad_norm}};
// there with a critic alone
constexpr RealField kOfCritic[] = {
    {"losses/value_loss", &UpdateMetrics::value_loss},
    {"losses/explained_variance", &UpdateMetrics::explained_variance},
    {"losses/approx_kl", &UpdateMetrics::approx_kl},
    {"losses/clipfrac", &UpdateMetrics::clip_fraction}};
constexpr RealField kEval = {"charts/eval_return", &UpdateMetrics::eval_score};
constexpr RealField kSeconds = {"time/seconds", &UpdateMetrics::seconds};
constexpr const char* kUnixTime = "time/unix";
constexpr const char* kStepsPerSecond = "charts/SPS";
constexpr const char* kEnd = "end";

double now() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

double steps_per_second(const UpdateMetrics& m) {
  return m.seconds > 0 ? static_cast<double>(m.steps) / m.seconds
                       : std::numeric_limits<double>::quiet_NaN();
}

void append_key(std::string& out, const char* key) {
  out += out.empty() || out.back() == '\n' ? "{\"" : ", \"";
  out += key;
  out += "\": ";
}

void append_number(std::string& out, std::int64_t value) {
  std::array<char, 24> text;
  out.append(text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr);
}

// The shortest text that reads back as the same double.
void append_number(std::string& out, double value) {
  if (!std::isfinite(value)) {
    out += "null";  // JSON has no word for it
    return;
  }
  std::array<char, 32> text;
  out.append(text.data(), std::to_chars(text.data(), text.data() + text.size(), value).ptr);
  if (value == 0 && std::signbit(value)) out += ".0";  // as the integer -0 it would lose its sign
}

template <typename Number>
void append_field(std::string& out, const char* key, Number value) {
  append_key(out, key);
  append_number(out, value);
}

void append_line(std::string& out, const UpdateMetrics& m, double unix_time) {
  for (const CountField& field : kCounts) append_field(out, field.key, m.*field.member);
  for (const RealField& field : kReals) append_field(out, field.key, m.*field.member);
  for (const RealField& field : kOfCritic) {
    if (!std::isnan(m.*field.member)) append_field(out, field.key, m.*field.member);
  }
  if (m.has_eval) append_field(out, kEval.key, m.eval_score);
  append_field(out, kSeconds.key, m.seconds);
  append_field(out, kUnixTime, unix_time);
  append_field(out, kStepsPerSecond, steps_per_second(m));
  if (m.at_end) {
    append_key(out, kEnd);
    out += "true";
  }
  out += "}\n";
}

double real_at(const nlohmann::json& object, const char* key) {
  const auto it = object.find(key);
  if (it == object.end()) throw BadInput(std::string("no key ") + key);
  if (it->is_null()) return std::numeric_limits<double>::quiet_NaN();
  if (!it->is_number()) throw BadInput(std::string(key) + " is not a number");
  return it->get<double>();
}

std::int64_t count_at(const nlohmann::json& object, const char* key) {
  const auto it = object.find(key);
  if (it == object.end()) throw BadInput(std::string("no key ") + key);
  // of unsigned type are, by the library's rules, those without a minus sign
  if (!it->is_number_unsigned() || it->get<std::uint64_t>() > std::uint64_t{1} << 62) {
    throw BadInput(std::string(key) + " is not a count in 0..2^62");
  }
  return it->get<std::int64_t>();
}

UpdateMetrics parse_line(std::string_view line) {
  const auto object = nlohmann::json::parse(line.begin(), line.end(), nullptr, false);
  if (!object.is_object()) throw BadInput("not a JSON object");
  UpdateMetrics m;
  for (const CountField& field : kCounts) m.*field.member = count_at(object, field.key);
  for (const RealField& field : kReals) m.*field.member = real_at(object, field.key);
  for (const RealField& field : kOfCritic) {
    if (object.contains(field.key)) m.*field.member = real_at(object, field.key);
  }
  m.has_eval = object.contains(kEval.key);
  if (m.has_eval) m.eval_score = real_at(object, kEval.key);
  m.seconds = real_at(object, kSeconds.key);
  m.at_end = object.contains(kEnd);
  return m;
}

// The next line without its '\n', which is still to be skipped. Empty at the end and for a torn
// last line: the process ended inside a write. Errors: BadInput for a line over kMaxLine.
std::optional<std::string_view> next_line(ForwardReader& reader) {
  std::string_view text = reader.peek(1);
  for (std::size_t from = 0;;) {
    const std::size_t end = text.find('\n', from);
    if (end != std::string_view::npos) return text.substr(0, end);
    from = text.size();
    if (from > kMaxLine) throw BadInput("a line over 1 MiB");
    text = reader.peek(from + 1);
    if (text.size() == from) return {};
  }
}

struct Lines {
  std::vector<UpdateMetrics> rows;    // of the lines up to the last update wanted
  std::uint64_t size = 0;             // bytes of these lines
  std::uint64_t size_before_end = 0;  // the same without a last row that is an end's
};

Lines read_lines(const fs::path& path, std::int64_t last_update) {
  ForwardReader reader(path);
  Lines out;
  for (std::size_t number = 1;; ++number) {
    UpdateMetrics m;
    std::optional<std::string_view> line;
    try {
      line = next_line(reader);
      if (!line) break;
      m = parse_line(*line);
      if (!out.rows.empty() && m.update <= out.rows.back().update) {
        throw BadInput("update " + std::to_string(m.update) + " comes after update " +
                       std::to_string(out.rows.back().update));
      }
    } catch (const BadInput& error) {
      throw BadInput(path.string() + ":" + std::to_string(number) + ": " + error.what());
    }
    if (m.update > last_update) break;
    out.rows.push_back(m);
    const std::uint64_t before = out.size;
    out.size += line->size() + 1;
    out.size_before_end = m.at_end ? before : out.size;
    reader.skip(line->size() + 1);
  }
  return out;
}

}  // namespace

MetricsLog::MetricsLog(FileHandle file, Warn on_warning)
    : file_(std::move(file)), on_warning_(std::move(on_warning)), last_flush_(now()) {
  buffer_.reserve(kLogBuffer + 1024);
}

MetricsLog::MetricsLog(const fs::path& folder, Warn on_warning)
    : MetricsLog(FileHandle(folder / kFileName, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND),
                 std::move(on_warning)) {
  with_events([&] { events_.emplace(folder, now()); });
}

template <class Step>
void MetricsLog::with_events(const Step& step) {
  try {
    step();
  } catch (const Error& error) {
    events_.reset();
    if (on_warning_) on_warning_(std::string("no more TensorBoard events: ") + error.what());
  }
}

MetricsLog MetricsLog::resume(const fs::path& folder, std::int64_t last_update, Warn on_warning) {
  const fs::path path = folder / kFileName;
  FileHandle file(path, O_WRONLY | O_CREAT | O_APPEND);
  Lines lines = read_lines(path, last_update);
  std::optional<UpdateMetrics> earlier_end;
  if (!lines.rows.empty() && lines.rows.back().at_end) {
    if (lines.rows.back().update == last_update) earlier_end = lines.rows.back();
    lines.rows.pop_back();
    lines.size = lines.size_before_end;
  }
  // cutting a file shorter is one step for a reader and for a crash; no new file is needed
  if (file.size() != lines.size) file.truncate(lines.size);
  const std::int64_t last_step = lines.rows.empty() ? 0 : lines.rows.back().steps;
  MetricsLog log(std::move(file), std::move(on_warning));
  log.with_events([&] { log.events_.emplace(EventWriter::resume(folder, now(), last_step)); });
  log.size_ = lines.size;
  log.kept_ = std::move(lines.rows);
  log.earlier_end_ = earlier_end;
  return log;
}

MetricsLog::~MetricsLog() {
  try {
    if (file_.is_open()) flush();
  } catch (const Error&) {
    // a destructor cannot report; close() does
  }
}

void MetricsLog::append(const UpdateMetrics& metrics) {
  const double time = now();
  append_line(buffer_, metrics, time);
  const auto scalar = [&](const char* key, double value) {
    if (!events_ || std::isnan(value)) return;
    with_events([&] { events_->add_scalar(key, metrics.steps, value, time); });
  };
  for (const RealField& field : kReals) scalar(field.key, metrics.*field.member);
  for (const RealField& field : kOfCritic) scalar(field.key, metrics.*field.member);
  if (metrics.has_eval) scalar(kEval.key, metrics.eval_score);
  scalar(kStepsPerSecond, steps_per_second(metrics));
  if (buffer_.size() >= kLogBuffer || std::abs(time - last_flush_) >= kFlushInterval) {
    flush();
    last_flush_ = time;
  }
}

void MetricsLog::flush() {
  // a later flush would say that all is written, and a checkpoint be saved with a gap in its log
  if (lost_) throw IoError(std::string(kFileName) + ": lines before could not be written");
  try {
    file_.write(buffer_);
  } catch (const IoError&) {
    // a full disk may have taken half a line; nothing may be appended to that
    lost_ = true;
    buffer_.clear();
    try {
      file_.truncate(size_);
    } catch (const Error&) {
      // the first failure is the one to report
    }
    throw;
  }
  size_ += buffer_.size();
  buffer_.clear();
  if (events_) with_events([&] { events_->flush(); });
}

void MetricsLog::close() {
  flush();
  file_.close();
  if (events_) with_events([&] { events_->close(); });
}

std::string metrics_line(const UpdateMetrics& metrics, double unix_time) {
  std::string line;
  append_line(line, metrics, unix_time);
  return line;
}

std::vector<UpdateMetrics> read_metrics(const fs::path& path) {
  return read_lines(path, std::numeric_limits<std::int64_t>::max()).rows;
}

}  // namespace lockstep
