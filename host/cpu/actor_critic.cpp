// See actor_critic.h; kernels: kernels/cpu/actor_critic.h.
#include "host/cpu/actor_critic.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>

#include "host/backend/parallel.h"
#include "host/errors.h"

namespace lockstep {
namespace {

constexpr float kMargin = 1 + 1e-5f;  // for the rounding of products with a largest number
constexpr float kNotZero = 1e-30f;

float scale_for(float largest) {
  return scale_for_bound(static_cast<double>(largest) * static_cast<double>(kMargin) +
                         static_cast<double>(kNotZero));
}

/// Tiles that are worth a thread: some half a millisecond of a network's forward and backward.
constexpr std::int64_t kStepsWorthAThread = 256;  // of 16 environments
std::int64_t grain_of(std::span<const Tile16> tiles) {
  const std::int64_t steps = std::max(1, tiles.front().end - tiles.front().begin);
  return std::max<std::int64_t>(1, kStepsWorthAThread / steps);
}

template <class Sums>
Sums merged(const std::vector<Sums>& parts) {
  Sums sum{};
  for (const Sums& part : parts) merge(sum, part);
  return sum;
}

}  // namespace

CpuActorCritic::CpuActorCritic(const Config& config, const EnvironmentEntry& environment,
                               const CpuTuning& tuning)
    : CpuBackend(config, environment, tuning, actor_critic()),
      state_size_(environment.facts->state_size) {}

GradientLayout CpuActorCritic::layout() const {
  return actor_critic_layout(packed_.view(), shape_.O, logits_of(shape_.A));
}

void CpuActorCritic::allocate_training() {
  if (!moment_sums_.empty()) return;  // the last one below
  CpuBackend::allocate_training();
  const Record<float>& r = record();
  const std::int64_t lanes = r.groups * kGroup;
  carried_state_ = Buffer<float>(lanes * state_size_);
  carried_state_.zero();
  carried_steps_ = Buffer<std::int32_t>(lanes);
  carried_steps_.zero();
  carried_score_ = Buffer<float>(lanes);
  carried_score_.zero();
  before_.steps.assign(static_cast<std::size_t>(lanes), 0);
  if (r.reward != nullptr) before_.score.assign(static_cast<std::size_t>(lanes), 0.0f);
  weighed_ = Buffer<float>(lanes * r.T * weighed_rows(logits_of(shape_.A)));
  minibatches_ = Minibatches(r.groups, r.T, config_.minibatches);
  if (single_steps()) steps_ = SingleSteps(config_.envs, r.T, config_.minibatches);
  const auto threads = static_cast<std::size_t>(tuning_.threads);
  ranges_.resize(threads);
  weigh_sums_.resize(threads);
  moment_sums_.resize(threads);
}

void CpuActorCritic::upload(const TrainingState& state) {
  CpuBackend::upload(state);
  state_.environments = {};
  fresh_ = state.environments.state.empty();
  if (fresh_ && moment_sums_.empty()) return;
  allocate_training();
  if (fresh_) {
    carried_steps_.zero();  // counted from, like the scores, whatever the kernels start anew
    carried_score_.zero();
    return;
  }
  const EnvironmentStates& from = state.environments;
  for (std::int64_t env = 0; env < config_.envs; ++env) {
    const auto i = static_cast<std::size_t>(env);
    for (std::int64_t s = 0; s < state_size_; ++s) {
      carried_state_[(env / kGroup * state_size_ + s) * kGroup + env % kGroup] =
          from.state[i * static_cast<std::size_t>(state_size_) + static_cast<std::size_t>(s)];
    }
    carried_steps_[env] = from.steps[i];
    if (!from.score.empty()) carried_score_[env] = from.score[i];
  }
}

TrainingState CpuActorCritic::download() const {
  TrainingState state = CpuBackend::download();
  if (fresh_) return state;
  EnvironmentStates& to = state.environments;
  for (std::int64_t env = 0; env < config_.envs; ++env) {
    for (std::int64_t s = 0; s < state_size_; ++s) {
      to.state.push_back(carried_state_[(env / kGroup * state_size_ + s) * kGroup + env % kGroup]);
    }
    to.steps.push_back(carried_steps_[env]);
    if (record().reward != nullptr) to.score.push_back(carried_score_[env]);
  }
  return state;
}

/// An update has many passes, and one that fails may come after others that did not: what the
/// update began with is kept to go back to.
std::vector<UpdateResult> CpuActorCritic::updates(std::uint32_t epoch, std::span<const double> lr) {
  allocate_training();
  const bool fresh = fresh_;
  const auto copy = [](auto& to, const auto& from) {
    to.assign(from.data(), from.data() + from.size());
  };
  const auto numbers = trained();
  for (std::size_t i = 0; i < kept_.size(); ++i) copy(kept_[i], numbers[i]);
  copy(before_state_, carried_state_);
  copy(before_.steps, carried_steps_);
  if (!before_.score.empty()) copy(before_.score, carried_score_);
  try {
    return CpuBackend::updates(epoch, lr);
  } catch (...) {
    const auto put_back = [](const auto& from, auto* to) {
      std::copy(from.begin(), from.end(), to);
    };
    for (std::size_t i = 0; i < kept_.size(); ++i) put_back(kept_[i], numbers[i].data());
    put_back(before_state_, carried_state_.data());
    put_back(before_.steps, carried_steps_.data());
    put_back(before_.score, carried_score_.data());
    begin_from(running_);
    fresh_ = fresh;
    throw;
  }
}

void CpuActorCritic::rollout(std::uint32_t epoch) {
  RolloutArgs<float> args = training_rollout(epoch);
  args.carried = {carried_state_.data(), carried_steps_.data(),
                  before_.score.empty() ? nullptr : carried_score_.data(), fresh_};
  run_rollout(args);
  fresh_ = false;
}

void CpuActorCritic::tell_episodes(UpdateResult& result) const {
  list_episodes(before_, result);
  result.carried = true;
}

ReturnSums CpuActorCritic::moments_of(std::span<const Tile16> tiles, float scale, bool of_returns) {
  std::fill(moment_sums_.begin(), moment_sums_.end(), ReturnSums{});
  const MomentArgs<float> args{record(), scale, of_returns};
  parallel_for(
      static_cast<std::int64_t>(tiles.size()), tuning_.threads,
      [&](std::int64_t i, int thread) {
        ops_->moments(args, tiles[static_cast<std::size_t>(i)],
                      moment_sums_[static_cast<std::size_t>(thread)]);
      },
      grain_of(tiles));
  return merged(moment_sums_);
}

void CpuActorCritic::credit() {
  std::fill(ranges_.begin(), ranges_.end(), AdvantageRange{});
  std::atomic<bool> finite{true};
  const AdvantageArgs<float> args{config_.envs, record(), plan_.gamma,
                                  static_cast<float>(config_.gae_lambda)};
  parallel_for(
      record().groups, tuning_.threads,
      [&](std::int64_t group, int thread) {
        if (!ops_->advantages(args, group, ranges_[static_cast<std::size_t>(thread)]))
          finite = false;
      },
      grain());
  if (!finite) throw NumericError(numeric_error::kAdvantage);
  const AdvantageRange range = merged(ranges_);
  plan_.advantage_scale = scale_for(range.advantage);
  const float return_scale = scale_for(range.target);
  batch_.advantages = moments_of(minibatches_.all(), plan_.advantage_scale, false);
  batch_.returns = moments_of(minibatches_.all(), return_scale, true);
  batch_.steps = record().groups * record().T * kGroup;
  batch_.episodes = outcome_.count(config_.envs);
  moments_ = normalisation(plan_, batch_.advantages);
  // what is left of the returns when the values are taken away is the advantage
  const auto deviation = [](const ReturnSums& sums, float scale) {
    const double inv_std = moments(sums.count, sums.sum, squares_of(sums), scale, false).inv_std;
    return inv_std > 0 ? 1 / inv_std : 0.0;
  };
  const double left = deviation(batch_.advantages, plan_.advantage_scale);
  const double all = deviation(batch_.returns, return_scale);
  explained_variance_ =
      all > 0 ? 1 - left * left / (all * all) : std::numeric_limits<double>::quiet_NaN();
}

/// The epochs and minibatches of an update; PPO stops between epochs where the policy has moved far
/// enough.
void CpuActorCritic::learn(Turn& turn) {
  told_ = {};
  for (inner_epoch_ = 0; inner_epoch_ < config_.epochs; ++inner_epoch_) {
    walk(learner().epoch, turn);
    const PassSums before = told_;
    for (minibatch_ = 0; minibatch_ < minibatches_.count(); ++minibatch_) {
      repeat_until_in_range(learner().pass, turn);
    }
    const double kl = (told_.sums.approx_kl - before.sums.approx_kl) /
                      static_cast<double>(told_.passes - before.passes);
    if (kl > config_.target_kl) break;
  }
  tell_figures(turn.result);
}

void CpuActorCritic::shuffle() {
  if (single_steps()) {
    steps_.shuffle(stream_, inner_epoch_);
  } else {
    minibatches_.shuffle(stream_, inner_epoch_);
  }
}

std::span<const Tile16> CpuActorCritic::pass_tiles() const {
  return single_steps() ? minibatches_.all() : minibatches_.tiles(minibatch_);
}

std::int64_t CpuActorCritic::count_steps() const {
  std::int64_t steps = 0;
  for (const Tile16& tile : pass_tiles()) {
    for (std::int32_t t = tile.begin; t < tile.end; ++t) {
      steps += __builtin_popcount(record().valid[tile.group * record().T + t]);
    }
  }
  return steps;
}

void CpuActorCritic::weigh(int bits_dropped) {
  if (single_steps()) steps_.choose(minibatch_, record().valid);
  const std::span<const Tile16> tiles = pass_tiles();
  pass_steps_ = count_steps();
  if (config_.normalize == Normalize::kMinibatch) {
    moments_ = normalisation(plan_, moments_of(tiles, plan_.advantage_scale, false));
  }
  args_ = {.num_envs = config_.envs,
           .policy = packed_.view(),
           .own_units = std::max(shape_.critic, 0),
           .record = record(),
           .weighed = weighed_.data(),
           .mean = static_cast<float>(moments_.mean),
           .inv_std = static_cast<float>(moments_.inv_std),
           .entropy_coef = static_cast<float>(config_.entropy_coef),
           .value_coef = static_cast<float>(config_.value_coef),
           .clip = config_.algorithm == Algorithm::kPpo ? static_cast<float>(config_.clip) : -1.0f,
           .value_clip = static_cast<float>(config_.value_clip),
           .scale = {}};
  std::fill(weigh_sums_.begin(), weigh_sums_.end(), WeighSums{});
  parallel_for(
      static_cast<std::int64_t>(tiles.size()), tuning_.threads,
      [&](std::int64_t i, int thread) {
        ops_->weigh(args_, tiles[static_cast<std::size_t>(i)],
                    weigh_sums_[static_cast<std::size_t>(thread)]);
      },
      grain_of(tiles));
  const WeighSums sums = merged(weigh_sums_);
  if (!sums.finite) throw NumericError(numeric_error::kGradient);
  clipped_ = sums.clipped;
  set_scales(sums, bits_dropped);
}

/// Every output's terms are bounded by its own largest gradient: a value loss in the hundreds takes
/// no bit from a policy gradient.
void CpuActorCritic::set_scales(const WeighSums& sums, int bits_dropped) {
  const int O = shape_.O, Z = logits_of(shape_.A), Y = Z + 1;
  const float drop = static_cast<float>(std::ldexp(1.0, -bits_dropped));
  for (int y = 0; y < Y; ++y) {
    for (int i = 0; i <= O; ++i) {
      const float limit = i < O ? environment_->facts->observation_limit[i] : 1.0f;
      args_.scale[y * (O + 1) + i] = scale_for(sums.largest[y] * limit) * drop;
    }
  }
  for (int f = 0; f < kWeighedFigures; ++f) {
    args_.scale[Y * (O + 1) + f] = scale_for(sums.largest[Y + f]);
  }
}

void CpuActorCritic::accumulate(std::int64_t, int) {
  for (auto& scratch : scratch_) scratch.saturated = false;
  const std::span<const Tile16> tiles = pass_tiles();
  parallel_for(
      static_cast<std::int64_t>(tiles.size()), tuning_.threads,
      [&](std::int64_t i, int thread) {
        ops_->learn(args_, tiles[static_cast<std::size_t>(i)],
                    scratch_[static_cast<std::size_t>(thread)]);
      },
      grain_of(tiles));
}

void CpuActorCritic::finish(std::int64_t, int) {
  const FinishArgs<float, FixedPoint> args{
      packed_.view(),   layout(),      sums_.data(),         args_.scale,
      shape_.O,         shape_.A,      packed_.drop_scale(), static_cast<double>(pass_steps_),
      gradient_.data(), shape_.critic, shape_.O + 1};
  for (int position = 0; position < args.layout.units; ++position) finish_unit(args, position);
  finish_output(args);
}

void CpuActorCritic::set_figures(UpdateResult& result) {
  const int C = layout().components;
  const auto mean = [&](int figure) {
    const auto at = static_cast<std::size_t>(layout().loss() + figure);
    return FixedPoint::value(sums_[at], args_.scale[C + figure]) / static_cast<double>(pass_steps_);
  };
  result.grad_norm = gradient_norm();
  if (!std::isfinite(result.grad_norm)) throw NumericError(numeric_error::kGradient);
  UpdateFigures& sums = told_.sums;
  sums.policy_loss += mean(kPolicyLoss);
  sums.entropy += mean(kEntropy);
  sums.grad_norm += result.grad_norm;
  sums.value_loss += mean(kValueLoss);
  sums.approx_kl += mean(kKl);
  sums.clip_fraction += static_cast<double>(clipped_) / static_cast<double>(pass_steps_);
  ++told_.passes;
}

void CpuActorCritic::tell_figures(UpdateResult& result) const {
  const auto passes = static_cast<double>(told_.passes);
  result.policy_loss = told_.sums.policy_loss / passes;
  result.entropy = told_.sums.entropy / passes;
  result.grad_norm = told_.sums.grad_norm / passes;
  result.value_loss = told_.sums.value_loss / passes;
  result.explained_variance = explained_variance_;
  result.approx_kl = told_.sums.approx_kl / passes;
  result.clip_fraction = told_.sums.clip_fraction / passes;
}

}  // namespace lockstep
