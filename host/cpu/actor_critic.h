// A2C and PPO on the CPU, of environments of numbers: the stages of number_backend.h that differ
// with a critic. Episodes go on from update to update; every step of the optimiser evaluates the
// network anew on a minibatch.
#pragma once

#include <array>
#include <vector>

#include "host/backend/minibatches.h"
#include "host/cpu/number_backend.h"
#include "kernels/actor_critic_step.h"

namespace lockstep {

class CpuActorCritic final : public CpuBackend {
 public:
  CpuActorCritic(const Config& config, const EnvironmentEntry& environment,
                 const CpuTuning& tuning);

  void upload(const TrainingState& state) override;
  TrainingState download() const override;
  std::vector<UpdateResult> updates(std::uint32_t epoch, std::span<const double> lr) override;
  void rollout(std::uint32_t epoch) override;
  void credit() override;

 private:
  /// What an update tells, summed over its passes.
  struct PassSums {
    UpdateFigures sums{0, 0, 0, 0, 0, 0, 0};
    std::int64_t passes = 0;
  };

  void allocate_training() override;
  GradientLayout layout() const override;
  void tell_episodes(UpdateResult& result) const override;
  void learn(Turn& turn) override;
  void shuffle() override;
  void weigh(int bits_dropped) override;
  void accumulate(std::int64_t part, int thread) override;
  void finish(std::int64_t part, int thread) override;
  void set_figures(UpdateResult& result) override;
  void renew() override { packed_.pack(state_.parameters); }

  bool single_steps() const {
    return config_.shuffle == Shuffle::kSteps && minibatches_.count() > 1;
  }
  /// The tiles that the pass under way walks.
  std::span<const Tile16> pass_tiles() const;
  std::int64_t count_steps() const;
  ReturnSums moments_of(std::span<const Tile16> tiles, float scale, bool of_returns);
  void set_scales(const WeighSums& sums, int bits_dropped);
  void tell_figures(UpdateResult& result) const;

  ActorCriticArgs<float> args_{};
  Minibatches minibatches_;
  SingleSteps steps_;
  std::int64_t inner_epoch_ = 0, minibatch_ = 0;
  std::int64_t pass_steps_ = 0;  // of the minibatch
  std::int64_t clipped_ = 0;     // of these
  double explained_variance_ = 0;
  PassSums told_;

  std::int64_t state_size_ = 0;  // S, values of an environment
  bool fresh_ = true;            // no episode is under way
  Buffer<float> carried_state_, carried_score_, weighed_;
  Buffer<std::int32_t> carried_steps_;
  // before the update under way
  EnvironmentStates before_;                // [16 G] of steps and score
  std::vector<float> before_state_;         // [G][S][16]
  std::array<std::vector<float>, 3> kept_;  // as trained()

  std::vector<AdvantageRange> ranges_;  // per thread
  std::vector<WeighSums> weigh_sums_;
  std::vector<ReturnSums> moment_sums_;
};

}  // namespace lockstep
