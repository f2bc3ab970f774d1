// Buffers, rollouts and the order of an update on the CPU; the learning half is number_learn.cpp.
#include "host/cpu/number_backend.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "host/backend/parallel.h"
#include "host/cpu/dense.h"
#include "host/errors.h"

namespace lockstep {
namespace {

constexpr int kStepGroupsWorthAThread = 256;  // one step of 16 environments takes some 50 ns

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
      shape_(policy_shape(config, environment)),
      packed_(shape_, {config.activation, config.dropout}),
      play_packed_(shape_, {config.activation, 0.0}),
      plan_(update_plan(config, *environment.facts)) {}

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
  outcome_ = Outcome(config_.envs);
  const auto layout = gradient_layout(packed_.view(), shape_.O, logits_of(shape_.A));
  for (int i = 0; i < tuning_.threads; ++i) {
    lanes_.emplace_back(layout.size() * cpu::kMaxLanes).zero();
    partials_.emplace_back(layout.size() * cpu::kMaxWideLanes).zero();
    kept_bits_.emplace_back(std::int64_t{cpu::kTile} * ((shape_.H + 31) / 32) * cpu::kMaxLanes);
    time_sums_.emplace_back(static_cast<std::size_t>(T));
    scratch_.push_back(
        {lanes_.back().data(), partials_.back().data(), kept_bits_.back().data(), 0, false});
  }
  return_sums_.resize(static_cast<std::size_t>(tuning_.threads));
  sums_.resize(static_cast<std::size_t>(layout.size()));
  baseline_.resize(static_cast<std::size_t>(T));
  gradient_.resize(static_cast<std::size_t>(shape_.size()));
}

void CpuBackend::run_rollout(const RolloutArgs<float>& args) {
  const std::int64_t groups = (args.num_envs + kGroup - 1) / kGroup;
  const int most = tuning_.groups_per_block > 0 ? tuning_.groups_per_block : ops_->block_sizes[0];
  // large blocks while every thread gets one, the rest in smaller ones
  std::int64_t done = 0;
  for (const int block : ops_->block_sizes) {
    const std::int64_t share = block == 1 ? 1 : tuning_.threads;
    const std::int64_t tasks = block > most ? 0 : (groups - done) / block / share * share;
    parallel_for(tasks, tuning_.threads, [&](std::int64_t task, int) {
      ops_->rollout(args, (done + task * block) * kGroup, block);
    });
    done += tasks * block;
  }
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
  outcome_.receive(args);
  run_rollout(args);
}

std::vector<UpdateResult> CpuBackend::updates(std::uint32_t epoch, std::span<const double> lr) {
  return {one_update(epoch, lr.front())};
}

UpdateResult CpuBackend::one_update(std::uint32_t epoch, double lr) {
  before_ = state_;  // same sizes: copied without allocation
  try {
    UpdateResult result;
    rollout(epoch);
    collect_episodes(
        config_, outcome_, record(),
        [&](std::int64_t i) { return record().reward == nullptr ? 1.0f : record().reward[i]; },
        result);
    sum_up_episodes(most_listed_, result);
    estimate();
    if (valid_steps_ == 0) return result;  // no episode finished: nothing to learn from
    result.rescalings = gradient();
    const auto layout = gradient_layout(packed_.view(), shape_.O, logits_of(shape_.A));
    const auto total = [&](std::int64_t place, float scale) {
      return FixedPoint::value(sums_[static_cast<std::size_t>(place)], scale);
    };
    result.policy_loss =
        total(layout.loss(), last_args_.loss_scale) / static_cast<double>(result.episodes);
    result.entropy =
        total(layout.entropy(), last_args_.entropy_scale) / static_cast<double>(valid_steps_);
    result.grad_norm =
        std::sqrt(sum_of_squares(gradient_.data(), static_cast<std::int64_t>(gradient_.size())));
    if (!std::isfinite(result.grad_norm)) throw NumericError(numeric_error::kGradient);
    apply(lr, result.grad_norm);
    if (!all_finite(state_.parameters) || !all_finite(state_.second_moment)) {
      throw NumericError(numeric_error::kParameter);
    }
    return result;
  } catch (...) {
    state_ = before_;
    throw;
  }
}

PlayResult CpuBackend::play(const std::vector<float>& parameters, const PlayRequest& request,
                            Record<float>* record) {
  if (request.dense) {
    CpuDense device(*environment_, tuning_);
    device.set_layers(dense_layers(shape_, parameters, config_.activation));
    return play_dense(device, request, shape_.O, shape_.A, record);
  }
  Outcome outcome(request.num_envs);
  RolloutArgs<float> args = rollout_args(request);
  if (request.random_policy) {
    args.policy.form = PolicyForm::kRandom;
  } else {
    play_packed_.pack(parameters);
    args.policy = play_packed_.view();
  }
  if (record != nullptr) {
    args.record = *record;
  } else {
    args.record.groups = outcome.score.size() / kGroup;
    args.record.T = request.T;
  }
  outcome.receive(args);
  const auto start = std::chrono::steady_clock::now();
  run_rollout(args);
  PlayResult result;
  result.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  outcome.copy_to(result, request.num_envs);
  return result;
}

void CpuBackend::step(const StepBuffers& buffers) {
  parallel_for((buffers.num_envs + kGroup - 1) / kGroup, tuning_.threads,
               [&](std::int64_t group, int) { ops_->step(buffers, group); },
               kStepGroupsWorthAThread);
}

}  // namespace lockstep
