// Rollouts beside training, and the stepper.
#include "host/cuda/dense.h"
#include "host/cuda/launch_steps.h"
#include "host/cuda/number_backend.h"
#include "host/cuda/stepper.h"

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

}  // namespace

PlayResult CudaBackend::play(const std::vector<float>& parameters, const PlayRequest& request,
                             Record<float>* record) {
  use_device();
  if (request.dense) {
    CudaDense dense(*environment_, {.numbers = ops_}, tuning_.device);
    dense.set_layers(dense_layers(shape_.actor(), parameters, config_.activation));
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
      request.random_policy ? 0 : cuda::unit_numbers(host_policy, shape_.O, logits_of(shape_.A));
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

std::unique_ptr<Stepper> CudaBackend::make_stepper(const StepperRequest& request) {
  use_device();
  PolicyView<float> none{};
  none.form = PolicyForm::kRandom;
  const auto shape = cuda::choose_launch_shape(config_, none, request.num_envs, multiprocessors_);
  return std::make_unique<CudaStepper>(*environment_->facts, CudaStepKernels{.numbers = ops_},
                                       tuning_.device, shape.block, request);
}

}  // namespace lockstep
