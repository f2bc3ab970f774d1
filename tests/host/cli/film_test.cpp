// Tests for host/cli/watch/film.h: which pictures a film has, and that its files hold them.
#include "host/cli/watch/film.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <numeric>
#include <string>

#include "host/errors.h"
#include "tests/support/gif_reader.h"
#include "tests/support/scratch_folder.h"

#ifdef LS_HAVE_PNG
#include <png.h>
#endif

namespace lockstep::cli {
namespace film_test {

using test::ScratchFolder;
using test::slurp;
using test::spill;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using Pixels = std::vector<std::uint8_t>;

constexpr int kHeight = 30, kWidth = 41;

/// Picture i: a bar that moves over a ground of stripes.
Pixels pixels(int i) {
  Pixels rgb;
  for (int y = 0; y < kHeight; ++y) {
    for (int x = 0; x < kWidth; ++x) {
      const bool bar = x >= i && x < i + 3;
      rgb.insert(rgb.end(), {static_cast<std::uint8_t>(bar ? 255 : y / 10 * 40),
                             static_cast<std::uint8_t>(bar ? 128 : 7), 9});
    }
  }
  return rgb;
}
Picture picture(const Pixels& rgb) { return {kHeight, kWidth, rgb}; }

/// The pictures a game's pictures become.
std::vector<int> chosen(double game, double film, int pictures) {
  FrameChooser chooser(game, film);
  std::vector<int> copies;
  for (int i = 0; i < pictures; ++i) copies.push_back(chooser.next());
  return copies;
}

TEST(FrameChooserTest, ShowsWhatWasToBeSeen) {
  EXPECT_THAT(chosen(60, 60, 4), ElementsAre(1, 1, 1, 1));
  EXPECT_THAT(chosen(60, 30, 5), ElementsAre(1, 0, 1, 0, 1));
  EXPECT_THAT(chosen(50, 100, 3), ElementsAre(2, 2, 2));
  EXPECT_THAT(chosen(3, 2, 7), ElementsAre(1, 1, 0, 1, 1, 0, 1));
  const std::vector<int> odd = chosen(60, 60.0 / 7, 7000);
  EXPECT_EQ(std::accumulate(odd.begin(), odd.end(), 0), 1000);
}

TEST(ScaledTest, TakesPixelsAsTheyAre) {
  const Pixels rgb = {1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4};  // 1 x 4
  const Picture line{1, 4, rgb};
  const FilmShape half = scaled(FilmShape{1, 4, 25}, 0.5);
  EXPECT_EQ(half.width, 2);
  EXPECT_EQ(half.height, 1);
  EXPECT_EQ(half.frames_per_second, 25);
  EXPECT_THAT(scaled(line, half), ElementsAre(2, 2, 2, 4, 4, 4));
  EXPECT_THAT(scaled(line, scaled(FilmShape{1, 4, 25}, 1)), rgb);
  const FilmShape twice = scaled(FilmShape{1, 4, 25}, 2);
  const Pixels large = scaled(line, twice);
  EXPECT_EQ(large.size(), 2u * 8 * 3);
  EXPECT_EQ(large[24 + 3 * 5], 3);
}

TEST(ColoursTest, AreSortedAndDifferent) {
  std::vector<std::uint32_t> colours = {0x000007};
  add_colours(picture(pixels(0)), colours);
  add_colours(picture(pixels(5)), colours);
  EXPECT_THAT(colours, ElementsAre(0x000007, 0x000709, 0x280709, 0x500709, 0xff8009));
}

std::vector<std::uint32_t> all_colours() {
  std::vector<std::uint32_t> colours;
  add_colours(picture(pixels(0)), colours);
  return colours;
}

#ifdef LS_HAVE_CGIF
TEST(GifWriterTest, HoldsEveryPicture) {
  const ScratchFolder folder;
  const auto film = gif_writer(folder / "f.gif", {kHeight, kWidth, 30}, all_colours());
  for (const int i : {0, 1, 2, 2, 9, 35, 38, 0}) film->add(picture(pixels(i)));
  EXPECT_FALSE(std::filesystem::exists(folder / "f.gif"));
  film->finish();
  const std::string bytes = slurp(folder / "f.gif");
  const test::GifFilm read = test::GifReader(bytes).read();
  EXPECT_TRUE(read.endless);
  EXPECT_EQ(read.width, kWidth);
  EXPECT_EQ(read.height, kHeight);
  ASSERT_EQ(read.pictures.size(), 8u);
  std::size_t n = 0;
  for (const int i : {0, 1, 2, 2, 9, 35, 38, 0}) EXPECT_EQ(read.pictures[n++], pixels(i)) << i;
  // 30 a second are 3 1/3 hundredths each
  EXPECT_THAT(read.delays, ElementsAre(3, 4, 3, 3, 4, 3, 3, 4));
  EXPECT_LT(bytes.size(), 900u) << "what stays is stored again";
}

TEST(GifWriterTest, LeavesNothingUnlessFinished) {
  const ScratchFolder folder;
  spill(folder / "f.gif", "before");
  {
    const auto film = gif_writer(folder / "f.gif", {kHeight, kWidth, 30}, all_colours());
    film->add(picture(pixels(0)));
  }
  EXPECT_EQ(slurp(folder / "f.gif"), "before");
  EXPECT_EQ(folder.names().size(), 1u);
}

TEST(GifWriterTest, RefusesWhatAGifCannotHold) {
  const ScratchFolder folder;
  const auto film = gif_writer(folder / "f.gif", {kHeight, kWidth, 30}, all_colours());
  Pixels other = pixels(0);
  other[4] ^= 1;
  EXPECT_THROW(film->add(picture(other)), InvalidArgument);
  EXPECT_THROW(film->add({kWidth, kHeight, other}), InvalidArgument);
  std::vector<std::uint32_t> colours(256);
  std::iota(colours.begin(), colours.end(), 0u);
  EXPECT_THROW(gif_writer(folder / "g.gif", {kHeight, kWidth, 30}, colours), InvalidArgument);
  EXPECT_THROW(gif_writer(folder / "g.gif", {1, 70000, 30}, all_colours()), InvalidArgument);
  colours.pop_back();
  EXPECT_NO_THROW(gif_writer(folder / "g.gif", {kHeight, kWidth, 30}, colours));
  EXPECT_THROW(gif_writer(folder / "none/g.gif", {kHeight, kWidth, 30}, colours), IoError);
}
#else
TEST(GifWriterTest, SaysThatItsBuildCannot) {
  EXPECT_THROW(gif_writer("f.gif", {kHeight, kWidth, 30}, all_colours()), DeviceUnavailable);
}
#endif

#ifdef LS_HAVE_PNG
Pixels read_png(const std::filesystem::path& path) {
  const std::string bytes = slurp(path);
  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  EXPECT_TRUE(png_image_begin_read_from_memory(&image, bytes.data(), bytes.size()));
  EXPECT_EQ(image.width, unsigned{kWidth});
  EXPECT_EQ(image.height, unsigned{kHeight});
  image.format = PNG_FORMAT_RGB;
  Pixels rgb(PNG_IMAGE_SIZE(image));
  EXPECT_TRUE(png_image_finish_read(&image, nullptr, rgb.data(), 0, nullptr));
  return rgb;
}

TEST(PngWriterTest, AFileForEveryPicture) {
  const ScratchFolder folder;
  const auto film = png_writer(folder / "film", {kHeight, kWidth, 30});
  for (int i = 0; i < 3; ++i) film->add(picture(pixels(i)));
  EXPECT_FALSE(std::filesystem::exists(folder / "film"));
  film->finish();
  EXPECT_THAT(folder.names("film"),
              ElementsAre("frame-000000.png", "frame-000001.png", "frame-000002.png"));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(read_png(folder / ("film/frame-00000" + std::to_string(i) + ".png")), pixels(i));
  }
}

TEST(PngWriterTest, ReplacesNothingAndLeavesNothing) {
  const ScratchFolder folder;
  std::filesystem::create_directory(folder / "mine");
  EXPECT_THROW(png_writer(folder / "mine", {kHeight, kWidth, 30}), InvalidArgument);
  png_writer(folder / "film", {kHeight, kWidth, 30})->add(picture(pixels(0)));
  EXPECT_THAT(folder.names(), ElementsAre("mine"));
}
#else
TEST(PngWriterTest, SaysThatItsBuildCannot) {
  EXPECT_THROW(png_writer("film", {kHeight, kWidth, 30}), DeviceUnavailable);
}
#endif

/// PATH with a program `ffmpeg` in front, or nothing but an empty folder.
class Mp4WriterTest : public ::testing::Test {
 protected:
  Mp4WriterTest() : path_(std::getenv("PATH")) { std::filesystem::create_directory(bin_); }
  ~Mp4WriterTest() override { setenv("PATH", path_.c_str(), 1); }
  void put_ffmpeg(const std::string& script) {
    spill(bin_ / "ffmpeg", "#!/bin/sh\n" + script);
    chmod((bin_ / "ffmpeg").c_str(), 0755);
    setenv("PATH", (bin_.string() + ":" + path_).c_str(), 1);
  }
  void hide_ffmpeg() { setenv("PATH", bin_.c_str(), 1); }

  ScratchFolder folder_;
  std::filesystem::path bin_ = folder_ / "bin";
  std::string path_;
};

TEST_F(Mp4WriterTest, HandsItsPicturesToFfmpeg) {
  put_ffmpeg("for last; do :; done\necho \"$*\" >\"$last\"\ncat >>\"$last\"\n");
  const auto film = mp4_writer(folder_ / "f.mp4", {kHeight, kWidth, 30});
  for (int i = 0; i < 300; ++i) film->add(picture(pixels(i % 40)));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "f.mp4"));
  film->finish();
  const std::string bytes = slurp(folder_ / "f.mp4");
  const std::string arguments = bytes.substr(0, bytes.find('\n'));
  EXPECT_THAT(arguments, AllOf(HasSubstr("-f rawvideo -pix_fmt rgb24 -s 41x30 -r 30 -i pipe:0"),
                               HasSubstr("-pix_fmt yuv420p")));
  ASSERT_EQ(bytes.size(), arguments.size() + 1 + std::size_t{300} * kHeight * kWidth * 3);
  const std::string last = bytes.substr(bytes.size() - std::size_t{kHeight} * kWidth * 3);
  const Pixels expected = pixels(299 % 40);
  EXPECT_EQ(last, std::string(expected.begin(), expected.end()));
}

TEST_F(Mp4WriterTest, FfmpegUnderstandsIt) {
  if (std::system("ffmpeg -version >/dev/null 2>&1") != 0) GTEST_SKIP() << "no ffmpeg here";
  const auto film = mp4_writer(folder_ / "f.mp4", {kHeight, kWidth, 30});
  for (int i = 0; i < 30; ++i) film->add(picture(pixels(i)));
  film->finish();
  const std::string bytes = slurp(folder_ / "f.mp4");
  EXPECT_EQ(bytes.substr(4, 4), "ftyp");
  EXPECT_LT(bytes.find("moov"), bytes.find("mdat"));  // it can be played while it is loaded
  EXPECT_THAT(folder_.names(), ElementsAre("bin", "f.mp4"));
}

TEST_F(Mp4WriterTest, RepeatsWhatFfmpegSays) {
  put_ffmpeg("cat >/dev/null\necho first >&2\necho 'no such codec' >&2\nexit 1\n");
  const auto film = mp4_writer(folder_ / "f.mp4", {kHeight, kWidth, 30});
  film->add(picture(pixels(0)));
  try {
    film->finish();
    FAIL() << "it succeeded";
  } catch (const RunFailure& error) {
    EXPECT_STREQ(error.what(), "--mp4: ffmpeg failed: no such codec");
  }
}

TEST_F(Mp4WriterTest, SurvivesAnFfmpegThatDies) {
  const std::string deaf = (folder_ / "deaf").string();
  put_ffmpeg("echo 'I am dying' >&2\nexec </dev/null\necho >\"" + deaf + "\"\nexit 3\n");
  for (const bool early : {false, true}) {  // before the first picture, or among them
    std::filesystem::remove(deaf);
    const auto film = mp4_writer(folder_ / "f.mp4", {kHeight, kWidth, 30});
    while (!early && slurp(deaf).empty()) {
    }
    try {
      for (int i = 0; i < 10000; ++i) film->add(picture(pixels(0)));
      FAIL() << "nobody took the pictures";
    } catch (const RunFailure& error) {
      EXPECT_STREQ(error.what(), "--mp4: ffmpeg failed: I am dying");
    }
  }
}

TEST_F(Mp4WriterTest, EndsAnUnfinishedFfmpegAndLeavesNothing) {
  put_ffmpeg("echo $$ >\"" + (folder_ / "pid").string() + "\"\nexec sleep 100\n");
  {
    const auto film = mp4_writer(folder_ / "f.mp4", {kHeight, kWidth, 30});
    while (slurp(folder_ / "pid").empty()) {
    }
  }
  EXPECT_EQ(kill(std::stoi(slurp(folder_ / "pid")), 0), -1) << "it lives";
  EXPECT_THAT(folder_.names(), ElementsAre("bin", "pid"));
}

TEST_F(Mp4WriterTest, SaysThatThereIsNoFfmpeg) {
  hide_ffmpeg();
  EXPECT_THROW(mp4_writer(folder_ / "f.mp4", {kHeight, kWidth, 30}), DeviceUnavailable);
  EXPECT_THAT(folder_.names(), ElementsAre("bin"));
}

}  // namespace film_test
}  // namespace lockstep::cli
