// Tests for the dense path on pictures of a CUDA device (host/cuda/dense.h, Pong): the rollouts of
// the CPU's where no sum rounds, pooled pictures included.
#include <gtest/gtest.h>

#include <cmath>

#include "host/backend/record.h"
#include "host/cpu/table_backend.h"
#include "host/cuda/table_backend.h"
#include "tests/support/dense_reference.h"
#include "tests/support/pong_training.h"

namespace lockstep::test {
namespace cuda_dense_pictures_test {

constexpr std::int64_t kGames = 3;
constexpr std::int32_t kSteps = 24;

/// Small integers, all of them scaled by a power of two.
std::vector<float> whole_weights(const PolicyShape& shape) {
  Random random(3);
  std::vector<float> flat;
  for (std::int64_t i = 0; i < shape.size(); ++i) {
    flat.push_back(static_cast<float>(std::round(15 * (2 * random.uniform() - 1)) / 64));
  }
  return flat;
}

struct Played {
  RolloutBuffers buffers;
  PlayResult result;
};
Played play_of(Backend& backend, const Config& config, bool pooled) {
  const EnvironmentEntry& pong = find_environment("pong");
  PlayRequest request;
  request.num_envs = kGames;
  request.T = kSteps;
  request.episodic = false;
  request.stream = {7, 2};
  request.game = game_options(config, pong, 5, true);
  request.game.max_pool = pooled;
  request.game.max_steps = 9;  // ends and starts within the rollout
  request.dense = true;
  request.keep_pictures = true;
  Played played{RolloutBuffers({.num_envs = kGames,
                                .T = kSteps,
                                .O = pong.facts->observation_size,
                                .A = 2,
                                .logits = true,
                                .reward = true}),
                {}};
  Record<float> record = played.buffers.record();
  played.result = backend.play(whole_weights(policy_shape(config, pong)), request, &record);
  return played;
}

TEST(CudaDensePicturesTest, RolloutsEqualThoseOfTheCpuWhereNoSumRounds) {
  const Config config = small_pong_config(kGames, 8);
  const EnvironmentEntry& pong = find_environment("pong");
  TableBackend cpu(config, pong, {});
  CudaTableBackend cuda(config, pong, *cuda::find_table_operations("pong"), {});
  for (const bool pooled : {false, true}) {
    const Played a = play_of(cuda, config, pooled), b = play_of(cpu, config, pooled);
    EXPECT_NE(a.result.library.find("cuBLAS"), std::string::npos);
    EXPECT_TRUE(a.result.pictures == b.result.pictures) << pooled;
    EXPECT_EQ(a.result.score, b.result.score);
    EXPECT_EQ(a.result.length, b.result.length);
    EXPECT_EQ(a.result.episodes, b.result.episodes);
    EXPECT_GT(a.result.episodes[0], 1);
    const Record<float>&x = a.buffers.record(), &y = b.buffers.record();
    for (std::int64_t t = 0; t < kSteps; ++t) {
      EXPECT_EQ(x.action_bits[t], y.action_bits[t]) << t;
      EXPECT_EQ(x.truncated[t], y.truncated[t]) << t;
      for (std::int64_t i = 0; i < kGames; ++i) {
        EXPECT_EQ(x.logits[t * kGroup + i], y.logits[t * kGroup + i]) << t;
      }
    }
  }
}

}  // namespace cuda_dense_pictures_test
}  // namespace lockstep::test
