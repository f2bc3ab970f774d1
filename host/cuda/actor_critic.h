// A2C and PPO on a CUDA device, of environments of numbers: the stages of number_backend.h that
// differ with a critic, the twin of host/cpu/actor_critic.h. Episodes go on from update to update
// in the device's memory; the passes of an update follow each other there without the host.
//
// The host keeps a copy of the environments as of the last batch of updates, as it does of all of
// the training state.
#pragma once

#include "host/cuda/number_backend.h"
#include "kernels/cuda/actor_critic_launchers.h"

namespace lockstep {

namespace cuda {

/// Environments in the middle of their episodes: laid out alike on both sides.
struct CarriedStates {
  float* state;         // [G][S][16]
  std::int32_t* steps;  // [16 G]
  float* score;         // [16 G]; null where every reward is 1

  void place(Arena& arena, std::int64_t lanes, int state_size, bool scored) {
    arena.place(state, lanes * state_size);
    arena.place(steps, lanes);
    arena.place(score, scored ? lanes : 0);
  }
};

}  // namespace cuda

class CudaActorCritic final : public CudaBackend {
 public:
  /// Errors: as cuda_check().
  CudaActorCritic(const Config& config, const EnvironmentEntry& environment,
                  const cuda::Operations& operations, const CudaTuning& tuning);

 private:
  Frame make_frame() override;
  void place_arrays(Arena& arena) override;
  void finish_arrays() override;
  void launch(Stage stage) override;
  void push_state() override;
  void keep_state() override;
  void read_environments() override;

  void place_carried(Arena& arena, cuda::CarriedStates& to) const;
  GradientLayout layout() const;

  cuda::ActorCriticUpdateArgs critic_args_{};  // but for CudaBackend::args_, which it is given last
  cuda::CarriedStates carried_{}, host_carried_{};
  std::int64_t carried_bytes_ = 0;
  cuda::PinnedMemory carried_read_;
};

}  // namespace lockstep
