// A2C and PPO on the CPU, of environments of objects: what critic_updates.h leaves to the network,
// whose critic shares the hidden layer (kernels/table_critic.h).
#pragma once

#include <array>
#include <vector>

#include "host/cpu/critic_updates.h"
#include "kernels/table_critic.h"

namespace lockstep {

class TableActorCritic final : public CriticUpdates<TableBackend> {
 public:
  TableActorCritic(const Config& config, const EnvironmentEntry& environment,
                   const CpuTuning& tuning);

 private:
  void allocate_training() override;
  void weigh(int bits_dropped) override;
  void accumulate(std::int64_t slice, int thread) override;
  void finish(std::int64_t slice, int thread) override;
  double figure(int which) const override;

  void set_scales(const TableWeighSums& total);
  void sum_figures();

  TableCriticArgs learn_args_{};
  std::vector<TableWeighSums> weigh_sums_;         // per thread
  std::vector<Buffer<std::int64_t>> output_sums_;  // per thread [Y][kSliceUnits]
  std::vector<std::array<std::int64_t, kWeighedFigures>> figure_sums_;  // per thread; first: of all
};

}  // namespace lockstep
