// Tests for kernels/cuda/step.cuh: every bit of Engine::step()'s buffers against the CPU's, over
// many steps with resets by the caller and of its own.
#include "kernels/cuda/step.cuh"

#include <gtest/gtest.h>

#include <vector>

#include "envs/cartpole.h"
#include "kernels/cpu/instantiate.h"
#include "tests/support/corridor.h"
#include "tests/support/cuda_array.h"

namespace lockstep::test {
namespace step_test {

/// The caller's buffers on the host, with room for whole groups.
template <class E>
struct HostBuffers {
  explicit HostBuffers(std::size_t lanes)
      : state(lanes * E::kStateSize),
        obs(lanes * E::kObservationSize),
        final_obs(lanes * E::kObservationSize),
        reward(lanes),
        steps(lanes),
        number(lanes, 0xffffffffu),
        action(lanes),
        reset(lanes, 1),
        terminated(lanes),
        truncated(lanes) {}
  bool operator==(const HostBuffers&) const = default;

  std::vector<float> state, obs, final_obs, reward;
  std::vector<std::int32_t> steps;
  std::vector<std::uint32_t> number;
  std::vector<std::uint8_t> action, reset, terminated, truncated;
};

template <class E>
struct DeviceBuffers {
  explicit DeviceBuffers(const HostBuffers<E>& h)
      : state(h.state),
        obs(h.obs),
        final_obs(h.final_obs),
        reward(h.reward),
        steps(h.steps),
        number(h.number),
        action(h.action),
        reset(h.reset),
        terminated(h.terminated),
        truncated(h.truncated) {}
  void download_to(HostBuffers<E>& h) const {
    h.state = state.download();
    h.obs = obs.download();
    h.final_obs = final_obs.download();
    h.reward = reward.download();
    h.steps = steps.download();
    h.number = number.download();
    h.terminated = terminated.download();
    h.truncated = truncated.download();
  }

  CudaArray<float> state, obs, final_obs, reward;
  CudaArray<std::int32_t> steps;
  CudaArray<std::uint32_t> number;
  CudaArray<std::uint8_t> action, reset, terminated, truncated;
};

template <class Buffers>
StepBuffers arguments(std::int64_t envs, bool reset_only, bool same_step, Buffers& b) {
  return {envs,
          {9, 0x7fffffffu},
          b.state.data(),
          b.steps.data(),
          b.number.data(),
          b.action.data(),
          b.reset.data(),
          reset_only,
          same_step,
          b.obs.data(),
          b.final_obs.data(),
          b.reward.data(),
          b.terminated.data(),
          b.truncated.data()};
}

/// Steps both sides with the same random actions. Returns the episodes that ended.
template <class E>
int expect_equal_steps(std::int64_t envs, int block, bool same_step, int calls) {
  using Cpu = cpu::Batch<E, float, 1, 1, 1, FixedPoint>;
  const std::int64_t groups = (envs + kGroup - 1) / kGroup;
  HostBuffers<E> cpu(static_cast<std::size_t>(groups * kGroup));
  DeviceBuffers<E> device(cpu);
  int ended = 0;
  for (int call = 0; call < calls; ++call) {
    const bool reset_only = call % 7 == 0;
    for (std::size_t i = 0; i < cpu.action.size(); ++i) {
      const auto r = philox4x32<std::uint32_t>(static_cast<std::uint32_t>(i),
                                               static_cast<std::uint32_t>(call), 0, 0, 5);
      cpu.action[i] =
          static_cast<std::uint8_t>(r.w[0] % static_cast<std::uint32_t>(E::kNumActions));
      const bool over = cpu.terminated[i] != 0 || cpu.truncated[i] != 0;
      cpu.reset[i] = call == 0 || (over && !same_step) || r.w[1] % 16 == 0;
    }
    device.action.upload(cpu.action);
    device.reset.upload(cpu.reset);
    for (std::int64_t group = 0; group < groups; ++group) {
      Cpu::step(arguments(envs, reset_only, same_step, cpu), group);
    }
    const StepBuffers args = arguments(envs, reset_only, same_step, device);
    EXPECT_EQ(cuda::step_all<E>(args, {cuda::Mapping::kThread, block, 1}, nullptr), cudaSuccess);
    wait_for_device();
    HostBuffers<E> from_device = cpu;
    device.download_to(from_device);
    EXPECT_TRUE(from_device == cpu) << E::kName << ", envs " << envs << ", block " << block
                                    << (same_step ? ", same step" : "") << ", call " << call;
    for (std::size_t i = 0; i < cpu.action.size(); ++i) ended += cpu.terminated[i];
  }
  return ended;
}

TEST(CudaStep, StepsLikeTheCpu) {
  for (const std::int64_t envs : {1, 15, 16, 17, 31, 32, 33, 255, 257, 1000}) {
    for (const int block : {32, 64, 128, 256}) {
      for (const bool same_step : {false, true}) {
        const int ended = expect_equal_steps<CartPole>(envs, block, same_step, 60);
        EXPECT_GE(ended, envs >= 15 ? 1 : 0);
        expect_equal_steps<Corridor>(envs, block, same_step, 30);
      }
    }
  }
}

}  // namespace step_test
}  // namespace lockstep::test
