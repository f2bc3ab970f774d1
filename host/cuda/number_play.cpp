// Rollouts beside training, and single steps with the caller's actions.
#include <algorithm>

#include "host/cuda/dense.h"
#include "host/cuda/launch_steps.h"
#include "host/cuda/number_backend.h"

namespace lockstep {
namespace {

/// What the caller's record has room for.
RecordShape shape_of(const Record<float>& record, const PlayRequest& request,
                     const PolicyShape& policy) {
  RecordShape shape{.num_envs = request.num_envs, .T = request.T, .O = policy.O, .A = policy.A};
  shape.obs_and_logits = record.obs != nullptr;
  shape.logits = record.logits != nullptr;
  shape.reward = record.reward != nullptr;
  return shape;
}

/// The buffers of a step, what the device reads first, what it writes last. The state between them
/// goes both ways.
void place_step(Arena& arena, StepBuffers& b, std::int64_t lanes, int S, int O, bool final_obs,
                std::int64_t& down, std::int64_t& up) {
  std::uint8_t *action = nullptr, *reset = nullptr;
  arena.place(action, lanes);
  arena.place(reset, lanes);
  b.action = action;
  b.reset = reset;
  up = arena.bytes();
  arena.place(b.state, lanes * S);
  arena.place(b.steps, lanes);
  arena.place(b.number, lanes);
  down = arena.bytes();
  arena.place(b.obs, lanes * O);
  arena.place(b.final_obs, final_obs ? lanes * O : 0);
  arena.place(b.reward, lanes);
  arena.place(b.terminated, lanes);
  arena.place(b.truncated, lanes);
}

template <class T>
void copy_values(T* to, const std::type_identity_t<T>* from, std::int64_t count) {
  std::copy_n(from, count, to);
}

}  // namespace

using cuda::cuda_check;

PlayResult CudaBackend::play(const std::vector<float>& parameters, const PlayRequest& request,
                             Record<float>* record) {
  use_device();
  if (request.dense) {
    CudaDense dense(*environment_, *ops_);
    dense.set_layers(dense_layers(shape_, parameters, config_.activation));
    return play_dense(dense, request, shape_.O, shape_.A, record);
  }
  RolloutArgs<float> args = rollout_args(request);
  args.policy.form = PolicyForm::kRandom;
  if (!request.random_policy) {
    play_packed_.pack(parameters);
    args.policy = play_packed_.view();
  }
  const PolicyView<float> host_policy = args.policy;
  const std::int64_t units =
      request.random_policy ? 0 : cuda::unit_numbers(host_policy, shape_.O, shape_.A);
  const std::int64_t biases = request.random_policy ? 0 : logits_of(shape_.A);
  RecordShape shape{.num_envs = request.num_envs, .T = request.T, .O = shape_.O, .A = shape_.A};
  if (record != nullptr) shape = shape_of(*record, request, shape_);
  args.record = empty_record(shape);
  const std::int64_t lanes = args.record.groups * kGroup;
  cuda::LaunchShape launch =
      cuda::choose_launch_shape(config_, args.policy, args.num_envs, multiprocessors_);
  launch.cut.steps =
      cuda::launch_steps(launch, args.policy, shape_.O, shape_.A, args.num_envs, multiprocessors_);

  float *device_units = nullptr, *device_bias = nullptr;
  const cuda::Outcome outcome = place_play(lanes, [&](Arena& arena) {
    arena.place(device_units, units);
    arena.place(device_bias, biases);
    place_saved(arena, launch.cut, args.T, lanes, ops_->saved_bytes);
    if (record != nullptr) place_record(arena, shape, args.record);
  });
  args.score = outcome.score;
  args.length = outcome.length;
  args.episodes = outcome.episodes;
  if (units > 0) {
    constexpr std::int64_t kSize = sizeof(float);
    push(device_units, host_policy.units, units * kSize, "copying the policy");
    push(device_bias, host_policy.output_bias, biases * kSize, "copying the policy");
    args.policy.units = device_units;
    args.policy.output_bias = device_bias;
  }

  PlayResult result;
  result.seconds = timed([&] { return ops_->play(args, launch, stream_.get()); });
  if (record != nullptr) {
    if (request.random_policy) args.record.logits = nullptr;  // there are none
    copy_record(shape.O, shape.A, *record, args.record,
                [&](auto* to, const auto* from, std::int64_t n) {
                  pull(to, from, n * static_cast<std::int64_t>(sizeof *to), "copying a trajectory");
                });
  }
  read_play(lanes, request.num_envs, result);
  return result;
}

/// The buffers are the caller's, on the host: they go down and come up with every step.
void CudaBackend::step(const StepBuffers& buffers) {
  use_device();
  const int S = environment_->facts->state_size, O = environment_->facts->observation_size;
  const std::int64_t lanes = (buffers.num_envs + kGroup - 1) / kGroup * kGroup;
  const bool wanted = buffers.same_step && buffers.final_obs != nullptr;
  StepBuffers device = buffers, mirror = buffers;
  std::int64_t down = 0, up = 0;
  const std::int64_t bytes = arena_bytes(
      [&](Arena& counting) { place_step(counting, device, lanes, S, O, wanted, down, up); });
  cuda::grow(step_memory_, bytes, [&](std::int64_t b) {
    return cuda::cleared_memory(b, "fewer --envs shrink it", stream_);
  });
  cuda::grow(step_mirror_, bytes, [](std::int64_t b) { return cuda::pinned_memory(b); });
  Arena device_arena(step_memory_.data()), mirror_arena(step_mirror_.data());
  place_step(device_arena, device, lanes, S, O, wanted, down, up);
  place_step(mirror_arena, mirror, lanes, S, O, wanted, down, up);

  copy_values(const_cast<std::uint8_t*>(mirror.action), buffers.action, lanes);
  copy_values(const_cast<std::uint8_t*>(mirror.reset), buffers.reset, lanes);
  copy_values(mirror.state, buffers.state, lanes * S);
  copy_values(mirror.steps, buffers.steps, lanes);
  copy_values(mirror.number, buffers.number, lanes);
  cuda_check(cudaMemcpyAsync(step_memory_.data(), step_mirror_.data(),
                             static_cast<std::size_t>(down), cudaMemcpyHostToDevice, stream_.get()),
             "copying the environments");
  PolicyView<float> none{};
  none.form = PolicyForm::kRandom;
  cuda_check(
      ops_->step(device,
                 cuda::choose_launch_shape(config_, none, buffers.num_envs, multiprocessors_),
                 stream_.get()),
      "launching a step");
  cuda_check(
      cudaMemcpyAsync(step_mirror_.data() + up, step_memory_.data() + up,
                      static_cast<std::size_t>(bytes - up), cudaMemcpyDeviceToHost, stream_.get()),
      "copying the environments");
  synchronize();
  copy_values(buffers.state, mirror.state, lanes * S);
  copy_values(buffers.steps, mirror.steps, lanes);
  copy_values(buffers.number, mirror.number, lanes);
  copy_values(buffers.obs, mirror.obs, lanes * O);
  if (wanted) copy_values(buffers.final_obs, mirror.final_obs, lanes * O);
  copy_values(buffers.reward, mirror.reward, lanes);
  copy_values(buffers.terminated, mirror.terminated, lanes);
  copy_values(buffers.truncated, mirror.truncated, lanes);
}

}  // namespace lockstep
