// The CPU backend: splits batches over threads and calls the operations of the chosen instruction
// set. Owns all buffers; no allocation happens between the first and the last step of an update.
#pragma once

#include <vector>

#include "host/backend/backend.h"
#include "host/backend/outcome.h"
#include "host/backend/record.h"
#include "host/cpu/isa.h"
#include "kernels/cpu/launchers.h"
#include "kernels/finish_gradient.h"
#include "kernels/optimizer.h"

namespace lockstep {

/// How the work is cut; changes speed, never results.
struct CpuTuning {
  Isa isa = Isa::kScalar;
  int threads = 1;
  int groups_per_block = 0;  // groups advanced together; 0 = by batch size
};

class CpuBackend : public Backend {
 public:
  CpuBackend(const Config& config, const EnvironmentEntry& environment, const CpuTuning& tuning);

  std::string name() const override { return "cpu"; }
  void upload(const TrainingState& state) override;
  TrainingState download() const override { return state_; }
  /// One update a call: a log point costs the CPU nothing.
  std::vector<UpdateResult> updates(std::uint32_t epoch, std::span<const double> lr) override;
  PlayResult play(const std::vector<float>& parameters, const PlayRequest& request,
                  Record<float>* record) override;
  void step(const StepBuffers& buffers) override;

  // The parts of an update, in order; public for tests and benchmarks.
  void rollout(std::uint32_t epoch);
  void estimate();                          // returns, baseline, normalisation
  int gradient();                           // -> gradient_view(); returns the rescalings needed
  void apply(double lr, double grad_norm);  // optimiser

  const Record<float>& record() const { return buffers_.record(); }
  std::span<const float> gradient_view() const { return gradient_; }
  const PolicyShape& shape() const { return shape_; }
  Moments advantage_moments() const { return moments_; }
  /// The scales the last gradient was quantised with.
  std::span<const float> gradient_scales() const;

 private:
  void allocate_training();
  void run_rollout(const RolloutArgs<float>& args);
  bool accumulate(const GradientArgs<float>& args);
  GradientArgs<float> gradient_args(int bits_dropped) const;
  UpdateResult one_update(std::uint32_t epoch, double lr);

  Config config_;
  const EnvironmentEntry* environment_;
  CpuTuning tuning_;
  const cpu::FloatOperations* ops_;
  PolicyShape shape_;
  PackedPolicy packed_;           // training
  PackedPolicy play_packed_;      // evaluation: no dropout
  TrainingState state_, before_;  // before_: the state a failed update goes back to
  UpdatePlan plan_;

  RolloutBuffers buffers_;
  RandomStream stream_{};
  Outcome outcome_;
  std::vector<float> baseline_;
  std::vector<std::vector<std::int64_t>> time_sums_;  // per thread [T]
  std::vector<Buffer<std::int32_t>> lanes_;           // per thread
  std::vector<Buffer<std::int64_t>> partials_;
  std::vector<Buffer<std::uint32_t>> kept_bits_;
  std::vector<cpu::GradientScratch<FixedPoint>> scratch_;  // per thread, of the three above
  std::vector<ReturnSums> return_sums_;                    // per thread
  std::vector<std::int64_t> sums_;                         // merged
  std::vector<float> gradient_;
  GradientArgs<float> last_args_{};
  Moments moments_{0, 1};
  float largest_ = 0;
  std::int64_t valid_steps_ = 0;
};

}  // namespace lockstep
