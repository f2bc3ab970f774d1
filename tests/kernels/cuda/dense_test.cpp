// Tests for kernels/cuda/dense.cuh: observations to rows, bias and activation, books of the
// episodes, each against a plain loop, for batches around the sizes of groups, warps and blocks.
#include "kernels/cuda/dense.cuh"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/compare.h"
#include "tests/support/cuda_array.h"
#include "tests/support/return_cases.h"

namespace lockstep::test {
namespace dense_test {

constexpr std::int64_t kSizes[] = {1, 31, 32, 33, 255, 257, 1000};
constexpr int kBlocks[] = {32, 64, 128, 256};

std::vector<float> random_values(std::int64_t count, std::uint64_t seed) {
  Random random(seed);
  std::vector<float> values;
  for (std::int64_t i = 0; i < count; ++i) {
    values.push_back(static_cast<float>(2 * random.uniform() - 1));
  }
  return values;
}

TEST(CudaDenseTest, AddsTheBiasOfTheColumnAndActivates) {
  for (const std::int64_t rows : {1, 7, 33, 1000}) {
    for (const int width : {1, 3, 32, 33, 128, 200, 300}) {
      const auto bias = random_values(width, 2);
      const auto values = random_values(rows * width, 3);
      for (const auto activation :
           {DenseActivation::kNone, DenseActivation::kRelu, DenseActivation::kLeakyRelu}) {
        std::vector<float> want;
        for (std::size_t i = 0; i < values.size(); ++i) {
          const float h = values[i] + bias[i % static_cast<std::size_t>(width)];
          const float below = activation == DenseActivation::kRelu ? 0.0f : 0.01f * h;
          want.push_back(activation == DenseActivation::kNone || h > 0 ? h : below);
        }
        for (const int block : kBlocks) {
          const CudaArray<float> to(values), from(bias);
          ASSERT_EQ(
              cuda::bias({rows, width, activation, 0.01f, from.data(), to.data()}, block, nullptr),
              cudaSuccess);
          wait_for_device();
          ASSERT_TRUE(same_bits<float>(to.download(), want))
              << rows << " rows of " << width << ", block " << block;
        }
      }
    }
  }
}

TEST(CudaDenseTest, WalksMoreRowsThanTheGridHas) {
  constexpr std::int64_t kRows = 9001;  // of 256 columns, a row a block: more than two turns
  const auto values = random_values(kRows * 256, 4);
  const auto bias = random_values(256, 5);
  const CudaArray<float> to(values), from(bias);
  ASSERT_EQ(
      cuda::bias({kRows, 256, DenseActivation::kNone, 0, from.data(), to.data()}, 256, nullptr),
      cudaSuccess);
  wait_for_device();
  auto want = values;
  for (std::size_t i = 0; i < want.size(); ++i) want[i] += bias[i % 256];
  EXPECT_TRUE(same_bits<float>(to.download(), want));
}

/// One environment's books by the definition, from all its steps.
struct Books {
  float score = 0;
  std::int32_t length = 0, episodes = 0;

  Books(const std::vector<float>& reward, const std::vector<int>& ended, bool constant,
        bool first) {
    float sum = 0;
    std::int32_t steps = 0;
    for (std::size_t t = 0; t < reward.size(); ++t) {
      sum += reward[t];
      ++steps;
      if (ended[t] == 0) continue;
      length += steps;
      score = constant ? static_cast<float>(length) : score + sum;
      ++episodes;
      if (first) return;
      sum = 0;
      steps = 0;
    }
  }
};

TEST(CudaDenseTest, BooksTheFinishedEpisodesOfEveryEnvironment) {
  constexpr int kSteps = 40;
  for (const std::int64_t N : kSizes) {
    const auto n = static_cast<std::size_t>(N);
    for (const bool constant : {false, true}) {
      for (const bool first : {false, true}) {
        Random random(static_cast<std::uint64_t>(N));
        const int block = kBlocks[(N + (first ? 1 : 0)) % 4];
        const CudaArray<float> running(std::vector<float>(n, 0.0f)),
            score(std::vector<float>(n, 0.0f));
        const CudaArray<std::int32_t> steps(std::vector<std::int32_t>(n, 0)),
            length(std::vector<std::int32_t>(n, 0)), episodes(std::vector<std::int32_t>(n, 0));
        std::vector<std::vector<float>> reward(n);
        std::vector<std::vector<int>> ended(n);
        for (int t = 0; t < kSteps; ++t) {
          std::vector<float> rewards(n);
          std::vector<std::uint8_t> terminated(n), truncated(n);
          for (std::size_t i = 0; i < n; ++i) {
            rewards[i] = constant ? 1.0f : static_cast<float>(random.uniform());
            terminated[i] = random.below(9) == 0 ? 1 : 0;
            truncated[i] = random.below(9) == 0 ? 1 : 0;
            reward[i].push_back(rewards[i]);
            ended[i].push_back(terminated[i] | truncated[i]);
          }
          const CudaArray<float> r(rewards);
          const CudaArray<std::uint8_t> te(terminated), tr(truncated);
          const TallyArgs args{N,
                               constant,
                               first,
                               r.data(),
                               te.data(),
                               tr.data(),
                               running.data(),
                               steps.data(),
                               score.data(),
                               length.data(),
                               episodes.data()};
          ASSERT_EQ(cuda::tally(args, block, nullptr), cudaSuccess);
          wait_for_device();
        }
        const auto got_score = score.download();
        const auto got_length = length.download(), got_episodes = episodes.download();
        for (std::size_t i = 0; i < n; ++i) {
          const Books want(reward[i], ended[i], constant, first);
          ASSERT_EQ(got_score[i], want.score) << "environment " << i << " of " << N;
          ASSERT_EQ(got_length[i], want.length) << "environment " << i << " of " << N;
          ASSERT_EQ(got_episodes[i], want.episodes) << "environment " << i << " of " << N;
        }
      }
    }
  }
}

}  // namespace dense_test
}  // namespace lockstep::test
