// lockstep view: plays an episode of a saved policy in the terminal.
#include <fmt/format.h>
#include <time.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <vector>

#include "host/cli/command.h"
#include "host/cli/output.h"
#include "host/cli/signals.h"
#include "host/cli/watch/terminal_screen.h"
#include "host/cli/watch/watched_episode.h"

namespace lockstep::cli {
namespace {

constexpr double kMaxRate = 1000;  // pictures a second

std::vector<ArgumentRow> view_rows() {
  std::vector<ArgumentRow> rows = episode_rows();
  rows.push_back({.name = "fps",
                  .value = real_in(0, kMaxRate),
                  .help = "pictures a second, other than the game's own; 0: as fast as they can be "
                          "shown",
                  .completion = Completion::kNothing});
  return rows;
}

std::string view_epilogue() {
  return "Ctrl-C or q ends it. A terminal with 24-bit colour is needed, the larger the better.\n" +
         episode_epilogue();
}

std::int64_t nanoseconds_now() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return std::int64_t{now.tv_sec} * 1000000000 + now.tv_nsec;
}

/// Sleeps until pictures are due. A terminal that is too slow is shown fewer of them.
class Pacer {
 public:
  /// 0: no waiting.
  explicit Pacer(double rate) : rate_(rate), start_(nanoseconds_now()) {}

  /// Whether the picture after the one that is due now is due already.
  bool is_late() const { return rate_ > 0 && nanoseconds_now() > due(count_ + 1); }
  /// Until the next picture is due, or a signal comes.
  void wait() {
    ++count_;
    if (rate_ > 0) sleep_until(due(count_));
  }
  void linger(double seconds) const {
    if (rate_ > 0) sleep_until(nanoseconds_now() + static_cast<std::int64_t>(seconds * 1e9));
  }

 private:
  std::int64_t due(std::int64_t picture) const {
    return start_ + static_cast<std::int64_t>(static_cast<double>(picture) / rate_ * 1e9);
  }
  static void sleep_until(std::int64_t moment) {
    const timespec at{moment / 1000000000, moment % 1000000000};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, nullptr);  // EINTR: a signal came
  }

  double rate_;
  std::int64_t start_, count_ = 0;
};

/// Shows the episode to its end, or until somebody stops it.
void play(const WatchedEpisode& watched, double rate) {
  EpisodePictures pictures = watched.pictures();
  if (rate < 0) rate = pictures.frames_per_second();
  TerminalScreen screen;
  TerminalPicture window;
  const auto show = [&] {
    const std::string text =
        fmt::format(" {}  episode {}  step {}  score {:g}", watched.config().env,
                    watched.episode().number, pictures.step(), pictures.score());
    screen.write(window.draw(screen.size(), picture_of(pictures), pictures.pixel_aspect(), text));
  };
  show();
  Pacer pacer(rate);
  const auto stopped = [&] { return caught_signal() != 0 || screen.key() == 'q'; };
  while (!stopped()) {
    pacer.wait();
    if (!pictures.next()) {
      show();  // also if it was late
      pacer.linger(1);
      break;
    }
    if (!pacer.is_late()) show();
  }
}

int run_view(const Arguments& arguments) {
  const std::string rate = arguments.text("fps");
  const double pictures_per_second =
      rate.empty() ? -1 : parse_real(real_in(0, kMaxRate), rate, arguments.origin("fps"));
  TerminalScreen::require_terminal();
  catch_stop_signals();
  const WatchedEpisode watched(arguments);
  if (caught_signal() == 0) play(watched, pictures_per_second);
  if (caught_signal() != 0) return signal_exit_code(caught_signal());
  if (!watched.call().quiet) print(watched.summary() + "\n");
  return 0;
}

}  // namespace

constinit const Command kViewCommand = {"view", "play an episode of a saved policy in the terminal",
                                        view_rows, run_view, view_epilogue};

}  // namespace lockstep::cli
