// A picture as the commands that show or save it pass it on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace lockstep::cli {

/// RGB, [height][width][3], row by row from the top left. Owns nothing.
struct Picture {
  int height = 0, width = 0;
  std::span<const std::uint8_t> rgb;

  const std::uint8_t* pixel(int y, int x) const {
    return rgb.data() + (static_cast<std::size_t>(y) * static_cast<std::size_t>(width) +
                         static_cast<std::size_t>(x)) *
                            3;
  }
};

}  // namespace lockstep::cli
