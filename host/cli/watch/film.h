// Films: pictures at a steady rate, written as GIF, MP4 or a folder of PNG files. A film appears
// under its name when finish() returns, whole and durable, or never.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "host/cli/watch/picture.h"

namespace lockstep::cli {

/// Errors: InvalidArgument for a picture of another size than the film's; IoError.
class FilmWriter {
 public:
  virtual ~FilmWriter() = default;
  virtual void add(const Picture& picture) = 0;
  virtual void finish() = 0;
};

struct FilmShape {
  int height = 0, width = 0;
  double frames_per_second = 0;
};

inline constexpr int kMaxGifColours = 255;  // one more means "as before"
inline constexpr double kMaxGifRate = 50;   // browsers slow down what is faster
inline constexpr int kMaxGifSize = 65535;

/// An endless GIF. colours: 0xRRGGBB, at most kMaxGifColours, all that the pictures have. Pictures
/// last whole hundredths of a second; what is rounded off one is added to the next.
/// Errors: InvalidArgument for a colour that is not among them; DeviceUnavailable in a build
/// without libcgif.
std::unique_ptr<FilmWriter> gif_writer(const std::filesystem::path& path, const FilmShape& shape,
                                       std::span<const std::uint32_t> colours);

/// H.264 in MP4, made by the ffmpeg of PATH. Odd sizes get a black line.
/// Errors: DeviceUnavailable without ffmpeg; RunFailure with what ffmpeg says.
std::unique_ptr<FilmWriter> mp4_writer(const std::filesystem::path& path, const FilmShape& shape);

/// A new folder of frame-000000.png, frame-000001.png and so on.
/// Errors: InvalidArgument if the folder exists; DeviceUnavailable in a build without libpng.
std::unique_ptr<FilmWriter> png_writer(const std::filesystem::path& folder, const FilmShape& shape);

/// Collects colours. Kept sorted.
void add_colours(const Picture& picture, std::vector<std::uint32_t>& colours);

/// The picture `scale` times as large in both directions, every pixel that of the place it came
/// from: no colours arise. At least 1 x 1.
FilmShape scaled(const FilmShape& shape, double scale);
std::vector<std::uint8_t> scaled(const Picture& picture, const FilmShape& to);

/// Which pictures of a game become the pictures of a film: those that were to be seen at its
/// moments. Deterministic.
class FrameChooser {
 public:
  /// Rates in pictures a second.
  FrameChooser(double game_rate, double film_rate) : ratio_(game_rate / film_rate) {}
  /// How many pictures of the film the next picture of the game makes: 0, 1 or more.
  int next();

 private:
  double ratio_;
  std::int64_t game_ = 0, film_ = 0;  // pictures so far
};

/// Shared by the writers. Errors: InvalidArgument.
void require_shape(const Picture& picture, const FilmShape& shape);

}  // namespace lockstep::cli
