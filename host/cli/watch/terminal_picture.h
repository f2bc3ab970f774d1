// Turns pictures into text for a terminal: two pixels a character, 24-bit colour, and only what has
// changed. Knows no file descriptor.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "host/cli/watch/picture.h"

namespace lockstep::cli {

struct TerminalSize {
  int rows = 0, columns = 0;
  bool operator==(const TerminalSize&) const = default;
};

/// A window that pictures are drawn in: as large as they fit, centred, above a line of text.
class TerminalPicture {
 public:
  static constexpr TerminalSize kLeast{8, 24};  // in less no picture can be told from another

  /// The commands after which a window of `size` shows the picture and the text.
  ///
  /// pixel_aspect: width of a pixel over its height. A pixel of the window is the mean of what it
  /// covers of the picture. The first call and one with another size draw everything; others send
  /// the cells that differ. A window smaller than kLeast shows what it would have to be.
  std::string draw(TerminalSize size, const Picture& picture, double pixel_aspect,
                   std::string_view text);

 private:
  struct Cell {
    std::uint32_t upper = 0, lower = 0;  // 0xRRGGBB
    bool operator==(const Cell&) const = default;
  };
  std::vector<Cell> cells_of(const Picture& picture, double pixel_aspect) const;
  void add_changed(const std::vector<Cell>& cells, std::string& out) const;
  void add_text(std::string_view text, std::string& out);

  TerminalSize size_;
  std::vector<Cell> shown_;
  std::string text_;
};

/// Whole pixels, width and height, of the largest picture with these proportions that fits into
/// `columns` and `rows` square pixels; each at least 1.
struct FittedSize {
  int width, height;
};
FittedSize fit(double proportion, int columns, int rows);

/// The picture in another size: every pixel is the mean of the area it covers, exactly rounded.
std::vector<std::uint8_t> resampled(const Picture& picture, FittedSize to);

}  // namespace lockstep::cli
