// The CUDA backend of environments of numbers: calls the operations of one environment
// (kernels/cuda/launchers.h) on the memory of a device.
#pragma once

#include <span>
#include <vector>

#include "host/backend/record.h"
#include "host/cuda/environments.h"
#include "host/cuda/updates.h"

namespace lockstep {

namespace cuda {

/// How a batch of `num_envs` is laid over the threads of a device with so many multiprocessors:
/// what `config` wishes, where it wishes nothing by the size of the batch.
LaunchShape choose_launch_shape(const Config& config, const PolicyView<float>& policy,
                                std::int64_t num_envs, int multiprocessors);

/// Numbers of PolicyView::units, for so many outputs.
std::int64_t unit_numbers(const PolicyView<float>& policy, int O, int outputs);

}  // namespace cuda

class CudaBackend : public CudaUpdates {
 public:
  /// Errors: as cuda_check().
  CudaBackend(const Config& config, const EnvironmentEntry& environment,
              const cuda::Operations& operations, const CudaTuning& tuning);

  /// The state after the last batch of updates; needs no device.
  TrainingState download() const override { return state_; }
  PlayResult play(const std::vector<float>& parameters, const PlayRequest& request,
                  Record<float>* record) override;
  std::unique_ptr<Stepper> make_stepper(const StepperRequest& request) override;

  /// The gradient of the last update, for tests.
  std::vector<float> read_gradient();

 protected:
  CudaBackend(const Config& config, const EnvironmentEntry& environment,
              const cuda::Operations& operations, const CudaTuning& tuning, const Learner& learner);

  /// Logits, and behind them the value where there is a critic.
  int outputs() const { return logits_of(shape_.A) + (shape_.critic == kNoCritic ? 0 : 1); }
  /// Places the policy, its gradient and what a rollout tells and saves.
  void place_policy(Arena& arena);

  // number_learn.cpp
  Frame make_frame() override;
  void place_arrays(Arena& arena) override;
  void finish_arrays() override;
  void launch(Stage stage) override;
  void push_state() override;
  void keep_state() override;

  const cuda::Operations* ops_;
  PackedPolicy packed_;       // training
  PackedPolicy play_packed_;  // evaluation: no dropout
  cuda::UpdateArgs args_{};
  cuda::LaunchShape launch_shape_{};
  std::byte* cleared_ = nullptr;  // accumulators: zero at the start of every update
  std::int64_t cleared_bytes_ = 0;
};

}  // namespace lockstep
