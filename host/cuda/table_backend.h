// The CUDA backend of environments of objects: calls the operations of a table policy
// (kernels/cuda/table_launchers.h) on the memory of a device.
#pragma once

#include <memory>
#include <vector>

#include "host/backend/table_lists.h"
#include "host/backend/table_record.h"
#include "host/cuda/environments.h"
#include "host/cuda/updates.h"

namespace lockstep {

namespace cuda {

/// How a batch of `num_envs` is laid over the threads of a device with so many multiprocessors, and
/// so many bytes of shared memory that a block can have.
TableLaunchShape choose_table_shape(const Config& config, std::int64_t num_envs,
                                    int multiprocessors, std::int32_t shared_bytes);

/// TablePixels on the device.
struct DevicePixels {
  TableLists lights, lit_by;

  void place(Arena& arena, const TablePixels& pixels);
};

}  // namespace cuda

class CudaTableBackend : public CudaUpdates {
 public:
  /// Errors: as cuda_check().
  CudaTableBackend(const Config& config, const EnvironmentEntry& environment,
                   const cuda::TableOperations& operations, const CudaTuning& tuning);

  void upload(const TrainingState& state) override;
  /// The state after the last batch of updates; needs no device.
  TrainingState download() const override;
  PlayResult play(const std::vector<float>& parameters, const PlayRequest& request,
                  Record<float>* record) override;
  std::unique_ptr<Stepper> make_stepper(const StepperRequest& request) override;

  /// The gradient of the last update, dW1 [P][Hp], then dw2 [Hp]; for tests.
  std::vector<float> read_gradient();

 private:
  Frame make_frame() override;
  void place_arrays(Arena& arena) override;
  void finish_arrays() override;
  void launch(Stage stage) override;
  void push_state() override;
  void keep_state() override;
  void push_pixels(const cuda::DevicePixels& to);

  const cuda::TableOperations* ops_;
  TableShape table_;
  float leak_;
  TablePixels pixels_;
  cuda::TableUpdateArgs args_{};
  cuda::TableLaunchShape launch_shape_{};
  cuda::DevicePixels device_pixels_{};
  // the training state as of the last batch, in the layout of the kernels
  std::vector<float> parameters_, first_moment_, second_moment_;
};

}  // namespace lockstep
