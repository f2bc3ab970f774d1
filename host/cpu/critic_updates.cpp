// See critic_updates.h; kernels: kernels/cpu/advantages.h.
#include "host/cpu/critic_updates.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "host/errors.h"

namespace lockstep {

template <class Base>
CriticUpdates<Base>::CriticUpdates(const Config& config, const EnvironmentEntry& environment,
                                   const CpuTuning& tuning)
    : Base(config, environment, tuning, actor_critic()),
      state_size_(environment.facts->carried_size) {}

template <class Base>
void CriticUpdates<Base>::allocate_training() {
  if (!moment_sums_.empty()) return;  // the last one below
  Base::allocate_training();
  const Record<float>& r = this->steps();
  const std::int64_t lanes = r.groups * kGroup;
  carried_state_ = Buffer<float>(lanes * state_size_);
  carried_state_.zero();
  carried_steps_ = Buffer<std::int32_t>(lanes);
  carried_steps_.zero();
  carried_score_ = Buffer<float>(lanes);
  carried_score_.zero();
  before_.steps.assign(static_cast<std::size_t>(lanes), 0);
  if (r.reward != nullptr) before_.score.assign(static_cast<std::size_t>(lanes), 0.0f);
  weighed_ = Buffer<float>(lanes * r.T * weighed_rows(logits()));
  const Config& config = this->config_;
  minibatches_ = Minibatches(r.groups, r.T, config.minibatches);
  if (single_steps()) steps_ = SingleSteps(config.envs, r.T, config.minibatches);
  const auto threads = static_cast<std::size_t>(this->tuning_.threads);
  ranges_.resize(threads);
  moment_sums_.resize(threads);
}

template <class Base>
void CriticUpdates<Base>::upload(const TrainingState& state) {
  Base::upload(state);
  fresh_ = state.environments.state.empty();
  if (fresh_ && moment_sums_.empty()) return;
  allocate_training();
  if (fresh_) {
    carried_steps_.zero();  // counted from, like the scores, whatever the kernels start anew
    carried_score_.zero();
    return;
  }
  states_to_lanes(state.environments, state_size_, carried_state_.data(), carried_steps_.data(),
                  carried_score_.data());
}

template <class Base>
TrainingState CriticUpdates<Base>::download() const {
  TrainingState state = Base::download();
  state.environments = {};
  if (fresh_) return state;
  state.environments = states_from_lanes(this->config_.envs, state_size_, carried_state_.data(),
                                         carried_steps_.data(),
                                         before_.score.empty() ? nullptr : carried_score_.data());
  return state;
}

/// An update has many passes, and one that fails may come after others that did not: what the
/// update began with is kept to go back to.
template <class Base>
std::vector<UpdateResult> CriticUpdates<Base>::updates(std::uint32_t epoch,
                                                       std::span<const double> lr) {
  allocate_training();
  const bool fresh = fresh_;
  const auto copy = [](auto& to, const auto& from) {
    to.assign(from.data(), from.data() + from.size());
  };
  const auto numbers = this->trained();
  for (std::size_t i = 0; i < kept_.size(); ++i) copy(kept_[i], numbers[i]);
  copy(before_state_, carried_state_);
  copy(before_.steps, carried_steps_);
  if (!before_.score.empty()) copy(before_.score, carried_score_);
  try {
    return Base::updates(epoch, lr);
  } catch (...) {
    const auto put_back = [](const auto& from, auto* to) {
      std::copy(from.begin(), from.end(), to);
    };
    for (std::size_t i = 0; i < kept_.size(); ++i) put_back(kept_[i], numbers[i].data());
    put_back(before_state_, carried_state_.data());
    put_back(before_.steps, carried_steps_.data());
    put_back(before_.score, carried_score_.data());
    this->begin_from(this->running_);
    this->renew();
    fresh_ = fresh;
    throw;
  }
}

template <class Base>
void CriticUpdates<Base>::rollout(std::uint32_t epoch) {
  auto args = this->training_rollout(epoch);
  args.carried = {carried_state_.data(), carried_steps_.data(),
                  before_.score.empty() ? nullptr : carried_score_.data(), fresh_};
  this->run_rollout(args);
  fresh_ = false;
}

template <class Base>
void CriticUpdates<Base>::tell_episodes(UpdateResult& result) const {
  this->list_episodes(before_, result);
  result.carried = true;
}

template <class Base>
ReturnSums CriticUpdates<Base>::moments_of(std::span<const Tile16> tiles, float scale,
                                           bool of_returns) {
  std::fill(moment_sums_.begin(), moment_sums_.end(), ReturnSums{});
  const MomentArgs<float> args{this->steps(), scale, of_returns};
  walk_tiles(tiles, [&](const Tile16& tile, std::size_t thread) {
    this->ops_->moments(args, tile, moment_sums_[thread]);
  });
  return merged(moment_sums_);
}

template <class Base>
void CriticUpdates<Base>::credit() {
  std::fill(ranges_.begin(), ranges_.end(), AdvantageRange{});
  std::atomic<bool> finite{true};
  const Config& config = this->config_;
  const Record<float>& record = this->steps();
  const AdvantageArgs<float> args{config.envs, record, this->plan_.gamma,
                                  static_cast<float>(config.gae_lambda),
                                  config.returns == ReturnKind::kPoint};
  parallel_for(
      record.groups, this->tuning_.threads,
      [&](std::int64_t group, int thread) {
        if (!this->ops_->advantages(args, group, ranges_[static_cast<std::size_t>(thread)]))
          finite = false;
      },
      this->grain());
  if (!finite) throw NumericError(numeric_error::kAdvantage);
  const AdvantageRange range = merged(ranges_);
  UpdatePlan& plan = this->plan_;
  plan.advantage_scale = scale_for_largest(range.advantage);
  const float return_scale = scale_for_largest(range.target);
  auto& batch = this->batch_;
  batch.advantages = moments_of(minibatches_.all(), plan.advantage_scale, false);
  batch.returns = moments_of(minibatches_.all(), return_scale, true);
  batch.steps = record.groups * record.T * kGroup;
  batch.episodes = this->outcome_.count(config.envs);
  this->moments_ = normalisation(plan, batch.advantages);
  explained_variance_ =
      explained_variance(batch.advantages, plan.advantage_scale, batch.returns, return_scale);
}

/// The epochs and minibatches of an update; PPO stops between epochs where the policy has moved far
/// enough.
template <class Base>
void CriticUpdates<Base>::learn(Turn& turn) {
  told_ = {};
  for (inner_epoch_ = 0; inner_epoch_ < this->config_.epochs; ++inner_epoch_) {
    this->walk(this->learner().epoch, turn);
    const PassFigures before = told_;
    for (minibatch_ = 0; minibatch_ < minibatches_.count(); ++minibatch_) {
      this->repeat_until_in_range(this->learner().pass, turn);
    }
    if (told_.kl_since(before) > this->config_.target_kl) break;
  }
  static_cast<UpdateFigures&>(turn.result) = told_.mean(explained_variance_);
}

template <class Base>
void CriticUpdates<Base>::shuffle() {
  if (single_steps()) {
    steps_.shuffle(this->stream_, inner_epoch_);
  } else {
    minibatches_.shuffle(this->stream_, inner_epoch_);
  }
}

template <class Base>
std::span<const Tile16> CriticUpdates<Base>::pass_tiles() const {
  return single_steps() ? minibatches_.all() : minibatches_.tiles(minibatch_);
}

template <class Base>
std::int64_t CriticUpdates<Base>::count_steps() const {
  const Record<float>& record = this->steps();
  std::int64_t steps = 0;
  for (const Tile16& tile : pass_tiles()) {
    for (std::int32_t t = tile.begin; t < tile.end; ++t) {
      steps += __builtin_popcount(record.valid[tile.group * record.T + t]);
    }
  }
  return steps;
}

template <class Base>
void CriticUpdates<Base>::begin_pass() {
  const Config& config = this->config_;
  const Record<float>& record = this->steps();
  if (single_steps()) steps_.choose(minibatch_, record.valid);
  pass_steps_ = count_steps();
  if (config.normalize == Normalize::kMinibatch) {
    this->moments_ =
        normalisation(this->plan_, moments_of(pass_tiles(), this->plan_.advantage_scale, false));
  }
  args_ = {.num_envs = config.envs,
           .policy = {},
           .own_units = std::max(this->shape_.critic, 0),
           .record = record,
           .weighed = weighed_.data(),
           .mean = static_cast<float>(this->moments_.mean),
           .inv_std = static_cast<float>(this->moments_.inv_std),
           .entropy_coef = static_cast<float>(config.entropy_coef),
           .value_coef = static_cast<float>(config.value_coef),
           .clip = config.algorithm == Algorithm::kPpo ? static_cast<float>(config.clip) : -1.0f,
           .value_clip = static_cast<float>(config.value_clip),
           .scale = {}};
}

template <class Base>
void CriticUpdates<Base>::set_figures(UpdateResult& result) {
  result.grad_norm = this->gradient_norm();
  if (!std::isfinite(result.grad_norm)) throw NumericError(numeric_error::kGradient);
  UpdateFigures pass;
  pass.policy_loss = figure(kPolicyLoss);
  pass.entropy = figure(kEntropy);
  pass.grad_norm = result.grad_norm;
  pass.value_loss = figure(kValueLoss);
  pass.approx_kl = figure(kKl);
  pass.clip_fraction =
      static_cast<double>(weighed_sums_.clipped) / static_cast<double>(pass_steps_);
  told_.add(pass);
}

template class CriticUpdates<CpuBackend>;
template class CriticUpdates<TableBackend>;

}  // namespace lockstep
