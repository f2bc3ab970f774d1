// What the kernels of a policy with a critic share: which steps of the record are in the minibatch
// under way, the scales of its sums, and what an update keeps to go back to.
#pragma once

#include "kernels/cuda/actor_critic_launchers.h"
#include "kernels/cuda/shared_sums.cuh"

namespace lockstep::cuda {

/// False if the updates stopped, or what is left of this one is left out.
__device__ inline bool learns(const ActorCriticUpdateArgs& args) {
  const UpdateState& state = *args.update.state;
  return state.stop == Stop::kRunning && state.ended == 0 && args.batch->not_finite == 0;
}

/// Calls body(now, kept) for every number that an update may have to bring back, in turns of
/// `threads`.
template <class Body>
__device__ inline void for_each_kept(const ActorCriticUpdateArgs& args, std::int64_t thread,
                                     std::int64_t threads, const Body& body) {
  const UpdateArgs& update = args.update;
  const CarriedEpisodes<float>& carried = update.rollout.carried;
  const std::int64_t P = update.num_parameters;
  const std::int64_t lanes = update.rollout.record.groups * kGroup;
  const auto each = [&](auto* now, auto* kept, std::int64_t count) {
    for (std::int64_t i = thread; i < count; i += threads) body(now[i], kept[i]);
  };
  each(update.parameters, args.kept_parameters, P);
  each(update.first_moment, args.kept_parameters + P, P);
  each(update.second_moment, args.kept_parameters + 2 * P, P);
  each(carried.state, args.kept_state, args.state_numbers);
  each(carried.steps, args.kept_steps, lanes);
  if (carried.score != nullptr) each(carried.score, args.kept_score, lanes);
}

inline constexpr std::int64_t kMostRowBlocks = 2048;  // the rest in strides; an estimate
inline dim3 row_blocks(std::int64_t threads, int block) {
  const std::int64_t blocks = (threads + block - 1) / block;
  return dim3(static_cast<unsigned>(blocks < kMostRowBlocks ? blocks : kMostRowBlocks));
}
inline dim3 kept_blocks(const ActorCriticUpdateArgs& args) {
  const std::int64_t P = args.update.num_parameters;
  return row_blocks(P > args.state_numbers ? P : args.state_numbers, kMaxBlock);
}

/// A step of a lane's environment.
struct MinibatchStep {
  std::int64_t step;  // group T + t
  std::int64_t group;
  int t;
  int lane;    // of the group
  bool there;  // the step is one of the record's
  bool valid;  // it is in the minibatch, and somebody plays

  __device__ std::int64_t at() const { return step * kGroup + lane; }
};

/// The steps that the pass under way walks, in rows of a group's 16 environments: those of the
/// minibatch's tiles; of minibatches of single steps all, for each may have some of the
/// minibatch's.
struct MinibatchRows {
  const ActorCriticUpdateArgs& args;
  std::int64_t first, tiles;      // in the order
  std::int64_t from = 0, to = 0;  // places of single steps

  __device__ explicit MinibatchRows(const ActorCriticUpdateArgs& of) : args(of) {
    const std::int64_t n = args.tiles.count();
    const std::int64_t m = args.update.state->pass % args.minibatches;
    first = 0;
    tiles = n;
    if (args.single_steps) {
      const std::int64_t steps = args.update.rollout.num_envs * args.tiles.T;
      from = minibatch_begin(m, steps, args.minibatches);
      to = minibatch_begin(m + 1, steps, args.minibatches);
    } else {
      first = minibatch_begin(m, n, args.minibatches);
      tiles = minibatch_begin(m + 1, n, args.minibatches) - first;
    }
  }
  __device__ std::int64_t count() const { return tiles * args.tiles.steps; }

  /// Environment `lane` of row `row`; there is none from count() on.
  __device__ MinibatchStep at(std::int64_t row, int lane) const {
    MinibatchStep out{0, 0, 0, lane, false, false};
    const std::int64_t place = row / args.tiles.steps;
    if (place >= tiles) return out;
    const bool in_order = args.order == nullptr || args.single_steps;
    const Tile16 tile = args.tiles.tile(in_order ? first + place : args.order[first + place]);
    out.t = tile.begin + static_cast<int>(row % args.tiles.steps);
    out.there = out.t < tile.end;
    out.group = tile.group;
    out.step = tile.group * args.tiles.T + out.t;
    const std::int64_t env = tile.group * kGroup + lane;
    out.valid = out.there && env < args.update.rollout.num_envs;
    if (args.single_steps && out.valid) {
      const std::int64_t drawn = args.order[env * args.tiles.T + out.t];
      out.valid = drawn >= from && drawn < to;
    }
    return out;
  }
};

/// Rows that a pass walks at most.
inline std::int64_t most_rows(const ActorCriticUpdateArgs& args) {
  const std::int64_t n = args.tiles.count();
  const std::int64_t parts = args.single_steps ? 1 : args.minibatches;
  return (n + parts - 1) / parts * args.tiles.steps;
}

/// Fills in the scales of the minibatch's sums, [Y][O + 1], then of each figure; all threads of a
/// block. Ends with a barrier.
__device__ inline void set_term_scales(const ActorCriticUpdateArgs& args, float* scale) {
  const UpdatePlan& plan = args.update.plan;
  const int Y = logits_of(plan.A) + 1, per_output = plan.O + 1, C = Y * per_output;
  const auto largest = [&](int row) { return as_float(as_signed(args.pass->largest[row])); };
  for (int i = static_cast<int>(threadIdx.x); i < C + kWeighedFigures;
       i += static_cast<int>(blockDim.x)) {
    scale[i] = i < C ? term_scale(plan, largest(i / per_output), i % per_output,
                                  args.update.state->bits_dropped)
                     : scale_for_largest(largest(Y + i - C));
  }
  __syncthreads();
}

/// The batch's scale of quantised advantages.
__device__ inline float advantage_scale(const ActorCriticUpdateArgs& args) {
  return scale_for_largest(as_float(as_signed(args.batch->largest_advantage)));
}
__device__ inline float target_scale(const ActorCriticUpdateArgs& args) {
  return scale_for_largest(as_float(as_signed(args.batch->largest_target)));
}

/// Raises bits of a float >= 0 to the largest of the warp's lanes.
__device__ inline void raise_to(unsigned* most, float value) {
  const unsigned bits = warp_max(as_unsigned(as_int(value)));
  if (lane_index() == 0 && bits != 0) atomicMax(most, bits);
}

}  // namespace lockstep::cuda
