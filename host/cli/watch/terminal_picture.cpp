// See terminal_picture.h. Control sequences: ECMA-48; 38;2 and 48;2: ISO 8613-6.
#include "host/cli/watch/terminal_picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iterator>

namespace lockstep::cli {
namespace {

constexpr const char* kUpperHalf = "▀";
constexpr const char* kClear = "\x1b[0m\x1b[2J";

/// Share of source pixels in one pixel of a line of `to` pixels made from `from`: weights in units
/// of 1/to of a source pixel, whose sum is `from`.
struct Share {
  int first = 0;
  std::vector<int> weight;
};

std::vector<Share> shares(int from, int to) {
  std::vector<Share> result(static_cast<std::size_t>(to));
  for (int i = 0; i < to; ++i) {
    const std::int64_t begin = std::int64_t{i} * from, end = begin + from;
    Share& share = result[static_cast<std::size_t>(i)];
    share.first = static_cast<int>(begin / to);
    for (std::int64_t j = begin / to; j * to < end; ++j) {
      share.weight.push_back(
          static_cast<int>(std::min(end, (j + 1) * to) - std::max(begin, j * to)));
    }
  }
  return result;
}

}  // namespace

FittedSize fit(double proportion, int columns, int rows) {
  const double width = std::min(static_cast<double>(columns), rows * proportion);
  const auto whole = [](double pixels, int most) {
    return std::clamp(static_cast<int>(std::lround(pixels)), 1, most);
  };
  return {whole(width, columns), whole(width / proportion, rows)};
}

std::vector<std::uint8_t> resampled(const Picture& picture, FittedSize to) {
  const std::vector<Share> across = shares(picture.width, to.width);
  const std::vector<Share> down = shares(picture.height, to.height);
  const std::int64_t whole = std::int64_t{picture.width} * picture.height;
  std::vector<std::uint8_t> result;
  result.reserve(static_cast<std::size_t>(to.width) * static_cast<std::size_t>(to.height) * 3);
  for (const Share& rows : down) {
    for (const Share& columns : across) {
      std::int64_t sum[3] = {};
      for (std::size_t y = 0; y < rows.weight.size(); ++y) {
        const std::uint8_t* pixel = picture.pixel(rows.first + static_cast<int>(y), columns.first);
        for (const int weight : columns.weight) {
          for (int k = 0; k < 3; ++k) sum[k] += std::int64_t{rows.weight[y]} * weight * pixel[k];
          pixel += 3;
        }
      }
      for (const std::int64_t colour : sum) {
        result.push_back(static_cast<std::uint8_t>((2 * colour + whole) / (2 * whole)));
      }
    }
  }
  return result;
}

std::string TerminalPicture::draw(TerminalSize size, const Picture& picture, double pixel_aspect,
                                  std::string_view text) {
  std::string out;
  if (size != size_) {
    size_ = size;
    shown_.clear();
    text_.clear();
    out += kClear;
  }
  if (size.rows < kLeast.rows || size.columns < kLeast.columns) {
    add_text(fmt::format("needs {}x{}", kLeast.columns, kLeast.rows), out);
    return out;
  }
  std::vector<Cell> cells = cells_of(picture, pixel_aspect);
  add_changed(cells, out);
  shown_ = std::move(cells);
  add_text(text, out);
  return out;
}

std::vector<TerminalPicture::Cell> TerminalPicture::cells_of(const Picture& picture,
                                                             double pixel_aspect) const {
  const int rows = size_.rows - 1, columns = size_.columns;
  const FittedSize fitted = fit(picture.width * pixel_aspect / picture.height, columns, 2 * rows);
  const std::vector<std::uint8_t> pixels = resampled(picture, fitted);
  const int left = (columns - fitted.width) / 2, top = (2 * rows - fitted.height) / 2;
  std::vector<Cell> cells(static_cast<std::size_t>(rows) * static_cast<std::size_t>(columns));
  const std::uint8_t* pixel = pixels.data();
  for (int y = top; y < top + fitted.height; ++y) {
    for (int x = left; x < left + fitted.width; ++x, pixel += 3) {
      Cell& cell = cells[static_cast<std::size_t>(y / 2) * static_cast<std::size_t>(columns) +
                         static_cast<std::size_t>(x)];
      const auto colour = static_cast<std::uint32_t>(pixel[0] << 16 | pixel[1] << 8 | pixel[2]);
      (y % 2 == 0 ? cell.upper : cell.lower) = colour;
    }
  }
  return cells;
}

void TerminalPicture::add_changed(const std::vector<Cell>& cells, std::string& out) const {
  constexpr std::uint32_t kNone = 0xffffffffu;
  std::uint32_t foreground = kNone, background = kNone;
  std::size_t cursor = cells.size();  // the cell it stands on
  const auto columns = static_cast<std::size_t>(size_.columns);
  const auto add_colour = [&](int kind, std::uint32_t colour) {
    fmt::format_to(std::back_inserter(out), "\x1b[{};2;{};{};{}m", kind, colour >> 16,
                   colour >> 8 & 0xff, colour & 0xff);
  };
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (!shown_.empty() && shown_[i] == cells[i]) continue;
    // after the last column terminals differ about where the cursor is
    if (cursor != i || i % columns == 0) {
      fmt::format_to(std::back_inserter(out), "\x1b[{};{}H", i / columns + 1, i % columns + 1);
    }
    if (cells[i].lower != background) add_colour(48, background = cells[i].lower);
    if (cells[i].upper == cells[i].lower) {
      out += ' ';
    } else {
      if (cells[i].upper != foreground) add_colour(38, foreground = cells[i].upper);
      out += kUpperHalf;
    }
    cursor = i + 1;
  }
}

void TerminalPicture::add_text(std::string_view text, std::string& out) {
  const std::string_view cut =
      text.substr(0, static_cast<std::size_t>(std::max(size_.columns - 1, 0)));
  if (cut == text_) return;
  text_ = cut;
  fmt::format_to(std::back_inserter(out), "\x1b[0m\x1b[{};1H{}\x1b[K", std::max(size_.rows, 1),
                 cut);
}

}  // namespace lockstep::cli
