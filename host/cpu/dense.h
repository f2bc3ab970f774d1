// The dense path on the CPU: OpenBLAS for the products, the operations of the chosen instruction
// set around them. The batch is cut into tiles of one size, so that every product has the shape of
// its layer alone: results depend neither on the number of threads nor on that of environments.
// Environments of objects are seen as pictures (kernels/picture_step.h).
#pragma once

#include <memory>
#include <vector>

#include "host/backend/dense_policy.h"
#include "host/cpu/blas.h"
#include "host/cpu/stepper.h"

namespace lockstep {

class CpuDense : public DenseDevice {
 public:
  /// Errors: DeviceUnavailable without OpenBLAS.
  CpuDense(const EnvironmentEntry& environment, const CpuTuning& tuning);

  std::string library() const override { return blas_.name(); }
  void set_layers(std::span<const DenseLayer> layers) override;
  std::vector<float> forward(std::span<const float> obs) override;
  void start(const PlayRequest& request) override;
  void step(std::int32_t t) override;
  DenseStep last_step() override;
  std::span<const std::int32_t> episodes() override;
  void finish(PlayResult& result) override;

 private:
  void run_layers(const float* rows, float* logits, int thread);
  void play_tile(std::int64_t tile, std::int32_t t, int thread);
  std::int64_t tiles_of(std::int64_t rows) const { return (rows + tile_ - 1) / tile_; }

  const Blas& blas_;
  const EnvironmentEntry& environment_;
  const EnvironmentFacts& facts_;
  CpuTuning tuning_;
  void (*bias_)(const BiasArgs&, std::int64_t, std::int64_t);
  void (*sample_)(const SampleArgs&, std::int64_t);
  int tile_;  // rows of a product
  std::vector<DenseLayer> layers_;
  std::vector<Buffer<float>> hidden_[2];  // per thread [tile][widest layer]

  PlayRequest request_;
  std::int64_t groups_ = 0, tiles_ = 0;
  std::unique_ptr<CpuStepper> stepper_;
  StepViews seen_;
  TallyArgs tally_{};
  Buffer<float> rows_, logits_;  // [tiles][tile][O], [Z]
  Buffer<float> running_score_, score_;
  Buffer<std::int32_t> running_steps_, length_, episodes_;
};

}  // namespace lockstep
