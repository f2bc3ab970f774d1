// Tests for kernels/cuda/sample.cuh: the choices are, bit for bit, those of the bodies the fused
// rollout uses, for every number of actions and batches around the sizes of warps and blocks.
#include "kernels/cuda/sample.cuh"

#include <gtest/gtest.h>

#include "tests/support/cuda_array.h"
#include "tests/support/sample_cases.h"

namespace lockstep::test {
namespace sample_test {

void run(SampleBatch& batch, int block) {
  const CudaArray<float> logits(batch.logits), bias(batch.bias), log_prob(batch.log_prob);
  const CudaArray<std::uint8_t> action(batch.action);
  SampleArgs args = batch.args();
  args.logits = logits.data();
  args.action = action.data();
  if (args.bias != nullptr) args.bias = bias.data();
  if (args.log_prob != nullptr) args.log_prob = log_prob.data();
  ASSERT_EQ(cuda::sample(args, block, nullptr), cudaSuccess);
  wait_for_device();
  batch.logits = logits.download();
  batch.action = action.download();
  batch.log_prob = log_prob.download();
}

TEST(CudaSampleTest, ChoosesAsTheBodiesForEveryNumberOfActions) {
  int call = 0;
  constexpr int kBlocks[] = {32, 64, 128, 256};
  expect_choices_of_bodies([&](SampleBatch& batch) { run(batch, kBlocks[call++ % 4]); });
}

TEST(CudaSampleTest, EveryBlockGivesTheSameAndStaysInItsRows) {
  for (const std::int64_t N : kSampleSizes) {
    const SampleCase c{.N = N, .A = 5, .t = 6, .bias = true};
    for (const int block : {32, 64, 128, 256}) {
      SampleBatch batch(c);
      run(batch, block);
      ASSERT_TRUE(chose_as_bodies(SampleBatch(c), batch)) << c.name() << ", block " << block;
      for (auto i = static_cast<std::size_t>(N); i < batch.action.size(); ++i) {
        ASSERT_EQ(batch.action[i], 0xee) << "row " << i << " of " << N;
      }
    }
  }
}

}  // namespace sample_test
}  // namespace lockstep::test
