// lockstep render: an episode of a saved policy as a film.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "host/cli/command.h"
#include "host/cli/output.h"
#include "host/cli/signals.h"
#include "host/cli/watch/film.h"
#include "host/cli/watch/watched_episode.h"
#include "host/errors.h"

namespace lockstep::cli {
namespace {

constexpr ValueSpec kRates = real_in(1, 1000);
constexpr ValueSpec kScales = real_in(0.1, 16);

std::vector<ArgumentRow> render_rows() {
  std::vector<ArgumentRow> rows = episode_rows();
  const std::vector<ArgumentRow> own = {
      {.name = "gif", .value = output_path(), .help = "write this GIF file"},
      {.name = "mp4", .value = output_path(), .help = "write this MP4 file; needs ffmpeg"},
      {.name = "png",
       .value = output_path(),
       .help = "write frame-000000.png and so on into this new folder"},
      {.name = "fps",
       .value = kRates,
       .help = "pictures a second of a film as fast as the game; its own rate, a GIF's at most 50, "
               "unless given",
       .completion = Completion::kNothing},
      {.name = "frames",
       .value = integer_in(1, 10000000),
       .help = "most pictures of the film; the whole episode unless given",
       .completion = Completion::kNothing},
      {.name = "scale",
       .value = kScales,
       .help = "size of the film over that of the game's picture",
       .fallback = "1"},
      option_row("json"),
  };
  rows.insert(rows.end(), own.begin(), own.end());
  return rows;
}

std::string render_epilogue() {
  return "One of --gif, --mp4 and --png is needed. The film appears when it is complete.\n" +
         episode_epilogue();
}

struct Request {
  std::string kind, path;  // "gif", "mp4", "png"
  double rate = 0;         // 0: not given
  double scale = 1;
  std::int64_t frames = 0;  // 0: all
};

Request request_of(const Arguments& arguments) {
  Request request;
  int given = 0;
  for (const char* kind : {"gif", "mp4", "png"}) {
    const std::string path = arguments.path(kind);
    if (path.empty()) continue;
    request.kind = kind;
    request.path = path;
    ++given;
  }
  require(given == 1, "render: give one of --gif FILE, --mp4 FILE and --png FOLDER");
  if (arguments.given("fps")) {
    request.rate = parse_real(kRates, arguments.text("fps"), arguments.origin("fps"));
  }
  require(request.kind != "gif" || request.rate <= kMaxGifRate,
          fmt::format("--fps: a GIF shows at most {} pictures a second", kMaxGifRate));
  request.scale = parse_real(kScales, arguments.text("scale"), arguments.origin("scale"));
  if (arguments.given("frames")) request.frames = arguments.integer("frames");
  return request;
}

/// The rate of the film: the game's; a GIF's the largest whole part of it that it can show.
double rate_of(const Request& request, double game) {
  if (request.rate > 0) return request.rate;
  if (request.kind != "gif") return game;
  double rate = game;
  for (int part = 2; rate > kMaxGifRate; ++part) rate = game / part;
  return rate;
}

/// Calls see(picture) for every picture of the film, in order. False if a signal came.
template <class See>
bool for_each_picture(const WatchedEpisode& watched, const FilmShape& shape, const Request& request,
                      const See& see) {
  EpisodePictures pictures = watched.pictures();
  FrameChooser chooser(pictures.frames_per_second(), shape.frames_per_second);
  std::int64_t count = 0;
  do {
    if (caught_signal() != 0) return false;
    const int copies = chooser.next();
    if (copies == 0) continue;
    const std::vector<std::uint8_t> pixels = scaled(picture_of(pictures), shape);
    for (int i = 0; i < copies; ++i) {
      see(Picture{shape.height, shape.width, pixels});
      if (++count == request.frames) return true;
    }
  } while (pictures.next());
  return true;
}

/// Null if a signal came.
std::unique_ptr<FilmWriter> make_writer(const WatchedEpisode& watched, const FilmShape& shape,
                                        const Request& request) {
  if (request.kind == "mp4") return mp4_writer(request.path, shape);
  if (request.kind == "png") return png_writer(request.path, shape);
  std::vector<std::uint32_t> colours;
  const bool complete = for_each_picture(
      watched, shape, request, [&](const Picture& picture) { add_colours(picture, colours); });
  if (!complete) return nullptr;
  return gif_writer(request.path, shape, colours);
}

int run_render(const Arguments& arguments) {
  const Request request = request_of(arguments);
  catch_stop_signals();
  const WatchedEpisode watched(arguments);
  FilmShape shape;
  {
    const EpisodePictures pictures = watched.pictures();
    shape = scaled(FilmShape{pictures.height(), pictures.width(),
                             rate_of(request, pictures.frames_per_second())},
                   request.scale);
  }
  const std::unique_ptr<FilmWriter> film = make_writer(watched, shape, request);
  std::int64_t count = 0;
  const bool complete =
      film != nullptr && for_each_picture(watched, shape, request, [&](const Picture& picture) {
        film->add(picture);
        ++count;
      });
  if (!complete) return signal_exit_code(caught_signal());  // the writer leaves nothing behind
  film->finish();
  const Config& config = watched.config();
  if (watched.call().json) {
    print_json("render", {{"env", config.env},
                          {"episode", watched.episode().number},
                          {"score", watched.episode().score},
                          {"steps", watched.episode().actions.size()},
                          {"pictures", count},
                          {"frames_per_second", shape.frames_per_second},
                          {"width", shape.width},
                          {"height", shape.height},
                          {"saved", request.path}});
    return 0;
  }
  if (watched.call().quiet) return 0;
  std::string text = watched.summary() + "\n";
  text += result_line("pictures", fmt::format("{} of {}x{}, {:g} a second", grouped(count),
                                              shape.width, shape.height, shape.frames_per_second));
  text += result_line("saved", request.path);
  print(text);
  return 0;
}

}  // namespace

constinit const Command kRenderCommand = {"render",
                                          "an episode of a saved policy as GIF, MP4 or PNG files",
                                          render_rows, run_render, render_epilogue};

}  // namespace lockstep::cli
