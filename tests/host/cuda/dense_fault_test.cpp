// Tests for host/cuda/dense.h with failing calls: each call of the runtime that can fail does so
// once, planted by the emulator.
#include <cuemu/control.h>
#include <gtest/gtest.h>

#include "host/backend/environments.h"
#include "host/backend/record.h"
#include "host/cuda/dense.h"
#include "host/errors.h"
#include "tests/support/dense_reference.h"

namespace lockstep::cuda {
extern const Operations operations_cartpole;
}

namespace lockstep::test {
namespace dense_fault_test {

TEST(CudaDenseFaultTest, AFailingCallThrowsAndLeaksNothing) {
  const auto layers = random_network({4, 8, 1}, DenseActivation::kRelu, 5);
  const auto work = [&] {
    CudaDense device(find_environment("cartpole"), {.numbers = &cuda::operations_cartpole});
    device.set_layers(layers);
    const auto buffers = RolloutBuffers({.num_envs = 5, .T = 2, .O = 4, .A = 2});
    Record<float> record = buffers.record();
    play_dense(device, {.num_envs = 5, .T = 2, .episodic = false}, 4, 2, &record);
    device.forward(random_observations(3, 4, 1));
  };
  cuemu_set_fail(0);
  const long before = cuemu_live_objects();
  work();
  const long calls = cuemu_fallible_calls();
  EXPECT_EQ(cuemu_live_objects(), before);
  EXPECT_GT(calls, 30);
  for (long n = 1; n <= calls; ++n) {
    cuemu_set_fail(n);
    EXPECT_THROW(work(), Error) << "call " << n << " of " << calls;
    EXPECT_EQ(cuemu_live_objects(), before) << "call " << n;
  }
  cuemu_set_fail(0);
  EXPECT_NO_THROW(work());
}

}  // namespace dense_fault_test
}  // namespace lockstep::test
