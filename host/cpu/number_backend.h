// The CPU backend of environments of numbers: splits batches over threads and calls the operations
// of the chosen instruction set. Owns the buffers that its stages work on.
#pragma once

#include <vector>

#include "host/backend/record.h"
#include "host/cpu/isa.h"
#include "host/cpu/updates.h"
#include "kernels/cpu/launchers.h"
#include "kernels/finish_gradient.h"

namespace lockstep {

class CpuBackend : public CpuUpdates {
 public:
  /// Of 16 environments: some half a millisecond of a network's forward and backward.
  static constexpr std::int64_t kStepsWorthAThread = 256;

  CpuBackend(const Config& config, const EnvironmentEntry& environment, const CpuTuning& tuning);

  void upload(const TrainingState& state) override;
  TrainingState download() const override;
  PlayResult play(const std::vector<float>& parameters, const PlayRequest& request,
                  Record<float>* record) override;
  std::unique_ptr<Stepper> make_stepper(const StepperRequest& request) override;

  void rollout(std::uint32_t epoch) override;
  std::span<const float> gradient_view() const override { return gradient_; }
  const Record<float>& record() const { return buffers_.record(); }
  const Record<float>& steps() const override { return record(); }
  /// The scales the last gradient was quantised with.
  std::span<const float> gradient_scales() const;

 protected:
  CpuBackend(const Config& config, const EnvironmentEntry& environment, const CpuTuning& tuning,
             const Learner& learner);
  void tell_episodes(UpdateResult& result) const override;
  void returns(std::int64_t group, std::int64_t* time_sum, ReturnSums& sums) override;
  void baseline(const BaselineArgs<float>& args, std::int64_t group, ReturnSums& sums) override;
  void weigh(int bits_dropped) override;
  std::int64_t parts() const override { return 1; }
  void accumulate(std::int64_t part, int thread) override;
  void reduce(std::int64_t part, int thread) override;
  void finish(std::int64_t part, int thread) override;
  Totals totals() const override;
  double gradient_norm() override;
  std::array<std::span<float>, 3> trained() override;
  std::uint32_t optimize(const OptimizerArgs& args, std::int64_t first,
                         std::int64_t count) override;
  void renew() override {}  // rollout() packs

  virtual void allocate_training();
  /// What an update plays, with the policy and the record of now.
  RolloutArgs<float> training_rollout(std::uint32_t epoch);
  void run_rollout(const RolloutArgs<float>& args);
  /// Episodes that ended in the rollout, and what their environments had done before it.
  void list_episodes(const EnvironmentStates& before, UpdateResult& result) const;
  /// Of sums_.
  virtual GradientLayout layout() const;

  const cpu::FloatOperations* ops_;
  PackedPolicy packed_;       // training
  PackedPolicy play_packed_;  // evaluation: no dropout
  TrainingState state_;       // but for what runs from update to update

  RolloutBuffers buffers_;
  std::vector<Buffer<std::int32_t>> lanes_;  // per thread
  std::vector<Buffer<std::int64_t>> partials_;
  std::vector<Buffer<std::uint32_t>> kept_bits_;
  std::vector<cpu::GradientScratch<FixedPoint>> scratch_;  // per thread, of the three above
  std::vector<std::int64_t> sums_;                         // merged
  std::vector<float> gradient_;
  GradientArgs<float> gradient_args_{};
};

}  // namespace lockstep
