// Which arrays and kernels an update of an environment of numbers is made of.
#include <algorithm>

#include "host/cuda/launch_steps.h"
#include "host/cuda/number_backend.h"

namespace lockstep {

using cuda::cuda_check;

CudaBackend::Frame CudaBackend::make_frame() {
  const auto& facts = *environment_->facts;
  const bool episodic = config_.horizon == 0;
  cuda::UpdateArgs& a = args_;
  a = {};
  a.plan = plan_;
  a.rollout.stream = {config_.seed, 0};
  a.rollout.num_envs = config_.envs;
  a.rollout.T = static_cast<std::int32_t>(episodic ? facts.max_episode_steps : config_.horizon);
  a.rollout.episodic = episodic;
  a.rollout.choice = ActionChoice::kSample;
  a.rollout.policy = packed_.view();
  a.rollout.record = empty_record({.num_envs = config_.envs, .T = a.rollout.T});
  a.table_form = facts.constant_reward && episodic && plan_.normalize != NormalizeRule::kEpisode;
  a.num_parameters = shape_.size();
  a.drop_scale = packed_.drop_scale();
  choose_slots(a.episode_log, a.rollout.record.groups, a.rollout.T, episodic);
  launch_shape_ =
      cuda::choose_launch_shape(config_, a.rollout.policy, config_.envs, multiprocessors_);
  launch_shape_.cut.steps = cuda::launch_steps(launch_shape_, a.rollout.policy, plan_.O, plan_.A,
                                               config_.envs, multiprocessors_);
  return {a.num_parameters, episodic, &a.episode_log};
}

void CudaBackend::place_policy(Arena& arena) {
  cuda::UpdateArgs& a = args_;
  const std::int64_t P = a.num_parameters;
  arena.place(a.gradient, P);
  arena.place(a.staged, 3 * P);
  arena.place(a.units, cuda::unit_numbers(a.rollout.policy, plan_.O, outputs()));
  arena.place(a.output_bias, outputs());
  place_episodes(arena, a.rollout, a.episode_log);
  place_saved(arena, launch_shape_.cut, a.rollout.T, a.episode_log.lanes, ops_->saved_bytes);
}

void CudaBackend::place_arrays(Arena& arena) {
  cuda::UpdateArgs& a = args_;
  const auto& facts = *environment_->facts;
  const std::int64_t T = a.rollout.T;

  const std::int64_t cleared_from = arena.bytes();
  arena.place(a.time_sum, plan_.baseline == BaselineRule::kTimeMean ? T : 0);
  arena.place(a.table.histogram, a.table_form ? T + 1 : 0);
  arena.place(a.returns, 1);
  arena.place(a.advantages, 1);
  arena.place(a.sums, gradient_layout(a.rollout.policy, plan_.O, logits_of(plan_.A)).size());
  arena.place(a.gradient_saturated, 1);
  cleared_bytes_ = arena.bytes() - cleared_from;

  place_policy(arena);
  float* value = nullptr;
  arena.place(value, a.table_form ? T + 1 : 0);
  a.table.value = value;
  arena.place(a.baseline, plan_.baseline == BaselineRule::kTimeMean ? T : 0);
  // a step's return is in the table then, and its number says whether it is valid
  place_record(arena,
               {.num_envs = config_.envs,
                .T = a.rollout.T,
                .O = plan_.O,
                .A = plan_.A,
                .logits = config_.store == Store::kLogits,
                .reward = !facts.constant_reward,
                .advantage = !a.table_form},
               a.rollout.record);
}

void CudaBackend::finish_arrays() {
  cuda::UpdateArgs& a = args_;
  use_exchange(a);
  a.rollout.policy.units = a.units;
  a.rollout.policy.output_bias = a.output_bias;
  cleared_ = a.time_sum != nullptr ? reinterpret_cast<std::byte*>(a.time_sum)
             : a.table_form        ? reinterpret_cast<std::byte*>(a.table.histogram)
                                   : reinterpret_cast<std::byte*>(a.returns);
  if (a.table_form) {
    // the return of a step with so many steps to go, by the recursion of the general form
    std::vector<float> value(static_cast<std::size_t>(a.rollout.T) + 1, 0.0f);
    for (std::size_t k = 1; k < value.size(); ++k) {
      value[k] = __builtin_fmaf(value[k - 1], plan_.gamma, 1.0f);
    }
    push(const_cast<float*>(a.table.value), value.data(),
         static_cast<std::int64_t>(value.size() * sizeof(float)), "copying the table of returns");
  }
}

void CudaBackend::launch(Stage stage) {
  cudaStream_t stream = stream_.get();
  switch (stage) {
    case Stage::kRollout:
      return cuda_check(ops_->rollout(args_, launch_shape_, stream), "launching the rollout");
    case Stage::kCredit:
      cuda_check(ops_->returns(args_, launch_shape_, stream), "launching the returns");
      return cuda_check(ops_->baseline(args_, launch_shape_, stream), "launching the baseline");
    case Stage::kShuffle:  // the whole batch is one minibatch
    case Stage::kWeigh:    // in the next: a step's gradient of the logits stays in registers
      return;
    case Stage::kAccumulate:
      return cuda_check(ops_->gradient(args_, launch_shape_, stream), "launching the gradient");
    case Stage::kReduce:
      return;  // in the one before: blocks add to the same sums
    case Stage::kFinish:
      return cuda_check(ops_->finish(args_, stream), "launching the end of the update");
    case Stage::kStep:
      return;  // in the one before: a block ends an update
  }
}

/// Parameters go in both forms.
void CudaBackend::push_state() {
  const std::int64_t bytes = args_.num_parameters * std::int64_t{sizeof(float)};
  constexpr const char* kWhat = "copying the training state";
  push(args_.parameters, state_.parameters.data(), bytes, kWhat);
  push(args_.first_moment, state_.first_moment.data(), bytes, kWhat);
  push(args_.second_moment, state_.second_moment.data(), bytes, kWhat);
  packed_.pack(state_.parameters);
  const PolicyView<float> view = packed_.view();
  const std::int64_t units = cuda::unit_numbers(view, plan_.O, outputs());
  push(args_.units, view.units, units * std::int64_t{sizeof(float)}, kWhat);
  push(args_.output_bias, view.output_bias, outputs() * std::int64_t{sizeof(float)}, kWhat);
  cuda_check(cudaMemsetAsync(cleared_, 0, static_cast<std::size_t>(cleared_bytes_), stream_.get()),
             "clearing the accumulators");
}

void CudaBackend::keep_state() {
  const auto P = args_.num_parameters;
  state_.parameters.assign(host_.parameters, host_.parameters + P);
  state_.first_moment.assign(host_.first_moment, host_.first_moment + P);
  state_.second_moment.assign(host_.second_moment, host_.second_moment + P);
}

std::vector<float> CudaBackend::read_gradient() {
  use_device();
  std::vector<float> gradient(static_cast<std::size_t>(args_.num_parameters));
  cuda_check(cudaMemcpy(gradient.data(), args_.gradient, gradient.size() * sizeof(float),
                        cudaMemcpyDeviceToHost),
             "copying the gradient");
  return gradient;
}

}  // namespace lockstep
