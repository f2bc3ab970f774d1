// The arrays of a step on the CPU and on the emulated device, laid out alike. Test code only.
#pragma once

#include <gtest/gtest.h>

#include <vector>

#include "kernels/philox.h"
#include "tests/support/cuda_array.h"
#include "tests/support/step_side.h"

namespace lockstep::test {

/// Makes both sides do the same: random actions, and in every seventh call a reset, of a random
/// quarter but for the first, every second one with seeds. run(args of the CPU, of the device)
/// does it.
template <class Run>
int expect_equal_sides(StepSide<std::vector<std::uint8_t>>& cpu,
                       StepSide<CudaArray<std::uint8_t>>& device, int num_actions, Restart restart,
                       int calls, const Run& run) {
  const auto n = static_cast<std::size_t>(cpu.args.num_envs);
  std::vector<std::uint8_t> action(n), mask(n);
  const std::vector<std::uint64_t> seeds(n, 77);
  CudaArray<std::uint8_t> device_action(action), device_mask(mask);
  const CudaArray<std::uint64_t> device_seeds(seeds);
  int ended = 0;
  for (int call = 0; call < calls; ++call) {
    for (std::size_t i = 0; i < n; ++i) {
      const auto r = philox4x32<std::uint32_t>(static_cast<std::uint32_t>(i),
                                               static_cast<std::uint32_t>(call), 0, 0, 5);
      action[i] = static_cast<std::uint8_t>(r.w[0] % static_cast<std::uint32_t>(num_actions));
      mask[i] = r.w[1] % 4 == 0;
    }
    device_action.upload(action);
    device_mask.upload(mask);
    const auto prepare = [&](StepBuffers& args, const auto& actions, const auto& masks,
                             const auto& new_seeds) {
      args.reset_only = call % 7 == 0;
      args.restart = restart;
      args.draw = call % 7 == 1;
      args.action = actions.data();
      args.mask = call == 0 ? nullptr : masks.data();
      args.new_seed = call % 14 == 7 ? new_seeds.data() : nullptr;
      args.own_seeds = args.own_seeds || args.new_seed != nullptr;
    };
    prepare(cpu.args, action, mask, seeds);
    prepare(device.args, device_action, device_mask, device_seeds);
    run(cpu.args, device.args);
    wait_for_device();
    EXPECT_TRUE(device.memory.download() == cpu.memory)
        << "envs " << n << ", restart " << static_cast<int>(restart) << ", call " << call;
    for (std::size_t i = 0; i < n; ++i) ended += cpu.args.terminated[i] | cpu.args.truncated[i];
  }
  return ended;
}

}  // namespace lockstep::test
