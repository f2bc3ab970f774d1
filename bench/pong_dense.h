// The 6400-H-1 network as matrix products over pictures, at its best: OpenBLAS, pictures ready in
// memory, and nothing else of a training step. What the object tables are compared with.
#pragma once

#include <span>
#include <vector>

#include "host/cpu/blas.h"
#include "host/cpu/table_backend.h"

namespace lockstep::bench {

class DensePong {
 public:
  static constexpr int kPictures = 1024;  // of a product: where OpenBLAS is at its full speed

  /// Pictures of a recorded rollout with automatic reset, from step `first_step` on, and the
  /// weights that played it.
  DensePong(const TableBackend& backend, const TableFacts& facts, int first_step)
      : pixels_(facts.shape.pixels),
        hidden_(backend.shape().H),
        parameters_(backend.download().parameters),
        pictures_(static_cast<std::size_t>(kPictures * pixels_)),
        by_pixel_(pictures_.size()),
        out_(static_cast<std::size_t>(kPictures * hidden_)),
        back_(out_.size()),
        gradient_(static_cast<std::size_t>(hidden_ * pixels_)) {
    const TableRecord& record = backend.record();
    std::vector<std::int8_t> picture(static_cast<std::size_t>(pixels_));
    for (int m = 0; m < kPictures; ++m) {
      const int t = first_step + m / kGroup, lane = m % kGroup;
      const std::uint32_t ended =
          record.steps.terminated[t - 1] | std::uint32_t{record.steps.truncated[t - 1]};
      difference_picture(facts, record.rows, t, lane, ((ended >> lane) & 1) != 0, picture.data());
      for (int p = 0; p < pixels_; ++p) {
        const float value = picture[static_cast<std::size_t>(p)];
        pictures_[static_cast<std::size_t>(m * pixels_ + p)] = value;
        by_pixel_[static_cast<std::size_t>(p * kPictures + m)] = value;
      }
      recorded_.push_back(record.steps.logits[std::int64_t{t} * kGroup + lane]);
    }
    for (std::size_t i = 0; i < back_.size(); ++i) back_[i] = static_cast<float>(i % 7) - 3;
  }

  /// Hidden layer [kPictures, H] of all pictures.
  void forward() {
    blas_.multiply_transposed(kPictures, hidden_, pixels_, pictures_.data(), parameters_.data(),
                              out_.data());
  }
  /// Gradient of the first layer, [H, pixels].
  void backward() {
    blas_.multiply_transposed(hidden_, pixels_, kPictures, back_.data(), by_pixel_.data(),
                              gradient_.data());
  }
  /// Largest distance of forward()'s logits from the recorded ones.
  double distance() const {
    const float* output = parameters_.data() + std::int64_t{hidden_} * pixels_;
    double largest = 0;
    for (int m = 0; m < kPictures; ++m) {
      double z = 0;
      for (int j = 0; j < hidden_; ++j) {
        const double h = static_cast<double>(out_[static_cast<std::size_t>(m * hidden_ + j)]);
        z += static_cast<double>(output[j]) * (h > 0 ? h : 0);
      }
      const double got = static_cast<double>(recorded_[static_cast<std::size_t>(m)]);
      largest = std::max(largest, std::abs(z - got));
    }
    return largest;
  }
  const std::string& library() const { return blas_.name(); }

 private:
  const Blas& blas_ = Blas::get();
  int pixels_, hidden_;
  std::vector<float> parameters_, pictures_, by_pixel_, out_, back_, gradient_, recorded_;
};

}  // namespace lockstep::bench
