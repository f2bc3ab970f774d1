// A batch in the float and integer arithmetic of production, on the kernels of a chosen instruction
// set, with records the test may rewrite and gradient sums it can read.
#pragma once

#include <algorithm>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "host/backend/buffer.h"
#include "host/backend/environments.h"
#include "host/backend/policy_parameters.h"
#include "host/backend/record.h"
#include "host/cpu/isa.h"
#include "kernels/cpu/launchers.h"
#include "kernels/reinforce_grad.h"

namespace lockstep::test {

/// The integer sums of a gradient, GradientLayout's places.
struct IntegerSums {
  std::vector<std::int64_t> value;
  bool saturated;
  bool operator==(const IntegerSums&) const = default;
};

class FloatBatch {
 public:
  FloatBatch(const std::string& environment, PolicyKind kind, int hidden,
             const PolicyOptions& options, std::int64_t envs, int T)
      : entry_(find_environment(environment)),
        shape_{kind, entry_.facts->observation_size, entry_.facts->num_actions, hidden},
        packed_(shape_, options),
        envs_(envs),
        buffers_({.num_envs = envs,
                  .T = T,
                  .O = shape_.O,
                  .A = shape_.A,
                  .obs_and_logits = true,
                  .reward = !entry_.facts->constant_reward,
                  .advantage = true}) {}

  void set_parameters(std::span<const float> flat) { packed_.pack(flat); }

  /// Plays with automatic reset and forms discounted returns.
  void rollout(const RandomStream& stream, float gamma) {
    stream_ = stream;
    const std::int64_t lanes = record().groups * kGroup;
    Buffer<float> score(lanes);
    Buffer<std::int32_t> length(lanes), episodes(lanes);
    RolloutArgs<float> args{};
    args.stream = stream;
    args.num_envs = envs_;
    args.T = record().T;
    args.episodic = false;
    args.choice = ActionChoice::kSample;
    args.policy = packed_.view();
    args.record = record();
    args.score = score.data();
    args.length = length.data();
    args.episodes = episodes.data();
    const auto& scalar = operations_for(entry_, Isa::kScalar);
    ReturnSums ignored;
    for (std::int64_t group = 0; group < record().groups; ++group) {
      scalar.rollout(args, group * kGroup, 1);
      scalar.returns({record(), gamma, ReturnMode::kStepwise, 1.0f, nullptr}, group, ignored);
    }
  }

  GradientArgs<float> gradient_args() const {
    GradientArgs<float> args{};
    args.stream = stream_;
    args.num_envs = envs_;
    args.policy = packed_.view();
    args.record = buffers_.record();
    args.inv_std = 1;
    for (float& scale : args.scale) scale = 1;
    args.loss_scale = args.entropy_scale = 1;
    return args;
  }

  /// Sums over `order` of groups, dealt out in turn to `parts` scratches that are merged at the
  /// end.
  IntegerSums sums(const GradientArgs<float>& args, Isa isa, std::span<const std::int64_t> order,
                   int parts = 1) const {
    const auto& ops = operations_for(entry_, isa);
    const auto layout = this->layout();
    const int wide = std::max(1, ops.lanes / 2);
    IntegerSums out{std::vector<std::int64_t>(static_cast<std::size_t>(layout.size())), false};
    for (int part = 0; part < parts; ++part) {
      Buffer<std::int32_t> lanes(layout.size() * cpu::kMaxLanes);
      Buffer<std::int64_t> partial(layout.size() * cpu::kMaxWideLanes);
      Buffer<std::uint32_t> kept(std::int64_t{cpu::kTile} * ((shape_.H + 31) / 32 + 1) *
                                 cpu::kMaxLanes);
      lanes.zero();
      partial.zero();
      cpu::GradientScratch<FixedPoint> scratch{lanes.data(), partial.data(), kept.data(), 0, false};
      for (std::size_t i = static_cast<std::size_t>(part); i < order.size();
           i += static_cast<std::size_t>(parts)) {
        ops.gradient(args, order[i], scratch);
      }
      ops.flush(layout, scratch);
      out.saturated |= scratch.saturated;
      for (std::int64_t k = 0; k < layout.size(); ++k) {
        for (int lane = 0; lane < wide; ++lane) {
          out.value[static_cast<std::size_t>(k)] += partial[k * wide + lane];
        }
      }
    }
    return out;
  }
  IntegerSums sums(const GradientArgs<float>& args, Isa isa) const {
    return sums(args, isa, in_order());
  }
  std::vector<std::int64_t> in_order() const {
    std::vector<std::int64_t> order(static_cast<std::size_t>(buffers_.record().groups));
    std::iota(order.begin(), order.end(), 0);
    return order;
  }

  GradientLayout layout() const {
    return gradient_layout(packed_.view(), shape_.O, logits_of(shape_.A));
  }
  const Record<float>& record() const { return buffers_.record(); }
  const PolicyShape& shape() const { return shape_; }
  PolicyView<float> view() const { return packed_.view(); }

 private:
  const EnvironmentEntry& entry_;
  PolicyShape shape_;
  PackedPolicy packed_;
  std::int64_t envs_;
  RolloutBuffers buffers_;
  RandomStream stream_{};
};

}  // namespace lockstep::test
