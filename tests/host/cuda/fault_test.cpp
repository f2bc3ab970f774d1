// Every call of the CUDA runtime that a short training makes fails once: the exit code is the
// documented one, nothing is leaked, and the last checkpoint is whole and the one of a good update.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include <cuemu/control.h>
#include "host/errors.h"
#include "host/files/checkpoint.h"
#include "host/train/trainer.h"
#include "tests/support/cuda_backends.h"
#include "tests/support/scratch_folder.h"

namespace lockstep {
namespace fault_test {

namespace fs = std::filesystem;

constexpr std::int64_t kUpdates = 3;

class CudaFaults : public testing::TestWithParam<std::int64_t> {
 protected:
  CudaFaults() {
    config.updates = kUpdates;
    config.checkpoint_every = 1;
    config.horizon = GetParam();
    if (config.horizon > 0) config.baseline = Baseline::kBatchMean;
  }
  ~CudaFaults() override { cuemu_set_fail(0); }

  /// Trains in the folder `name`; the exit code it would end with.
  int train(const std::string& name) {
    Config c = config;
    c.out = (scratch / name).string();
    try {
      CudaBackend backend = test::make_cuda_backend(c);
      run_training(backend, c, find_environment(c.env), test::initial_state(c), {});
    } catch (const Error& error) {
      message = error.what();
      return static_cast<int>(error.exit_code());
    }
    return 0;
  }
  fs::path checkpoints(const std::string& name) const { return scratch / name / "checkpoints"; }

  test::ScratchFolder scratch{test::memory_folder()};
  Config config = test::tiny_config(16, 4);
  std::string message;
};

TEST_P(CudaFaults, EndInADocumentedWayAtEveryCall) {
  cuemu_set_fail(0);
  const long live = cuemu_live_objects();
  ASSERT_EQ(train("good"), 0);
  const long calls = cuemu_fallible_calls();
  ASSERT_GT(calls, 20);
  std::vector<std::string> good;  // weights after each update
  for (std::int64_t i = 1; i <= kUpdates; ++i) {
    good.push_back(
        test::slurp(checkpoints("good") / ("0000000" + std::to_string(i)) / "model.safetensors"));
    ASSERT_FALSE(good.back().empty());
  }
  int lost = 0, memory = 0;
  for (long n = 1; n <= calls; ++n) {
    const std::string name = "fault" + std::to_string(n);
    SCOPED_TRACE(name);
    cuemu_set_fail(n);
    const int code = train(name);
    EXPECT_THAT(code, testing::AnyOf(9, 10)) << message;
    lost += code == 10;
    memory += code == 9;
    EXPECT_EQ(cuemu_live_objects(), live) << message;
    if (!fs::exists(checkpoints(name)) || !has_checkpoint(checkpoints(name))) continue;
    const fs::path newest = newest_checkpoint(checkpoints(name));
    const auto update = load_checkpoint(newest).trainer.at("update").get<std::size_t>();
    if (update == 0) continue;  // the initial weights
    ASSERT_LE(update, good.size());
    EXPECT_EQ(test::slurp(newest / "model.safetensors"), good[update - 1]);
  }
  EXPECT_GT(lost, 10);
  EXPECT_GT(memory, 1);
  cuemu_set_fail(0);
  EXPECT_EQ(train("again"), 0) << "the process recovers where the device does: " << message;
}

INSTANTIATE_TEST_SUITE_P(Rollouts, CudaFaults, testing::Values(0, 30), [](const auto& value) {
  return value.param == 0 ? "WholeEpisodes" : "Horizon";
});

TEST(CudaFault, TheStateBeforeALostDeviceIsKept) {
  const Config config = test::tiny_config();
  CudaBackend backend = test::make_cuda_backend(config);
  backend.upload(test::initial_state(config));
  backend.update(0, 1e-3);
  const TrainingState before = backend.download();
  cuemu_set_fail(3);
  const std::vector<double> rates(4, 1e-3);
  EXPECT_THROW(backend.updates(1, rates), DeviceLost);
  test::expect_same_state(backend.download(), before);
  cuemu_set_fail(0);
}

}  // namespace fault_test
}  // namespace lockstep
