// See progress.h.
#include "host/cli/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "host/cli/output.h"

namespace lockstep::cli {
namespace {

using namespace std::chrono_literals;
constexpr auto kBarInterval = 100ms;
constexpr auto kLineInterval = 10s;
constexpr int kBarWidth = 24;
constexpr std::string_view kWipe = "\r\x1b[K";

bool is_terminal() {
  const char* term = std::getenv("TERM");
  return isatty(STDERR_FILENO) == 1 && term != nullptr && std::string_view(term) != "dumb";
}

/// 0 where there is no limit.
double part(double value, double limit) { return limit > 0 ? value / limit : 0.0; }
double part(std::int64_t value, std::int64_t limit) {
  return part(static_cast<double>(value), static_cast<double>(limit));
}

void write(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); }

}  // namespace

double fraction_done(const Config& config, const UpdateMetrics& metrics) {
  const double done =
      std::max({part(metrics.update, config.updates), part(metrics.episodes, config.episodes),
                part(metrics.steps, config.steps), part(metrics.seconds, config.time_limit),
                part(metrics.mean_score, config.until_score)});
  return done > 0 ? std::min(done, 1.0) : 0.0;  // NaN before the first episode counts as 0
}

Progress::Progress(const ProgramOptions& options, std::string label)
    : config_(options),
      label_(std::move(label)),
      style_(options.quiet   ? Style::kSilent
             : is_terminal() ? Style::kBar
                             : Style::kLines),
      interval_(options.print_every > 0 ? Clock::duration(0)
                : style_ == Style::kBar ? Clock::duration(kBarInterval)
                                        : Clock::duration(kLineInterval)),
      next_(Clock::now() + interval_) {}

Progress::~Progress() { clear(); }

void Progress::update(const UpdateMetrics& metrics) {
  if (style_ == Style::kSilent) return;
  const Clock::time_point now = Clock::now();
  if (now < next_) return;
  next_ = now + interval_;
  const double done = fraction_done(config_, metrics);
  std::string line = fmt::format("update {}  episodes {}  steps {}  score {}",
                                 grouped(metrics.update), grouped(metrics.episodes),
                                 grouped(metrics.steps), score_text(metrics.mean_score));
  if (style_ == Style::kBar) {
    const int filled = static_cast<int>(done * kBarWidth);
    line = fmt::format("{}{} [{:#<{}}{:.<{}}] {:3.0f} %  {}", kWipe, label_, "", filled, "",
                       kBarWidth - filled, done * 100, line);
    drawn_ = true;
  } else {
    line = fmt::format("{}: {}\n", label_, line);
  }
  write(line);
}

void show_with(const ProgramOptions& options, TrainHooks& hooks,
               std::function<void(const UpdateMetrics&)> show) {
  hooks.print_every = options.print_every;
  (options.print_every > 0 ? hooks.on_print : hooks.on_log) = std::move(show);
}

void Progress::clear() {
  if (drawn_) write(kWipe);
  drawn_ = false;
}

}  // namespace lockstep::cli
