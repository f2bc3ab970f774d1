// Tests for kernels/cuda/table_rollout.cuh: every bit of a rollout against the CPU's, for all
// mappings, numbers of units and options, and batches around the sizes of warps and groups.
#include "kernels/cuda/table_rollout.cuh"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "tests/support/cuda_devices.h"
#include "tests/support/cuda_table_rollouts.h"

namespace lockstep::test {
namespace table_rollout_test {

constexpr std::int64_t kSizes[] = {1, 5, 16, 17, 33};
constexpr int kManyPlaces = 1000;  // multiprocessors: a group each; with 1, all groups they can

testing::Message name_of(const TableCase& c) {
  return testing::Message() << "envs " << c.envs << ", T " << c.T << ", H " << c.hidden << ", leak "
                            << c.leak << (c.episodic ? ", episodic" : "");
}

std::int64_t groups_of(const TableCase& c) { return (c.envs + kGroup - 1) / kGroup; }

/// Plays with the given mapping.
template <int kUnits, bool kWhole, int kEnvs>
void expect_equal(const TableCase& c, int multiprocessors = kManyPlaces) {
  SCOPED_TRACE(name_of(c) << ", " << kEnvs << " a warp, multiprocessors " << multiprocessors);
  const TableRollouts rollouts(c);
  ASSERT_EQ((cuda::table::launch_rollout<ObjectPong, kUnits, kWhole, kEnvs>(
                cuda::table_play(rollouts.args),
                {256, kEnvs, 256, multiprocessors, offered_shared_bytes()}, nullptr)),
            cudaSuccess);
  wait_for_device();
  rollouts.expect_equal();
}

/// Plays with the mapping that play_table() picks.
void expect_equal_as_picked(const TableCase& c, int envs_per_warp = 8,
                            int shared = offered_shared_bytes()) {
  SCOPED_TRACE(name_of(c) << ", asked for " << envs_per_warp << " a warp, shared " << shared);
  const TableRollouts rollouts(c);
  ASSERT_EQ((cuda::play_table<ObjectPong>(cuda::table_play(rollouts.args),
                                          {256, envs_per_warp, 256, 2, shared}, nullptr)),
            cudaSuccess);
  wait_for_device();
  rollouts.expect_equal();
}

/// All sizes of the batch, with one group a block and with more, automatic reset or not. Episodes
/// end within the rollout, and its steps pass the rings of bits.
template <int kUnits, bool kWhole, int kEnvs>
void expect_equal_everywhere(TableCase c) {
  for (const std::int64_t envs : kSizes) {
    for (const bool episodic : {false, true}) {
      c.envs = envs;
      c.episodic = episodic;
      c.T = episodic ? 19 : 35;
      expect_equal<kUnits, kWhole, kEnvs>(c);
      if (groups_of(c) == 1) continue;
      for (const int places : {1, 2}) expect_equal<kUnits, kWhole, kEnvs>(c, places);
    }
  }
}

TEST(CudaTableRollout, PlaysOneEnvironmentAWarp) { expect_equal_everywhere<2, false, 1>({}); }
TEST(CudaTableRollout, PlaysTwoEnvironmentsAWarp) { expect_equal_everywhere<2, false, 2>({}); }
TEST(CudaTableRollout, PlaysFourEnvironmentsAWarp) { expect_equal_everywhere<2, false, 4>({}); }
TEST(CudaTableRollout, PlaysEightEnvironmentsAWarp) { expect_equal_everywhere<2, false, 8>({}); }

TEST(CudaTableRollout, PlaysTwoHundredUnits) {
  for (const float leak : {0.0f, 0.01f}) {
    TableCase c;
    c.hidden = 200;
    c.envs = 17;
    c.T = 6;
    c.leak = leak;
    expect_equal<7, true, 1>(c);
    expect_equal<7, true, 2>(c);
    expect_equal<7, true, 4>(c);
    expect_equal<7, true, 8>(c);
  }
}

TEST(CudaTableRollout, PlaysAnyNumberOfHiddenUnits) {
  for (const int hidden :
       {1, 16, 31, 33, 64, 65, 200, 208, 224, 225, 256, 257, 496, 512, 513, 1024}) {
    for (const float leak : {0.0f, 0.1f}) {
      TableCase c;
      c.hidden = hidden;
      c.T = 3;
      c.leak = leak;
      expect_equal_as_picked(c, 8);
      expect_equal_as_picked(c, 4);
    }
  }
}

TEST(CudaTableRollout, RefusesMoreUnitsThanItHasRegistersFor) {
  TableRolloutArgs args{};
  args.num_envs = 1;
  args.policy.shape = {ObjectPong::kPixels, ObjectPong::kRows, ObjectPong::kObjects, 1025};
  EXPECT_EQ((cuda::play_table<ObjectPong>(cuda::table_play(args),
                                          {256, 8, 256, 2, offered_shared_bytes()}, nullptr)),
            cudaErrorInvalidValue);
}

TEST(CudaTableRollout, PartialsThatAreMissingUnitsKeepTheSignOfTheirZero) {
  // products underflow to -0, and 48 units are one for some partials and two for the others
  TableCase c;
  c.hidden = 48;
  c.tiny = true;
  const TableRollouts rollouts(c);
  const auto is_negative_zero = [](float z) { return z == 0 && std::signbit(z); };
  ASSERT_TRUE(
      std::any_of(rollouts.want.logits.begin(), rollouts.want.logits.end(), is_negative_zero));
  expect_equal<2, false, 8>(c);
  expect_equal<2, true, 4>(c);
}

TEST(CudaTableRollout, ChoosesActionsInEveryWay) {
  for (const ActionChoice choice : {ActionChoice::kGreedy, ActionChoice::kEpsilon}) {
    TableCase c;
    c.envs = 18;
    c.choice = choice;
    expect_equal<2, false, 4>(c);
    expect_equal<2, false, 8>(c);
  }
}

TEST(CudaTableRollout, PlaysAtRandom) {
  TableCase c;
  c.random = true;
  c.T = 161;  // past the first words of a counter and into the second counter
  c.envs = 18;
  expect_equal<0, false, 4>(c);
  expect_equal_as_picked(c);
}

TEST(CudaTableRollout, PlaysNoisyGames) {
  for (const bool in_turn : {false, true}) {
    TableCase c;
    c.envs = 18;
    c.T = 40;
    c.game = {.min_skip = 2,
              .max_skip = 6,
              .repeat_below = 1u << 22,
              .max_noops = 30,
              .noops_in_turn = in_turn,
              .max_steps = 17};
    expect_equal<2, false, 4>(c);
    expect_equal<2, false, 8>(c);
  }
}

TEST(CudaTableRollout, ScoresPoints) {
  TableCase c;
  c.T = 150;
  c.game.max_steps = 1000;
  c.episodic = true;  // and ends after T steps
  const TableRollouts rollouts(c);
  ASSERT_TRUE(std::find(rollouts.want.reward.begin(), rollouts.want.reward.end(), -1) !=
              rollouts.want.reward.end());
  ASSERT_EQ(rollouts.want.episodes[0], 0);
  expect_equal<2, false, 4>(c);
  expect_equal<2, false, 8>(c);
}

TEST(CudaTableRollout, PlaysGamesToTheirEnd) {
  for (const bool episodic : {false, true}) {
    TableCase c;
    c.envs = 18;
    c.T = 200;
    c.game = {.min_skip = 30, .max_skip = 60, .max_steps = 1000};  // a game in some 80 steps
    c.episodic = episodic;
    const TableRollouts rollouts(c);
    const auto [shortest, longest] =
        std::minmax_element(rollouts.want.length.begin(), rollouts.want.length.begin() + c.envs);
    ASSERT_GT(*shortest, 0);
    ASSERT_LT(*shortest, *longest);  // some warps end before others
    ASSERT_LT(rollouts.want.score[0], 0);
    for (const int places : {1, kManyPlaces}) {  // groups that end together or on their own
      expect_equal<2, false, 4>(c, places);
      expect_equal<2, false, 8>(c, places);
    }
  }
}

TEST(CudaTableRollout, PlaysWithoutARecord) {
  for (const bool episodic : {false, true}) {
    TableCase c;
    c.envs = 33;
    c.record = false;
    c.episodic = episodic;
    expect_equal<2, false, 4>(c, 1);
    expect_equal<2, false, 8>(c, 1);
  }
}

/// What an update's rollout reads and writes beside the arguments of a play.
class Training {
 public:
  static constexpr std::int32_t kSlots = 2, kCapacity = 6;
  explicit Training(const TableRollouts& rollouts, cuda::Stop stop)
      : lanes(rollouts.groups() * kGroup),
        count(filled(kSlots * lanes)),
        length(filled(kSlots * lanes * kCapacity)),
        score(std::vector<float>(static_cast<std::size_t>(kSlots * lanes * kCapacity), -7.0f)),
        state(std::vector<cuda::UpdateState>{{6, 1, stop, 0, {}}}) {
    args.rollout = rollouts.args;
    args.rollout.stream.epoch = 12345;  // the state's counts
    args.state = state.data();
    args.episode_log = {kCapacity, lanes, count.data(), length.data(), score.data()};
  }
  static CudaArray<std::int32_t> filled(std::int64_t n) {
    return CudaArray<std::int32_t>(std::vector<std::int32_t>(static_cast<std::size_t>(n), -7));
  }
  std::int64_t lanes;
  CudaArray<std::int32_t> count, length;
  CudaArray<float> score;
  CudaArray<cuda::UpdateState> state;
  cuda::TableUpdateArgs args{};
};

TEST(CudaTableRollout, LogsTheEpisodesOfAnUpdate) {
  for (const bool episodic : {false, true}) {
    TableCase c;
    c.envs = 18;
    c.T = 40;  // five episodes of seven steps
    c.episodic = episodic;
    const TableRollouts rollouts(c);
    const Training training(rollouts, cuda::Stop::kRunning);
    ASSERT_EQ((cuda::play_table<ObjectPong>(cuda::table_play(training.args),
                                            {256, 8, 256, 2, offered_shared_bytes()}, nullptr)),
              cudaSuccess);
    wait_for_device();
    rollouts.expect_equal();
    const auto count = training.count.download(), length = training.length.download();
    const auto score = training.score.download();
    for (std::int64_t env = 0; env < training.lanes; ++env) {
      const auto i = static_cast<std::size_t>(env),
                 lanes = static_cast<std::size_t>(training.lanes);
      EXPECT_EQ(count[i], -7) << "slot 0";
      ASSERT_EQ(count[lanes + i], env >= 18 ? 0 : episodic ? 1 : 5) << env;
      std::int32_t steps = 0;
      float total = 0;
      for (std::size_t n = 0; n < Training::kCapacity; ++n) {
        const std::size_t at = (Training::kCapacity + n) * lanes + i;
        if (n < static_cast<std::size_t>(count[lanes + i])) {
          EXPECT_EQ(length[at], 7);
          steps += length[at];
          total += score[at];
        } else {
          EXPECT_EQ(length[at], -7);
          EXPECT_EQ(score[at], -7);
        }
      }
      EXPECT_EQ(steps, rollouts.want.length[i]);
      EXPECT_EQ(total, rollouts.want.score[i]);
    }
  }
}

TEST(CudaTableRollout, DoesNothingOnceUpdatesHaveStopped) {
  const TableRollouts rollouts({});
  const Training training(rollouts, cuda::Stop::kSaturated);
  ASSERT_EQ((cuda::play_table<ObjectPong>(cuda::table_play(training.args),
                                          {256, 8, 256, 2, offered_shared_bytes()}, nullptr)),
            cudaSuccess);
  wait_for_device();
  for (const std::int32_t n : training.count.download()) EXPECT_EQ(n, -7);
  rollouts.expect_untouched();
}

// The near rows of 200 and 256 units do not fit everywhere; those of 80 are as many as of 256.
TEST(CudaTableRollout, PlaysWithTheSharedMemoryOfEveryDevice) {
  for (const DeviceKind& kind : kDeviceKinds) {
    const DeviceOfKind device(kind);
    SCOPED_TRACE(kind.name);
    for (const int hidden : {16, 80, 200, 256, 512}) {
      TableCase c;
      c.hidden = hidden;
      c.envs = 17;
      c.T = 6;
      c.leak = hidden == 256 ? 0.01f : 0;
      expect_equal_as_picked(c, 8, device.shared_bytes());
    }
  }
}

TEST(CudaTableRollout, IsRefusedWithLessSharedMemoryThanItNeeds) {
  TableCase c;
  c.hidden = 64;  // the most whose near rows every device has room for
  const TableRollouts rollouts(c);
  const auto play = [&](int shared) {
    return cuda::play_table<ObjectPong>(cuda::table_play(rollouts.args), {256, 8, 256, 2, shared},
                                        nullptr);
  };
  constexpr int kLeast = cuda::least_rollout_bytes<ObjectPong>();
  EXPECT_EQ(play(kLeast - 1), cudaErrorInvalidValue);
  EXPECT_EQ(play(kLeast), cudaSuccess);
  wait_for_device();
  rollouts.expect_equal();
}

}  // namespace table_rollout_test
}  // namespace lockstep::test
