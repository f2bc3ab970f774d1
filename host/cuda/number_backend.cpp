// What the CUDA backend is before it computes: environment, launch shape. The update is
// number_learn.cpp, play() and make_stepper() are number_play.cpp.
#include "host/cuda/number_backend.h"

#include <algorithm>

namespace lockstep {
namespace cuda {
namespace {

static_assert(kMaxBlock == 256);  // --block-size

// Crossovers between mappings, in environments a scheduler (4 a multiprocessor). They come from
// instruction counts of sm_90 and have not been measured: to be corrected on hardware.
constexpr int kSchedulers = 4;
// A thread per environment issues 1141 warp instructions a step for 32 environments, and has
// nothing to share a scheduler with until there are 32 of them; 8 lanes an environment issue 190
// for 4. 1141 / (190 / 4) = 24: with fewer, the 8 lanes are done first.
constexpr std::int64_t kLanes8Below = 24;
// Two warps a scheduler, of 32 threads with 8 or 4 environments: what hides the latency of a step
// while the loads of the weights are shared by as many environments as possible.
constexpr std::int64_t kEightFrom = std::int64_t{2} * 32 * 8;
constexpr std::int64_t kFourFrom = std::int64_t{2} * 32 * 4;
constexpr int kUsualBlock = 128;  // a few blocks a multiprocessor share its memory for weights

bool has_lanes8(const PolicyView<float>& policy) {
  return policy.form == PolicyForm::kRelu && policy.hidden <= kLanes8MaxHidden;
}

/// The usual block, or smaller ones until every multiprocessor has one.
int block_for(std::int64_t threads, int multiprocessors) {
  int block = kUsualBlock;
  while (block > 32 && (threads + block - 1) / block < multiprocessors) block /= 2;
  return block;
}

}  // namespace

LaunchShape choose_launch_shape(const Config& config, const PolicyView<float>& policy,
                                std::int64_t num_envs, int multiprocessors) {
  const std::int64_t schedulers = std::int64_t{multiprocessors} * kSchedulers;
  const bool few = num_envs < kLanes8Below * schedulers;
  const bool wanted =
      config.mapping == GpuMapping::kLanes8 || (config.mapping == GpuMapping::kAuto && few);
  LaunchShape shape{Mapping::kThread, static_cast<std::int32_t>(config.block_size), 1};
  if (wanted && has_lanes8(policy)) shape.mapping = Mapping::kLanes8;
  if (shape.mapping == Mapping::kThread && policy.form == PolicyForm::kRelu) {
    if (num_envs >= kFourFrom * schedulers) shape.envs_per_thread = 4;
    if (num_envs >= kEightFrom * schedulers) shape.envs_per_thread = 8;
  }
  if (shape.block == 0) {
    const std::int64_t threads = shape.mapping == Mapping::kLanes8
                                     ? num_envs * 4  // 8 lanes play a pair of environments
                                     : num_envs / shape.envs_per_thread;
    shape.block = block_for(threads, multiprocessors);
  }
  return shape;
}

std::int64_t unit_numbers(const PolicyView<float>& policy, int O, int outputs) {
  return policy.form == PolicyForm::kLinear
             ? std::int64_t{outputs} * (O + 1)
             : std::int64_t{kPartials} * policy.chain * unit_stride(O, outputs);
}

}  // namespace cuda

CudaBackend::CudaBackend(const Config& config, const EnvironmentEntry& environment,
                         const cuda::Operations& operations, const CudaTuning& tuning)
    : CudaBackend(config, environment, operations, tuning, reinforce()) {}

CudaBackend::CudaBackend(const Config& config, const EnvironmentEntry& environment,
                         const cuda::Operations& operations, const CudaTuning& tuning,
                         const Learner& learner)
    : CudaUpdates(config, environment, tuning, learner),
      ops_(&operations),
      packed_(shape_, {config.activation, config.dropout}),
      play_packed_(shape_.actor(), {config.activation, 0.0}) {}

}  // namespace lockstep
