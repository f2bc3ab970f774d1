// See actor_critic.h; kernels: kernels/cuda/actor_critic_launchers.h.
#include "host/cuda/actor_critic.h"

#include <algorithm>

#include "host/backend/environment_states.h"
#include "host/cuda/launch_steps.h"

namespace lockstep {

using cuda::cuda_check;

CudaActorCritic::CudaActorCritic(const Config& config, const EnvironmentEntry& environment,
                                 const cuda::Operations& operations, const CudaTuning& tuning)
    : CudaBackend(config, environment, operations, tuning, actor_critic()) {}

GradientLayout CudaActorCritic::layout() const {
  return actor_critic_layout(args_.rollout.policy, plan_.O, logits_of(plan_.A));
}

/// A thread plays an environment, whatever mapping is asked for.
CudaActorCritic::Frame CudaActorCritic::make_frame() {
  Frame frame = CudaBackend::make_frame();
  Config by_thread = config_;
  by_thread.mapping = GpuMapping::kThread;
  launch_shape_ =
      cuda::choose_launch_shape(by_thread, args_.rollout.policy, config_.envs, multiprocessors_);
  launch_shape_.envs_per_thread = 1;
  launch_shape_.cut.steps = cuda::launch_steps(launch_shape_, args_.rollout.policy, plan_.O,
                                               plan_.A, config_.envs, multiprocessors_);
  args_.table_form = false;
  cuda::ActorCriticUpdateArgs& a = critic_args_;
  a = {};
  a.critic = shape_.critic;
  a.epochs = static_cast<std::int32_t>(config_.epochs);
  a.minibatches = static_cast<std::int32_t>(config_.minibatches);
  a.single_steps = config_.shuffle == Shuffle::kSteps && a.minibatches > 1;
  a.by_minibatch = config_.normalize == Normalize::kMinibatch;
  const std::int64_t groups = args_.rollout.record.groups;
  a.tiles = tile_grid(groups, args_.rollout.T, a.minibatches);
  a.lambda = static_cast<float>(config_.gae_lambda);
  a.value_coef = static_cast<float>(config_.value_coef);
  a.clip = config_.algorithm == Algorithm::kPpo ? static_cast<float>(config_.clip) : -1.0f;
  a.value_clip = static_cast<float>(config_.value_clip);
  a.target_kl = config_.target_kl;
  a.most_rescalings = kMaxRescalings;
  a.state_numbers = groups * kGroup * environment_->facts->carried_size;
  frame.epochs = a.epochs;
  frame.minibatches = a.minibatches;
  return frame;
}

void CudaActorCritic::place_carried(Arena& arena, cuda::CarriedStates& to) const {
  to.place(arena, args_.episode_log.lanes, environment_->facts->carried_size,
           !environment_->facts->constant_reward);
}

void CudaActorCritic::place_arrays(Arena& arena) {
  cuda::ActorCriticUpdateArgs& a = critic_args_;
  const RecordShape shape{.num_envs = config_.envs,
                          .T = args_.rollout.T,
                          .O = plan_.O,
                          .A = plan_.A,
                          .obs_and_logits = true,
                          .reward = !environment_->facts->constant_reward,
                          .advantage = true,
                          .value = true};
  const std::int64_t lanes = args_.episode_log.lanes, T = args_.rollout.T;

  const std::int64_t cleared_from = arena.bytes();
  arena.place(a.batch, 1);
  arena.place(a.pass, 1);
  arena.place(a.told, 1);
  arena.place(args_.sums, layout().size());
  arena.place(args_.gradient_saturated, 1);
  cleared_bytes_ = arena.bytes() - cleared_from;

  place_policy(arena);
  place_carried(arena, carried_);
  arena.place(a.kept_parameters, 3 * args_.num_parameters);
  cuda::CarriedStates kept{};
  place_carried(arena, kept);
  a.kept_state = kept.state;
  a.kept_steps = kept.steps;
  a.kept_score = kept.score;
  const std::int64_t ordered = a.single_steps ? config_.envs * T : a.tiles.count();
  arena.place(a.order, a.minibatches > 1 ? ordered : 0);
  arena.place(a.weighed, lanes * T * weighed_rows(logits_of(plan_.A)));
  place_record(arena, shape, args_.rollout.record);
}

void CudaActorCritic::finish_arrays() {
  use_exchange(args_);
  args_.rollout.policy.units = args_.units;
  args_.rollout.policy.output_bias = args_.output_bias;
  args_.rollout.carried = {carried_.state, carried_.steps, carried_.score, false};
  cleared_ = reinterpret_cast<std::byte*>(critic_args_.batch);
  carried_bytes_ = arena_bytes([&](Arena& counting) { place_carried(counting, host_carried_); });
  carried_read_ = cuda::pinned_memory(carried_bytes_);
  std::fill_n(carried_read_.data(), carried_bytes_, std::byte{});
  Arena mirror(carried_read_.data());
  place_carried(mirror, host_carried_);
  // kept before they are written
  cuda::clear(carried_.state, carried_bytes_, stream_);
  critic_args_.update = args_;
}

void CudaActorCritic::launch(Stage stage) {
  const cuda::ActorCriticOperations& ops = *ops_->actor_critic;
  const auto start = [&](cuda::ActorCriticOperations::Launch operation, const char* what) {
    cuda_check(operation(critic_args_, launch_shape_, stream_.get()), what);
  };
  switch (stage) {
    case Stage::kRollout:
      return start(ops.rollout, "launching the rollout");
    case Stage::kCredit:
      return start(ops.credit, "launching the advantages");
    case Stage::kShuffle:
      return start(ops.shuffle, "launching the shuffle");
    case Stage::kWeigh:
      return start(ops.weigh, "launching the weights of steps");
    case Stage::kAccumulate:
      return start(ops.accumulate, "launching the sums");
    case Stage::kReduce:
      return;  // in the one before: blocks add to the same sums
    case Stage::kFinish:
      return start(ops.finish, "launching the end of a pass");
    case Stage::kStep:
      return;  // in the one before: a block ends a pass
  }
}

void CudaActorCritic::push_state() {
  CudaBackend::push_state();
  const EnvironmentStates& from = state_.environments;
  if (from.state.empty()) return;  // the next update starts episodes
  states_to_lanes(from, environment_->facts->carried_size, host_carried_.state, host_carried_.steps,
                  host_carried_.score);
  push(carried_.state, carried_read_.data(), carried_bytes_, "copying the environments");
}

void CudaActorCritic::read_environments() {
  pull(carried_read_.data(), carried_.state, carried_bytes_, "copying the environments");
}

void CudaActorCritic::keep_state() {
  CudaBackend::keep_state();
  state_.environments =
      states_from_lanes(config_.envs, environment_->facts->carried_size, host_carried_.state,
                        host_carried_.steps, host_carried_.score);
}

}  // namespace lockstep
