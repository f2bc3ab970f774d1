// Returns, baselines and the integer sums that means and deviations are made of; two launches,
// because a baseline is a mean over the whole batch.
//
// Table form (ReturnTable): a return depends on the steps to go alone, so everything follows from
// the histogram of episode lengths. A warp takes a step t, its lanes the lengths beyond t: T^2 / 2
// additions an update, nothing of size [N][T] is read or written. Limiter: latency.
// General form: a thread takes an environment and a chunk of time, and walks it backwards. A chunk
// starts at the first end of an episode at or after its last step and stores only its own steps:
// the same scan as from the very end, since an end resets it. Lanes are neighbours in memory.
// returns() reads 1/4 byte of ends and 4 of reward (unless it is constant) a step and writes 4 of
// advantage and 1/8 of valid; baseline() reads and writes advantage. Limiter: bandwidth.
// budget: table_sums_kernel<.*> registers<=40 spills<=0
// budget: returns_kernel<.*> registers<=48 spills<=0
// budget: baseline_kernel<.*> registers<=40 spills<=0
#pragma once

#include "kernels/cuda/shared_sums.cuh"
#include "kernels/normalise_episode.h"
#include "kernels/returns_step.h"

namespace lockstep::cuda {

inline constexpr int kTimeTile = 32;                   // steps of sums by time held back in a block
inline constexpr std::int64_t kBusyThreads = 1 << 17;  // enough to hide latencies; an estimate

/// Sums of the returns (kBaseline: of returns minus the baseline) in table form.
template <bool kBaseline>
LS_KERNEL(kMaxBlock)
table_sums_kernel(const __grid_constant__ UpdateArgs args) {
  if (args.state->stop != Stop::kRunning) return;  // the whole grid
  const UpdatePlan& plan = args.plan;
  const int T = args.rollout.T;
  const int warps = static_cast<int>(gridDim.x * blockDim.x) / kWarp;
  const bool full = plan.returns == ReturnMode::kFull;
  const bool by_time = plan.baseline == BaselineRule::kTimeMean;
  const float scale = kBaseline ? plan.advantage_scale : plan.return_scale;
  float baseline = 0;
  if (kBaseline) {
    baseline = constant_baseline(plan, load_sums(*args.returns), args.state->running);
  }
  ReturnSums sums;
  for (int t = static_cast<int>(warp_in_grid()); t < T; t += warps) {
    if (kBaseline && by_time) baseline = time_baseline(plan, args.time_sum[t]);
    const std::int64_t before = sums.sum;
    for (int length = t + 1 + lane_index(); length <= T; length += kWarp) {
      const std::int32_t episodes = args.table.histogram[length];
      if (episodes == 0) continue;
      float value = args.table.value[full ? length : length - t];
      if (kBaseline) {
        value = value - baseline;
        sums.largest = max(abs(value), sums.largest);
      }
      add_repeated(sums, value, scale, episodes);
    }
    if (!by_time) continue;
    const std::int64_t at_t = warp_sum(sums.sum - before);
    if (lane_index() != 0) continue;
    if (kBaseline) {
      args.baseline[t] = baseline;
    } else {
      args.time_sum[t] = at_t;
    }
  }
  add_sums(kBaseline ? args.advantages : args.returns, sums);
}

/// Sums by time of a block: one addition a warp and step in shared memory, one a block and step in
/// the batch's. At most kMaxBlock terms of 23 bits meet in an int32.
struct BlockTimeSums {
  std::int64_t* total;              // [T], or null: not wanted
  std::int32_t (&tile)[kTimeTile];  // in shared memory

  __device__ void clear() {
    if (total == nullptr) return;
    if (threadIdx.x < kTimeTile) tile[threadIdx.x] = 0;
    __syncthreads();
  }
  __device__ void add(int t, std::int32_t q) {
    if (total == nullptr) return;
    const std::int32_t sum = warp_sum(q);
    if (lane_index() == 0 && sum != 0) atomicAdd(&tile[t % kTimeTile], sum);
  }
  /// The block is done with the tile that starts at step `first`, a multiple of kTimeTile.
  __device__ void flush(int first) {
    if (total == nullptr) return;
    __syncthreads();
    const int i = static_cast<int>(threadIdx.x);
    if (i < kTimeTile && tile[i] != 0) {
      add_signed(reinterpret_cast<unsigned long long*>(total + first + i), tile[i]);
      tile[i] = 0;
    }
    __syncthreads();
  }
};
static_assert(kMaxBlock <= kFlushSteps);

__device__ inline int least(int a, int b) { return a < b ? a : b; }

/// One environment in the general form.
struct EnvCursor {
  PackCursor<float> pack;
  int steps;  // played; nothing is read or written beyond
  bool used;  // the environment's group is in the record

  __device__ EnvCursor(const RolloutArgs<float>& args, std::int64_t env)
      : pack{args.record, env / kGroup, static_cast<int>(env % kGroup)},
        steps(steps_played(args, env)),
        used(pack.group < args.record.groups) {}
  __device__ bool ended(int t) const { return t < steps && pack.ended(t); }

  /// The scan as it stands before step `end` - 1 is visited.
  __device__ ReturnScan<float> scan_from(int end, float gamma) const {
    ReturnScan<float> scan;
    int t = end - 1;
    while (t < steps && !pack.ended(t)) ++t;
    if (t >= steps) return scan;  // cut by the end of the rollout, or finished before
    for (; t >= end; --t) scan.step(pack.ended(t), pack.reward(t), gamma);
    return scan;
  }
  /// Writes the word of both groups of the warp.
  __device__ void store_valid(int t, bool valid) const {
    const unsigned word = __ballot_sync(kAllLanes, valid);
    if (used && pack.lane == 0) {
      pack.record.valid[pack.group * pack.record.T + t] =
          static_cast<std::uint16_t>(word >> (lane_index() / kGroup * kGroup));
    }
  }
};

/// Calls body(EnvCursor) for the thread's environments, every lane of a warp as often as the
/// others.
template <class Body>
__device__ inline void for_block_environments(const RolloutArgs<float>& args, Body body) {
  for (std::int64_t first = std::int64_t{blockIdx.x} * blockDim.x;
       first < args.record.groups * kGroup; first += std::int64_t{gridDim.x} * blockDim.x) {
    body(EnvCursor(args, first + threadIdx.x));
  }
}

/// Reward-to-go of the block's environments in steps [blockIdx.y * chunk, + chunk), `chunk` a
/// multiple of kTimeTile; with kFull there is one chunk.
template <ReturnMode kMode>
LS_KERNEL(kMaxBlock)
returns_kernel(const __grid_constant__ UpdateArgs args, int chunk) {
  LS_SHARED(tile, std::int32_t[kTimeTile]);
  if (args.state->stop != Stop::kRunning) return;  // the whole grid
  const RolloutArgs<float>& rollout = args.rollout;
  const UpdatePlan& plan = args.plan;
  float* const advantage = rollout.record.advantage;
  const int first = static_cast<int>(blockIdx.y) * chunk;
  const int end = least(first + chunk, rollout.T);
  BlockTimeSums by_time{plan.baseline == BaselineRule::kTimeMean ? args.time_sum : nullptr, tile};
  by_time.clear();
  ReturnSums sums;
  for_block_environments(rollout, [&](const EnvCursor& env) {
    ReturnScan<float> scan = env.scan_from(end, plan.gamma);
    int last = -1;  // last step of a finished episode
    for (int from = (end - 1) / kTimeTile * kTimeTile; from >= first; from -= kTimeTile) {
      for (int t = least(from + kTimeTile, end) - 1; t >= from; --t) {
        std::int32_t q = 0;
        if (t < env.steps) {
          scan.step(env.pack.ended(t), env.pack.reward(t), plan.gamma);
          advantage[env.pack.at(t)] = scan.total;
          if (kMode == ReturnMode::kStepwise) {
            q = add_to_sums(sums, scan.total, plan.return_scale, scan.valid);
          } else if (last < 0 && scan.valid) {
            last = t;
          }
        }
        env.store_valid(t, t < env.steps && scan.valid);
        if (kMode == ReturnMode::kStepwise) by_time.add(t, q);
      }
      if (kMode == ReturnMode::kStepwise) by_time.flush(from);
    }
    if constexpr (kMode == ReturnMode::kFull) {
      // once more, forwards: every step of an episode gets the return of its first
      float total = 0;
      bool starting = true;
      for (int from = 0; from < end; from += kTimeTile) {
        for (int t = from; t < least(from + kTimeTile, end); ++t) {
          std::int32_t q = 0;
          if (t <= last) {
            if (starting) total = advantage[env.pack.at(t)];
            starting = env.pack.ended(t);
            advantage[env.pack.at(t)] = total;
            q = add_to_sums(sums, total, plan.return_scale, true);
          }
          by_time.add(t, q);
        }
        by_time.flush(from);
      }
    }
  });
  add_sums(args.returns, sums);
}

/// Subtracts the baseline from the advantages of the block's environments in steps
/// [blockIdx.y * chunk, + chunk). Normalising per episode takes one chunk.
template <bool kPerEpisode>
LS_KERNEL(kMaxBlock)
baseline_kernel(const __grid_constant__ UpdateArgs args, int chunk) {
  LS_SHARED(baselines, float[kTimeTile]);
  if (args.state->stop != Stop::kRunning) return;  // the whole grid
  const RolloutArgs<float>& rollout = args.rollout;
  const UpdatePlan& plan = args.plan;
  float* const advantage = rollout.record.advantage;
  const int end = least((static_cast<int>(blockIdx.y) + 1) * chunk, rollout.T);
  const bool by_time = plan.baseline == BaselineRule::kTimeMean;
  const float constant = constant_baseline(plan, load_sums(*args.returns), args.state->running);
  ReturnSums sums;
  for (int from = static_cast<int>(blockIdx.y) * chunk; from < end; from += kTimeTile) {
    const int to = least(from + kTimeTile, end);
    if (by_time) {
      __syncthreads();  // nobody reads the tile before any more
      const int t = from + static_cast<int>(threadIdx.x);
      if (t < to) {
        baselines[threadIdx.x] = time_baseline(plan, args.time_sum[t]);
        if (blockIdx.x == 0) args.baseline[t] = baselines[threadIdx.x];
      }
      __syncthreads();
    }
    for_block_environments(rollout, [&](const EnvCursor& env) {
      for (int t = from; t < least(to, env.steps); ++t) {
        if (!env.pack.bits(rollout.record.valid, t)) continue;
        float& value = advantage[env.pack.at(t)];
        value = value - (by_time ? baselines[t - from] : constant);
        if (kPerEpisode) continue;
        add_to_sums(sums, value, plan.advantage_scale, true);
        sums.largest = max(abs(value), sums.largest);
      }
    });
  }
  if constexpr (kPerEpisode) {
    const BaselineArgs<float> normalised{rollout.record,       nullptr, 0.0f,
                                         plan.advantage_scale, true,    plan.sample_std};
    for_block_environments(rollout, [&](const EnvCursor& env) {
      int first = 0;
      for (int t = 0; t < env.steps; ++t) {
        if (!env.pack.ended(t)) continue;
        sums.saturated |= normalise_episode(normalised, env.pack.group, env.pack.lane, first, t);
        for (; first <= t; ++first) {
          sums.largest = max(abs(advantage[env.pack.at(first)]), sums.largest);
        }
      }
    });
  }
  add_sums(args.advantages, sums);
}

/// How the general form is cut: environments over x, time over y.
struct TimeCut {
  dim3 grid;
  int block;
  int chunk;  // steps, a multiple of kTimeTile
};

/// `most_chunks` 1 where a thread must see a whole rollout.
inline TimeCut cut_time(const UpdateArgs& args, const LaunchShape& shape,
                        std::int64_t most_chunks) {
  const std::int64_t lanes = args.rollout.record.groups * kGroup;
  const std::int64_t tiles = (args.rollout.T + kTimeTile - 1) / kTimeTile;
  std::int64_t chunks = (kBusyThreads + lanes - 1) / lanes;
  if (chunks > tiles) chunks = tiles;
  if (chunks > most_chunks) chunks = most_chunks;
  const std::int64_t per_chunk = (tiles + chunks - 1) / chunks;
  const std::int64_t blocks = (lanes + shape.block - 1) / shape.block;
  const std::int64_t most_blocks = 8 * kBusyThreads / shape.block;  // the rest in strides
  return {dim3(static_cast<unsigned>(blocks < most_blocks ? blocks : most_blocks),
               static_cast<unsigned>((tiles + per_chunk - 1) / per_chunk)),
          shape.block, static_cast<int>(per_chunk * kTimeTile)};
}
inline constexpr std::int64_t kMostChunks = 1 << 12;

/// Writes the sums of returns; in the general form also record.advantage and record.valid.
///
/// Result: bitwise equal to the CPU's; ReturnScan is the definition
/// Stream: asynchronous; reads the record and lengths, or the table
/// Errors: those of the launch
inline cudaError_t returns(const UpdateArgs& args, const LaunchShape& shape, cudaStream_t stream) {
  if (args.table_form) {
    return launch("returns_table", table_sums_kernel<false>,
                  blocks_for_warps(args.rollout.T, shape.block), dim3(shape.block), 0, stream,
                  args);
  }
  const bool full = args.plan.returns == ReturnMode::kFull;
  const TimeCut cut = cut_time(args, shape, full ? 1 : kMostChunks);
  return launch("returns",
                full ? returns_kernel<ReturnMode::kFull> : returns_kernel<ReturnMode::kStepwise>,
                cut.grid, dim3(cut.block), 0, stream, args, cut.chunk);
}

/// Subtracts the baseline and writes the sums of what is left, and baseline[T] of the time mean.
///
/// Result: bitwise equal to the CPU's; update_plan.h defines the baselines
/// Stream: asynchronous, after returns()
/// Errors: those of the launch
inline cudaError_t baseline(const UpdateArgs& args, const LaunchShape& shape, cudaStream_t stream) {
  if (args.table_form) {
    return launch("baseline_table", table_sums_kernel<true>,
                  blocks_for_warps(args.rollout.T, shape.block), dim3(shape.block), 0, stream,
                  args);
  }
  const bool per_episode = args.plan.normalize == NormalizeRule::kEpisode;
  const TimeCut cut = cut_time(args, shape, per_episode ? 1 : kMostChunks);
  return launch("baseline", per_episode ? baseline_kernel<true> : baseline_kernel<false>, cut.grid,
                dim3(cut.block), 0, stream, args, cut.chunk);
}

}  // namespace lockstep::cuda
