// lockstep eval: plays whole episodes of a saved policy and prints how the scores spread.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <nlohmann/json.hpp>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "host/cli/command.h"
#include "host/cli/math_option.h"
#include "host/cli/output.h"
#include "host/cli/played_policy.h"
#include "host/cli/record.h"
#include "host/engine.h"
#include "host/files/npy.h"
#include "host/plot/plot.h"

namespace lockstep::cli {
namespace {

using json = nlohmann::ordered_json;

constexpr int kBins = 10;
constexpr std::uint8_t kNoAction = 255;  // beyond the end of an episode

std::vector<ArgumentRow> eval_rows() {
  return played_rows({
      {.name = "episodes",
       .value = integer_in(1, 100000000),
       .help = "episodes to play",
       .fallback = "1000"},
      {.name = "save",
       .value = output_path(),
       .help = "write scores, lengths and actions of the episodes to this .npz file"},
      option_row("json"),
  });
}

std::string eval_epilogue() {
  return std::string(kPlayedEpilogue) +
         " --save: score float32 [N], length int32 [N] in steps, action uint8 [N, T],\n"
         "255 beyond the end; of a game noops and frames int32 [N], its frames without an action\n"
         "and in all; record, JSON text in UTF-8 with every option the scores depend on.\n";
}

void save_eval(const std::string& path, const EvalResult& result, const json& record) {
  NpzWriter archive(path);
  const auto N = static_cast<std::int64_t>(result.scores.size());
  const auto add = [&](const char* name, const std::vector<std::int32_t>& values) {
    if (!values.empty()) archive.add(name, NpyType::kInt32, {N}, std::as_bytes(std::span(values)));
  };
  archive.add("score", {N}, result.scores);
  add("length", result.lengths);
  add("noops", result.noops);
  add("frames", result.frames);
  const std::int64_t T = *std::max_element(result.lengths.begin(), result.lengths.end());
  std::vector<std::uint8_t> actions(static_cast<std::size_t>(N * T), kNoAction);
  for (std::int64_t i = 0; i < N; ++i) {
    const std::vector<std::uint8_t>& episode = result.actions[static_cast<std::size_t>(i)];
    std::copy(episode.begin(), episode.end(), actions.begin() + i * T);
  }
  archive.add("action", {N, T}, actions);
  add_record(archive, record);
  archive.close();
}

struct Summary {
  std::vector<double> sorted;
  double mean = 0, std = 0, mean_length = 0;  // population standard deviation
};

Summary summarize(const EvalResult& result) {
  Summary summary;
  summary.sorted.assign(result.scores.begin(), result.scores.end());
  std::sort(summary.sorted.begin(), summary.sorted.end());
  const auto count = static_cast<double>(summary.sorted.size());
  summary.mean = std::accumulate(summary.sorted.begin(), summary.sorted.end(), 0.0) / count;
  double squares = 0;
  for (const double score : summary.sorted)
    squares += (score - summary.mean) * (score - summary.mean);
  summary.std = std::sqrt(squares / count);
  summary.mean_length = std::accumulate(result.lengths.begin(), result.lengths.end(), 0.0) / count;
  return summary;
}

void print_json_evaluation(const Config& config, const std::string& path, const std::string& mode,
                           const EvalOptions& options, const EvalResult& result,
                           const std::string& saved, const json& record) {
  const Summary summary = summarize(result);
  json quantiles;
  for (const double fraction : kQuantiles) {
    quantiles[fmt::format("p{:.0f}", fraction * 100)] = quantile(summary.sorted, fraction);
  }
  json document = {{"env", config.env},
                   {"path", path},
                   {"mode", mode},
                   {"math", math_name(options.math)},
                   {"library", library_json(result.library)},
                   {"seed", options.seed},
                   {"episodes", options.episodes},
                   {"mean", summary.mean},
                   {"std", summary.std},
                   {"min", summary.sorted.front()},
                   {"max", summary.sorted.back()},
                   {"quantiles", quantiles},
                   {"mean_length", summary.mean_length},
                   {"steps", result.steps},
                   {"seconds", result.seconds},
                   {"saved", nullptr},
                   {"record", record}};
  if (!saved.empty()) document["saved"] = saved;
  print_json("eval", document);
}

void print_text_evaluation(const PlayedPolicy& played, const std::string& mode,
                           const EvalResult& result, const std::string& saved) {
  const EvalOptions& options = played.options;
  const Summary summary = summarize(result);
  std::string text =
      fmt::format("{}: {} episodes, {}\n", played.config().env, grouped(options.episodes), mode);
  text += result_line(
      "score", fmt::format("{:.2f} mean, {:.2f} standard deviation", summary.mean, summary.std));
  text += result_line("range",
                      fmt::format("{:g} to {:g}", summary.sorted.front(), summary.sorted.back()));
  std::string quantiles;
  for (const double fraction : kQuantiles) {
    quantiles += fmt::format("{}{:.0f} %: {:g}", quantiles.empty() ? "" : "  ", fraction * 100,
                             quantile(summary.sorted, fraction));
  }
  text += result_line("quantiles", quantiles);
  text += math_line(options.math, result.library);
  text += result_line("time", duration(result.seconds));
  text += result_line("steps/s", with_unit(static_cast<double>(result.steps) / result.seconds));
  if (!saved.empty()) text += result_line("saved", saved);
  if (!played.call.quiet) text += "\n" + text_histogram(summary.sorted, kBins, 72);
  print(text);
}

int run_eval(const Arguments& arguments) {
  const std::string mode = arguments.text("mode"), file = arguments.text("save");
  PlayedPolicy played(arguments);
  played.options.episodes = arguments.integer("episodes");
  played.options.keep_actions = !file.empty();
  const EvalResult result = played.engine.evaluate(played.options);
  Config config = played.config();
  config.seed = played.options.seed;
  const json record = record_of("eval", arguments, config, played.engine.policy());
  if (!file.empty()) save_eval(file, result, record);
  if (played.call.json) {
    print_json_evaluation(config, arguments.path("path"), mode, played.options, result, file,
                          record);
  } else {
    print_text_evaluation(played, mode, result, file);
  }
  return 0;
}

}  // namespace

constinit const Command kEvalCommand = {"eval",
                                        "play episodes of a saved policy: scores and their spread",
                                        eval_rows, run_eval, eval_epilogue};

}  // namespace lockstep::cli
