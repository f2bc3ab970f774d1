// lockstep plot: the learning curve of a run, as text and as SVG.
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "host/cli/command.h"
#include "host/cli/output.h"
#include "host/errors.h"
#include "host/files/durable_file.h"
#include "host/files/metrics.h"
#include "host/files/run_folder.h"
#include "host/plot/plot.h"

namespace lockstep::cli {
namespace {

namespace fs = std::filesystem;

std::vector<ArgumentRow> plot_rows() {
  return {
      {.name = "run",
       .value = any_text(),
       .help = "run folder",
       .positional = true,
       .required = true},
      {.name = "svg", .value = output_path(), .help = "also write the curve to this SVG file"},
      {.name = "width",
       .value = integer_in(24, 1000),
       .help = "columns of the text plot",
       .fallback = "72"},
      {.name = "height",
       .value = integer_in(4, 200),
       .help = "rows of the text plot",
       .fallback = "14"},
      option_row("json"),
  };
}

int run_plot(const Arguments& arguments) {
  const bool as_json = arguments.config().json;
  const fs::path folder = arguments.path("run");
  const Config config = config_from_toml(folder / "config.toml");
  const std::vector<UpdateMetrics> curve = read_metrics(folder / MetricsLog::kFileName);
  if (curve.empty()) throw BadInput((folder / MetricsLog::kFileName).string() + ": no log points");
  const std::string svg = arguments.path("svg");
  if (!svg.empty()) write_file_durably(svg, curve_svg(config, curve));
  std::vector<double> steps, score, batch;
  for (const UpdateMetrics& metrics : curve) {
    steps.push_back(static_cast<double>(metrics.steps));
    score.push_back(metrics.mean_score);
    batch.push_back(metrics.batch_score);
  }
  if (as_json) {
    print_json("plot", {{"run", folder.string()},
                        {"env", config.env},
                        {"until_score", config.until_score},
                        {"over", config.over},
                        {"steps", steps},
                        {"mean_score", score},
                        {"batch_score", batch}});
    return 0;
  }
  PlotOptions options;
  options.width = static_cast<int>(arguments.integer("width"));
  options.height = static_cast<int>(arguments.integer("height"));
  options.title = config.env + ", " + folder.string();
  options.x_label = "environment steps";
  options.y_label = fmt::format("mean score of the last {} episodes", config.over);
  options.threshold = config.until_score;
  print(text_plot(steps, score, options));
  if (!svg.empty()) print(result_line("saved", svg));
  return 0;
}

}  // namespace

constinit const Command kPlotCommand = {"plot", "learning curve of a run as text and SVG",
                                        plot_rows, run_plot, nullptr};

}  // namespace lockstep::cli
