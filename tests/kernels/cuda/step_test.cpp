// Tests for kernels/cuda/step.cuh: every bit of Engine::step()'s buffers against the CPU's, over
// many steps with resets by the caller, with and without seeds, and of its own.
#include "kernels/cuda/step.cuh"

#include <gtest/gtest.h>

#include <string>

#include "envs/cartpole.h"
#include "kernels/cpu/instantiate.h"
#include "tests/support/corridor.h"
#include "tests/support/cuda_step.h"

namespace lockstep::test {
namespace step_test {

/// Returns the episodes that ended.
template <class E>
int expect_equal_steps(std::int64_t envs, int block, Restart restart, int calls) {
  using Cpu = cpu::Batch<E, float, 1, 1, 1, FixedPoint>;
  constexpr StepSizes kSizes{E::kStateSize, E::kStateSize, 0, E::kObservationSize, 4};
  StepSide<std::vector<std::uint8_t>> cpu(envs, kSizes);
  StepSide<CudaArray<std::uint8_t>> device(envs, kSizes);
  const std::int64_t groups = (envs + kGroup - 1) / kGroup;
  SCOPED_TRACE(std::string(E::kName) + ", block " + std::to_string(block));
  return expect_equal_sides(
      cpu, device, E::kNumActions, restart, calls, [&](const StepBuffers& a, const StepBuffers& b) {
        for (std::int64_t group = 0; group < groups; ++group) {
          Cpu::step(a, group);
        }
        EXPECT_EQ(cuda::step_all<E>(b, {cuda::Mapping::kThread, block, 1}, nullptr), cudaSuccess);
      });
}

TEST(CudaStep, StepsLikeTheCpu) {
  for (const std::int64_t envs : {1, 15, 16, 17, 31, 32, 33, 255, 257, 1000}) {
    for (const int block : {32, 64, 128, 256}) {
      for (const Restart restart : {Restart::kNever, Restart::kNextStep, Restart::kSameStep}) {
        const int ended = expect_equal_steps<CartPole>(envs, block, restart, 60);
        EXPECT_GE(ended, envs >= 15 ? 1 : 0);
        expect_equal_steps<Corridor>(envs, block, restart, 30);
      }
    }
  }
}

}  // namespace step_test
}  // namespace lockstep::test
