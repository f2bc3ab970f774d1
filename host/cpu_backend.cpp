// One update on the CPU, part by part: rollout, estimate, gradient, apply.
#include "host/cpu_backend.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "host/errors.h"
#include "host/parallel.h"

namespace lockstep {
namespace {

constexpr int kMaxRescalings = 16;

/// Bound on |return| of any episode.
double bound_of_returns(double gamma, double max_abs_reward, int steps) {
  double bound = 0;
  for (int t = 0; t < steps; ++t) bound = bound * gamma + max_abs_reward;
  return bound;
}

/// Bound on the entropy term's share of a logit gradient, per unit of its coefficient.
double bound_of_entropy_slope(int num_actions) {
  return num_actions == 2 ? 0.25 : std::log(static_cast<double>(num_actions)) + 1.0;
}

PolicyShape shape_of(const Config& config, const cpu::EnvironmentFacts& facts) {
  return {config.policy, facts.observation_size, facts.num_actions,
          config.policy == PolicyKind::kMlp ? static_cast<int>(config.hidden) : 0};
}

void merge(ReturnSums& into, const ReturnSums& from) {
  into.count += from.count;
  into.sum += from.sum;
  into.squares_low += from.squares_low;
  into.squares_high += from.squares_high;
  into.saturated |= from.saturated;
  into.largest = std::max(into.largest, from.largest);
}

uint128 squares_of(const ReturnSums& sums) {
  return (static_cast<uint128>(sums.squares_high) << 32) + static_cast<uint128>(sums.squares_low);
}

bool all_finite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

}  // namespace

CpuBackend::CpuBackend(const Config& config, const EnvironmentEntry& environment,
                       const CpuTuning& tuning)
    : config_(config),
      environment_(&environment),
      tuning_(tuning),
      ops_(&operations_for(environment, tuning.isa)),
      shape_(shape_of(config, *environment.facts)),
      packed_(shape_, {config.activation, config.dropout}),
      play_packed_(shape_, {config.activation, 0.0}),
      return_bound_(bound_of_returns(config.gamma, environment.facts->max_abs_reward,
                                     environment.facts->max_episode_steps)) {}

void CpuBackend::upload(const TrainingState& state) { state_ = state; }

/// Training buffers exist from the first update on; stepping and evaluation need none.
void CpuBackend::allocate_training() {
  if (buffers_.record().groups > 0) return;
  const auto& facts = *environment_->facts;
  const std::int64_t T = config_.horizon > 0 ? config_.horizon : facts.max_episode_steps;
  buffers_ = RolloutBuffers({.num_envs = config_.envs,
                             .T = static_cast<std::int32_t>(T),
                             .O = facts.observation_size,
                             .A = facts.num_actions,
                             .obs_and_logits = config_.store == Store::kLogits,
                             .reward = !facts.constant_reward,
                             .advantage = true});
  const std::int64_t lanes = record().groups * kGroup;
  score_ = Buffer<float>(lanes);
  length_ = Buffer<std::int32_t>(lanes);
  episodes_ = Buffer<std::int32_t>(lanes);
  const auto layout = gradient_layout(packed_.view(), shape_.O, logits_of(shape_.A));
  for (int i = 0; i < tuning_.threads; ++i) {
    lanes_.emplace_back(layout.size() * cpu::kMaxLanes).zero();
    partials_.emplace_back(layout.size() * cpu::kMaxWideLanes).zero();
    kept_bits_.emplace_back(std::int64_t{cpu::kTile} * ((shape_.H + 31) / 32) * cpu::kMaxLanes);
    time_sums_.emplace_back(static_cast<std::size_t>(T));
  }
  sums_.resize(static_cast<std::size_t>(layout.size()));
  baseline_.resize(static_cast<std::size_t>(T));
  gradient_.resize(static_cast<std::size_t>(shape_.size()));
}

void CpuBackend::run_rollout(const RolloutArgs<float>& args) {
  const std::int64_t groups = (args.num_envs + kGroup - 1) / kGroup;
  // a block is as large as the instruction set likes, but every thread gets one
  int block = tuning_.groups_per_block;
  if (block == 0) {
    block = ops_->max_groups;
    while (block > 1 && groups < std::int64_t{block} * tuning_.threads) block /= 2;
  }
  block = std::min(block, ops_->max_groups);
  const std::int64_t whole = groups / block;
  const std::int64_t rest = groups % block;
  parallel_for(whole + rest, tuning_.threads, [&](std::int64_t task, int) {
    const bool is_whole = task < whole;
    const std::int64_t group = is_whole ? task * block : whole * block + (task - whole);
    ops_->rollout(args, group * kGroup, is_whole ? block : 1);
  });
}

void CpuBackend::rollout(std::uint32_t epoch) {
  allocate_training();
  packed_.pack(state_.parameters);
  stream_ = {config_.seed, epoch};
  RolloutArgs<float> args{};
  args.stream = stream_;
  args.num_envs = config_.envs;
  args.T = record().T;
  args.episodic = config_.horizon == 0;
  args.choice = ActionChoice::kSample;
  args.policy = packed_.view();
  args.record = record();
  args.score = score_.data();
  args.length = length_.data();
  args.episodes = episodes_.data();
  run_rollout(args);
}

void CpuBackend::estimate() {
  const float return_scale = scale_for_bound(return_bound_);
  const bool by_time = config_.baseline == Baseline::kTimeMean;
  for (auto& sums : time_sums_) std::fill(sums.begin(), sums.end(), 0);
  std::vector<ReturnSums> parts(static_cast<std::size_t>(tuning_.threads));
  parallel_for(record().groups, tuning_.threads, [&](std::int64_t group, int thread) {
    const auto i = static_cast<std::size_t>(thread);
    const ReturnArgs<float> args{
        record(), static_cast<float>(config_.gamma),
        config_.returns == ReturnKind::kFull ? ReturnMode::kFull : ReturnMode::kStepwise,
        return_scale, by_time ? time_sums_[i].data() : nullptr};
    ops_->returns(args, group, parts[i]);
  });
  ReturnSums returns;
  for (const ReturnSums& part : parts) merge(returns, part);
  const double batch_mean = moments(returns.count, returns.sum, 0, return_scale, false).mean;

  BaselineArgs<float> args{};
  args.record = record();
  args.scale = scale_for_bound(2 * return_bound_);
  args.per_episode = config_.normalize == Normalize::kEpisode;
  args.sample_std = config_.std_kind == StdKind::kSample;
  if (config_.baseline == Baseline::kBatchMean) args.constant = static_cast<float>(batch_mean);
  if (config_.baseline == Baseline::kRunningMean) {
    args.constant = static_cast<float>(state_.running_mean);
    state_.running_mean = 0.9 * state_.running_mean + 0.1 * batch_mean;
  }
  if (by_time) {
    for (std::size_t t = 0; t < baseline_.size(); ++t) {
      std::int64_t sum = 0;
      for (const auto& sums : time_sums_) sum += sums[t];
      baseline_[t] =
          static_cast<float>(static_cast<double>(sum) / static_cast<double>(return_scale) /
                             static_cast<double>(config_.envs));
    }
    args.baseline = baseline_.data();
  }
  std::fill(parts.begin(), parts.end(), ReturnSums{});
  parallel_for(record().groups, tuning_.threads, [&](std::int64_t group, int thread) {
    ops_->baseline(args, group, parts[static_cast<std::size_t>(thread)]);
  });
  ReturnSums advantages;
  for (const ReturnSums& part : parts) merge(advantages, part);
  if (returns.saturated || advantages.saturated) {
    throw NumericError("a return is not finite or exceeds the environment's reward bound");
  }
  largest_ = advantages.largest;
  valid_steps_ = returns.count;
  mean_ = 0;
  inv_std_ = 1;
  if (config_.normalize == Normalize::kBatch || config_.normalize == Normalize::kScale) {
    const Moments m = moments(advantages.count, advantages.sum, squares_of(advantages), args.scale,
                              args.sample_std);
    inv_std_ = m.inv_std;
    if (config_.normalize == Normalize::kBatch) mean_ = m.mean;
  }
}

double CpuBackend::largest_advantage() const {
  return (static_cast<double>(largest_) + std::abs(mean_)) * inv_std_;
}

std::span<const float> CpuBackend::gradient_scales() const {
  return {last_args_.scale, static_cast<std::size_t>(shape_.O) + 1};
}

GradientArgs<float> CpuBackend::gradient_args(int bits_dropped) const {
  GradientArgs<float> args{};
  args.stream = stream_;
  args.num_envs = config_.envs;
  args.episodic = config_.horizon == 0;
  args.policy = packed_.view();
  args.record = record();
  args.mean = static_cast<float>(mean_);
  args.inv_std = static_cast<float>(inv_std_);
  args.entropy_coef = static_cast<float>(config_.entropy_coef);
  // float rounding of the operands may exceed the bound by a little
  const double advantage = largest_advantage() * (1 + 1e-5);
  const double slope = advantage + config_.entropy_coef * bound_of_entropy_slope(shape_.A) + 1e-30;
  const float drop = static_cast<float>(std::ldexp(1.0, -bits_dropped));
  for (int i = 0; i <= shape_.O; ++i) {
    const double limit =
        i < shape_.O ? static_cast<double>(environment_->facts->observation_limit[i]) : 1.0;
    args.scale[i] = scale_for_bound(slope * limit) * drop;
  }
  args.loss_scale = scale_for_bound(advantage * static_cast<double>(kMaxNegLogProb) + 1e-30);
  args.entropy_scale = scale_for_bound(std::log(static_cast<double>(shape_.A)) * (1 + 1e-5));
  return args;
}

/// Sums the gradient terms of all groups into sums_; false if a term was out of range.
bool CpuBackend::accumulate(const GradientArgs<float>& args) {
  std::vector<cpu::GradientScratch<FixedPoint>> scratch;
  for (std::size_t i = 0; i < lanes_.size(); ++i) {
    scratch.push_back({lanes_[i].data(), partials_[i].data(), kept_bits_[i].data(), 0, false});
  }
  parallel_for(record().groups, tuning_.threads, [&](std::int64_t group, int thread) {
    ops_->gradient(args, group, scratch[static_cast<std::size_t>(thread)]);
  });
  const int wide = std::max(1, ops_->lanes / 2);
  bool in_range = true;
  std::fill(sums_.begin(), sums_.end(), 0);
  for (std::size_t i = 0; i < scratch.size(); ++i) {
    if (scratch[i].adds > 0) ops_->flush(args, scratch[i]);
    in_range &= !scratch[i].saturated;
    for (std::size_t k = 0; k < sums_.size(); ++k) {
      for (int lane = 0; lane < wide; ++lane) {
        sums_[k] += partials_[i][static_cast<std::int64_t>(k) * wide + lane];
      }
    }
    partials_[i].zero();
  }
  return in_range;
}

int CpuBackend::gradient() {
  int rescalings = 0;
  last_args_ = gradient_args(0);
  while (!accumulate(last_args_)) {
    if (++rescalings > kMaxRescalings) {
      throw NumericError("the gradient stays saturated after " + std::to_string(kMaxRescalings) +
                         " rescalings: an observation is beyond its limit or not finite");
    }
    last_args_ = gradient_args(rescalings);
  }
  double episodes = 0;
  for (std::int64_t i = 0; i < config_.envs; ++i) episodes += episodes_[i];
  const FinishArgs<float, FixedPoint> args{
      packed_.view(),
      gradient_layout(packed_.view(), shape_.O, logits_of(shape_.A)),
      sums_.data(),
      last_args_.scale,
      shape_.O,
      shape_.A,
      packed_.drop_scale(),
      std::max(episodes, 1.0),
      gradient_.data()};
  for (int position = 0; position < args.layout.units; ++position) finish_unit(args, position);
  finish_output(args);
  return rescalings;
}

void CpuBackend::apply(double lr, double grad_norm) {
  OptimizerArgs args{};
  args.grad_scale = 1.0f;
  if (config_.max_grad_norm > 0) {
    args.grad_scale = static_cast<float>(std::min(1.0, config_.max_grad_norm / (grad_norm + 1e-6)));
  }
  args.lr = static_cast<float>(lr);
  args.shrink = static_cast<float>(1.0 - lr * config_.decoupled_weight_decay);
  args.weight_decay = static_cast<float>(config_.weight_decay);
  args.momentum = static_cast<float>(config_.momentum);
  args.eps = static_cast<float>(config_.eps);
  double square_decay = config_.beta2;
  switch (config_.optimizer) {
    case OptimizerKind::kAdam:
      args.rule = OptimizerRule::kAdam;
      state_.beta1_power *= config_.beta1;
      state_.beta2_power *= config_.beta2;
      args.lr = static_cast<float>(lr / (1.0 - state_.beta1_power));
      args.one_minus_beta1 = static_cast<float>(1.0 - config_.beta1);
      args.bias_correction2 = static_cast<float>(std::sqrt(1.0 - state_.beta2_power));
      break;
    case OptimizerKind::kSgd:
      args.rule = OptimizerRule::kSgd;
      break;
    case OptimizerKind::kRmsprop:
      args.rule = OptimizerRule::kRmsprop;
      square_decay = config_.alpha;
      break;
  }
  args.beta2 = static_cast<float>(square_decay);
  args.one_minus_beta2 = static_cast<float>(1.0 - square_decay);
  for (std::size_t i = 0; i < gradient_.size(); ++i) {
    optimizer_step(args, gradient_[i], state_.parameters[i], state_.first_moment[i],
                   state_.second_moment[i]);
  }
}

/// Scores and lengths of finished episodes, by environment, then time.
void CpuBackend::collect_episodes(UpdateResult& result) const {
  const auto& r = record();
  if (config_.horizon == 0) {
    result.scores.assign(score_.data(), score_.data() + config_.envs);
    result.lengths.assign(length_.data(), length_.data() + config_.envs);
    for (const std::int32_t length : result.lengths) result.steps += length;
    return;
  }
  result.steps = config_.envs * config_.horizon;
  for (std::int64_t env = 0; env < config_.envs; ++env) {
    const std::int64_t group = env / kGroup;
    int first = 0;
    float score = 0;
    for (int t = 0; t < r.T; ++t) {
      const std::int64_t step = group * r.T + t;
      score += r.reward == nullptr ? 1.0f : r.reward[step * kGroup + env % kGroup];
      if ((((r.terminated[step] | r.truncated[step]) >> (env % kGroup)) & 1) == 0) continue;
      result.scores.push_back(score);
      result.lengths.push_back(t + 1 - first);
      first = t + 1;
      score = 0;
    }
  }
}

UpdateResult CpuBackend::update(std::uint32_t epoch, double lr) {
  const TrainingState before = state_;
  try {
    UpdateResult result;
    rollout(epoch);
    collect_episodes(result);
    estimate();
    result.cut_steps = result.steps - valid_steps_;
    if (valid_steps_ == 0) return result;  // no episode finished: nothing to learn from
    result.rescalings = gradient();
    const auto layout = gradient_layout(packed_.view(), shape_.O, logits_of(shape_.A));
    const auto total = [&](std::int64_t place, float scale) {
      return FixedPoint::value(sums_[static_cast<std::size_t>(place)], scale);
    };
    result.policy_loss =
        total(layout.loss(), last_args_.loss_scale) / static_cast<double>(result.scores.size());
    result.entropy =
        total(layout.entropy(), last_args_.entropy_scale) / static_cast<double>(valid_steps_);
    result.grad_norm =
        std::sqrt(sum_of_squares(gradient_.data(), static_cast<std::int64_t>(gradient_.size())));
    if (!std::isfinite(result.grad_norm)) throw NumericError("the gradient is not finite");
    apply(lr, result.grad_norm);
    if (!all_finite(state_.parameters) || !all_finite(state_.second_moment)) {
      throw NumericError("a parameter became NaN or infinite; a smaller --lr may help");
    }
    return result;
  } catch (...) {
    state_ = before;
    throw;
  }
}

PlayResult CpuBackend::play(const std::vector<float>& parameters, const PlayRequest& request,
                            Record<float>* record) {
  const std::int64_t lanes = (request.num_envs + kGroup - 1) / kGroup * kGroup;
  Buffer<float> score(lanes);
  Buffer<std::int32_t> length(lanes), episodes(lanes);
  RolloutArgs<float> args{};
  args.stream = request.stream;
  args.num_envs = request.num_envs;
  args.T = request.T;
  args.episodic = request.episodic;
  args.choice = request.choice;
  args.epsilon = request.epsilon;
  if (request.random_policy) {
    args.policy.form = PolicyForm::kRandom;
  } else {
    play_packed_.pack(parameters);
    args.policy = play_packed_.view();
  }
  if (record != nullptr) {
    args.record = *record;
  } else {
    args.record.groups = lanes / kGroup;
    args.record.T = request.T;
  }
  args.score = score.data();
  args.length = length.data();
  args.episodes = episodes.data();
  const auto start = std::chrono::steady_clock::now();
  run_rollout(args);
  PlayResult result;
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  result.score.assign(score.data(), score.data() + request.num_envs);
  result.length.assign(length.data(), length.data() + request.num_envs);
  result.episodes.assign(episodes.data(), episodes.data() + request.num_envs);
  return result;
}

void CpuBackend::step(const cpu::StepBuffers& buffers) {
  parallel_for((buffers.num_envs + kGroup - 1) / kGroup, tuning_.threads,
               [&](std::int64_t group, int) { ops_->step(buffers, group); });
}

}  // namespace lockstep
