// Tests for kernels/cuda/critic_sums.cuh: every integer sum of a minibatch against plain loops over
// its steps, for as many outputs as several blocks share, tiles in any order and single steps.
#include "kernels/cuda/critic_sums.cuh"

#include <gtest/gtest.h>

#include <cmath>

#include "envs/cartpole.h"
#include "host/backend/policy_parameters.h"
#include "tests/support/cuda_array.h"
#include "tests/support/dial.h"

namespace lockstep::test {
namespace critic_sums_test {

using cuda::Mapping;
using cuda::Stop;

constexpr std::int64_t kEnvs = 21;  // one group, and five lanes of another
constexpr std::int32_t kSteps = 13;
constexpr std::int64_t kGroups = 2, kRows = kGroups * kSteps;

float number(std::uint32_t i, std::uint32_t what) {
  return uniform<float>(philox4x32<std::uint32_t>(i, what, 7, 7, 7).w[0]) - 0.5f;
}

template <class E>
class CriticSums {
 public:
  static constexpr int O = E::kObservationSize, Z = logits_of(E::kNumActions), Y = Z + 1;
  static constexpr int R = weighed_rows(Z), C = Y * (O + 1);

  CriticSums(int hidden, std::int32_t minibatches, bool single_steps, std::int32_t pass)
      : packed_({hidden > 0 ? PolicyKind::kMlp : PolicyKind::kLinear, O, E::kNumActions, hidden,
                 false, 0},
                {}) {
    const PolicyShape shape{
        hidden > 0 ? PolicyKind::kMlp : PolicyKind::kLinear, O, E::kNumActions, hidden, false, 0};
    for (std::int64_t i = 0; i < shape.size(); ++i) {
      parameters_.push_back(number(static_cast<std::uint32_t>(i), 1));
    }
    packed_.pack(parameters_);
    for (std::uint32_t i = 0; i < kRows * O * kGroup; ++i) obs_.push_back(number(i, 2));
    for (std::uint32_t i = 0; i < kRows * R * kGroup; ++i) rows_.push_back(number(i, 3));
    args.update.plan.O = O;
    args.update.plan.A = E::kNumActions;
    for (double& limit : args.update.plan.observation_limit) limit = 1;
    args.critic = 0;
    args.epochs = 2;
    args.minibatches = minibatches;
    args.single_steps = single_steps;
    args.tiles = tile_grid(kGroups, kSteps, minibatches);
    const std::int64_t things = single_steps ? kEnvs * kSteps : args.tiles.count();
    for (std::int64_t i = 0; i < things; ++i) {  // 5 has no factor of these
      order_.push_back(static_cast<std::uint32_t>((i * 5 + 1) % things));
    }
    state_ = CudaArray<cuda::UpdateState>(
        {cuda::UpdateState{3, 0, Stop::kRunning, 0, RunningState{}, pass, 0, 0}});
  }

  bool in_minibatch(std::int64_t env, int t, std::int64_t m) const {
    const std::int64_t M = args.minibatches;
    const auto n = static_cast<std::int64_t>(order_.size());
    if (args.single_steps) {
      const std::int64_t place = order_[static_cast<std::size_t>(env * kSteps + t)];
      return place >= m * n / M && place < (m + 1) * n / M;
    }
    for (std::int64_t i = m * n / M; i < (m + 1) * n / M; ++i) {
      const Tile16 tile = args.tiles.tile(order_[static_cast<std::size_t>(i)]);
      if (tile.group == env / kGroup && t >= tile.begin && t < tile.end) return true;
    }
    return false;
  }

  /// Sums by plain loops, in the places of actor_critic_layout().
  std::vector<std::int64_t> expected(std::int64_t m) const {
    const PolicyView<float> policy = packed_.view();
    const GradientLayout layout = actor_critic_layout(policy, O, Z);
    std::vector<std::int64_t> sums(static_cast<std::size_t>(layout.size()));
    const auto add = [&](std::int64_t at, std::int64_t q) {
      sums[static_cast<std::size_t>(at)] += q;
    };
    for (std::int64_t env = 0; env < kEnvs; ++env) {
      for (int t = 0; t < kSteps; ++t) {
        if (!in_minibatch(env, t, m)) continue;
        const std::int64_t step = env / kGroup * kSteps + t;
        const auto at = [&](const std::vector<float>& from, int fields, int f) {
          return from[static_cast<std::size_t>((step * fields + f) * kGroup + env % kGroup)];
        };
        float obs[O];
        for (int o = 0; o < O; ++o) obs[o] = at(obs_, O, o);
        for (int c = 0; c < C; ++c) {
          const int o = c % (O + 1);
          const float row = at(rows_, R, c / (O + 1));
          const auto q = static_cast<std::int64_t>(
              std::nearbyint((o < O ? row * obs[o < O ? o : 0] : row) * kScale));
          add(layout.all() + c, q);
          for (int unit = 0; unit < layout.units; ++unit) {
            const float* weights = policy.units + std::int64_t{unit} * unit_stride(O, Y);
            if (hidden_unit<float, O>(weights, obs) > 0) add(layout.active(unit) + c, q);
          }
        }
        for (int f = 0; f < kWeighedFigures; ++f) {
          add(layout.loss() + f,
              static_cast<std::int64_t>(std::nearbyint(at(rows_, R, Y + f) * kScale)));
        }
      }
    }
    return sums;
  }

  std::vector<std::int64_t> actual(int block) {
    // rows of other minibatches are rubbish, but for single steps, whose rows are 0
    std::vector<float> rows = rows_;
    const std::int64_t m = state_.download()[0].pass % args.minibatches;
    for (std::int64_t env = 0; args.single_steps && env < kEnvs; ++env) {
      for (int t = 0; t < kSteps; ++t) {
        if (in_minibatch(env, t, m)) continue;
        for (int r = 0; r < R; ++r) {
          const std::int64_t step = env / kGroup * kSteps + t;
          rows[static_cast<std::size_t>((step * R + r) * kGroup + env % kGroup)] = 0;
        }
      }
    }
    const PolicyView<float> view = packed_.view();
    const bool linear = view.form == PolicyForm::kLinear;
    const std::int64_t numbers =
        linear ? Y * (O + 1) : std::int64_t{kPartials} * view.chain * unit_stride(O, Y);
    const GradientLayout layout = actor_critic_layout(view, O, Z);
    const CudaArray<float> obs(obs_), weighed(rows), units({view.units, view.units + numbers});
    const CudaArray<std::uint32_t> order(order_);
    const CudaArray<unsigned long long> sums(
        std::vector<unsigned long long>(static_cast<std::size_t>(layout.size())));
    const CudaArray<unsigned> saturated({0u});
    const CudaArray<cuda::CriticBatch> batch({cuda::CriticBatch{}});
    cuda::CriticPass found{};
    for (unsigned& largest : found.largest) largest = as_unsigned(as_int(0.5f));
    const CudaArray<cuda::CriticPass> pass({found});
    args.update.state = state_.data();
    args.update.sums = sums.data();
    args.update.gradient_saturated = saturated.data();
    args.update.rollout.num_envs = kEnvs;
    args.update.rollout.policy = view;
    args.update.rollout.policy.units = units.data();
    args.update.rollout.record.groups = kGroups;
    args.update.rollout.record.T = kSteps;
    args.update.rollout.record.obs = obs.data();
    args.batch = batch.data();
    args.pass = pass.data();
    args.order = order.data();
    args.weighed = weighed.data();
    require_cuda(cuda::critic_accumulate<E>(args, {Mapping::kThread, block, 1}, nullptr));
    wait_for_device();
    EXPECT_EQ(saturated.download()[0], 0u);
    std::vector<std::int64_t> out;
    for (const unsigned long long sum : sums.download()) {
      out.push_back(static_cast<std::int64_t>(sum));
    }
    return out;
  }

  /// Passes from here on are left out.
  void end() {
    cuda::UpdateState state = state_.download()[0];
    state.ended = 1;
    state_.upload({state});
  }

  cuda::ActorCriticUpdateArgs args{};

 private:
  static constexpr float kScale = 8388608.0f;  // of numbers below 0.5: 2^23

  PackedPolicy packed_;
  std::vector<float> parameters_, obs_, rows_;
  std::vector<std::uint32_t> order_;
  CudaArray<cuda::UpdateState> state_;
};

template <class E>
void check(int hidden) {
  for (const bool single_steps : {false, true}) {
    for (const std::int32_t pass : {0, 4}) {  // minibatches 0 and 1 of three
      SCOPED_TRACE(std::string(E::kName) + ", " + std::to_string(hidden) + " units, pass " +
                   std::to_string(pass) + (single_steps ? ", steps" : ", tiles"));
      CriticSums<E> sums(hidden, 3, single_steps, pass);
      const auto want = sums.expected(pass % 3);
      for (const int block : {32, 128}) EXPECT_EQ(sums.actual(block), want);
    }
  }
}

static_assert(cuda::GradientShare<Dial, false, 7>::kComponentChunks == 2);

TEST(CudaCriticSums, AreThoseOfPlainLoops) {
  check<CartPole>(0);
  check<CartPole>(37);
  check<CartPole>(140);  // two chunks of units
}

TEST(CudaCriticSums, OfManyOutputsAreSharedByBlocks) {
  check<Dial>(0);
  check<Dial>(37);
  check<Dial>(70);
}

TEST(CudaCriticSums, AreLeftOutWhereNothingIsLearned) {
  CriticSums<CartPole> sums(9, 3, false, 0);
  const std::vector<std::int64_t> nothing(sums.expected(0).size());
  EXPECT_NE(sums.actual(32), nothing);
  CriticSums<CartPole> ended(9, 3, false, 0);
  ended.end();
  EXPECT_EQ(ended.actual(32), nothing);
}

}  // namespace critic_sums_test
}  // namespace lockstep::test
