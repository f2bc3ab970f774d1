// A2C and PPO on the CPU: the stages that differ with a critic, for numbers and objects. Episodes
// go on from update to update; every step of the optimiser evaluates the network anew on a
// minibatch.
#pragma once

#include <algorithm>
#include <array>
#include <vector>

#include "host/backend/environment_states.h"
#include "host/backend/minibatches.h"
#include "host/backend/parallel.h"
#include "host/cpu/number_backend.h"
#include "host/cpu/table_backend.h"
#include "kernels/actor_critic_plan.h"

namespace lockstep {

/// Base: CpuBackend or TableBackend, whose network it learns.
template <class Base>
class CriticUpdates : public Base {
 public:
  void upload(const TrainingState& state) override;
  TrainingState download() const override;
  std::vector<UpdateResult> updates(std::uint32_t epoch, std::span<const double> lr) override;
  void rollout(std::uint32_t epoch) override;
  void credit() override;

 protected:
  using typename CpuUpdates::Turn;

  CriticUpdates(const Config& config, const EnvironmentEntry& environment, const CpuTuning& tuning);

  void allocate_training() override;
  void tell_episodes(UpdateResult& result) const override;
  void learn(Turn& turn) override;
  void shuffle() override;
  void set_figures(UpdateResult& result) override;

  /// Begins a pass: settles its steps, and what weigh_step() reads but for the policy.
  void begin_pass();
  /// The tiles that the pass under way walks.
  std::span<const Tile16> pass_tiles() const;
  /// Calls body(tile, thread) for every one of them.
  template <class Body>
  void for_each_tile(const Body& body) {
    walk_tiles(pass_tiles(), body);
  }
  /// Mean of a WeighedFigure over the pass, from its sum.
  virtual double figure(int which) const = 0;
  int logits() const { return logits_of(this->shape_.A); }

  ActorCriticArgs<float> args_{};
  WeighSums weighed_sums_;       // of the pass
  std::int64_t pass_steps_ = 0;  // of the minibatch

 private:
  bool single_steps() const {
    return this->config_.shuffle == Shuffle::kSteps && minibatches_.count() > 1;
  }
  std::int64_t count_steps() const;
  template <class Body>
  void walk_tiles(std::span<const Tile16> tiles, const Body& body) {
    const std::int64_t steps = std::max(1, tiles.front().end - tiles.front().begin);
    parallel_for(
        static_cast<std::int64_t>(tiles.size()), this->tuning_.threads,
        [&](std::int64_t i, int thread) {
          body(tiles[static_cast<std::size_t>(i)], static_cast<std::size_t>(thread));
        },
        std::max<std::int64_t>(1, Base::kStepsWorthAThread / steps));
  }
  ReturnSums moments_of(std::span<const Tile16> tiles, float scale, bool of_returns);

  Minibatches minibatches_;
  SingleSteps steps_;
  std::int64_t inner_epoch_ = 0, minibatch_ = 0;
  double explained_variance_ = 0;
  PassFigures told_;

  std::int64_t state_size_ = 0;  // S, values of an environment that goes on
  bool fresh_ = true;            // no episode is under way
  Buffer<float> carried_state_, carried_score_, weighed_;
  Buffer<std::int32_t> carried_steps_;
  // before the update under way
  EnvironmentStates before_;                // [16 G] of steps and score
  std::vector<float> before_state_;         // [G][S][16]
  std::array<std::vector<float>, 3> kept_;  // as trained()

  std::vector<AdvantageRange> ranges_;  // per thread
  std::vector<ReturnSums> moment_sums_;
};

/// The sums of all threads.
template <class Sums>
Sums merged(const std::vector<Sums>& parts) {
  Sums sum{};
  for (const Sums& part : parts) merge(sum, part);
  return sum;
}

}  // namespace lockstep
