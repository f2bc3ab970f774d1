// The picture of CartPole: track, cart and pole in their true proportions. For watching only; no
// policy sees it. Host only.
#pragma once

#include <cstdint>
#include <initializer_list>

#include "envs/cartpole.h"
#include "envs/picture.h"

namespace lockstep {

template <>
struct PictureOf<CartPole> {
  static constexpr int kHeight = 120, kWidth = 300;
  static constexpr double kFramesPerSecond = 50;  // a step lasts 0.02 s
  static constexpr double kPixelAspect = 1;

  // Metres and pixels. The track is 4.8 m long and the pole 1 m.
  static constexpr float kPixelsPerMetre = 57;
  static constexpr int kCentreColumn = kWidth / 2, kRailRow = 102;
  static constexpr int kCartWidth = 34, kCartHeight = 16;
  static constexpr int kPivotRow = kRailRow - kCartHeight;
  static constexpr float kPoleLength = 1.0f * kPixelsPerMetre, kPoleHalfWidth = 3;
  static constexpr float kTrackEnd = 2.4f;

  // 0xRRGGBB; few of them, so that films stay small
  static constexpr std::uint32_t kSky = 0xf6f4ee, kRail = 0x3c3c44, kStop = 0xb3261e,
                                 kCart = 0x22577a, kPole = 0xd98032, kPivot = 0x1b1b1e;

  /// rgb: [kHeight][kWidth][3]. Any state; what lies beyond the picture is cut off.
  static void draw(const CartPole::State<float>& state, std::uint8_t* rgb) {
    fill(rgb, 0, 0, kHeight, kWidth, kSky);
    fill(rgb, kRailRow, 0, 2, kWidth, kRail);
    for (const float end : {-kTrackEnd, kTrackEnd})
      fill(rgb, kRailRow - 6, column(end), 14, 2, kStop);
    const int cart = column(state.x);
    fill(rgb, kPivotRow, cart - kCartWidth / 2, kCartHeight, kCartWidth, kCart);
    draw_pole(rgb, cart, state.theta);
    fill(rgb, kPivotRow - 2, cart - 2, 4, 4, kPivot);
  }

 private:
  static int column(float metres) {
    const float limit = 100;  // a state far out need not fit an int
    const float at = min(max(metres, -limit), limit) * kPixelsPerMetre;
    return kCentreColumn + static_cast<int>(at < 0 ? at - 0.5f : at + 0.5f);
  }

  static void fill(std::uint8_t* rgb, int row, int first, int rows, int columns,
                   std::uint32_t colour) {
    for (int y = row < 0 ? 0 : row; y < row + rows && y < kHeight; ++y) {
      for (int x = first < 0 ? 0 : first; x < first + columns && x < kWidth; ++x) {
        std::uint8_t* pixel = rgb + (y * kWidth + x) * 3;
        pixel[0] = static_cast<std::uint8_t>(colour >> 16);
        pixel[1] = static_cast<std::uint8_t>(colour >> 8);
        pixel[2] = static_cast<std::uint8_t>(colour);
      }
    }
  }

  /// The pixels whose centres lie in the rectangle around the line from the pivot outward.
  static void draw_pole(std::uint8_t* rgb, int cart, float theta) {
    float s, c;
    sincos_any(theta, s, c);
    constexpr int kReach = static_cast<int>(kPoleLength + kPoleHalfWidth) + 1;
    for (int y = kPivotRow - kReach; y <= kPivotRow + kReach; ++y) {
      for (int x = cart - kReach; x <= cart + kReach; ++x) {
        const float right = static_cast<float>(x - cart) + 0.5f;
        const float up = static_cast<float>(kPivotRow - y) - 0.5f;
        const float along = right * s + up * c;
        const float across = right * c - up * s;
        if (along >= 0 && along <= kPoleLength && abs(across) <= kPoleHalfWidth) {
          fill(rgb, y, x, 1, 1, kPole);
        }
      }
    }
  }
};

}  // namespace lockstep
