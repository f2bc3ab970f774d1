// The kernels of rollout_versions.h. Not shipped: the first two versions are here, the others are
// the shipped kernels asked for less than they can do.
//
//   v1  five launches a step, one for each operation; everything passes through memory
//   v2  one launch a step: fused, the state goes to memory and back
//   v3  one launch: state in registers, weights read from memory
//   v4  weights in shared memory
//   v5  eight environments a thread share every load of a weight
//   v6  eight lanes per environment, weights in registers (for small batches)
#pragma once

#include "bench/ladder/rollout_versions.h"
#include "envs/cartpole.h"
#include "kernels/cuda/rollout.cuh"

namespace lockstep::bench {
namespace {

using cuda::kAllLanes;
using cuda::lane_index;
using World = CartPole;
using Start = World::State<float>;
constexpr int kBlock = 128;
constexpr int S = World::kStateSize;
constexpr int O = World::kObservationSize;

/// Environment of a thread; lanes up to 16 G have memory.
__device__ inline std::int64_t lanes_of(const RolloutArgs<float>& args) {
  return (args.num_envs + kGroup - 1) / kGroup * kGroup;
}

__device__ inline Episode<World, float> load_episode(const RolloutArgs<float>& args,
                                                     const StepState& s, std::int64_t env) {
  float saved[S];
  for (int i = 0; i < S; ++i) saved[i] = s.state[i * lanes_of(args) + env];
  return {World::restore<float>(saved), s.steps[env], s.number[env], env < args.num_envs};
}
__device__ inline void save_episode(const RolloutArgs<float>& args, const StepState& s,
                                    std::int64_t env, const Episode<World, float>& episode) {
  float saved[S];
  World::save<float>(episode.state, saved);
  for (int i = 0; i < S; ++i) s.state[i * lanes_of(args) + env] = saved[i];
  s.steps[env] = episode.steps;
  s.number[env] = episode.number;
}

__device__ inline float logit_of(const RolloutArgs<float>& args,
                                 const Episode<World, float>& episode) {
  float obs[1][O], logits[1][1];
  World::observe<float>(episode.state, obs[0]);
  policy_logits<PolicyForm::kRelu, 1, float>(args.policy, obs, static_cast<DropoutWalk*>(nullptr),
                                             logits);
  return logits[0][0];
}
__device__ inline bool action_of(const RolloutArgs<float>& args, std::int64_t env, int t,
                                 float logit) {
  using Words = ActionWords<PolicyForm::kRelu, 2>;
  const auto id = static_cast<std::uint32_t>(env);
  const auto words = Words::draw(args.stream, id, t);
  const float logits[1] = {logit};
  return choose_action<PolicyForm::kRelu, float, 2>(args, id, t, logits, words.w[t % 4]);
}

/// Stores one step of the record; every lane of the warp calls it.
__device__ inline void store_step(const RolloutArgs<float>& args, std::int64_t env, int t,
                                  bool action, bool terminated, bool truncated, float logit) {
  const Record<float>& record = args.record;
  const std::uint32_t words[] = {__ballot_sync(kAllLanes, action),
                                 __ballot_sync(kAllLanes, terminated),
                                 __ballot_sync(kAllLanes, truncated)};
  if (env >= lanes_of(args)) return;
  const std::int64_t step = env / kGroup * record.T + t;
  record.logits[step * kGroup + env % kGroup] = logit;
  if (lane_index() % kGroup != 0) return;
  const int half = lane_index();
  record.action_bits[step] = static_cast<std::uint16_t>(words[0] >> half);
  record.terminated[step] = static_cast<std::uint16_t>(words[1] >> half);
  record.truncated[step] = static_cast<std::uint16_t>(words[2] >> half);
}

// ---- v1: one operation per launch ----

LS_KERNEL(kBlock) step_start_kernel(const __grid_constant__ RolloutArgs<float> args, StepState s) {
  const std::int64_t env = cuda::thread_in_grid();
  if (env >= lanes_of(args)) return;
  save_episode(args, s, env, cuda::first_episode<World>(args, env));
}
LS_KERNEL(kBlock) step_logits_kernel(const __grid_constant__ RolloutArgs<float> args, StepState s) {
  const std::int64_t env = cuda::thread_in_grid();
  if (env >= lanes_of(args)) return;
  s.logit[env] = logit_of(args, load_episode(args, s, env));
}
LS_KERNEL(kBlock)
step_action_kernel(const __grid_constant__ RolloutArgs<float> args, StepState s, int t) {
  const std::int64_t env = cuda::thread_in_grid();
  if (env >= lanes_of(args)) return;
  s.action[env] = action_of(args, env, t, s.logit[env]) ? 1 : 0;
}
LS_KERNEL(kBlock)
step_physics_kernel(const __grid_constant__ RolloutArgs<float> args, StepState s) {
  const std::int64_t env = cuda::thread_in_grid();
  if (env >= lanes_of(args)) return;
  Episode<World, float> episode = load_episode(args, s, env);
  const StepOutcome<float> out = advance<World, float>(episode, s.action[env] != 0);
  save_episode(args, s, env, episode);
  s.terminated[env] = out.terminated ? 1 : 0;
  s.truncated[env] = out.truncated ? 1 : 0;
}
LS_KERNEL(kBlock) step_reset_kernel(const __grid_constant__ RolloutArgs<float> args, StepState s) {
  const std::int64_t env = cuda::thread_in_grid();
  if (env >= lanes_of(args) || (s.terminated[env] | s.truncated[env]) == 0) return;
  Episode<World, float> episode = load_episode(args, s, env);
  const Start start =
      start_state<World, float>(args.stream, static_cast<std::uint32_t>(env), episode.number + 1u);
  restart<World, float>(episode, true, start);
  save_episode(args, s, env, episode);
}
LS_KERNEL(kBlock)
step_record_kernel(const __grid_constant__ RolloutArgs<float> args, StepState s, int t) {
  const std::int64_t env = cuda::thread_in_grid();
  const std::int64_t from = env < lanes_of(args) ? env : 0;  // every lane votes
  store_step(args, env, t, s.action[from] != 0, s.terminated[from] != 0, s.truncated[from] != 0,
             s.logit[from]);
}
LS_KERNEL(kBlock) step_end_kernel(const __grid_constant__ RolloutArgs<float> args, StepState s) {
  const std::int64_t env = cuda::thread_in_grid();
  if (env >= lanes_of(args)) return;
  const auto finished =
      finished_of<World, false, float>(load_episode(args, s, env), Scores<float>{}, args.T);
  args.score[env] = finished.score;
  args.length[env] = finished.steps;
  args.episodes[env] = finished.episodes;
  if (env % kGroup == 0) args.record.steps[env / kGroup] = args.T;
}

// ---- v2: one launch a step ----

LS_KERNEL(kBlock)
fused_step_kernel(const __grid_constant__ RolloutArgs<float> args, StepState s, int t) {
  const std::int64_t env = cuda::thread_in_grid();
  const std::int64_t from = env < lanes_of(args) ? env : 0;
  Episode<World, float> episode = load_episode(args, s, from);
  const float logit = logit_of(args, episode);
  const bool action = action_of(args, from, t, logit);
  const StepOutcome<float> out = advance<World, float>(episode, action);
  if (out.ended) {
    const Start start = start_state<World, float>(args.stream, static_cast<std::uint32_t>(from),
                                                  episode.number + 1u);
    restart<World, float>(episode, true, start);
  }
  if (env == from) save_episode(args, s, env, episode);
  store_step(args, env, t, action, out.terminated, out.truncated, logit);
}

// ---- the ladder ----

/// Launches one after the other and keeps the first error.
class Launches {
 public:
  Launches(const RolloutArgs<float>& args, cudaStream_t stream)
      : grid_(cuda::blocks_for_warps((args.num_envs + cuda::kWarp - 1) / cuda::kWarp, kBlock)),
        stream_(stream) {}
  template <class Kernel, class... A>
  void operator()(const char* name, Kernel kernel, const A&... args) {
    if (status_ == cudaSuccess) {
      status_ = cuda::launch(name, kernel, grid_, dim3(kBlock), 0, stream_, args...);
    }
  }
  cudaError_t status() const { return status_; }

 private:
  dim3 grid_;
  cudaStream_t stream_;
  cudaError_t status_ = cudaSuccess;
};

cudaError_t play_op_by_op(const RolloutArgs<float>& args, const StepState& s, cudaStream_t stream) {
  Launches launch(args, stream);
  launch("step_start", step_start_kernel, args, s);
  for (int t = 0; t < args.T; ++t) {
    launch("step_logits", step_logits_kernel, args, s);
    launch("step_action", step_action_kernel, args, s, t);
    launch("step_physics", step_physics_kernel, args, s);
    launch("step_record", step_record_kernel, args, s, t);
    launch("step_reset", step_reset_kernel, args, s);
  }
  launch("step_end", step_end_kernel, args, s);
  return launch.status();
}

cudaError_t play_step_by_step(const RolloutArgs<float>& args, const StepState& s,
                              cudaStream_t stream) {
  Launches launch(args, stream);
  launch("step_start", step_start_kernel, args, s);
  for (int t = 0; t < args.T; ++t) launch("fused_step", fused_step_kernel, args, s, t);
  launch("step_end", step_end_kernel, args, s);
  return launch.status();
}

cudaError_t play_from_memory(const RolloutArgs<float>& args, const StepState&,
                             cudaStream_t stream) {
  return cuda::launch_rollout<World, PolicyForm::kRelu, 1, false>(cuda::play_args(args), kBlock, 0,
                                                                  stream);
}

template <cuda::Mapping kMapping, int kEnvs>
cudaError_t play_shipped(const RolloutArgs<float>& args, const StepState&, cudaStream_t stream) {
  return cuda::play_all<World>(cuda::play_args(args), {kMapping, kBlock, kEnvs}, stream);
}

}  // namespace

std::span<const RolloutVersion> rollout_versions() {
  using cuda::Mapping;
  static constexpr RolloutVersion kVersions[] = {
      {"v1", "an operation per launch, five a step", play_op_by_op},
      {"v2", "a launch per step", play_step_by_step},
      {"v3", "one launch, state in registers", play_from_memory},
      {"v4", "weights in shared memory", play_shipped<Mapping::kThread, 1>},
      {"v5", "eight environments a thread", play_shipped<Mapping::kThread, 8>},
      {"v6", "eight lanes per environment", play_shipped<Mapping::kLanes8, 1>},
  };
  return kVersions;
}

}  // namespace lockstep::bench
