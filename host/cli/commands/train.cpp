// lockstep train: one run with its run folder, and what is printed about it.
#include "host/cli/commands/train.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <vector>

#include "host/cli/command.h"
#include "host/cli/device.h"
#include "host/cli/output.h"
#include "host/cli/progress.h"
#include "host/cli/signals.h"
#include "host/engine.h"
#include "host/errors.h"
#include "host/plot/plot.h"

namespace lockstep::cli {
namespace {

using json = nlohmann::ordered_json;

constexpr std::int64_t kClassicInterval = 10;  // episodes

/// All rows of the table.
std::vector<ArgumentRow> train_rows() {
  std::vector<ArgumentRow> result = {environment_row()};
  for (const Option& option : option_table()) {
    if (option.name == "env") continue;
    ArgumentRow row = option_row(option.name);
    row.group = option.group;
    if (option.name == "seeds") row.completion = Completion::kNothing;
    result.push_back(row);
  }
  return result;
}

std::string train_epilogue() {
  std::string text =
      "Every option is also a variable (--lr-decay: LS_LR_DECAY) and, but for --config,\n"
      "--print-config and --resume, a TOML key of --config FILE (lr-decay). A flag beats a\n"
      "variable beats the file beats the recipe beats the default.\n\n"
      "HUP, INT, TERM, USR1, USR2, XCPU and PIPE end a run after its update, with a checkpoint "
      "and\n"
      "exit code 128 + signal; a second INT or TERM ends it at once. --resume goes on.\n\n"
      "recipes:\n";
  for (const Recipe& recipe : recipes()) {
    const std::string of = recipe.env.empty() ? "" : fmt::format(" of {}", recipe.env);
    text += fmt::format("  {}{}: {}\n   ", recipe.name, of, recipe.summary);
    if (!recipe.base.empty()) text += " as fast, but";
    std::size_t column = recipe.base.empty() ? 3 : 16;
    for (const auto& [name, value] : recipe.values) {
      const std::string item = fmt::format(" {}={}", name, value);
      if (column + item.size() > 100) {
        text += "\n   ";
        column = 3;
      }
      text += item;
      column += item.size();
    }
    text += "\n";
  }
  return text;
}

/// The lines of the classic recipe, on stdout while it trains.
class ClassicLines {
 public:
  explicit ClassicLines(const ProgramOptions& config)
      : on_(config.recipe == "classic" && !config.json && !config.quiet),
        every_call_(config.print_every > 0),
        seen_(config.resume.empty()) {}

  void update(const UpdateMetrics& metrics) {
    if (!on_) return;
    const std::int64_t count = metrics.episodes / kClassicInterval;
    // an update may play more than one episode; a resumed run has done others before
    const bool due = seen_ ? count != count_ : metrics.episodes % kClassicInterval == 0;
    seen_ = true;
    count_ = count;
    if (!due && !every_call_) return;
    print(fmt::format("| Episode: {:3} | Mean Rewards: {:>5} |\n", metrics.episodes,
                      score_text(metrics.mean_score)));
    flush_output();
  }
  void finish(const TrainResult& result) const {
    if (!on_ || !result.reached) return;
    print(fmt::format("Reached reward threshold in {} episodes\n", result.reached_episodes));
  }

 private:
  bool on_;
  bool every_call_;
  bool seen_;               // count_ is known
  std::int64_t count_ = 0;  // full intervals so far
};

double cut_percent(const TrainResult& result) {
  return 100.0 * static_cast<double>(result.cut_steps) / static_cast<double>(result.steps);
}

/// Over the whole run, as its steps and seconds are.
double steps_per_second(const TrainResult& result) {
  return result.seconds > 0 ? static_cast<double>(result.steps) / result.seconds : 0.0;
}

std::string stopped_by(const Config& config, const TrainResult& result) {
  if (result.stop_signal != 0) return "signal";
  if (result.time_limit_hit) return "time-limit";
  const bool finished =
      result.reached && result.updates >= result.reached_update + config.extra_updates;
  return finished ? "threshold" : "limit";
}

void print_json_result(const Config& config, const TrainResult& result) {
  json document = {{"env", config.env},
                   {"recipe", config.recipe},
                   {"seed", config.seed},
                   {"updates", result.updates},
                   {"episodes", result.episodes},
                   {"steps", result.steps},
                   {"seconds", result.seconds},
                   {"process_seconds", result.process_seconds},
                   {"steps_per_second", steps_per_second(result)},
                   {"cut_steps", result.cut_steps},
                   {"gradient_updates", result.gradient_updates},
                   {"mean_score", result.mean_score},
                   {"over", config.over},
                   {"until_score", config.until_score},
                   {"reached", nullptr},
                   {"stopped_by", stopped_by(config, result)},
                   {"run_folder", result.folder.string()}};
  if (result.reached) {
    document["reached"] = {{"update", result.reached_update},
                           {"episodes", result.reached_episodes},
                           {"steps", result.reached_steps},
                           {"seconds", result.reached_seconds}};
  }
  print_json("train", document);
}

std::string threshold_line(const Config& config, const TrainResult& result) {
  if (!result.reached) return fmt::format("{:g} not reached", config.until_score);
  return fmt::format("{:g} reached at update {}, episode {}, step {}, after {}", config.until_score,
                     grouped(result.reached_update), grouped(result.reached_episodes),
                     grouped(result.reached_steps), duration(result.reached_seconds));
}

/// The whole run's, as every other number; after --resume also this process's share.
std::string time_line(const Config& config, const TrainResult& result) {
  if (config.resume.empty()) return duration(result.seconds);
  return fmt::format("{}, of these {} since --resume", duration(result.seconds),
                     duration(result.process_seconds));
}

/// What was played and taught nothing.
std::string lost_lines(const Config& config, const TrainResult& result) {
  std::string text;
  if (result.cut_steps > 0) {
    text += result_line("no gradient",
                        fmt::format("from {:.3g} % of the steps, whose episodes --horizon {} cut",
                                    cut_percent(result), config.horizon));
  }
  if (result.updates > 0 && result.gradient_updates == 0) {
    text += result_line("gradient", "0 in every update: nothing was learned");
  }
  return text;
}

std::string curve(const Config& config, const TrainResult& result) {
  std::vector<double> x, y;
  for (const UpdateMetrics& metrics : result.curve) {
    x.push_back(static_cast<double>(metrics.steps));
    y.push_back(metrics.mean_score);
  }
  PlotOptions options;
  options.x_label = "environment steps";
  options.y_label = fmt::format("mean score of the last {} episodes", config.over);
  options.threshold = config.until_score;
  options.height = 10;
  return text_plot(x, y, options);
}

void print_text_result(const ProgramOptions& config, const TrainResult& result) {
  std::string text = config.env + (result.reached ? ": solved\n" : ": not solved\n");
  text += result_line("updates", grouped(result.updates));
  text += result_line("episodes", grouped(result.episodes));
  text += result_line("steps", grouped(result.steps));
  text += result_line("time", time_line(config, result));
  text += result_line("steps/s", with_unit(steps_per_second(result)));
  text += result_line("final score", result.episodes == 0
                                         ? "none, for no episode ended"
                                         : fmt::format("{} (mean of the last {} episodes)",
                                                       score_text(result.mean_score), config.over));
  text += result_line("threshold", threshold_line(config, result));
  text += lost_lines(config, result);
  if (result.stop_signal != 0) {
    text += result_line("stopped", fmt::format("by signal {}; go on with --resume {}",
                                               result.stop_signal, result.folder.string()));
  } else if (result.time_limit_hit) {
    text += result_line("stopped", "by --time-limit");
  }
  if (!result.folder.empty()) text += result_line("run folder", result.folder.string());
  if (!config.quiet && !result.curve.empty()) text += "\n" + curve(config, result);
  print(text);
}

int train_once(const ProgramOptions& config, const std::string& command_line,
               const volatile std::sig_atomic_t* stop_signal) {
  Engine engine(config);
  ClassicLines classic(config);
  Progress progress(config, config.env);
  TrainHooks hooks;
  hooks.command_line = command_line;
  hooks.stop_signal = stop_signal;
  hooks.on_warning = [&](const std::string& warning) {
    progress.clear();
    print_note("warning: " + warning);
  };
  show_with(config, hooks, [&](const UpdateMetrics& metrics) {
    classic.update(metrics);
    progress.update(metrics);
  });
  const TrainResult result = engine.train(hooks);
  progress.clear();
  if (!config.quiet && result.cut_steps > 0) {
    print_note(
        fmt::format("warning: {:.3g} % of the steps had no gradient: --horizon {} cut their "
                    "episodes",
                    cut_percent(result), config.horizon));
  }
  classic.finish(result);
  if (config.json) {
    print_json_result(config, result);
  } else {
    print_text_result(config, result);
  }
  return result.stop_signal != 0 ? signal_exit_code(result.stop_signal) : 0;
}

int run_train(const Arguments& arguments) {
  require_no_misspelled(other_variables());
  const ProgramOptions config = arguments.config();
  validate_training(config);
  if (config.print_config) {
    print(to_toml_of_call(config));
    return 0;
  }
  const volatile std::sig_atomic_t* stop_signal = catch_stop_signals();
  if (!config.quiet) {
    for (const std::string& name : unknown_variables(lockstep_environment())) {
      print_note("note: " + name + " is not an option and has no effect");
    }
    note_device(config, config.quiet);
    for (const std::string& note : training_notes(config)) print_note("note: " + note);
    print_note(training_summary(config));
  }
  if (!config.seeds.empty()) return train_seeds(config, stop_signal);
  return train_once(config, arguments.command_line(), stop_signal);
}

}  // namespace

std::string training_summary(const Config& config) {
  const auto text = [&](std::string_view name) { return option_text(config, *find_option(name)); };
  std::string policy = text("policy");
  if (config.policy == PolicyKind::kMlp) {
    policy += fmt::format(" {} {}", config.hidden, text("activation"));
  }
  return fmt::format("{}, {} environment{}, {}, {} {}, recipe {}, seed {}, {}", config.env,
                     config.envs, config.envs == 1 ? "" : "s", policy, text("optimizer"), config.lr,
                     config.recipe, config.seed, device_text(config));
}

constinit const Command kTrainCommand = {"train", "train a policy until it solves the environment",
                                         train_rows, run_train, train_epilogue};

}  // namespace lockstep::cli
