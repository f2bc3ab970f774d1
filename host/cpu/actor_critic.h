// A2C and PPO on the CPU, of environments of numbers: what critic_updates.h leaves to the network.
#pragma once

#include <vector>

#include "host/cpu/critic_updates.h"

namespace lockstep {

class CpuActorCritic final : public CriticUpdates<CpuBackend> {
 public:
  CpuActorCritic(const Config& config, const EnvironmentEntry& environment,
                 const CpuTuning& tuning);

 private:
  void allocate_training() override;
  GradientLayout layout() const override;
  void weigh(int bits_dropped) override;
  void accumulate(std::int64_t part, int thread) override;
  void finish(std::int64_t part, int thread) override;
  double figure(int which) const override;
  void renew() override { packed_.pack(state_.parameters); }

  void set_scales(int bits_dropped);

  std::vector<WeighSums> weigh_sums_;  // per thread
};

}  // namespace lockstep
