// A rollout twice: played by the CPU's operations, and the same arguments with buffers on a device,
// for its kernels to be held against.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "host/backend/policy_parameters.h"
#include "host/backend/record.h"
#include "kernels/cpu/instantiate.h"
#include "tests/support/cuda_array.h"

namespace lockstep::test {

struct RolloutCase {
  PolicyKind kind = PolicyKind::kMlp;
  bool random = false;
  int hidden = 16;
  PolicyOptions options{};
  std::int64_t envs = 33;
  int T = 40;
  bool episodic = false;
  ActionChoice choice = ActionChoice::kSample;
  float epsilon = 0;
  bool keep_obs = true;
  bool keep_logits = true;
  bool record = true;
  std::vector<float> parameters{};  // empty: numbers in [-0.5, 0.5)
};

/// The same rollout on either side.
template <class E>
class Rollouts {
 public:
  static constexpr int O = E::kObservationSize;
  static constexpr int A = E::kNumActions;
  static constexpr int Z = logits_of(A);

  explicit Rollouts(const RolloutCase& c)
      : c_(c),
        shape_{c.kind, O, A, c.kind == PolicyKind::kMlp ? c.hidden : 0},
        packed_(shape_, c.options),
        buffers_({.num_envs = c.envs,
                  .T = c.T,
                  .O = O,
                  .A = A,
                  .obs_and_logits = true,
                  .reward = !E::kConstantReward,
                  .advantage = false}),
        score_(lanes()),
        length_(lanes()),
        episodes_(lanes()) {
    std::vector<float> flat(static_cast<std::size_t>(shape_.size()));
    for (std::size_t i = 0; i < flat.size(); ++i) {
      const auto words = philox4x32<std::uint32_t>(static_cast<std::uint32_t>(i), 1, 2, 3, 4);
      flat[i] = uniform<float>(words.w[0]) - 0.5f;
    }
    packed_.pack(c.parameters.empty() ? flat : c.parameters);
    using Cpu = cpu::Batch<E, float, 1, 1, 1, FixedPoint>;
    const RolloutArgs<float> cpu = cpu_args();
    for (std::int64_t group = 0; group < groups(); ++group) Cpu::rollout(cpu, group * kGroup, 1);
    upload();
  }

  /// Compares what the device has played.
  void expect_equal() const {
    expect_results();
    if (c_.record) expect_record();
  }

  void expect_results() const {
    const auto score = dev_score.download();
    const auto length = dev_length.download();
    const auto episodes = dev_episodes.download();
    for (std::int64_t env = 0; env < c_.envs; ++env) {
      const auto i = static_cast<std::size_t>(env);
      ASSERT_EQ(score[i], score_[env]) << "environment " << env;
      ASSERT_EQ(length[i], length_[env]) << "environment " << env;
      ASSERT_EQ(episodes[i], episodes_[env]) << "environment " << env;
    }
  }

  void expect_record() const {
    const Record<float>& r = buffers_.record();
    const auto obs = dev_obs.download(), logits = dev_logits.download(),
               reward = dev_reward.download();
    const auto action = dev_action.download();
    const auto action_bits = dev_action_bits.download(), terminated = dev_terminated.download(),
               truncated = dev_truncated.download();
    const auto steps = dev_steps.download();
    const auto same = [](float a, float b) { return as_int(a) == as_int(b); };
    for (std::int64_t env = 0; env < c_.envs; ++env) {
      const std::int64_t group = env / kGroup;
      const int lane = static_cast<int>(env % kGroup);
      const int played = c_.episodic && episodes_[env] > 0 ? length_[env] : c_.T;
      ASSERT_GE(steps[static_cast<std::size_t>(group)], played);
      for (int t = 0; t < steps[static_cast<std::size_t>(group)]; ++t) {
        const std::int64_t word = group * c_.T + t;
        const auto bit = [&](const auto& words) {
          return (words[static_cast<std::size_t>(word)] >> lane & 1) != 0;
        };
        const auto cpu_bit = [&](const std::uint16_t* words) {
          return t < played && (words[word] >> lane & 1) != 0;
        };
        // a lane that has finished shows no ends, and the rest of it is nobody's business
        ASSERT_EQ(bit(terminated), cpu_bit(r.terminated)) << env << " at " << t;
        ASSERT_EQ(bit(truncated), cpu_bit(r.truncated)) << env << " at " << t;
        if (t >= played) continue;
        const std::int64_t at = word * kGroup + lane;
        const auto i = static_cast<std::size_t>(at);
        if constexpr (A == 2) {
          ASSERT_EQ(bit(action_bits), cpu_bit(r.action_bits)) << env << " at " << t;
        } else {
          ASSERT_EQ(action[i], r.action[at]) << env << " at " << t;
        }
        if (!E::kConstantReward) {
          ASSERT_TRUE(same(reward[i], r.reward[at])) << env << " at " << t;
        }
        for (int z = 0; c_.keep_logits && !c_.random && z < Z; ++z) {
          const std::int64_t place = (word * Z + z) * kGroup + lane;
          ASSERT_TRUE(same(logits[static_cast<std::size_t>(place)], r.logits[place]))
              << env << " at " << t;
        }
        for (int o = 0; c_.keep_obs && o < O; ++o) {
          const std::int64_t place = (word * O + o) * kGroup + lane;
          ASSERT_TRUE(same(obs[static_cast<std::size_t>(place)], r.obs[place]))
              << env << " at " << t;
        }
      }
    }
  }

  std::int64_t groups() const { return (c_.envs + kGroup - 1) / kGroup; }
  std::int64_t lanes() const { return groups() * kGroup; }
  const Record<float>& record() const { return buffers_.record(); }
  std::int32_t length(std::int64_t env) const { return length_[env]; }
  float score(std::int64_t env) const { return score_[env]; }
  std::int32_t episodes(std::int64_t env) const { return episodes_[env]; }

  RolloutArgs<float> args{};  // of the device
  CudaArray<float> dev_score, dev_obs, dev_logits, dev_reward, units, output_bias;
  CudaArray<std::int32_t> dev_length, dev_episodes, dev_steps;
  CudaArray<std::uint8_t> dev_action;
  CudaArray<std::uint16_t> dev_action_bits, dev_terminated, dev_truncated;

 private:
  RolloutArgs<float> cpu_args() {
    RolloutArgs<float> a{};
    a.stream = {77, 6, 1000};
    a.num_envs = c_.envs;
    a.T = c_.T;
    a.episodic = c_.episodic;
    a.choice = c_.choice;
    a.epsilon = c_.epsilon;
    a.policy = packed_.view();
    if (c_.random) a.policy.form = PolicyForm::kRandom;
    a.record = buffers_.record();
    a.score = score_.data();
    a.length = length_.data();
    a.episodes = episodes_.data();
    return a;
  }
  void upload() {
    args = cpu_args();
    const auto words = static_cast<std::size_t>(groups() * c_.T);
    const auto reals = [&](bool wanted, int fields) {
      const std::size_t count = words * kGroup * static_cast<std::size_t>(fields);
      return CudaArray<float>(std::vector<float>(wanted ? count : 0, std::nanf("")));
    };
    const auto bits = [&](bool wanted) {
      return CudaArray<std::uint16_t>(
          std::vector<std::uint16_t>(wanted ? words : 0, std::uint16_t{0xffff}));
    };
    dev_obs = reals(c_.record && c_.keep_obs, O);
    dev_logits = reals(c_.record && c_.keep_logits, Z);
    dev_reward = reals(c_.record && !E::kConstantReward, 1);
    dev_action = CudaArray<std::uint8_t>(
        std::vector<std::uint8_t>(c_.record && A > 2 ? words * kGroup : 0, std::uint8_t{0xff}));
    dev_action_bits = bits(c_.record && A == 2);
    dev_terminated = bits(c_.record);
    dev_truncated = bits(c_.record);
    dev_steps = CudaArray<std::int32_t>(
        std::vector<std::int32_t>(c_.record ? static_cast<std::size_t>(groups()) : 0, -1));
    Record<float>& r = args.record;
    r.obs = dev_obs.data();
    r.logits = dev_logits.data();
    r.reward = dev_reward.data();
    r.action = dev_action.data();
    r.action_bits = dev_action_bits.data();
    r.terminated = dev_terminated.data();
    r.truncated = dev_truncated.data();
    r.steps = dev_steps.data();
    const auto count = static_cast<std::size_t>(lanes());
    dev_score = CudaArray<float>(std::vector<float>(count, -1.0f));
    dev_length = CudaArray<std::int32_t>(std::vector<std::int32_t>(count, -1));
    dev_episodes = CudaArray<std::int32_t>(std::vector<std::int32_t>(count, -1));
    args.score = dev_score.data();
    args.length = dev_length.data();
    args.episodes = dev_episodes.data();
    const PolicyView<float> view = packed_.view();
    const int size =
        c_.kind == PolicyKind::kLinear ? Z * (O + 1) : kPartials * view.chain * unit_stride(O, Z);
    units = CudaArray<float>(std::vector<float>(view.units, view.units + size));
    output_bias = CudaArray<float>(std::vector<float>(view.output_bias, view.output_bias + Z));
    args.policy.units = units.data();
    args.policy.output_bias = output_bias.data();
  }

  RolloutCase c_;
  PolicyShape shape_;
  PackedPolicy packed_;
  RolloutBuffers buffers_;
  Buffer<float> score_;
  Buffer<std::int32_t> length_, episodes_;
};

}  // namespace lockstep::test
