// Tests for host/cli/watch/terminal_picture.h: what a terminal shows after its commands.
#include "host/cli/watch/terminal_picture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "tests/support/terminal.h"

namespace lockstep::cli {
namespace terminal_picture_test {

using test::Terminal;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

/// A picture with pixels of its own.
struct Image {
  int height, width;
  std::vector<std::uint8_t> rgb;

  Image(int rows, int columns, std::uint8_t value = 0)
      : height(rows), width(columns), rgb(static_cast<std::size_t>(rows * columns * 3), value) {}
  void set(int y, int x, std::uint32_t colour) {
    const auto at = static_cast<std::size_t>((y * width + x) * 3);
    rgb[at] = static_cast<std::uint8_t>(colour >> 16);
    rgb[at + 1] = static_cast<std::uint8_t>(colour >> 8);
    rgb[at + 2] = static_cast<std::uint8_t>(colour);
  }
  Picture picture() const { return {height, width, rgb}; }
};

/// Every pixel another colour.
Image colourful(int height, int width, std::uint32_t seed) {
  Image image(height, width);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      seed = seed * 1664525u + 1013904223u;
      image.set(y, x, seed >> 8);
    }
  }
  return image;
}

TEST(FitTest, IsTheLargestWithTheProportions) {
  const auto size = [](double proportion, int columns, int rows) {
    const FittedSize fitted = fit(proportion, columns, rows);
    return std::vector<int>{fitted.width, fitted.height};
  };
  EXPECT_THAT(size(2, 80, 60), ElementsAre(80, 40));
  EXPECT_THAT(size(2, 80, 20), ElementsAre(40, 20));
  EXPECT_THAT(size(160.0 / 210 * 12 / 7, 80, 46), ElementsAre(60, 46));
  EXPECT_THAT(size(1000, 80, 46), ElementsAre(80, 1));
  EXPECT_THAT(size(0.001, 80, 46), ElementsAre(1, 46));
}

TEST(ResampledTest, IsTheMeanOfTheArea) {
  Image image(2, 3);
  for (int x = 0; x < 3; ++x) image.set(0, x, 0x000030u * static_cast<std::uint32_t>(x));
  for (int x = 0; x < 3; ++x) image.set(1, x, 0x640000);
  // one and a half pixels each: (0 + 24) / 1.5 = 16, (24 + 96) / 1.5 = 80
  EXPECT_THAT(resampled(image.picture(), {2, 2}),
              ElementsAre(0, 0, 16, 0, 0, 80, 100, 0, 0, 100, 0, 0));
  EXPECT_THAT(resampled(image.picture(), {1, 1}), ElementsAre(50, 0, 24));
  EXPECT_THAT(resampled(image.picture(), {3, 2}), image.rgb);
  const std::vector<std::uint8_t> large = resampled(image.picture(), {6, 4});
  EXPECT_EQ(large.size(), 72u);
  EXPECT_THAT(std::vector<std::uint8_t>(large.begin() + 18, large.begin() + 30),
              ElementsAre(0, 0, 0, 0, 0, 0, 0, 0, 48, 0, 0, 48));
}

TEST(TerminalPictureTest, TwoPixelsShareACharacter) {
  // 48 columns, 12 rows: 24 square pixels high without the line of text... minus one row: 22
  const Image image = colourful(22, 44, 5);
  Terminal terminal(12, 48);
  TerminalPicture window;
  terminal.feed(window.draw({12, 48}, image.picture(), 1, "some text"));
  for (int y = 0; y < 22; ++y) {
    for (int x = 0; x < 44; ++x) {
      const Terminal::Cell& cell = terminal.at(y / 2, x + 2);  // centred
      const std::uint8_t* p = image.picture().pixel(y, x);
      const auto colour = static_cast<std::uint32_t>(p[0] << 16 | p[1] << 8 | p[2]);
      ASSERT_EQ(y % 2 == 0 ? cell.upper() : cell.lower(), colour) << y << " " << x;
    }
  }
  EXPECT_EQ(terminal.at(0, 0).lower(), 0u);  // black beside it
  EXPECT_EQ(terminal.at(0, 47).upper(), 0u);
  EXPECT_EQ(terminal.line(11), "some text");
}

TEST(TerminalPictureTest, PixelsMayBeWide) {
  Terminal terminal(11, 60);
  TerminalPicture window;
  const Image image(20, 20, 255);
  terminal.feed(window.draw({11, 60}, image.picture(), 2, ""));
  int white = 0;
  for (int x = 0; x < 60; ++x) white += terminal.at(5, x).upper() == 0xffffff ? 1 : 0;
  EXPECT_EQ(white, 40);
}

TEST(TerminalPictureTest, OnlyChangedCellsAreSent) {
  Terminal terminal(12, 48);
  TerminalPicture window;
  Image image = colourful(22, 48, 6);
  const TerminalSize size{12, 48};
  terminal.feed(window.draw(size, image.picture(), 1, "a"));
  EXPECT_EQ(terminal.written(), 11 * 48 + 1);
  EXPECT_THAT(window.draw(size, image.picture(), 1, "a"), IsEmpty());
  image.set(7, 3, 0x123456);
  image.set(8, 47, 0x123456);
  image.set(10, 0, 0x123456);
  const int before = terminal.written();
  terminal.feed(window.draw(size, image.picture(), 1, "a"));
  EXPECT_EQ(terminal.written() - before, 3);
  Terminal fresh(12, 48);
  TerminalPicture other;
  fresh.feed(other.draw(size, image.picture(), 1, "a"));
  EXPECT_TRUE(terminal.cells() == fresh.cells());
}

TEST(TerminalPictureTest, ManyPicturesEndLikeTheLastAlone) {
  Terminal terminal(10, 40), fresh(10, 40);
  TerminalPicture window, other;
  Image image = colourful(18, 40, 1);
  std::uint32_t word = 3;
  for (int step = 0; step < 50; ++step) {
    for (int i = 0; i < 1 + step; ++i) {
      word = word * 1664525u + 1013904223u;
      image.set(static_cast<int>(word >> 8) % 18 & 31, static_cast<int>(word >> 16) % 40 & 63,
                word % 3 == 0 ? 0 : word >> 8);
    }
    terminal.feed(window.draw({10, 40}, image.picture(), 1, std::to_string(step * step)));
  }
  fresh.feed(other.draw({10, 40}, image.picture(), 1, "2401"));
  EXPECT_TRUE(terminal.cells() == fresh.cells());
}

TEST(TerminalPictureTest, AnotherSizeDrawsEverythingAgain) {
  const Image image(18, 40);  // the same cells, whatever the size
  TerminalPicture window, other;
  window.draw({20, 80}, image.picture(), 1, "text");
  EXPECT_EQ(window.draw({10, 40}, image.picture(), 1, "text"),
            other.draw({10, 40}, image.picture(), 1, "text"));
}

TEST(TerminalPictureTest, ASmallWindowSaysWhatItNeeds) {
  const Image image = colourful(18, 40, 2);
  for (const TerminalSize size : {TerminalSize{7, 80}, TerminalSize{24, 23}}) {
    Terminal terminal(size.rows, size.columns);
    TerminalPicture window;
    terminal.feed(window.draw(size, image.picture(), 1, "text"));
    EXPECT_EQ(terminal.line(size.rows - 1), "needs 24x8");
  }
  for (const TerminalSize size : {TerminalSize{1, 1}, TerminalSize{1, 3}, TerminalSize{0, 0}}) {
    Terminal terminal(1, 4);
    TerminalPicture window;
    terminal.feed(window.draw(size, image.picture(), 1, "text"));  // fails if it leaves the window
  }
}

TEST(TerminalPictureTest, TextIsCutAtTheEdge) {
  const Image image = colourful(18, 40, 2);
  Terminal terminal(10, 30);
  TerminalPicture window;
  terminal.feed(window.draw({10, 30}, image.picture(), 1, std::string(90, 'x')));
  EXPECT_EQ(terminal.line(9), std::string(29, 'x'));
}

}  // namespace terminal_picture_test
}  // namespace lockstep::cli
