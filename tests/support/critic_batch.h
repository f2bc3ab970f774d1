// The kernels of an actor and its critic as they stand, with every number a double and no rounding
// to integers: advantages, losses and gradient of one environment's steps, on a record the test
// writes.
#pragma once

#include <algorithm>

#include "tests/support/double_batch.h"

namespace lockstep::test {

struct ActorCriticLosses {
  double value_coef = 0, entropy_coef = 0;
  double clip = -1;  // of PPO's ratio; < 0: A2C
};

/// Environment 0 of a batch of one.
template <class E>
class CriticBatch : public DoubleBatch<E> {
  using Base = DoubleBatch<E>;
  using typename Base::Kernels;
  static constexpr int O = Base::O, A = Base::A, Z = Base::Z;

 public:
  CriticBatch(const PolicyShape& shape, const PolicyOptions& options, int T)
      : Base(shape, options, 1, T),
        shape_(shape),
        value_(T * kGroup),
        next_value_(T * kGroup),
        weighed_(std::int64_t{T} * weighed_rows(Z) * kGroup) {
    value_.zero();
    this->record().value = value_.data();
    this->record().next_value = next_value_.data();
    if (E::kConstantReward) this->record_rewards();
  }

  /// Logits and value of step t from its recorded observation.
  void evaluate(int t) {
    double obs[1][O], outputs[1][Z + 1];
    const auto& r = this->record();
    for (int o = 0; o < O; ++o) obs[0][o] = r.obs[(t * O + o) * kGroup];
    DropoutMask<double>* none = nullptr;
    const auto view = this->view();
    switch (view.form) {
      case PolicyForm::kLinear:
        policy_logits<PolicyForm::kLinear, 1>(view, obs, none, outputs);
        break;
      case PolicyForm::kRelu:
        policy_logits<PolicyForm::kRelu, 1>(view, obs, none, outputs);
        break;
      default:
        policy_logits<PolicyForm::kGeneral, 1>(view, obs, none, outputs);
    }
    for (int z = 0; z < Z; ++z) r.logits[(t * Z + z) * kGroup] = outputs[0][z];
    r.value[t * kGroup] = outputs[0][Z];
  }

  void advantages(double gamma, double lambda) {
    AdvantageRange ignored;
    Kernels::advantages({1, this->record(), gamma, lambda, false}, 0, ignored);
  }

  /// Gradient of the loss summed over steps [0, length), of advantages as they are.
  std::vector<double> gradient(int length, const ActorCriticLosses& losses) {
    ActorCriticArgs<double> args{};
    args.num_envs = 1;
    args.policy = this->view();
    args.own_units = std::max(shape_.critic, 0);
    args.record = this->record();
    args.weighed = weighed_.data();
    args.inv_std = 1;
    args.entropy_coef = losses.entropy_coef;
    args.value_coef = losses.value_coef;
    args.clip = losses.clip;
    args.value_clip = std::numeric_limits<double>::infinity();
    const Tile16 tile{0, 0, length};
    WeighSums ignored;
    Kernels::weigh(args, tile, ignored);
    const auto layout = actor_critic_layout(args.policy, O, Z);
    Buffer<double> lanes(layout.size()), partial(layout.size());
    lanes.zero();
    partial.zero();
    cpu::GradientScratch<ExactDouble> scratch{lanes.data(), partial.data(), nullptr, 0, false};
    Kernels::learn(args, tile, scratch);
    Kernels::flush(layout, scratch);
    std::vector<double> grad(static_cast<std::size_t>(shape_.size()));
    const FinishArgs<double, ExactDouble> finish{
        args.policy,        layout, partial.data(), args.scale,    O,    A,
        this->drop_scale(), 1.0,    grad.data(),    shape_.critic, O + 1};
    for (int position = 0; position < layout.units; ++position) finish_unit(finish, position);
    finish_output(finish);
    return grad;
  }

 private:
  PolicyShape shape_;
  Buffer<double> value_, next_value_, weighed_;
};

}  // namespace lockstep::test
