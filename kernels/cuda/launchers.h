// The batch operations of a CUDA device as plain function pointers: one table per environment. A
// call launches on a stream and returns; nothing here allocates, copies or synchronises.
//
// An update is five launches with constant arguments, so that it can be captured once as a graph:
//   rollout -> returns -> baseline -> gradient -> finish
// What changes from update to update is in device memory: UpdateState, which finish() advances.
// Every kernel of an update returns at once unless UpdateState::stop is kRunning, so that the
// updates queued behind one that needs the host do nothing.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "kernels/reinforce_grad.h"
#include "kernels/step_buffers.h"
#include "kernels/trajectory.h"
#include "kernels/update_figures.h"
#include "kernels/update_plan.h"

namespace lockstep::cuda {

/// How environments are laid over threads; changes speed, never results.
enum class Mapping : std::uint8_t {
  kThread,  // a thread plays envs_per_thread environments, weights in shared memory
  kLanes8,  // 8 lanes play an environment, a partial sum of the logit each, weights in registers
};

/// Into how many launches a rollout is cut, so that none lasts so long that a display's watchdog
/// ends it; changes speed, never results.
struct RolloutCut {
  static constexpr std::int32_t kNever = 0x7fffffff;
  std::int32_t steps = kNever;  // of a launch at most, > 0
  void* saved = nullptr;        // what environments are between launches: [16 G] of saved_bytes, 16
                                // byte aligned; not read where one launch plays all steps
};

struct LaunchShape {
  Mapping mapping;
  std::int32_t block;            // threads of a block: a multiple of 32, at most kMaxBlock
  std::int32_t envs_per_thread;  // kThread: 1, 4 or 8
  RolloutCut cut{};              // of a rollout
};
inline constexpr int kMaxBlock = 256;

/// Why an update was not finished.
enum class Stop : std::int32_t {
  kRunning = 0,
  kReturnRange,  // a return is not finite or beyond the reward bound
  kSaturated,    // the gradient needs smaller scales: bits_dropped + 1, then gradient, finish
  kGradientNotFinite,
  kParameterNotFinite,
  kAdvantageNotFinite,
};

struct UpdateState {
  std::uint32_t epoch;  // of the rollout under way
  std::int32_t slot;    // number of the update within the batch of updates
  Stop stop;
  std::int32_t bits_dropped;  // of the gradient scales of the pass under way
  RunningState running;
  // with a critic
  std::int64_t pass = 0;   // number of the pass under way within the update
  std::int32_t ended = 0;  // this pass and those behind it are left out
  std::int32_t fresh = 0;  // the rollout starts episodes, none is carried over yet
};

/// What one update tells; written by finish().
struct UpdateLog : UpdateFigures {
  std::int64_t episodes;     // finished
  std::int64_t valid_steps;  // in the gradient
  std::int32_t rescalings;
};

/// Finished episodes of each slot, by number within the environment. Slot-major.
struct EpisodeLog {
  std::int32_t capacity;  // most episodes an environment can finish in a rollout
  std::int64_t lanes;     // 16 G
  std::int32_t* count;    // [slots][lanes]
  std::int32_t* length;   // [slots][capacity][lanes] steps
  float* score;           // [slots][capacity][lanes]; null: constant reward, score = length
};

/// ReturnSums that blocks add to; order-free.
struct SharedSums {
  unsigned long long count, sum, squares_low, squares_high;  // two's complement
  unsigned saturated;
  unsigned largest;  // bits of a float >= 0
};

/// Returns by the length of the episode alone: constant reward, whole episodes, no normalisation
/// per episode. Nothing of size [N][T] is written or read then: record.advantage and record.valid
/// are null, and a step's advantage is value[steps to go] - baseline[t].
struct ReturnTable {
  const float* value;       // [T + 1] return of a step with this many steps to go, itself counted
  std::int32_t* histogram;  // [T + 1] environments by episode length; rollout adds, finish clears
};

/// Everything the five kernels of an update read and write; device pointers.
struct UpdateArgs {
  UpdatePlan plan;
  RolloutArgs<float> rollout;  // score, length, episodes: [16 G]; the epoch is state->epoch
  bool table_form;
  ReturnTable table;  // table_form only
  EpisodeLog episode_log;

  std::int64_t* time_sum;  // [T] sums of quantised returns, or null; finish clears
  float* baseline;         // [T] written by baseline() with BaselineRule::kTimeMean
  SharedSums* returns;     // cleared by finish
  SharedSums* advantages;  // cleared by finish

  unsigned long long* sums;      // [GradientLayout::size()] cleared by finish
  unsigned* gradient_saturated;  // cleared by finish
  float* gradient;               // [P]
  float* parameters;             // [P]; with both moments the state of the optimiser
  float* first_moment;           // [P]
  float* second_moment;          // [P]
  float* staged;                 // [3][P] the new state until it is known to be finite
  std::int64_t num_parameters;   // P
  float* units;                  // walking order, rollout.policy.units; rebuilt by finish
  float* output_bias;            // [Z] rollout.policy.output_bias
  float drop_scale;              // 1 / (1 - dropout)
  const double* lr;              // [slots]
  UpdateState* state;
  UpdateLog* log;  // [slots]
};

struct ActorCriticOperations;  // actor_critic_launchers.h

/// Launchers return the error of the launch, cudaSuccess if none. Shapes were checked by the host.
/// A rollout of more steps than LaunchShape::cut allows is several launches; without memory for
/// what is saved between them it is cudaErrorInvalidValue.
struct Operations {
  const char* name;          // of the environment
  std::int32_t saved_bytes;  // of RolloutCut::saved, for an environment
  /// Plays. `state` null: args.stream as given (evaluation); else its epoch, slot and stop, and the
  /// episode log and length histogram are written.
  cudaError_t (*play)(const RolloutArgs<float>& args, const LaunchShape& shape, cudaStream_t);
  cudaError_t (*rollout)(const UpdateArgs& args, const LaunchShape& shape, cudaStream_t);
  cudaError_t (*returns)(const UpdateArgs& args, const LaunchShape& shape, cudaStream_t);
  cudaError_t (*baseline)(const UpdateArgs& args, const LaunchShape& shape, cudaStream_t);
  cudaError_t (*gradient)(const UpdateArgs& args, const LaunchShape& shape, cudaStream_t);
  cudaError_t (*finish)(const UpdateArgs& args, cudaStream_t);
  cudaError_t (*step)(const StepBuffers& args, const LaunchShape& shape, cudaStream_t);
  const ActorCriticOperations* actor_critic;
};

}  // namespace lockstep::cuda
