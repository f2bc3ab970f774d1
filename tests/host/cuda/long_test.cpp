// Many updates in one call on the emulated device against as many on the CPU, for batch sizes
// around a group, a warp and a block, both mappings and several block sizes: every result and the
// last weights. Fifty with a horizon; fewer of whole episodes, whose statistics cost the emulator
// more.
#include <gtest/gtest.h>

#include "tests/support/cuda_backends.h"

namespace lockstep {
namespace long_test {

struct Shape {
  GpuMapping mapping;
  std::int64_t block;
};
constexpr Shape kShapes[] = {{GpuMapping::kThread, 32},
                             {GpuMapping::kThread, 256},
                             {GpuMapping::kLanes8, 64},
                             {GpuMapping::kLanes8, 128}};

class CudaLong : public testing::TestWithParam<std::int64_t> {};

TEST_P(CudaLong, ManyUpdatesEndWithTheBitsOfTheCpu) {
  for (const std::int64_t horizon : {0, 24}) {
    const std::vector<double> rates(horizon > 0 ? 50 : 3, 3e-3);
    Config config = test::tiny_config(GetParam(), 9);
    config.horizon = horizon;
    if (horizon > 0) {
      config.baseline = Baseline::kBatchMean;
      config.normalize = Normalize::kBatch;
    }
    std::vector<UpdateResult> want;
    CpuBackend cpu(config, find_environment(config.env), {});
    cpu.upload(test::initial_state(config));
    for (std::uint32_t u = 0; u < rates.size(); ++u) want.push_back(cpu.update(u, rates[u]));

    for (const Shape& shape : kShapes) {
      // a large batch takes the emulator seconds a shape: the larger blocks, and one mapping at
      // most
      if (GetParam() > 33 && shape.block < 128) continue;
      if (GetParam() > 257 && horizon > 0 && shape.mapping == GpuMapping::kLanes8) continue;
      SCOPED_TRACE("horizon " + std::to_string(horizon) + ", block " + std::to_string(shape.block));
      config.mapping = shape.mapping;
      config.block_size = shape.block;
      CudaBackend cuda = test::make_cuda_backend(config);
      cuda.upload(test::initial_state(config));
      const std::vector<UpdateResult> got = cuda.updates(0, rates);
      ASSERT_EQ(got.size(), want.size());
      for (std::size_t u = 0; u < want.size(); ++u) test::expect_same_result(got[u], want[u]);
      test::expect_same_state(cuda.download(), cpu.download());
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Batches, CudaLong, testing::Values(1, 31, 32, 33, 255, 257, 1000));

}  // namespace long_test
}  // namespace lockstep
