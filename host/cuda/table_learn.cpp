// Which arrays and kernels an update of a table policy is made of.
#include <algorithm>

#include "host/cuda/launch_steps.h"
#include "host/cuda/table_backend.h"
#include "kernels/table_plan.h"

namespace lockstep {
namespace {

constexpr std::int64_t kFloat = sizeof(float);
constexpr const char* kState = "copying the training state";

}  // namespace

using cuda::cuda_check;

CudaTableBackend::Frame CudaTableBackend::make_frame() {
  const bool episodic = config_.horizon == 0;
  cuda::TableUpdateArgs& a = args_;
  a = {};
  a.plan = plan_;
  a.reset_at_points = config_.returns == ReturnKind::kPoint;
  a.incoming_only = config_.credit == Credit::kIncoming;
  TableRolloutArgs& rollout = a.rollout;
  rollout.stream = {config_.seed, 0};
  rollout.num_envs = config_.envs;
  rollout.game = game_options(config_, *environment_, config_.noops);
  rollout.T = static_cast<std::int32_t>(episodic ? rollout.game.max_steps : config_.horizon);
  rollout.episodic = episodic;
  rollout.choice = ActionChoice::kSample;
  rollout.policy.shape = table_;
  rollout.policy.leak = leak_;
  rollout.record = empty_table_record({.num_envs = config_.envs, .T = rollout.T});
  choose_slots(a.episode_log, rollout.record.steps.groups, rollout.T, episodic);
  launch_shape_ = cuda::choose_table_shape(config_, config_.envs, multiprocessors_, shared_bytes_);
  launch_shape_.cut.steps = cuda::launch_steps(launch_shape_, rollout);
  return {table_numbers(table_), episodic, &a.episode_log};
}

void CudaTableBackend::place_arrays(Arena& arena) {
  cuda::TableUpdateArgs& a = args_;
  const std::int64_t n = table_numbers(table_);
  const std::int64_t padded = table_.padded();
  arena.place(a.returns, 1);
  arena.place(a.advantages, 1);
  arena.place(a.totals, 1);
  arena.place(a.step, 1);
  device_pixels_.place(arena, pixels_);
  arena.place(a.sums, table_.rows * padded);
  arena.place(a.pixel_sums, table_.pixels * padded);
  arena.place(a.squares, square_chunks(n));
  arena.place(a.gradient, n);
  arena.place(a.rows, table_.rows * padded);
  place_episodes(arena, a.rollout, a.episode_log);
  place_saved(arena, launch_shape_.cut, a.rollout.T, a.episode_log.lanes, ops_->saved_bytes);
  place_table_record(arena,
                     {.num_envs = config_.envs,
                      .T = a.rollout.T,
                      .table = table_,
                      .steps = true,
                      .training = true,
                      .leaky = leak_ != 0},
                     a.rollout.record);
}

void CudaTableBackend::finish_arrays() {
  cuda::TableUpdateArgs& a = args_;
  use_exchange(a);
  a.rollout.policy.rows = a.rows;
  a.rollout.policy.output = a.parameters + std::int64_t{table_.pixels} * table_.padded();
  a.lights = device_pixels_.lights;
  a.lit_by = device_pixels_.lit_by;
  push_pixels(device_pixels_);
}

void CudaTableBackend::launch(Stage stage) {
  cudaStream_t stream = stream_.get();
  switch (stage) {
    case Stage::kRollout:
      return cuda_check(ops_->rollout(args_, launch_shape_, stream), "launching the rollout");
    case Stage::kCredit:
      cuda_check(ops_->returns(args_, launch_shape_, stream), "launching the returns");
      return cuda_check(ops_->baseline(args_, launch_shape_, stream), "launching the baseline");
    case Stage::kShuffle:
      return;  // the whole batch is one minibatch
    case Stage::kWeigh:
      return cuda_check(ops_->weigh(args_, launch_shape_, stream),
                        "launching the weights of steps");
    case Stage::kAccumulate:
      return cuda_check(ops_->accumulate(args_, launch_shape_, stream), "launching the sums");
    case Stage::kReduce:
      return;  // in the one before: blocks add to the same sums
    case Stage::kFinish:
      return cuda_check(ops_->finish(args_, launch_shape_, stream), "launching the gradient");
    case Stage::kStep:
      return cuda_check(ops_->optimise(args_, launch_shape_, stream), "launching the optimiser");
  }
}

void CudaTableBackend::push_state() {
  const std::int64_t bytes = frame_.num_parameters * kFloat;
  push(args_.parameters, parameters_.data(), bytes, kState);
  push(args_.first_moment, first_moment_.data(), bytes, kState);
  push(args_.second_moment, second_moment_.data(), bytes, kState);
  cuda_check(ops_->build({table_, args_.lights, args_.parameters, args_.rows}, launch_shape_,
                         stream_.get()),
             "launching the table");
  const auto* const from = reinterpret_cast<const std::byte*>(args_.returns);
  const auto* const end = reinterpret_cast<const std::byte*>(args_.totals + 1);
  cuda_check(cudaMemsetAsync(args_.returns, 0, static_cast<std::size_t>(end - from), stream_.get()),
             "clearing the accumulators");
}

void CudaTableBackend::keep_state() {
  const std::int64_t n = frame_.num_parameters;
  parameters_.assign(host_.parameters, host_.parameters + n);
  first_moment_.assign(host_.first_moment, host_.first_moment + n);
  second_moment_.assign(host_.second_moment, host_.second_moment + n);
}

void CudaTableBackend::upload(const TrainingState& state) {
  const auto n = static_cast<std::size_t>(table_numbers(table_));
  for (auto* numbers : {&parameters_, &first_moment_, &second_moment_}) numbers->resize(n);
  to_table_layout(table_, state.parameters, parameters_.data());
  to_table_layout(table_, state.first_moment, first_moment_.data());
  to_table_layout(table_, state.second_moment, second_moment_.data());
  TrainingState rest;
  static_cast<RunningState&>(rest) = state;
  rest.lr_factor = state.lr_factor;
  CudaUpdates::upload(rest);
}

TrainingState CudaTableBackend::download() const {
  TrainingState state = state_;
  state.parameters = from_table_layout(table_, parameters_.data());
  state.first_moment = from_table_layout(table_, first_moment_.data());
  state.second_moment = from_table_layout(table_, second_moment_.data());
  return state;
}

std::vector<float> CudaTableBackend::read_gradient() {
  use_device();
  std::vector<float> gradient(static_cast<std::size_t>(frame_.num_parameters));
  pull(gradient.data(), args_.gradient, frame_.num_parameters * kFloat, "copying the gradient");
  synchronize();
  return gradient;
}

}  // namespace lockstep
