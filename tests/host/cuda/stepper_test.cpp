// Tests for host/cuda/stepper.h on the emulator: the bits of the CPU's stepper, and that a step is
// a launch and nothing else.
#include "host/cuda/stepper.h"

#include <cuemu/control.h>
#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "host/cpu/table_backend.h"
#include "host/cuda/table_backend.h"
#include "tests/support/cuda_array.h"
#include "tests/support/cuda_backends.h"

namespace lockstep {
namespace stepper_test {

std::unique_ptr<Backend> make_backend_of(const Config& config, bool cuda) {
  const EnvironmentEntry& environment = find_environment(config.env);
  const char* const name = environment.facts->name;
  if (environment.has_objects()) {
    if (!cuda) return std::make_unique<TableBackend>(config, environment, CpuTuning{});
    return std::make_unique<CudaTableBackend>(config, environment,
                                              *cuda::find_table_operations(name), CudaTuning{});
  }
  if (!cuda) return std::make_unique<CpuBackend>(config, environment, CpuTuning{});
  return std::make_unique<CudaBackend>(config, environment, *cuda::find_operations(name),
                                       CudaTuning{});
}

struct Case {
  const char* env;
  std::int64_t envs;
  GameOptions game{};
};
const Case kCases[] = {
    {"cartpole", 21}, {"corridor", 33}, {"pong", 3, {.max_noops = 5, .max_steps = 8}}};

std::unique_ptr<Stepper> make_stepper_of(const Case& c, bool cuda) {
  Config config = test::tiny_config(c.envs);
  config.env = c.env;
  return make_backend_of(config, cuda)
      ->make_stepper({.num_envs = c.envs, .stream = {9, 5}, .game = c.game});
}

bool same(const ArrayView& a, const ArrayView& b) {
  EXPECT_EQ(a.type, b.type);
  EXPECT_EQ(a.rank, b.rank);
  EXPECT_EQ(a.shape[0], b.shape[0]);
  EXPECT_EQ(a.shape[1], b.shape[1]);
  if (a.data == nullptr || b.data == nullptr) return a.data == b.data;
  const std::size_t bytes = a.type == ElementType::kFloat32 ? 4 : 1;
  return std::memcmp(a.data, b.data, bytes * static_cast<std::size_t>(a.shape[0] * a.shape[1])) ==
         0;
}

/// final_obs counts where an episode ended.
void expect_same_views(const StepViews& a, const StepViews& b) {
  EXPECT_TRUE(same(a.obs, b.obs));
  EXPECT_TRUE(same(a.reward, b.reward));
  EXPECT_TRUE(same(a.terminated, b.terminated));
  EXPECT_TRUE(same(a.truncated, b.truncated));
  EXPECT_TRUE(same(a.ended, b.ended));
  EXPECT_EQ(a.final_obs.data == nullptr, b.final_obs.data == nullptr);
  if (b.final_obs.data == nullptr) return;
  const std::size_t row = static_cast<std::size_t>(b.final_obs.shape[1]) *
                          (b.final_obs.type == ElementType::kFloat32 ? 4 : 1);
  for (std::int64_t i = 0; i < b.obs.shape[0]; ++i) {
    if ((b.terminated.as<std::uint8_t>()[i] | b.truncated.as<std::uint8_t>()[i]) == 0) continue;
    const std::size_t at = static_cast<std::size_t>(i) * row;
    EXPECT_EQ(std::memcmp(a.final_obs.as<char>() + at, b.final_obs.as<char>() + at, row), 0) << i;
  }
}

class Actions {
 public:
  Actions(std::int64_t envs, int most) : most_(most), values(static_cast<std::size_t>(envs)) {}
  const std::uint8_t* next() {
    for (std::uint8_t& action : values) {
      word_ = word_ * 1664525u + 1013904223u;
      action = static_cast<std::uint8_t>((word_ >> 16) % static_cast<unsigned>(most_));
    }
    return values.data();
  }

 private:
  int most_;
  std::uint32_t word_ = 12345;

 public:
  std::vector<std::uint8_t> values;
};

TEST(CudaStepper, HasTheBitsOfTheCpuInEveryMode) {
  for (const Case& c : kCases) {
    for (const Restart restart : {Restart::kNever, Restart::kNextStep, Restart::kSameStep}) {
      SCOPED_TRACE(std::string(c.env) + ", restart " + std::to_string(static_cast<int>(restart)));
      const auto cuda = make_stepper_of(c, true), cpu = make_stepper_of(c, false);
      Actions actions(c.envs, find_environment(c.env).facts->num_actions);
      const auto n = static_cast<std::size_t>(c.envs);
      std::vector<std::uint64_t> seeds(n);
      for (std::size_t i = 0; i < n; ++i) seeds[i] = (std::uint64_t{1} << 40) + i;
      int ended = 0;
      for (int t = 0; t < 60; ++t) {
        if (t % 20 == 0) {  // all; some; some with seeds of their own
          std::vector<std::uint8_t> mask(n);
          for (std::size_t i = 0; i < n; i += 2) mask[i] = 1;
          for (Stepper* const stepper : {cuda.get(), cpu.get()}) {
            stepper->reset(t == 0 ? nullptr : mask.data(), t == 40 ? seeds.data() : nullptr);
          }
          expect_same_views(cuda->on_host(), cpu->on_host());
        }
        const std::uint8_t* const next = actions.next();
        cuda->step_from_host(next, restart);
        cpu->step_from_host(next, restart);
        const StepViews seen = cpu->on_host();
        expect_same_views(cuda->on_host(), seen);
        for (std::size_t i = 0; i < n; ++i) {
          ended += seen.terminated.as<std::uint8_t>()[i] | seen.truncated.as<std::uint8_t>()[i];
        }
        ASSERT_FALSE(testing::Test::HasFailure()) << "step " << t;
      }
      EXPECT_GT(ended, 3);
    }
  }
}

TEST(CudaStepper, AStepIsALaunchAndNothingElse) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.env);
    const auto stepper = make_stepper_of(c, true), want = make_stepper_of(c, false);
    Actions actions(c.envs, 2);
    std::vector<test::CudaArray<std::uint8_t>> of_caller;
    for (int t = 0; t < 5; ++t) {
      actions.next();
      of_caller.emplace_back(actions.values);
    }
    stepper->reset(nullptr, nullptr);
    want->reset(nullptr, nullptr);
    const StepViews views = stepper->views();
    stepper->step(of_caller[0].data(), Restart::kSameStep);  // makes room for final observations
    const cuemu::Counters before = cuemu_counters();
    for (std::size_t t = 1; t < 5; ++t) stepper->step(of_caller[t].data(), Restart::kSameStep);
    const cuemu::Counters after = cuemu_counters();
    EXPECT_EQ(after.launches, before.launches + 4);
    EXPECT_EQ(after.allocations, before.allocations);
    EXPECT_EQ(after.synchronisations, before.synchronisations);
    EXPECT_EQ(after.copies, before.copies);
    EXPECT_EQ(after.kernels, before.kernels) << "something waited";
    for (const auto& one : of_caller) {
      want->step_from_host(one.download().data(), Restart::kSameStep);
    }
    EXPECT_EQ(stepper->views().obs.data, views.obs.data) << "views stay";
    EXPECT_EQ(views.obs.device, 0);
    EXPECT_NE(views.obs.stream, nullptr);
    EXPECT_EQ(views.obs.strides[0], views.obs.shape[1]);
    expect_same_views(stepper->on_host(), want->on_host());
  }
}

TEST(CudaStepper, TakesActionsWrittenInItsOwnBuffer) {
  const Case c{"cartpole", 5};
  const auto stepper = make_stepper_of(c, true), want = make_stepper_of(c, false);
  stepper->reset(nullptr, nullptr);
  want->reset(nullptr, nullptr);
  const ArrayView own = stepper->views().action;
  ASSERT_EQ(own.type, ElementType::kUint8);
  const std::vector<std::uint8_t> right(5, 1);
  test::require_cuda(cudaMemcpyAsync(own.data, right.data(), 5, cudaMemcpyHostToDevice,
                                     static_cast<cudaStream_t>(own.stream)));
  stepper->step(nullptr, Restart::kNextStep);
  want->step(right.data(), Restart::kNextStep);
  expect_same_views(stepper->on_host(), want->on_host());
}

TEST(CudaStepper, AFailingCallThrowsAndLeaksNothing) {
  const Case& c = kCases[2];
  const auto backend = [&] {
    Config config = test::tiny_config(c.envs);
    config.env = c.env;
    return make_backend_of(config, true);
  }();
  const std::vector<std::uint8_t> up(3, 1);
  const std::vector<std::uint64_t> seeds = {1, 2, 3};
  const auto work = [&] {
    const auto stepper =
        backend->make_stepper({.num_envs = c.envs, .stream = {9, 5}, .game = c.game});
    stepper->reset(nullptr, seeds.data());
    stepper->reset(up.data(), nullptr);
    stepper->step_from_host(up.data(), Restart::kSameStep);
    stepper->on_host();
  };
  cuemu_set_fail(0);
  const long before = cuemu_live_objects();
  work();
  const long calls = cuemu_fallible_calls();
  EXPECT_EQ(cuemu_live_objects(), before);
  EXPECT_GT(calls, 15);
  for (long n = 1; n <= calls; ++n) {
    cuemu_set_fail(n);
    EXPECT_THROW(work(), Error) << "call " << n << " of " << calls;
    EXPECT_EQ(cuemu_live_objects(), before) << "call " << n;
  }
  cuemu_set_fail(0);
  EXPECT_NO_THROW(work());
}

}  // namespace stepper_test
}  // namespace lockstep
