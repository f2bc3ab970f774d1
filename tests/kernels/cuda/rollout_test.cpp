// Tests for kernels/cuda/rollout.cuh and rollout_lanes8.cuh: every bit of a rollout against the
// CPU's, for all policy forms, mappings and batches around the sizes of groups, warps and blocks.
#include "kernels/cuda/rollout.cuh"

#include <gtest/gtest.h>

#include "envs/cartpole.h"
#include "tests/support/corridor.h"
#include "tests/support/cuda_rollouts.h"

namespace lockstep::test {
namespace rollout_test {

using cuda::LaunchShape;
using cuda::Mapping;

constexpr std::int64_t kSizes[] = {1, 31, 32, 33, 255, 257, 1000};
constexpr int kBlocks[] = {32, 64, 128, 256};

const PolicyOptions kRelu{};
const PolicyOptions kLeakyDropHalf{Activation::kLeakyRelu, 0.5};
const PolicyOptions kDropFifth{Activation::kRelu, 0.2};
const PolicyOptions kLeaky{Activation::kLeakyRelu, 0.0};

template <class E>
void expect_equal(const RolloutCase& c, const LaunchShape& shape) {
  SCOPED_TRACE(testing::Message() << E::kName << ", envs " << c.envs << ", T " << c.T << ", H "
                                  << c.hidden << (c.episodic ? ", episodic" : "") << ", mapping "
                                  << static_cast<int>(shape.mapping) << ", block " << shape.block
                                  << ", per thread " << shape.envs_per_thread);
  const Rollouts<E> rollouts(c);
  ASSERT_EQ(cuda::play_all<E>(cuda::play_args(rollouts.args), shape, nullptr), cudaSuccess);
  wait_for_device();
  rollouts.expect_equal();
}

/// All sizes, and every block with all but the larger ones, with and without automatic reset. The
/// steps pass the ring of bits and the draws of words and start states.
template <class E>
void expect_equal_everywhere(RolloutCase c, Mapping mapping, int envs_per_thread) {
  c.T = 19;
  for (const std::int64_t envs : kSizes) {
    for (const int block : kBlocks) {
      if (block != 128 && envs > (mapping == Mapping::kThread ? 257 : 33)) continue;
      for (const bool episodic : {false, true}) {
        c.envs = envs;
        c.episodic = episodic;
        expect_equal<E>(c, {mapping, block, envs_per_thread});
      }
    }
  }
}

TEST(CudaRollout, PlaysTheReluNetworkWithAThreadPerEnvironment) {
  expect_equal_everywhere<CartPole>({}, Mapping::kThread, 1);
  expect_equal_everywhere<Corridor>({}, Mapping::kThread, 1);
}

TEST(CudaRollout, PlaysSeveralEnvironmentsAThread) {
  RolloutCase c;
  c.keep_obs = false;
  for (const int envs : {4, 8}) {
    expect_equal_everywhere<CartPole>(c, Mapping::kThread, envs);
    expect_equal_everywhere<Corridor>(c, Mapping::kThread, envs);
  }
}

TEST(CudaRollout, PlaysWithEightLanesPerEnvironment) {
  expect_equal_everywhere<CartPole>({}, Mapping::kLanes8, 1);
  expect_equal_everywhere<Corridor>({}, Mapping::kLanes8, 1);
}

TEST(CudaRollout, RecordsObservationsWhateverIsAskedOfAThread) {
  expect_equal<CartPole>({}, {Mapping::kThread, 64, 8});
}

TEST(CudaRollout, PlaysEveryOtherPolicy) {
  for (const std::int64_t envs : kSizes) {
    for (const bool episodic : {false, true}) {
      RolloutCase c;
      c.envs = envs;
      c.episodic = episodic;
      const auto everywhere = [&](const RolloutCase& one) {
        expect_equal<CartPole>(one, {Mapping::kThread, 64, 1});
        expect_equal<Corridor>(one, {Mapping::kThread, 128, 1});
      };
      RolloutCase linear = c;
      linear.kind = PolicyKind::kLinear;
      everywhere(linear);
      RolloutCase random = c;
      random.random = true;
      everywhere(random);
      for (const PolicyOptions& options : {kLeakyDropHalf, kDropFifth, kLeaky}) {
        RolloutCase general = c;
        general.options = options;
        everywhere(general);
      }
    }
  }
}

TEST(CudaRollout, PlaysAnyNumberOfHiddenUnits) {
  for (const int hidden : {1, 7, 8, 9, 31, 32, 33, 64, 100, 128}) {
    RolloutCase c;
    c.hidden = hidden;
    c.T = 20;
    for (const Mapping mapping : {Mapping::kThread, Mapping::kLanes8}) {
      expect_equal<CartPole>(c, {mapping, 64, 1});
      expect_equal<Corridor>(c, {mapping, 64, 1});
    }
  }
  // 2048: the weights no longer fit the shared memory
  for (const int hidden : {129, 200, 1000, 2048}) {
    for (const PolicyOptions& options : {kRelu, kLeakyDropHalf, kDropFifth}) {
      RolloutCase c;
      c.hidden = hidden;
      c.options = options;
      c.T = 6;
      expect_equal<CartPole>(c, {Mapping::kThread, 64, 1});
      expect_equal<Corridor>(c, {Mapping::kThread, 64, 1});
    }
  }
}

TEST(CudaRollout, PaddingAChainKeepsTheSignOfItsZero) {
  // every partial sum underflows to -0, and so is the bias
  RolloutCase c;
  c.hidden = 8;
  c.T = 3;
  c.parameters.assign(8 * 4, 0.0f);                        // first layer, weights
  c.parameters.insert(c.parameters.end(), 8, 1e-30f);      // and biases
  c.parameters.insert(c.parameters.end(), 8, 1e-30f);      // second layer, action 0
  c.parameters.insert(c.parameters.end(), 8, 0.0f);        // and action 1
  c.parameters.insert(c.parameters.end(), {0.0f, -0.0f});  // biases
  ASSERT_EQ(as_int(Rollouts<CartPole>(c).record().logits[0]), as_int(-0.0f));
  expect_equal<CartPole>(c, {Mapping::kThread, 64, 1});
  expect_equal<CartPole>(c, {Mapping::kLanes8, 64, 1});
}

TEST(CudaRollout, ChoosesActionsInEveryWay) {
  for (const ActionChoice choice : {ActionChoice::kGreedy, ActionChoice::kEpsilon}) {
    for (const Mapping mapping : {Mapping::kThread, Mapping::kLanes8}) {
      RolloutCase c;
      c.choice = choice;
      c.epsilon = 0.25f;
      expect_equal<CartPole>(c, {mapping, 64, 1});
      expect_equal<Corridor>(c, {mapping, 64, 1});
    }
  }
}

TEST(CudaRollout, PlaysToTheTimeLimit) {
  RolloutCase c;
  c.kind = PolicyKind::kLinear;
  c.parameters = {0, 0, 0, 0, 0.1f, 0.5f, 10, 3, 0, 0};  // action 1 where the pole falls right
  c.choice = ActionChoice::kEpsilon;
  c.epsilon = 0.5f;
  c.envs = 40;
  c.T = CartPole::kMaxEpisodeSteps + 20;
  for (const bool episodic : {false, true}) {
    c.episodic = episodic;
    const Rollouts<CartPole> rollouts(c);
    int limits = 0;
    for (std::int64_t word = 0; word < rollouts.groups() * c.T; ++word) {
      limits += rollouts.record().truncated[word] != 0;
    }
    ASSERT_GT(limits, 0);
    expect_equal<CartPole>(c, {Mapping::kThread, 64, 1});
  }
}

TEST(CudaRollout, NeedsNoRecord) {
  RolloutCase c;
  c.record = false;
  for (const bool episodic : {false, true}) {
    c.episodic = episodic;
    for (const LaunchShape& shape :
         {LaunchShape{Mapping::kThread, 64, 1}, LaunchShape{Mapping::kThread, 64, 4},
          LaunchShape{Mapping::kLanes8, 64, 1}}) {
      expect_equal<CartPole>(c, shape);
      expect_equal<Corridor>(c, shape);
    }
  }
}

TEST(CudaRollout, LeavesOutWhatIsNotKept) {
  RolloutCase c;
  c.keep_obs = c.keep_logits = false;
  for (const Mapping mapping : {Mapping::kThread, Mapping::kLanes8}) {
    expect_equal<CartPole>(c, {mapping, 64, 4});
    expect_equal<Corridor>(c, {mapping, 64, 4});
  }
}

TEST(CudaRollout, RefusesWhatEightLanesCannotPlay) {
  RolloutCase c;
  c.hidden = kLanes8MaxHidden + 1;
  const Rollouts<CartPole> large(c);
  const LaunchShape shape{Mapping::kLanes8, 64, 1};
  EXPECT_EQ(cuda::play_all<CartPole>(cuda::play_args(large.args), shape, nullptr),
            cudaErrorInvalidValue);
  c.hidden = 16;
  c.options = kLeaky;
  const Rollouts<CartPole> leaky(c);
  EXPECT_EQ(cuda::play_all<CartPole>(cuda::play_args(leaky.args), shape, nullptr),
            cudaErrorInvalidValue);
}

/// A rollout as part of an update: two slots, of which the second is under way.
template <class E>
struct UpdateRollout : Rollouts<E> {
  static constexpr int kCapacity = 64;
  explicit UpdateRollout(const RolloutCase& c, cuda::Stop stop = cuda::Stop::kRunning)
      : Rollouts<E>(c) {
    const auto lanes = static_cast<std::size_t>(this->lanes());
    count = CudaArray<std::int32_t>(std::vector<std::int32_t>(2 * lanes, -1));
    length_log = CudaArray<std::int32_t>(std::vector<std::int32_t>(2 * kCapacity * lanes, -1));
    score_log =
        CudaArray<float>(std::vector<float>(E::kConstantReward ? 0 : 2 * kCapacity * lanes, -1.0f));
    histogram =
        CudaArray<std::int32_t>(std::vector<std::int32_t>(static_cast<std::size_t>(c.T) + 1));
    state = CudaArray<cuda::UpdateState>(
        {cuda::UpdateState{this->args.stream.epoch, 1, stop, 0, RunningState{}}});
    update.rollout = this->args;
    update.rollout.stream.epoch = 0xdead;  // the state's counts
    update.table_form = E::kConstantReward && c.episodic;
    update.table.histogram = histogram.data();
    update.episode_log = {kCapacity, this->lanes(), count.data(), length_log.data(),
                          score_log.data()};
    update.state = state.data();
  }
  void play(const LaunchShape& shape) {
    ASSERT_EQ(cuda::play_all<E>(cuda::play_args(update), shape, nullptr), cudaSuccess);
    wait_for_device();
  }

  cuda::UpdateArgs update{};
  CudaArray<std::int32_t> count, length_log, histogram;
  CudaArray<float> score_log;
  CudaArray<cuda::UpdateState> state;
};

const LaunchShape kShapes[] = {{Mapping::kThread, 64, 1},
                               {Mapping::kThread, 64, 4},
                               {Mapping::kThread, 64, 8},
                               {Mapping::kLanes8, 64, 1}};

template <class E>
void expect_logged(const RolloutCase& c, const LaunchShape& shape) {
  UpdateRollout<E> u(c);
  u.play(shape);
  u.expect_results();
  u.expect_record();
  const auto count = u.count.download(), length = u.length_log.download();
  const auto score = u.score_log.download();
  const auto lanes = static_cast<std::size_t>(u.lanes());
  const Record<float>& r = u.record();
  std::vector<std::int32_t> expected_histogram(static_cast<std::size_t>(c.T) + 1);
  for (std::int64_t env = 0; env < u.lanes(); ++env) {
    const auto i = static_cast<std::size_t>(env);
    EXPECT_EQ(count[i], -1);  // the other slot
    int number = 0, first = 0;
    float total = 0;
    const int steps = c.episodic ? u.length(env) : c.T;
    for (int t = 0; env < c.envs && t < steps; ++t) {
      const std::int64_t word = env / kGroup * c.T + t;
      total += E::kConstantReward ? 1.0f : r.reward[word * kGroup + env % kGroup];
      if (((r.terminated[word] | r.truncated[word]) >> (env % kGroup) & 1) == 0) continue;
      const std::size_t at =
          (UpdateRollout<E>::kCapacity + static_cast<std::size_t>(number)) * lanes + i;
      ASSERT_EQ(length[at], t + 1 - first) << "environment " << env << ", episode " << number;
      if (!E::kConstantReward) {
        ASSERT_EQ(score[at], total) << "environment " << env;
      }
      if (c.episodic) ++expected_histogram[static_cast<std::size_t>(t + 1)];
      ++number;
      first = t + 1;
      total = 0;
    }
    ASSERT_EQ(count[lanes + i], number) << "environment " << env;
  }
  if (u.update.table_form) {
    EXPECT_EQ(u.histogram.download(), expected_histogram);
  }
}

TEST(CudaRollout, LogsEveryFinishedEpisode) {
  for (const LaunchShape& shape : kShapes) {
    for (const bool episodic : {false, true}) {
      for (const std::int64_t envs : {1, 33, 257}) {
        RolloutCase c;
        c.envs = envs;
        c.T = 40;
        c.episodic = episodic;
        c.keep_obs = false;
        expect_logged<CartPole>(c, shape);
        expect_logged<Corridor>(c, shape);
      }
    }
  }
}

TEST(CudaRollout, DoesNothingOnceUpdatesHaveStopped) {
  for (const LaunchShape& shape : kShapes) {
    RolloutCase c;
    c.keep_obs = false;
    UpdateRollout<CartPole> u(c, cuda::Stop::kSaturated);
    u.play(shape);
    for (const std::int32_t length : u.dev_length.download()) EXPECT_EQ(length, -1);
    for (const std::int32_t count : u.count.download()) EXPECT_EQ(count, -1);
    for (const std::uint16_t bits : u.dev_terminated.download()) EXPECT_EQ(bits, 0xffff);
  }
}

}  // namespace rollout_test
}  // namespace lockstep::test
