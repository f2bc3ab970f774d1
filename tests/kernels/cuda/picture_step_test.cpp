// Tests for kernels/cuda/picture_step.cuh: every byte of a step's arrays against the CPU's,
// whatever the options of the game and where the tables know no pictures.
#include "kernels/cuda/picture_step.cuh"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "envs/pong_objects.h"
#include "kernels/cpu/picture_step.h"
#include "tests/support/cuda_step.h"

namespace lockstep::test {
namespace cuda_picture_step_test {

struct Case {
  const char* name;
  GameOptions game;
  std::int32_t first_steps = 0;  // of the first episode, as if they had been played
};
const Case kCases[] = {
    {"plain", {.max_steps = 9}},
    {"everything drawn",
     {.min_skip = 1, .max_skip = 4, .repeat_below = 1 << 22, .max_noops = 7, .max_steps = 9}},
    {"pooled", {.max_pool = true, .max_steps = 9}},
    {"beyond the tables", {.max_steps = 1 << 20}, 1 << 16},
};

/// Returns the episodes that ended.
int expect_equal_steps(const Case& c, std::int64_t envs, int block, Restart restart, int calls) {
  using Game = PictureGame<ObjectPong>;
  constexpr StepSizes kSizes{Game::kNumbers, 0, 2 * ObjectPong::kObjects, ObjectPong::kPixels, 1};
  StepSide<std::vector<std::uint8_t>> cpu(envs, kSizes);
  StepSide<CudaArray<std::uint8_t>> device(envs, kSizes);
  SCOPED_TRACE(std::string(c.name) + ", block " + std::to_string(block));
  bool first = true;
  return expect_equal_sides(
      cpu, device, 2, restart, calls, [&](const StepBuffers& a, const StepBuffers& b) {
        for (std::int64_t env = 0; env < envs; ++env) {
          picture_step<ObjectPong, std::int8_t>(a, c.game, env, cpu::Alone<ObjectPong>{});
        }
        EXPECT_EQ(cuda::picture_step_all<ObjectPong>(b, c.game, block, nullptr), cudaSuccess);
        if (!first) return;
        first = false;
        wait_for_device();
        std::fill_n(a.steps, envs, c.first_steps);
        const std::vector<std::int32_t> steps(static_cast<std::size_t>(envs), c.first_steps);
        require_cuda(cudaMemcpy(b.steps, steps.data(), steps.size() * sizeof(std::int32_t),
                                cudaMemcpyHostToDevice));
      });
}

TEST(CudaPictureStep, StepsLikeTheCpu) {
  for (const Case& c : kCases) {
    for (const Restart restart : {Restart::kNever, Restart::kNextStep, Restart::kSameStep}) {
      const int ended = expect_equal_steps(c, 5, 64, restart, 36);
      EXPECT_EQ(ended > 0, c.first_steps == 0) << c.name;
    }
  }
  expect_equal_steps(kCases[0], 1, 32, Restart::kSameStep, 12);
  expect_equal_steps(kCases[1], 17, 128, Restart::kSameStep, 12);
}

}  // namespace cuda_picture_step_test
}  // namespace lockstep::test
