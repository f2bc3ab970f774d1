// Tests for host/cpu/stepper.h: the same bits on every instruction set and any number of threads,
// pictures of int8 and of floats, and no allocation in a step. What steps do is told by
// host/engine_step_test.
#include "host/cpu/stepper.h"

#include <gtest/gtest.h>
#include <malloc.h>

#include <cstring>
#include <string>
#include <vector>

#include "tests/support/training.h"

namespace lockstep {
namespace cpu_stepper_test {

std::vector<std::uint8_t> actions_of(std::int64_t envs, int num_actions, int t) {
  std::vector<std::uint8_t> actions;
  std::uint32_t word = static_cast<std::uint32_t>(t) * 2654435761u;
  for (std::int64_t i = 0; i < envs; ++i) {
    word = word * 1664525u + 1013904223u;
    actions.push_back(static_cast<std::uint8_t>((word >> 16) % static_cast<unsigned>(num_actions)));
  }
  return actions;
}

std::string bytes_of(const ArrayView& view) {
  const std::size_t size = view.type == ElementType::kFloat32 ? 4 : 1;
  return {view.as<const char>(), size * static_cast<std::size_t>(view.shape[0] * view.shape[1])};
}

/// What a run of steps and resets tells, call by call.
std::vector<std::string> play(const char* env, std::int64_t envs, const CpuTuning& tuning,
                              Restart restart) {
  const EnvironmentEntry& environment = find_environment(env);
  CpuStepper stepper(environment, tuning, {.num_envs = envs, .stream = {4, 8}});
  std::vector<std::string> told;
  std::vector<std::uint64_t> seeds;
  for (std::int64_t i = 0; i < envs; ++i) seeds.push_back(static_cast<std::uint64_t>(1000 - i));
  const auto tell = [&] {
    const StepViews v = stepper.on_host();
    std::string text = bytes_of(v.obs) + bytes_of(v.reward) + bytes_of(v.terminated) +
                       bytes_of(v.truncated) + bytes_of(v.ended);
    for (std::int64_t i = 0; v.final_obs.data != nullptr && i < envs; ++i) {
      if ((v.terminated.as<std::uint8_t>()[i] | v.truncated.as<std::uint8_t>()[i]) == 0) continue;
      text.append(bytes_of(v.final_obs), static_cast<std::size_t>(i * v.final_obs.shape[1]) * 4,
                  static_cast<std::size_t>(v.final_obs.shape[1]) * 4);
    }
    told.push_back(text);
  };
  stepper.reset(nullptr, nullptr);
  for (int t = 0; t < 150; ++t) {
    if (t % 37 == 20) {
      const std::vector<std::uint8_t> mask = actions_of(envs, 2, -t);
      stepper.reset(mask.data(), t > 60 && t < 100 ? seeds.data() : nullptr);
      tell();
    }
    stepper.step(actions_of(envs, environment.facts->num_actions, t).data(), restart);
    tell();
  }
  return told;
}

TEST(CpuStepper, HasTheSameBitsOnEveryInstructionSetAndAnyNumberOfThreads) {
  for (const char* env : {"cartpole", "corridor"}) {
    for (const std::int64_t envs : {1, 7, 8, 21, 600}) {
      for (const Restart restart : {Restart::kNever, Restart::kNextStep, Restart::kSameStep}) {
        const auto want = play(env, envs, {}, restart);
        for (const Isa isa : test::available_isas()) {
          for (const int threads : {1, 3}) {
            EXPECT_TRUE(play(env, envs, {.isa = isa, .threads = threads}, restart) == want)
                << env << ", envs " << envs << ", " << isa_name(isa) << ", threads " << threads;
          }
        }
      }
    }
  }
}

TEST(CpuStepper, PicturesOfFloatsAreThoseOfInt8) {
  const EnvironmentEntry& pong = find_environment("pong");
  StepperRequest request{
      .num_envs = 18, .stream = {4, 8}, .game = {.max_noops = 9, .max_steps = 12}};
  CpuStepper bytes(pong, {.threads = 2}, request);
  request.pictures = ElementType::kFloat32;
  CpuStepper floats(pong, {}, request);
  const auto same = [](const ArrayView& a, const ArrayView& b, std::int64_t from, std::int64_t to) {
    const auto* x = a.as<std::int8_t>();
    const auto* y = b.as<float>();
    for (std::int64_t i = from; i < to; ++i) {
      if (static_cast<float>(x[i]) != y[i]) return false;
    }
    return true;
  };
  bytes.reset(nullptr, nullptr);
  floats.reset(nullptr, nullptr);
  for (int t = 0; t < 40; ++t) {
    const auto actions = actions_of(18, 2, t);
    bytes.step(actions.data(), Restart::kSameStep);
    floats.step(actions.data(), Restart::kSameStep);
    const StepViews a = bytes.on_host(), b = floats.on_host();
    ASSERT_EQ(a.obs.type, ElementType::kInt8);
    ASSERT_EQ(b.obs.type, ElementType::kFloat32);
    ASSERT_TRUE(same(a.obs, b.obs, 0, 18 * 6400)) << t;
    for (std::int64_t i = 0; i < 18; ++i) {
      if (a.truncated.as<std::uint8_t>()[i] == 0) continue;
      ASSERT_TRUE(same(a.final_obs, b.final_obs, i * 6400, (i + 1) * 6400)) << t;
    }
  }
}

/// Bytes of the heap in use; 0 where a sanitizer keeps it.
std::int64_t heap_bytes() {
  const auto info = mallinfo2();
  return static_cast<std::int64_t>(info.uordblks + info.hblkhd);
}

TEST(CpuStepper, ViewsStayAndStepsAllocateNothing) {
  const EnvironmentEntry& pong = find_environment("pong");
  const auto actions = actions_of(20, 2, 5);
  const std::int64_t before = heap_bytes();
  CpuStepper stepper(pong, {}, {.num_envs = 20, .game = {.max_steps = 9}});
  const std::int64_t made = heap_bytes() - before, pictures = 32 * 6400;
  stepper.reset(nullptr, nullptr);
  const StepViews views = stepper.views();
  EXPECT_EQ(views.final_obs.data, nullptr);
  for (int t = 0; t < 30; ++t) stepper.step(actions.data(), Restart::kNextStep);
  EXPECT_EQ(heap_bytes() - before, made);
  EXPECT_EQ(stepper.views().obs.data, views.obs.data);
  stepper.step(actions.data(), Restart::kSameStep);
  EXPECT_NE(stepper.views().final_obs.data, nullptr);
  const std::int64_t with_final = heap_bytes() - before;
  for (int t = 0; t < 30; ++t) stepper.step(actions.data(), Restart::kSameStep);
  EXPECT_EQ(heap_bytes() - before, with_final);
  if (before == 0) return;
  EXPECT_GE(made, pictures);
  EXPECT_LT(made, 2 * pictures) << "final observations that nobody asked for";
  EXPECT_GE(with_final, made + pictures);
}

TEST(CpuStepper, TakesActionsWrittenInItsOwnBuffer) {
  const EnvironmentEntry& cartpole = find_environment("cartpole");
  CpuStepper one(cartpole, {}, {.num_envs = 5}), other(cartpole, {}, {.num_envs = 5});
  for (CpuStepper* const stepper : {&one, &other}) stepper->reset(nullptr, nullptr);
  const std::vector<std::uint8_t> right(5, 1);
  std::memcpy(one.views().action.data, right.data(), 5);
  one.step(nullptr, Restart::kNextStep);
  other.step(right.data(), Restart::kNextStep);
  EXPECT_EQ(bytes_of(one.views().obs), bytes_of(other.views().obs));
}

}  // namespace cpu_stepper_test
}  // namespace lockstep
