// Buffers, rollouts and steps of numbers on the CPU; the learning half is number_learn.cpp.
#include "host/cpu/number_backend.h"

#include <algorithm>
#include <chrono>

#include "host/backend/parallel.h"
#include "host/cpu/dense.h"
#include "host/cpu/stepper.h"

namespace lockstep {
namespace {

constexpr int kGroupsWorthAThread = 16;              // of the estimates: some 100 us at 500 steps
constexpr std::int64_t kStepsPlayedPerThread = 256;  // of groups, at least: some 20 us

}  // namespace

CpuBackend::CpuBackend(const Config& config, const EnvironmentEntry& environment,
                       const CpuTuning& tuning)
    : CpuBackend(config, environment, tuning, reinforce()) {}

CpuBackend::CpuBackend(const Config& config, const EnvironmentEntry& environment,
                       const CpuTuning& tuning, const Learner& learner)
    : CpuUpdates(config, environment, tuning, kGroupsWorthAThread, learner),
      ops_(&operations_for(environment, tuning.isa)),
      packed_(shape_, {config.activation, config.dropout}),
      play_packed_(shape_.actor(), {config.activation, 0.0}) {}

void CpuBackend::upload(const TrainingState& state) {
  state_ = state;
  begin_from(state);
}

TrainingState CpuBackend::download() const {
  TrainingState state = state_;
  static_cast<RunningState&>(state) = running_;
  return state;
}

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
                             .advantage = true,
                             .value = shape_.critic != kNoCritic});
  allocate_updates(static_cast<std::int32_t>(T));
  const std::int64_t size = layout().size();
  for (int i = 0; i < tuning_.threads; ++i) {
    lanes_.emplace_back(size * cpu::kMaxLanes).zero();
    partials_.emplace_back(size * cpu::kMaxWideLanes).zero();
    const std::int64_t words = (packed_.view().hidden + 31) / 32;
    kept_bits_.emplace_back(cpu::kTile * words * cpu::kMaxLanes);
    scratch_.push_back(
        {lanes_.back().data(), partials_.back().data(), kept_bits_.back().data(), 0, false});
  }
  sums_.resize(static_cast<std::size_t>(size));
  gradient_.resize(static_cast<std::size_t>(shape_.size()));
}

void CpuBackend::run_rollout(const RolloutArgs<float>& args) {
  const std::int64_t groups = (args.num_envs + kGroup - 1) / kGroup;
  const int most = tuning_.groups_per_block > 0 ? tuning_.groups_per_block : ops_->block_sizes[0];
  // large blocks while every thread gets one, the rest in smaller ones
  std::int64_t done = 0;
  for (const int block : ops_->block_sizes) {
    const std::int64_t share = block == 1 ? 1 : tuning_.threads;
    const std::int64_t grain = kStepsPlayedPerThread / (std::int64_t{block} * args.T);
    const std::int64_t tasks = block > most ? 0 : (groups - done) / block / share * share;
    parallel_for(
        tasks, tuning_.threads,
        [&](std::int64_t task, int) { ops_->rollout(args, (done + task * block) * kGroup, block); },
        std::max<std::int64_t>(grain, 1));
    done += tasks * block;
  }
}

RolloutArgs<float> CpuBackend::training_rollout(std::uint32_t epoch) {
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
  return args;
}

void CpuBackend::rollout(std::uint32_t epoch) { run_rollout(training_rollout(epoch)); }

void CpuBackend::tell_episodes(UpdateResult& result) const { list_episodes({}, result); }

void CpuBackend::list_episodes(const EnvironmentStates& before, UpdateResult& result) const {
  const float* reward = record().reward;
  collect_episodes(
      config_, outcome_, record(),
      [reward](std::int64_t i) { return reward == nullptr ? 1.0f : reward[i]; }, result, before);
}

PlayResult CpuBackend::play(const std::vector<float>& parameters, const PlayRequest& request,
                            Record<float>* record) {
  if (request.dense) {
    CpuDense device(*environment_, tuning_);
    device.set_layers(dense_layers(shape_.actor(), parameters, config_.activation));
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

std::unique_ptr<Stepper> CpuBackend::make_stepper(const StepperRequest& request) {
  return std::make_unique<CpuStepper>(*environment_, tuning_, request);
}

}  // namespace lockstep
