// metrics.jsonl (host/files/metrics.h): read for a plot, and cut back when a run is resumed.
#include "host/files/metrics.h"

#include <cmath>

#include "host/errors.h"
#include "tests/fuzz/fuzz.h"

namespace lockstep::fuzz {
namespace {

constexpr std::int64_t kMaxCount = std::int64_t{1} << 62;

bool same(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

bool same(const UpdateMetrics& a, const UpdateMetrics& b) {
  return a.update == b.update && a.steps == b.steps && same(a.mean_score, b.mean_score) &&
         same(a.grad_norm, b.grad_norm) && same(a.seconds, b.seconds) && a.has_eval == b.has_eval &&
         (!a.has_eval || same(a.eval_score, b.eval_score));
}

void check_rows(const std::vector<UpdateMetrics>& rows) {
  std::int64_t before = -1;
  for (const UpdateMetrics& m : rows) {
    check(m.update > before, "updates that do not rise");
    before = m.update;
    for (const std::int64_t count : {m.update, m.steps, m.episodes}) {
      check(count >= 0 && count <= kMaxCount, "a count outside of its range");
    }
  }
}

void check_round_trip(const std::vector<UpdateMetrics>& rows, const std::filesystem::path& path) {
  std::string text;
  for (const UpdateMetrics& m : rows) text += metrics_line(m, 1.0);
  spill(path, text);
  const auto again = read_metrics(path);
  check(std::equal(rows.begin(), rows.end(), again.begin(), again.end(),
                   [](const auto& a, const auto& b) { return same(a, b); }),
        "what was written reads back differently");
}

// Cut back to the middle row: the kept part of the file is a part of the old one.
void check_resume(std::string_view input, const std::vector<UpdateMetrics>& rows) {
  clear_scratch();
  const std::filesystem::path path = scratch() / MetricsLog::kFileName;
  spill(path, input);
  const std::int64_t last = rows.empty() ? 0 : rows[rows.size() / 2].update;
  {
    MetricsLog log = MetricsLog::resume(scratch(), last);
    check(log.kept().empty() || log.kept().back().update <= last, "an update beyond the cut");
    UpdateMetrics next;
    next.update = last + 1;
    log.append(next);
    log.close();
  }
  const std::string content = slurp(path);
  check(input.starts_with(content.substr(0, content.rfind('\n', content.size() - 2) + 1)),
        "resuming changed lines that were there");
  check(read_metrics(path).back().update == last + 1, "a resumed log lost its new line");
}

void run(std::string_view input) {
  const std::filesystem::path path = scratch() / MetricsLog::kFileName;
  spill(path, input);
  std::vector<UpdateMetrics> rows;
  try {
    rows = bounded(64 * input.size() + (64 << 10), [&] { return read_metrics(path); });
  } catch (const BadInput&) {
    return;
  }
  check_rows(rows);
  check_round_trip(rows, path);
  if (rows.empty() || rows[rows.size() / 2].update < kMaxCount) check_resume(input, rows);
}

std::vector<std::string> seeds() {
  UpdateMetrics m;
  m.update = 1;
  m.mean_score = std::nan("");
  std::string text = metrics_line(m, 1.5);
  const std::string one = text;
  m.update = 20;
  m.steps = 1000;
  m.seconds = 0.25;
  m.has_eval = true;
  m.eval_score = 12.5;
  text += metrics_line(m, 2.5);
  m.update = 30;
  text += metrics_line(m, 3.5);
  return {one, text, text.substr(0, text.size() - 5)};
}

std::vector<std::string> words() {
  return {"\"update\": ",
          "\"global_step\": ",
          "\"episodes\": ",
          "\"charts/eval_return\": ",
          "\"time/seconds\": ",
          "null",
          "}\n{"};
}

std::string mutate(std::string input, Random& random,
                   const std::function<std::string(std::string)>& bytes) {
  if (random() % 4 == 0) return bytes(input);
  if (random() % 4 != 0) return mutate_json(input, random);
  const std::size_t end = input.find('\n', below(random, input.size()));  // a line once more
  if (end == std::string::npos) return input + "\n";
  const std::size_t begin = end == 0 ? 0 : input.rfind('\n', end - 1) + 1;
  return input.insert(begin, input.substr(begin, end + 1 - begin));
}

const Registration registration({"metrics", seeds, run, words, mutate});

}  // namespace
}  // namespace lockstep::fuzz
