// What the writers of films share; see film.h.
#include "host/cli/watch/film.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "host/errors.h"

namespace lockstep::cli {

void require_shape(const Picture& picture, const FilmShape& shape) {
  require(picture.height == shape.height && picture.width == shape.width,
          fmt::format("a picture of {}x{} in a film of {}x{}", picture.width, picture.height,
                      shape.width, shape.height));
}

void add_colours(const Picture& picture, std::vector<std::uint32_t>& colours) {
  std::uint32_t last = 0xffffffffu;  // none
  for (std::size_t i = 0; i < picture.rgb.size(); i += 3) {
    const auto colour = static_cast<std::uint32_t>(picture.rgb[i] << 16 | picture.rgb[i + 1] << 8 |
                                                   picture.rgb[i + 2]);
    if (colour == last) continue;
    last = colour;
    const auto at = std::lower_bound(colours.begin(), colours.end(), colour);
    if (at == colours.end() || *at != colour) colours.insert(at, colour);
  }
}

FilmShape scaled(const FilmShape& shape, double scale) {
  const auto size = [&](int pixels) {
    return std::max(1, static_cast<int>(std::lround(pixels * scale)));
  };
  return {size(shape.height), size(shape.width), shape.frames_per_second};
}

std::vector<std::uint8_t> scaled(const Picture& picture, const FilmShape& to) {
  std::vector<std::uint8_t> result;
  result.reserve(static_cast<std::size_t>(to.height) * static_cast<std::size_t>(to.width) * 3);
  // the middle of a pixel, in halves so that it stays exact
  const auto source = [](int i, int from, int size) {
    return static_cast<int>((std::int64_t{2} * i + 1) * from / (std::int64_t{2} * size));
  };
  for (int y = 0; y < to.height; ++y) {
    for (int x = 0; x < to.width; ++x) {
      const std::uint8_t* pixel =
          picture.pixel(source(y, picture.height, to.height), source(x, picture.width, to.width));
      result.insert(result.end(), pixel, pixel + 3);
    }
  }
  return result;
}

int FrameChooser::next() {
  // picture i of the film shows picture floor(i * ratio) of the game; a rounded ratio must not
  // turn 3 into 2.999
  int count = 0;
  while (static_cast<std::int64_t>(std::floor(static_cast<double>(film_) * ratio_ + 1e-6)) <=
         game_) {
    ++film_;
    ++count;
  }
  ++game_;
  return count;
}

}  // namespace lockstep::cli
