// Tests for envs/cartpole_picture.h: that the picture shows the state.
#include "envs/cartpole_picture.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstddef>
#include <limits>
#include <vector>

namespace lockstep {
namespace cartpole_picture_test {

using Look = PictureOf<CartPole>;

struct Image {
  std::vector<std::uint8_t> rgb;

  explicit Image(const CartPole::State<float>& state)
      : rgb(std::size_t{Look::kHeight} * Look::kWidth * 3, 0x55) {
    Look::draw(state, rgb.data());
  }
  std::uint32_t at(int y, int x) const {
    const auto i = (static_cast<std::size_t>(y) * Look::kWidth + static_cast<std::size_t>(x)) * 3;
    return static_cast<std::uint32_t>(rgb[i] << 16 | rgb[i + 1] << 8 | rgb[i + 2]);
  }
  /// Mean column and row of the pixels of a colour; NaN without any.
  std::pair<double, double> centre(std::uint32_t colour) const {
    double x_sum = 0, y_sum = 0, count = 0;
    for (int y = 0; y < Look::kHeight; ++y) {
      for (int x = 0; x < Look::kWidth; ++x) {
        if (at(y, x) != colour) continue;
        x_sum += x + 0.5;
        y_sum += y + 0.5;
        ++count;
      }
    }
    return {x_sum / count, y_sum / count};
  }
};

TEST(CartPolePictureTest, CartStandsWhereItIs) {
  for (const float x : {-2.3f, -1.0f, 0.0f, 0.3f, 2.3f}) {
    const Image image({x, 1, 0, 1});
    EXPECT_NEAR(image.centre(Look::kCart).first, Look::kCentreColumn + static_cast<double>(x) * 57,
                1)
        << x;
  }
}

TEST(CartPolePictureTest, PoleLeansAsItDoes) {
  for (const float theta : {-0.2f, -0.1f, 0.0f, 0.05f, 0.2f}) {
    const Image image({0.5f, 0, theta, 0});
    const auto [x, y] = image.centre(Look::kPole);
    const double right = x - (Look::kCentreColumn + 28.5);
    const double up = Look::kPivotRow - y;
    EXPECT_NEAR(std::atan2(right, up), static_cast<double>(theta), 0.03);
    EXPECT_NEAR(std::hypot(right, up), Look::kPoleLength / 2, 1.5);  // the rest is behind nothing
  }
}

TEST(CartPolePictureTest, TrackEndsWhereAnEpisodeDoes) {
  const Image image({0, 0, 0, 0});
  EXPECT_EQ(image.at(Look::kRailRow - 5, Look::kCentreColumn + 137), Look::kStop);  // 2.4 * 57
  EXPECT_EQ(image.at(Look::kRailRow - 5, Look::kCentreColumn - 137), Look::kStop);
  EXPECT_EQ(image.at(Look::kRailRow - 5, Look::kCentreColumn + 130), Look::kSky);
  EXPECT_EQ(image.at(Look::kRailRow, 0), Look::kRail);
}

TEST(CartPolePictureTest, AnyStateIsDrawn) {
  constexpr float kInfinite = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const float wild : {-kInfinite, -1e30f, -2.6f, 2.6f, 1e30f, kInfinite, nan}) {
    const Image image({wild, wild, wild, wild});
    EXPECT_EQ(image.at(0, 0), Look::kSky) << wild;
  }
  const Image hanging({0, 0, 3.14159f, 0});
  EXPECT_EQ(hanging.at(Look::kHeight - 1, Look::kCentreColumn), Look::kPole);
}

}  // namespace cartpole_picture_test
}  // namespace lockstep
