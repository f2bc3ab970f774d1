// The training loop.
#include "host/train/trainer.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <exception>
#include <limits>
#include <numeric>
#include <optional>

#include "host/backend/threads.h"
#include "host/errors.h"
#include "host/files/metrics.h"
#include "host/files/run_folder.h"
#include "host/options/options.h"
#include "host/train/learning_rate.h"
#include "host/train/progress.h"

namespace lockstep {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kMostUpdates = 1024;  // handed to the backend at once

constexpr double kNoValue = std::numeric_limits<double>::quiet_NaN();

double mean(const auto& values) {
  if (values.empty()) return kNoValue;
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

/// Greedy episodes; of a game one from each start, in turn.
PlayRequest evaluation_request(const Config& config, const EnvironmentEntry& environment) {
  PlayRequest request;
  request.num_envs = config.eval_episodes;
  request.game = game_options(config, environment, kEvaluationNoops);
  request.game.noops_in_turn = true;
  request.T = episode_limit(request.game, environment);
  return request;
}

/// What a run writes: folder, logs, checkpoints. Absent with TrainHooks::write_files = false.
struct RunFiles {
  RunFolder folder;
  std::optional<MetricsLog> metrics;
  std::string config_toml;
  std::int64_t saved_update = -1;  // newest checkpoint of this process
};

/// An update that was done, for the log.
struct DoneUpdate {
  UpdateResult result;
  double lr;
  bool evaluated;
  double seconds;  // as UpdateMetrics
};

class Training {
 public:
  Training(Backend& backend, const Config& config, const EnvironmentEntry& environment,
           const TrainHooks& hooks, const RunRecord& program)
      : backend_(backend),
        config_(config),
        hooks_(hooks),
        program_(program),
        shape_(policy_shape(config, environment)),
        evaluation_(evaluation_request(config, environment)),
        lr_step_(decay_factor(config)) {}

  TrainResult run(const TrainingState& initial) {
    try {
      open(initial);
      start_ = Clock::now();
      seconds_before_ = progress_.seconds;
      state_is_good_ = true;
      loop();
      return close();
    } catch (const NumericError& error) {
      const std::string advised = error.what() + ("; " + numeric_error::advice(config_));
      fail(advised);
      throw NumericError(advised);
    } catch (const Error& error) {
      fail(error.what());
      throw;
    } catch (const std::exception& error) {
      state_is_good_ = false;  // thrown by something that promises nothing
      fail(error.what());
      throw;
    } catch (...) {
      state_is_good_ = false;
      fail("unknown failure");
      throw;
    }
  }

 private:
  /// Takes up a run, or starts one.
  void open(const TrainingState& initial) {
    TrainingState state = initial;
    const bool resuming = !config_.resume.empty();
    if (resuming) {
      RunFolder folder = RunFolder::open(config_.resume);
      // a run that ended before its first checkpoint starts again: same seed, same bits
      if (has_checkpoint(folder.checkpoints())) {
        restore(folder, state);
        trim_recent();
      }
      if (hooks_.write_files) {
        // the process before may have died within its last save; a run that has nothing left to
        // do saves once more, which sets `last` and tidies up
        files_.emplace(RunFiles{std::move(folder), std::nullopt, to_toml(config_), -1});
        files_->metrics =
            MetricsLog::resume(files_->folder.path(), progress_.update, hooks_.on_warning);
        curve_ = files_->metrics->kept();
        earlier_end_ = files_->metrics->earlier_end();
      }
    } else if (hooks_.write_files) {
      files_.emplace(RunFiles{RunFolder::create(config_), std::nullopt, to_toml(config_), -1});
    }
    if (files_) {
      files_->folder.start(record(), files_->config_toml);
      recorded_ = true;
      if (!resuming) files_->metrics.emplace(files_->folder.path(), hooks_.on_warning);
    }
    backend_.list_at_most(config_.over);  // what the mean of the last episodes needs
    backend_.upload(state);
    lr_factor_ = state.lr_factor;
  }

  /// From the newest checkpoint that is whole; of those passed over people are told.
  void restore(const RunFolder& folder, TrainingState& state) {
    std::vector<std::string> skipped;
    const auto newest = newest_checkpoint(folder.checkpoints(), &skipped);
    for (const std::string& reason : skipped) {
      if (hooks_.on_warning) hooks_.on_warning(reason + "; going on from an older checkpoint");
    }
    try {
      restore_checkpoint(load_checkpoint(newest), config_, shape_, state, progress_);
    } catch (const BadInput& error) {
      throw BadInput(newest.string() + ": " + error.what());
    }
  }

  void trim_recent() {
    while (static_cast<std::int64_t>(progress_.recent.size()) > config_.over) {
      progress_.recent.pop_front();
    }
  }

  RunRecord record() const {
    RunRecord record = program_;
    record.command_line = hooks_.command_line;
    record.device = backend_.name();
    record.threads = thread_count(config_.threads);
    return record;
  }

  double elapsed() const { return std::chrono::duration<double>(Clock::now() - start_).count(); }

  bool stop() {
    const auto at_least = [](std::int64_t value, std::int64_t limit) {
      return limit >= 0 && value >= limit;
    };
    if (hooks_.stop_signal != nullptr && *hooks_.stop_signal != 0) {
      stop_signal_ = *hooks_.stop_signal;
      return true;
    }
    if (at_least(progress_.update, config_.updates)) return true;
    if (progress_.reached && progress_.update >= last_extra_update()) return true;
    time_limit_hit_ = seconds_before_ + elapsed() >= config_.time_limit;
    if (time_limit_hit_) return true;
    // what depends on results is tested at log points, where every backend knows them
    if (!due(config_.log_every)) return false;
    return at_least(progress_.episodes, config_.episodes) ||
           at_least(progress_.steps, config_.steps);
  }
  std::int64_t last_extra_update() const {
    return progress_.reached_update + config_.extra_updates;
  }

  /// Rates of the updates up to the next one that something is to be done after.
  std::vector<double> next_rates() {
    std::int64_t end = progress_.update + kMostUpdates;
    for (const std::int64_t every :
         {config_.log_every, config_.eval_every, config_.checkpoint_every, hooks_.print_every}) {
      if (every > 0) end = std::min(end, (progress_.update / every + 1) * every);
    }
    if (config_.updates >= 0) end = std::min(end, config_.updates);
    if (progress_.reached) end = std::min(end, last_extra_update());
    std::vector<double> rates;
    double factor = lr_factor_;
    for (std::int64_t update = progress_.update; update < end; ++update) {
      rates.push_back(learning_rate(config_, decayed_before(update), factor));
      factor *= decay_of(update);
    }
    return rates;
  }

  void loop() {
    while (!stop()) {
      const std::vector<double> rates = next_rates();
      auto results = backend_.updates(static_cast<std::uint32_t>(progress_.update), rates);
      for (std::size_t i = 0; i < results.size(); ++i) {
        state_is_good_ = false;  // a run resumed from here would lack the row and the test of log()
        lr_factor_ *= decay_of(progress_.update);
        progress_.add(results[i], config_.over);
        newest_ = {std::move(results[i]), rates[i], false, seconds_before_ + elapsed()};
        // due after the last of the updates asked for, if at all
        newest_->evaluated = evaluate_if_due();
        newest_->seconds = seconds_before_ + elapsed();
        if (due(config_.log_every)) log(metrics_of(*newest_));
        state_is_good_ = true;
        if (due(hooks_.print_every) && hooks_.on_print) hooks_.on_print(metrics_of(*newest_));
        if (due(config_.checkpoint_every)) save();
      }
    }
  }

  /// Updates of the decay before this one.
  std::int64_t decayed_before(std::int64_t update) const {
    const bool at_threshold = config_.lr_decay_start == kNoLimit;
    if (at_threshold && !progress_.reached) return 0;
    const std::int64_t start = at_threshold ? progress_.reached_update : config_.lr_decay_start;
    return std::max<std::int64_t>(update - start, 0);
  }
  /// What lr_factor is multiplied by after an update.
  double decay_of(std::int64_t update) const {
    return decayed_before(update + 1) > 0 ? lr_step_ : 1.0;
  }
  bool due(std::int64_t every) const { return every > 0 && progress_.update % every == 0; }

  bool evaluate_if_due() {
    if (!due(config_.eval_every)) return false;
    PlayRequest request = evaluation_;
    request.stream = {config_.seed, kEvaluationEpoch + static_cast<std::uint32_t>(
                                                           progress_.update / config_.eval_every)};
    eval_score_ = mean(backend_.play(backend_.download().parameters, request, nullptr).score);
    if (!progress_.has_best || eval_score_ > progress_.best_eval) {
      progress_.has_best = true;
      progress_.best_eval = eval_score_;
      if (files_) save_checkpoint(files_->folder.checkpoints(), "best", checkpoint());
    }
    return true;
  }

  UpdateMetrics metrics_of(const DoneUpdate& done) const {
    const UpdateResult& result = done.result;
    const double episodes = result.episodes > 0 ? static_cast<double>(result.episodes) : kNoValue;
    UpdateMetrics m;
    m.update = progress_.update;
    m.episodes = progress_.episodes;
    m.steps = progress_.steps;
    m.seconds = done.seconds;
    m.mean_score = progress_.mean_score();
    m.batch_score = result.score_sum / episodes;
    m.batch_length = static_cast<double>(result.length_sum) / episodes;
    m.learning_rate = done.lr;
    static_cast<UpdateFigures&>(m) = result.learned() ? result : kNoFigures;
    m.eval_score = done.evaluated ? eval_score_ : 0;
    m.has_eval = done.evaluated;
    return m;
  }

  /// A log point: metrics, and the test of the threshold.
  void log(const UpdateMetrics& m) {
    curve_.push_back(m);
    if (files_) files_->metrics->append(m);
    const bool enough = static_cast<std::int64_t>(progress_.recent.size()) >= config_.over;
    if (!progress_.reached && enough && m.mean_score >= config_.until_score) {
      progress_.reached = true;
      progress_.reached_update = m.update;
      progress_.reached_episodes = m.episodes;
      progress_.reached_steps = m.steps;
      progress_.reached_seconds = m.seconds;
    }
    state_is_good_ = true;  // also if the caller's hook fails
    if (hooks_.on_log) hooks_.on_log(m);
  }

  /// The last update is a log point even between two of --log-every. A run that goes on has none
  /// there, so the checkpoint, saved before, does not know what is found here, and a resumed run
  /// takes the row back; if it has nothing left to do, it puts the row there again.
  void log_end() {
    std::optional<UpdateMetrics> end = earlier_end_;
    if (newest_) end = due(config_.log_every) ? std::nullopt : std::optional(metrics_of(*newest_));
    newest_.reset();
    earlier_end_.reset();
    if (!end) return;
    end->at_end = true;
    log(*end);
  }

  Checkpoint checkpoint() {
    TrainingState state = backend_.download();
    state.lr_factor = lr_factor_;
    return make_checkpoint(config_, files_->config_toml, shape_, state, progress_);
  }

  void save() {
    if (!files_) return;
    progress_.seconds = seconds_before_ + elapsed();
    files_->metrics->flush();
    save_checkpoint(files_->folder.checkpoints(), progress_.update, checkpoint());
    files_->saved_update = progress_.update;
    prune_checkpoints(files_->folder.checkpoints(), config_.keep);
  }

  TrainResult close() {
    if (files_ && files_->saved_update != progress_.update) save();
    log_end();
    TrainResult result = summary();
    if (!files_) return result;
    files_->metrics->close();
    finish(result, result.stop_signal != 0 ? "interrupted" : "finished");
    return result;
  }

  void finish(const TrainResult& result, const char* status, const std::string& error = {}) {
    const std::string lost = files_->folder.finish(config_, result, status, error);
    if (!lost.empty() && hooks_.on_warning) hooks_.on_warning(lost);
  }

  /// Keeps what is good after an error: the backend's state is the one before the failed update.
  /// Each step is tried whatever became of the one before, and the first error is the one to
  /// report.
  void fail(const std::string& error) noexcept {
    if (!files_) return;
    const auto attempt = [](const auto& step) {
      try {
        step();
      } catch (...) {
      }
    };
    if (state_is_good_ && files_->saved_update != progress_.update) attempt([&] { save(); });
    // whatever failed: open() has taken the row of an earlier end away
    if (files_->metrics) attempt([&] { log_end(); });
    if (files_->metrics) attempt([&] { files_->metrics->close(); });
    if (recorded_) attempt([&] { finish(summary(), "failed", error); });
  }

  TrainResult summary() const {
    TrainResult r;
    r.updates = progress_.update;
    r.episodes = progress_.episodes;
    r.steps = progress_.steps;
    r.process_seconds = elapsed();
    r.seconds = seconds_before_ + r.process_seconds;
    r.mean_score = progress_.mean_score();
    r.cut_steps = progress_.cut_steps;
    r.gradient_updates = progress_.gradient_updates;
    r.reached = progress_.reached;
    r.reached_update = progress_.reached_update;
    r.reached_episodes = progress_.reached_episodes;
    r.reached_steps = progress_.reached_steps;
    r.reached_seconds = progress_.reached_seconds;
    r.stop_signal = stop_signal_;
    r.time_limit_hit = time_limit_hit_;
    r.curve = curve_;
    if (files_) r.folder = files_->folder.path();
    return r;
  }

  Backend& backend_;
  const Config& config_;
  const TrainHooks& hooks_;
  const RunRecord& program_;
  PolicyShape shape_;
  PlayRequest evaluation_;
  double lr_step_;
  double lr_factor_ = 1;
  TrainProgress progress_;
  std::optional<RunFiles> files_;
  std::vector<UpdateMetrics> curve_;
  Clock::time_point start_ = Clock::now();
  bool recorded_ = false;             // run.json speaks of this process
  bool state_is_good_ = false;        // to save: after progress_.update updates, all of them logged
  std::optional<DoneUpdate> newest_;  // of this process
  std::optional<UpdateMetrics> earlier_end_;  // what log_end() of the process before wrote
  double seconds_before_ = 0;
  double eval_score_ = 0;
  int stop_signal_ = 0;
  bool time_limit_hit_ = false;
};

}  // namespace

TrainResult run_training(Backend& backend, const Config& config,
                         const EnvironmentEntry& environment, const TrainingState& initial,
                         const TrainHooks& hooks, const RunRecord& program) {
  return Training(backend, config, environment, hooks, program).run(initial);
}

}  // namespace lockstep
