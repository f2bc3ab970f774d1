// The batch kernels of production with every number a double and no rounding to integers: rollout,
// returns and gradient of kernels/cpu/ as they stand, on records the test may rewrite.
#pragma once

#include <cstdint>
#include <span>
#include <stdexcept>
#include <vector>

#include "host/backend/buffer.h"
#include "host/backend/policy_parameters.h"
#include "kernels/cpu/instantiate.h"
#include "kernels/finish_gradient.h"

namespace lockstep::test {

template <class E>
class DoubleBatch {
 public:
  using Kernels = cpu::Batch<E, double, 1, 1, 1, ExactDouble>;
  static constexpr int O = E::kObservationSize;
  static constexpr int A = E::kNumActions;
  static constexpr int Z = logits_of(A);

  struct GradientOptions {
    double mean = 0, inv_std = 1;
    double entropy_coef = 0;
    bool replay = false;  // from actions and start states instead of the recorded observations
  };

  DoubleBatch(const PolicyShape& shape, const PolicyOptions& options, std::int64_t envs, int T)
      : packed_(shape, options), shape_(shape), envs_(envs) {
    record_.groups = (envs + kGroup - 1) / kGroup;
    record_.T = T;
    const std::int64_t steps = record_.groups * T;
    record_.obs = make(reals_, steps * O * kGroup);
    record_.logits = make(reals_, steps * Z * kGroup);
    record_.reward = E::kConstantReward ? nullptr : make(reals_, steps * kGroup);
    record_.advantage = make(reals_, steps * kGroup);
    record_.action = A == 2 ? nullptr : make(bytes_, steps * kGroup);
    record_.action_bits = make(words_, steps);
    record_.terminated = make(words_, steps);
    record_.truncated = make(words_, steps);
    record_.valid = make(words_, steps);
    record_.steps = make(ints_, record_.groups);
    score_ = Buffer<double>(record_.groups * kGroup);
    length_ = Buffer<std::int32_t>(record_.groups * kGroup);
    episodes_ = Buffer<std::int32_t>(record_.groups * kGroup);
  }

  void set_parameters(std::span<const double> flat) { packed_.pack(flat); }
  /// Rewards the environment does not give itself.
  void record_rewards() { record_.reward = make(reals_, record_.groups * record_.T * kGroup); }

  void rollout(const RandomStream& stream, bool episodic) {
    stream_ = stream;
    episodic_ = episodic;
    RolloutArgs<double> args{};
    args.stream = stream;
    args.num_envs = envs_;
    args.T = record_.T;
    args.episodic = episodic;
    args.choice = ActionChoice::kSample;
    args.policy = packed_.view();
    args.record = record_;
    args.score = score_.data();
    args.length = length_.data();
    args.episodes = episodes_.data();
    for (std::int64_t group = 0; group < record_.groups; ++group) {
      Kernels::rollout(args, group * kGroup, 1);
    }
  }

  void returns(double gamma, ReturnMode mode) {
    ReturnSums ignored;
    for (std::int64_t group = 0; group < record_.groups; ++group) {
      Kernels::returns({record_, gamma, mode, 1.0f, nullptr}, group, ignored);
    }
  }

  /// Subtracts by_time[t], or `constant` if null, from every valid return.
  void baseline(const double* by_time, double constant) {
    ReturnSums ignored;
    for (std::int64_t group = 0; group < record_.groups; ++group) {
      Kernels::baseline({record_, by_time, constant, 1.0f, false, false}, group, ignored);
    }
  }

  /// Logits of step t of environment `lane` of group 0 from its recorded observation.
  void evaluate(int lane, int t) {
    double obs[1][O], logits[1][Z];
    for (int o = 0; o < O; ++o) obs[0][o] = record_.obs[(t * O + o) * kGroup + lane];
    DropoutMask<double> mask;
    const auto view = packed_.view();
    if (view.drop_below != 0) {
      draw_dropout<double>(stream_, view, static_cast<std::uint32_t>(lane),
                           static_cast<std::uint32_t>(t), mask.word);
    }
    switch (view.form) {
      case PolicyForm::kLinear:
        policy_logits<PolicyForm::kLinear, 1>(view, obs, &mask, logits);
        break;
      case PolicyForm::kRelu:
        policy_logits<PolicyForm::kRelu, 1>(view, obs, &mask, logits);
        break;
      default:
        policy_logits<PolicyForm::kGeneral, 1>(view, obs, &mask, logits);
    }
    for (int z = 0; z < Z; ++z) record_.logits[(t * Z + z) * kGroup + lane] = logits[0][z];
  }

  /// Gradient of the summed loss over all valid steps, divided by `divisor`.
  std::vector<double> gradient(const GradientOptions& options, double divisor) {
    return gradient(packed_.view(), packed_.drop_scale(), options, divisor);
  }
  /// The same with a policy that need not be the one that acted.
  std::vector<double> gradient(const PolicyView<double>& view, double drop_scale,
                               const GradientOptions& options, double divisor) {
    GradientArgs<double> args{};
    args.stream = stream_;
    args.num_envs = envs_;
    args.episodic = episodic_;
    args.policy = view;
    args.record = record_;
    if (options.replay) args.record.obs = args.record.logits = nullptr;
    args.mean = options.mean;
    args.inv_std = options.inv_std;
    args.entropy_coef = options.entropy_coef;
    const auto layout = gradient_layout(view, O, Z);
    Buffer<double> lanes(layout.size()), partial(layout.size());
    Buffer<std::uint32_t> kept(std::int64_t{cpu::kTile} * (view.hidden + 31) / 32 + 1);
    lanes.zero();
    partial.zero();
    cpu::GradientScratch<ExactDouble> scratch{lanes.data(), partial.data(), kept.data(), 0, false};
    for (std::int64_t group = 0; group < record_.groups; ++group) {
      Kernels::gradient(args, group, scratch);
    }
    Kernels::flush(layout, scratch);
    std::vector<double> grad(static_cast<std::size_t>(shape_.size()));
    const FinishArgs<double, ExactDouble> finish{view, layout,     partial.data(), args.scale, O,
                                                 A,    drop_scale, divisor,        grad.data()};
    for (int position = 0; position < layout.units; ++position) finish_unit(finish, position);
    finish_output(finish);
    loss_ = partial[layout.loss()] / divisor;
    entropy_ = partial[layout.entropy()];
    return grad;
  }

  Record<double>& record() { return record_; }
  RandomStream& stream() { return stream_; }
  PolicyView<double> view() const { return packed_.view(); }
  double drop_scale() const { return packed_.drop_scale(); }
  /// Of the last gradient(): loss without entropy over the divisor, and the sum of entropies.
  double loss() const { return loss_; }
  double entropy() const { return entropy_; }
  std::int64_t episodes() const {
    std::int64_t total = 0;
    for (std::int64_t i = 0; i < envs_; ++i) total += episodes_[i];
    return total;
  }
  int action(std::int64_t group, int lane, int t) const {
    const std::int64_t step = group * record_.T + t;
    return A == 2 ? (record_.action_bits[step] >> lane) & 1 : record_.action[step * kGroup + lane];
  }

 private:
  template <class T>
  static T* make(std::vector<Buffer<T>>& owner, std::int64_t count) {
    owner.emplace_back(count).zero();
    return owner.back().data();
  }

  PackedPolicyOf<double> packed_;
  PolicyShape shape_;
  std::int64_t envs_;
  Record<double> record_{};
  RandomStream stream_{};
  bool episodic_ = true;
  std::vector<Buffer<double>> reals_;
  std::vector<Buffer<std::uint8_t>> bytes_;
  std::vector<Buffer<std::uint16_t>> words_;
  std::vector<Buffer<std::int32_t>> ints_;
  Buffer<double> score_;
  Buffer<std::int32_t> length_, episodes_;
  double loss_ = 0, entropy_ = 0;
};

}  // namespace lockstep::test
