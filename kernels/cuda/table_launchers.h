// The batch operations of a table policy (kernels/object_tables.h) on a CUDA device as plain
// function pointers: one table per environment of objects. A call launches on a stream and returns;
// nothing here allocates, copies or synchronises.
//
// An update is seven calls with constant arguments, so that it can be captured once as a graph:
//   rollout -> returns -> baseline -> weigh -> accumulate -> finish -> optimise
// What changes from update to update is in device memory: UpdateState, which optimise() advances.
// Every kernel of an update does nothing unless UpdateState::stop is kRunning, so that the updates
// queued behind one that needs the host do nothing. After kSaturated the host adds 1 to
// bits_dropped, sets kRunning and calls weigh .. optimise once more.
#pragma once

#include "kernels/cuda/launchers.h"
#include "kernels/object_tables.h"

namespace lockstep::cuda {

/// How a batch is laid over threads; changes speed, never results.
struct TableLaunchShape {
  std::int32_t block;            // threads of a block: a multiple of 32, at most kMaxBlock
  std::int32_t envs_per_warp;    // of a rollout: 1, 2, 4 or 8
  std::int32_t gradient_block;   // of accumulate(): a multiple of 32, at most kMaxGradientBlock
  std::int32_t multiprocessors;  // of the device
  std::int32_t shared_bytes;     // of shared memory, the most a block can have
  RolloutCut cut{};              // of a rollout
};
inline constexpr int kMaxGradientBlock = 1024;

/// Totals of a batch and flags, order-free; zero at the start of an update. What returns() adds to,
/// here and in SharedSums, and baseline() to its own SharedSums, is all that weigh() takes from the
/// whole batch: several devices that share one would add theirs up behind each of the two.
struct TableTotals {
  unsigned long long episodes;       // finished; of returns()
  unsigned long long steps;          // recorded, by groups; of returns()
  unsigned long long loss, entropy;  // of weigh(), as TableSums, two's complement
  unsigned saturated;                // a g was out of range
  unsigned broken;                   // the optimiser would leave the finite numbers
  unsigned blocks_done;              // of finish()
};

/// Scalars of the update under way: what weigh() settles once the returns are known, and finish()
/// once the gradient is.
struct TableStep {
  bool learn;                  // false: nothing valid; no gradient, no step
  TableGradientArgs gradient;  // with the scales of this update
  double unit;                 // TableFinishArgs::unit
  OptimizerArgs optimizer;     // of finish()
  RunningState running;        // after the update
  UpdateLog log;
};

/// Everything the kernels of an update read and write; device pointers. Hp =
/// TableShape::padded(), P pixels, R rows. Of `record.steps` only logits, action_bits, terminated,
/// truncated, advantage and steps are used: a step is valid if it is one of the first length[env]
/// (and the ball came, with incoming_only), so `record.steps.valid` and `record.used` stay null.
struct TableUpdateArgs {
  UpdatePlan plan;           // of O, A and observation_limit nothing is read
  TableRolloutArgs rollout;  // the epoch is state->epoch; policy.output = parameters + P Hp
  EpisodeLog episode_log;    // with a score
  bool reset_at_points;      // TableReturnArgs
  bool incoming_only;

  SharedSums* returns;     // cleared by optimise
  SharedSums* advantages;  // cleared by optimise
  TableTotals* totals;     // cleared by optimise
  TableStep* step;

  TableLists lit_by;         // of pixels: all rows that light them
  TableLists lights;         // of rows: their pixels
  unsigned long long* sums;  // [R][Hp] A, two's complement; cleared by weigh
  double* pixel_sums;        // [P][Hp] S
  double* squares;           // [square_chunks((P + 1) Hp)] sums of the gradient's squares
  float* gradient;           // [P + 1][Hp], that of w2 last
  float* parameters;         // [P + 1][Hp]; with both moments the state of the optimiser
  float* first_moment;       // [P + 1][Hp]
  float* second_moment;      // [P + 1][Hp]
  float* rows;               // [R][Hp] rollout.policy.rows; rebuilt by optimise
  const double* lr;          // [slots]
  UpdateState* state;
  UpdateLog* log;  // [slots]
};

/// The table of some weights.
struct TableBuildArgs {
  TableShape shape;
  TableLists lights;     // of rows
  const float* weights;  // [P][Hp]
  float* rows;           // [R][Hp] out
};

/// Launchers return the error of the launch, cudaSuccess if none. Shapes were checked by the host.
struct TableOperations {
  const char* name;           // of the environment
  std::int32_t least_shared;  // TableLaunchShape::shared_bytes with which all can be launched
  std::int32_t saved_bytes;   // of RolloutCut::saved, for an environment
  /// Plays with args.stream as given: evaluation.
  cudaError_t (*play)(const TableRolloutArgs& args, const TableLaunchShape& shape, cudaStream_t);
  /// Plays the update's rollout, and writes the episode log of its slot.
  cudaError_t (*rollout)(const TableUpdateArgs& args, const TableLaunchShape& shape, cudaStream_t);
  cudaError_t (*returns)(const TableUpdateArgs& args, const TableLaunchShape& shape, cudaStream_t);
  cudaError_t (*baseline)(const TableUpdateArgs& args, const TableLaunchShape& shape, cudaStream_t);
  cudaError_t (*weigh)(const TableUpdateArgs& args, const TableLaunchShape& shape, cudaStream_t);
  cudaError_t (*accumulate)(const TableUpdateArgs& args, const TableLaunchShape& shape,
                            cudaStream_t);
  /// Gradient, its norm, and whether the update goes on.
  cudaError_t (*finish)(const TableUpdateArgs& args, const TableLaunchShape& shape, cudaStream_t);
  /// The step, the new table, log and state.
  cudaError_t (*optimise)(const TableUpdateArgs& args, const TableLaunchShape& shape, cudaStream_t);
  cudaError_t (*build)(const TableBuildArgs& args, const TableLaunchShape& shape, cudaStream_t);
  /// Steps with the caller's actions, in pictures of int8. block: threads of a block.
  cudaError_t (*step)(const StepBuffers& args, const GameOptions& options, int block, cudaStream_t);
};

}  // namespace lockstep::cuda
