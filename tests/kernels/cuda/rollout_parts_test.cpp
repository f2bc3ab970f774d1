// Tests for kernels/cuda/rollout_parts.cuh: a rollout in several launches has every bit of the
// CPU's, which plays it in one go, wherever it is cut; and as many launches as it must have.
#include "kernels/cuda/rollout_parts.cuh"

#include <gtest/gtest.h>

#include <algorithm>

#include "envs/cartpole.h"
#include "kernels/cuda/rollout.cuh"
#include "kernels/cuda/table_rollout.cuh"
#include "tests/support/corridor.h"
#include "tests/support/cuda_devices.h"
#include "tests/support/cuda_rollouts.h"
#include "tests/support/cuda_table_rollouts.h"

namespace lockstep::test {
namespace rollout_parts_test {

using cuda::LaunchShape;
using cuda::Mapping;

// odd ones; the rings of bits, the draws of start states and words; one behind and before them
constexpr int kCuts[] = {1, 7, 8, 15, 16, 17, 33};

/// Memory for what is saved, full of nonsense.
CudaArray<std::uint8_t> nonsense(std::int64_t lanes, std::size_t each) {
  return CudaArray<std::uint8_t>(
      std::vector<std::uint8_t>(static_cast<std::size_t>(lanes) * each, std::uint8_t{0xcd}));
}

template <class E>
void expect_equal(const RolloutCase& c, LaunchShape shape, int cut) {
  SCOPED_TRACE(testing::Message() << E::kName << ", envs " << c.envs << ", T " << c.T
                                  << (c.episodic ? ", episodic" : "") << ", mapping "
                                  << static_cast<int>(shape.mapping) << ", per thread "
                                  << shape.envs_per_thread << ", cut " << cut);
  const Rollouts<E> rollouts(c);
  const auto saved = nonsense(rollouts.lanes(), sizeof(cuda::SavedEpisode<E>));
  shape.cut = {cut, const_cast<std::uint8_t*>(saved.data())};
  ASSERT_EQ(cuda::play_all<E>(cuda::play_args(rollouts.args), shape, nullptr), cudaSuccess);
  wait_for_device();
  rollouts.expect_equal();
}

const LaunchShape kShapes[] = {{Mapping::kThread, 64, 1},
                               {Mapping::kThread, 64, 4},
                               {Mapping::kThread, 64, 8},
                               {Mapping::kLanes8, 64, 1}};

TEST(RolloutParts, EnvironmentsOfNumbersHaveTheBitsOfTheCpuWhereverTheyAreCut) {
  for (const LaunchShape& shape : kShapes) {
    for (const int cut : kCuts) {
      for (const bool episodic : {false, true}) {
        for (const std::int64_t envs : {5, 33}) {
          RolloutCase c;
          c.envs = envs;
          c.T = 75;
          c.episodic = episodic;
          c.keep_obs = shape.envs_per_thread == 1;
          expect_equal<CartPole>(c, shape, cut);
          expect_equal<Corridor>(c, shape, cut);
        }
      }
    }
  }
}

TEST(RolloutParts, RandomActionsAndOtherPoliciesGoOnToo) {
  RolloutCase random, general, greedy, silent;
  random.random = true;
  random.T = 290;  // past two counters of 128 steps
  general.options = {Activation::kLeakyRelu, 0.5};
  greedy.choice = ActionChoice::kEpsilon;
  greedy.epsilon = 0.3f;
  silent.record = false;
  for (const RolloutCase& c : {random, general, greedy, silent}) {
    for (const int cut : {7, 33, 100, 128}) {
      if (cut >= c.T) continue;
      expect_equal<CartPole>(c, {Mapping::kThread, 64, 1}, cut);
      expect_equal<Corridor>(c, {Mapping::kThread, 64, 1}, cut);
    }
  }
}

/// The log and histogram of an update.
struct Log {
  CudaArray<std::int32_t> count, length, histogram;
  CudaArray<float> score;
  bool operator==(const Log& other) const {
    return count.download() == other.count.download() &&
           length.download() == other.length.download() &&
           histogram.download() == other.histogram.download() &&
           score.download() == other.score.download();
  }
};

/// Of an update's rollout in launches of `cut` steps.
template <class E>
Log log_of(const RolloutCase& c, LaunchShape shape, int cut) {
  constexpr int kCapacity = 50;
  const Rollouts<E> rollouts(c);
  const auto lanes = static_cast<std::size_t>(rollouts.lanes());
  const auto numbers = [](std::size_t n, int value) {
    return CudaArray<std::int32_t>(std::vector<std::int32_t>(n, value));
  };
  Log log{numbers(lanes, -1), numbers(lanes * kCapacity, -1),
          numbers(static_cast<std::size_t>(c.T) + 1, 0),
          CudaArray<float>(std::vector<float>(lanes * kCapacity, -1.0f))};
  const CudaArray<cuda::UpdateState> state(
      {cuda::UpdateState{rollouts.args.stream.epoch, 0, cuda::Stop::kRunning, 0, RunningState{}}});
  cuda::UpdateArgs update{};
  update.rollout = rollouts.args;
  update.table_form = E::kConstantReward && c.episodic;
  update.table.histogram = log.histogram.data();
  update.episode_log = {kCapacity, rollouts.lanes(), log.count.data(), log.length.data(),
                        log.score.data()};
  update.state = const_cast<cuda::UpdateState*>(state.data());
  const auto saved = nonsense(rollouts.lanes(), sizeof(cuda::SavedEpisode<E>));
  shape.cut = {cut, const_cast<std::uint8_t*>(saved.data())};
  EXPECT_EQ(cuda::play_all<E>(cuda::play_args(update), shape, nullptr), cudaSuccess);
  wait_for_device();
  rollouts.expect_results();
  return log;
}

TEST(RolloutParts, AnUpdateLogsEveryEpisodeOnce) {
  for (const LaunchShape& shape : kShapes) {
    for (const bool episodic : {false, true}) {
      RolloutCase c;
      c.envs = 40;
      c.T = 50;
      c.episodic = episodic;
      c.keep_obs = false;
      EXPECT_TRUE(log_of<CartPole>(c, shape, 7) == log_of<CartPole>(c, shape, 50));
      EXPECT_TRUE(log_of<Corridor>(c, shape, 7) == log_of<Corridor>(c, shape, 50));
    }
  }
}

/// Plays in parts with the mapping that play_table() picks for `envs_per_warp`.
void expect_equal(const TableCase& c, int envs_per_warp, int cut, int multiprocessors) {
  SCOPED_TRACE(testing::Message() << "envs " << c.envs << ", T " << c.T << ", H " << c.hidden
                                  << (c.episodic ? ", episodic" : "")
                                  << (c.random ? ", random" : "") << ", " << envs_per_warp
                                  << " a warp, cut " << cut);
  const TableRollouts rollouts(c);
  const auto saved = nonsense(rollouts.groups() * kGroup, sizeof(cuda::SavedGame<ObjectPong>));
  const cuda::TableLaunchShape shape{256,
                                     envs_per_warp,
                                     256,
                                     multiprocessors,
                                     offered_shared_bytes(),
                                     {cut, const_cast<std::uint8_t*>(saved.data())}};
  ASSERT_EQ((cuda::play_table<ObjectPong>(cuda::table_play(rollouts.args), shape, nullptr)),
            cudaSuccess);
  wait_for_device();
  rollouts.expect_equal();
}

TEST(RolloutParts, GamesOfObjectsHaveTheBitsOfTheCpuWhereverTheyAreCut) {
  for (const int cut : kCuts) {
    for (const bool episodic : {false, true}) {
      for (const int hidden : {40, 200}) {
        TableCase c;
        c.envs = 37;
        c.T = 40;
        c.hidden = hidden;
        c.episodic = episodic;
        c.game.max_steps = 23;
        for (const int places : {1, 1000}) expect_equal(c, 8, cut, places);
        expect_equal(c, 4, cut, 2);
      }
    }
  }
}

TEST(RolloutParts, GamesThatEndApartKeepTheirEnds) {
  TableCase c;
  c.envs = 35;
  c.T = 200;
  c.game = {.min_skip = 30, .max_skip = 60, .max_steps = 1000};  // a game in some 80 steps
  c.episodic = true;
  for (const int cut : {7, 64}) {
    for (const int places : {1, 1000}) expect_equal(c, 8, cut, places);
  }
}

TEST(RolloutParts, RandomAndWideAndNoisyGamesGoOnToo) {
  TableCase random, wide, noisy, silent, greedy;
  random.random = true;
  random.T = 290;
  random.game.max_steps = 100;
  wide.hidden = 513;  // two environments a warp
  wide.leak = 0.1f;
  noisy.game = {
      .min_skip = 2, .max_skip = 6, .repeat_below = 1u << 22, .max_noops = 30, .max_steps = 17};
  noisy.T = 40;
  silent.record = false;
  greedy.choice = ActionChoice::kGreedy;
  for (const TableCase& c : {random, wide, noisy, silent, greedy}) {
    for (const int cut : {7, 16, 100}) {
      if (cut < c.T) expect_equal(c, 8, cut, 2);
    }
  }
}

struct FakePlay {
  struct {
    std::int32_t T;
  } rollout;
  cuda::RolloutPart part{};
};

/// The steps of each launch.
std::vector<std::pair<int, int>> parts_of(int T, const cuda::RolloutCut& cut,
                                          cudaError_t expected = cudaSuccess) {
  std::vector<std::pair<int, int>> parts;
  const cudaError_t status = cuda::play_in_parts(FakePlay{{T}}, cut, [&](const FakePlay& play) {
    parts.emplace_back(play.part.first, play.part.end);
    return parts.size() == 3 ? cudaErrorLaunchFailure : cudaSuccess;
  });
  EXPECT_EQ(status, expected);
  return parts;
}

TEST(RolloutParts, HaveNoMoreStepsThanTheyMayAndNoneIsEmpty) {
  using Parts = std::vector<std::pair<int, int>>;
  int memory = 0;
  EXPECT_EQ(parts_of(0, {7, &memory}), (Parts{{0, 0}}));
  EXPECT_EQ(parts_of(7, {7, nullptr}), (Parts{{0, 7}})) << "one launch saves nothing";
  EXPECT_EQ(parts_of(8, {7, &memory}), (Parts{{0, 7}, {7, 8}}));
  EXPECT_EQ(parts_of(14, {7, &memory}), (Parts{{0, 7}, {7, 14}}));
  constexpr int kMost = 0x7fffffff;  // no sum of steps overflows
  EXPECT_EQ(parts_of(kMost, {kMost - 1, &memory}), (Parts{{0, kMost - 1}, {kMost - 1, kMost}}));
  EXPECT_EQ(parts_of(kMost, {}), (Parts{{0, kMost}}));
}

TEST(RolloutParts, StopAtTheFirstErrorAndNeedMemory) {
  int memory = 0;
  EXPECT_EQ(parts_of(100, {10, &memory}, cudaErrorLaunchFailure).size(), 3u);
  EXPECT_TRUE(parts_of(8, {7, nullptr}, cudaErrorInvalidValue).empty());
  EXPECT_TRUE(parts_of(8, {0, &memory}, cudaErrorInvalidValue).empty());
}

}  // namespace rollout_parts_test
}  // namespace lockstep::test
