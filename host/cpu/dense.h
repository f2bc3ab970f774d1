// The dense path on the CPU: OpenBLAS for the products, the operations of the chosen instruction
// set around them. The batch is cut into tiles of one size, so that every product has the shape of
// its layer alone: results depend neither on the number of threads nor on that of environments.
// Environments of objects are seen as pictures (kernels/picture_step.h).
#pragma once

#include <vector>

#include "host/backend/dense_policy.h"
#include "host/cpu/blas.h"
#include "host/cpu/number_backend.h"

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
  void step_group(std::int64_t group);
  std::int64_t tiles_of(std::int64_t rows) const { return (rows + tile_ - 1) / tile_; }

  const Blas& blas_;
  const EnvironmentFacts& facts_;
  const cpu::FloatOperations* ops_ = nullptr;  // of an environment of numbers
  void (*bias_)(const BiasArgs&, std::int64_t, std::int64_t);
  void (*sample_)(const SampleArgs&, std::int64_t);
  int threads_, tile_;  // rows of a product
  std::vector<DenseLayer> layers_;
  std::vector<Buffer<float>> hidden_[2];  // per thread [tile][widest layer]

  PlayRequest request_;
  std::int64_t groups_ = 0, tiles_ = 0;
  StepBuffers step_{};
  TallyArgs tally_{};
  Buffer<float> rows_, logits_;  // [tiles][tile][O], [Z]
  Buffer<float> state_, obs_, reward_, running_score_, score_;
  Buffer<std::int32_t> steps_, running_steps_, length_, episodes_;
  Buffer<std::uint32_t> number_;
  Buffer<std::uint8_t> action_, reset_, terminated_, truncated_;
};

}  // namespace lockstep
