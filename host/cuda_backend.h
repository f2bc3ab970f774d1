// The CUDA backend: owns the stream, the memory of the device and the training state on it, and
// calls the operations of one environment (kernels/cuda/launchers.h).
//
// A batch of updates is so many launches of one captured graph. Between the first and the last of
// them nothing is allocated, copied or waited for; what an update tells is read back once, at the
// end. The host keeps a copy of the training state as of then: what a lost device takes with it is
// the batch under way, never the state before it.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "host/arena.h"
#include "host/backend.h"
#include "host/cuda_buffers.h"
#include "host/rollout_buffers.h"
#include "kernels/cuda/launchers.h"

namespace lockstep {

namespace cuda {

/// The environments of this plug-in; CMake's lockstep_cuda_parts() makes the unit that defines it.
std::span<const Operations* const> operations_list();
/// Null if there is none of this name.
const Operations* find_operations(const char* environment);

/// How a batch of `num_envs` is laid over the threads of a device with so many multiprocessors:
/// what `config` wishes, where it wishes nothing by the size of the batch.
LaunchShape choose_launch_shape(const Config& config, const PolicyView<float>& policy,
                                std::int64_t num_envs, int multiprocessors);

/// Numbers of PolicyView::units.
std::int64_t unit_numbers(const PolicyView<float>& policy, int O, int A);

/// What goes down to the device before a batch of updates, and what comes up after it: two ranges
/// of one arena that is laid out alike on both sides.
struct Exchange {
  double* lr;           // [slots]  down
  UpdateState* state;   // [1]      down and up
  float* parameters;    // [P]      up, as all that follows
  float* first_moment;  // [P]
  float* second_moment;
  UpdateLog* log;  // [slots]

  void place(Arena& arena, std::int64_t slots, std::int64_t num_parameters);
};

}  // namespace cuda

/// How the work is cut; changes speed, never results.
struct CudaTuning {
  int device = 0;
  std::int32_t most_slots = 1024;  // updates of a batch
};

class CudaBackend : public Backend {
 public:
  /// Errors: as cuda_check().
  CudaBackend(const Config& config, const EnvironmentEntry& environment,
              const cuda::Operations& operations, const CudaTuning& tuning);

  std::string name() const override { return name_; }
  void upload(const TrainingState& state) override;
  /// The state after the last batch of updates; needs no device.
  TrainingState download() const override { return state_; }
  std::vector<UpdateResult> updates(std::uint32_t epoch, std::span<const double> lr) override;
  PlayResult play(const std::vector<float>& parameters, const PlayRequest& request,
                  Record<float>* record) override;
  void step(const StepBuffers& buffers) override;

  const PolicyShape& shape() const { return shape_; }
  /// The gradient of the last update, for tests.
  std::vector<float> read_gradient();
  /// Most updates of one batch.
  std::int32_t slots() const { return slots_; }

 private:
  // cuda_learn.cpp
  void place_training(Arena& arena);
  void allocate_training();
  void push_state();
  void launch_update();
  void launch_again(int bits_dropped);
  void read_back(std::int32_t slots);
  void push_control(std::int64_t rates);
  std::optional<const char*> stop_message() const;
  void read_episodes(std::int32_t slots, std::int64_t episodes);
  std::vector<UpdateResult> results(std::int32_t slots, std::int32_t read);
  // cuda_play.cpp
  float play_on_device(const RolloutArgs<float>& args);

  void use_device() const;
  void synchronize();

  Config config_;
  const EnvironmentEntry* environment_;
  const cuda::Operations* ops_;
  CudaTuning tuning_;
  int multiprocessors_ = 1;
  std::string name_;
  PolicyShape shape_;
  PackedPolicy packed_;       // training
  PackedPolicy play_packed_;  // evaluation: no dropout
  UpdatePlan plan_;
  TrainingState state_;                 // as of the last batch
  bool stale_ = true;                   // the device's copy is not state_
  std::optional<const char*> pending_;  // why the update after the last results failed

  // training; the graph goes before the memory it works on
  cuda::DeviceMemory training_;
  cuda::PinnedMemory mirror_;  // of the exchange, then episodes read back
  cuda::Exchange exchange_{}, host_{};
  cuda::UpdateArgs args_{};
  cuda::LaunchShape launch_shape_{};
  std::byte* cleared_ = nullptr;  // accumulators: zero at the start of every update
  std::int64_t cleared_bytes_ = 0;
  std::int32_t slots_ = 0;
  cuda::DeviceMemory episodes_;       // compacted, with --horizon
  cuda::PinnedMemory episodes_read_;  // lengths, then scores
  cuda::GraphExec update_graph_;
  // play() and step()
  cuda::Event play_start_, play_end_;
  cuda::DeviceMemory play_memory_, step_memory_;
  cuda::PinnedMemory play_read_, step_mirror_;
  cuda::Stream stream_;  // goes first: a capture that a fault left open would keep the rest alive
};

}  // namespace lockstep
