// What every step of an update with a critic is worth, and which minibatch it is in.
//
// Advantages: a thread an environment, backwards in time; lanes are neighbours in memory. Read per
// step: value, 1/4 byte of ends, reward unless it is constant; written: 4 of advantage. Limiter:
// latency of T steps one behind the other.
// Moments: a thread a step of an environment, in strides. Limiter: bandwidth.
// Shuffle: a thread a tile counts the tiles whose words are smaller than its own, which is its
// place: no two have the same. n^2 comparisons of n tiles, 32 at a time: below a pass over the
// batch as long as n is some ten thousand. Limiter: issue.
//
// budget: advantages_kernel<.*> registers<=40 spills<=0
// budget: critic_moments_kernel<.*> registers<=56 spills<=0
// budget: shuffle_kernel<.*> registers<=32 spills<=0
#pragma once

#include "kernels/advantage_step.h"
#include "kernels/cuda/critic_steps.cuh"

namespace lockstep::cuda {

template <int kBlock>
LS_KERNEL(kBlock)
advantages_kernel(const __grid_constant__ ActorCriticUpdateArgs args) {
  if (args.update.state->stop != Stop::kRunning) return;  // the whole grid
  const Record<float>& record = args.update.rollout.record;
  const float gamma = args.update.plan.gamma, gamma_lambda = gamma * args.lambda;
  const std::int64_t env = thread_in_grid();
  const bool counts = env < args.update.rollout.num_envs;
  float largest[2] = {0, 0};
  bool wrong = false;
  if (env < record.groups * kGroup) {
    const PackCursor<float> pack{record, env / kGroup, static_cast<int>(env % kGroup)};
    AdvantageScan<float> scan;
    for (int t = record.T - 1; t >= 0; --t) {
      const bool last = t == record.T - 1, truncated = pack.bits(record.truncated, t);
      const float value = record.value[pack.at(t)];
      const float next = truncated || last ? record.next_value[pack.at(t)] : 0.0f;
      scan.step(pack.bits(record.terminated, t), truncated, last, pack.reward(t), value, next,
                gamma, gamma_lambda);
      record.advantage[pack.at(t)] = scan.advantage;
      const float sizes[2] = {abs(scan.advantage), abs(scan.advantage + value)};
      for (int i = 0; counts && i < 2; ++i) {
        wrong |= !(sizes[i] <= kLargestNumber);
        largest[i] = max(sizes[i], largest[i]);
      }
    }
  }
  raise_to(&args.batch->largest_advantage, largest[0]);
  raise_to(&args.batch->largest_target, largest[1]);
  wrong = __any_sync(kAllLanes, wrong);
  if (wrong && lane_index() == 0) atomicOr(&args.batch->not_finite, 1u);
}

/// Sums of the advantages and returns of the batch, or of the advantages of a minibatch.
template <bool kMinibatch>
LS_KERNEL(kMaxBlock)
critic_moments_kernel(const __grid_constant__ ActorCriticUpdateArgs args) {
  if (!learns(args)) return;  // the whole grid
  const Record<float>& record = args.update.rollout.record;
  const float scale = advantage_scale(args), return_scale = target_scale(args);
  const std::int64_t threads = std::int64_t{gridDim.x} * blockDim.x;
  ReturnSums advantages, returns;
  if constexpr (kMinibatch) {
    const MinibatchRows rows(args);
    for (std::int64_t i = thread_in_grid(); i < rows.count() * kGroup; i += threads) {
      const MinibatchStep step = rows.at(i / kGroup, static_cast<int>(i % kGroup));
      if (step.valid) add_to_sums(advantages, record.advantage[step.at()], scale, true);
    }
    add_sums(&args.pass->advantages, advantages);
  } else {
    const std::int64_t lanes = args.tiles.T * std::int64_t{kGroup};
    for (std::int64_t i = thread_in_grid(); i < record.groups * lanes; i += threads) {
      if (i / lanes * kGroup + i % kGroup >= args.update.rollout.num_envs) continue;
      add_to_sums(advantages, record.advantage[i], scale, true);
      add_to_sums(returns, record.advantage[i] + record.value[i], return_scale, true);
    }
    add_sums(&args.batch->advantages, advantages);
    add_sums(&args.batch->returns, returns);
  }
}

/// Word i of the shuffle, the one that decides the place of thing i.
__device__ inline std::uint32_t shuffle_word(const RandomStream& stream, std::int64_t epoch,
                                             std::int64_t i) {
  const auto words = shuffle_words(stream, epoch, static_cast<std::uint32_t>(i / 4));
  const std::uint32_t low = i % 2 == 0 ? words.w[0] : words.w[1];
  return i % 4 < 2 ? low : i % 2 == 0 ? words.w[2] : words.w[3];
}

/// Things that are put in order: tiles, or the steps of every environment.
LS_HD std::int64_t shuffled(const ActorCriticUpdateArgs& args) {
  return args.single_steps ? args.update.rollout.num_envs * args.tiles.T : args.tiles.count();
}

template <int kBlock>
LS_KERNEL(kBlock)
shuffle_kernel(const __grid_constant__ ActorCriticUpdateArgs args) {
  LS_SHARED(words, std::uint32_t[kBlock]);
  if (!learns(args)) return;  // the whole grid
  RandomStream stream = args.update.rollout.stream;
  stream.epoch = args.update.state->epoch;
  const std::int64_t epoch = args.update.state->pass / args.minibatches;
  const std::int64_t n = shuffled(args), i = thread_in_grid();
  const int thread = static_cast<int>(threadIdx.x);
  const std::uint32_t mine = shuffle_word(stream, epoch, i);
  std::uint32_t place = 0;
  for (std::int64_t from = 0; from < n; from += kBlock) {
    __syncthreads();  // nobody reads the words before any more
    words[thread] = shuffle_word(stream, epoch, from + thread);
    __syncthreads();
    const int count = n - from < kBlock ? static_cast<int>(n - from) : kBlock;
    for (int j = 0; j < count; ++j) {
      place += words[j] < mine || (words[j] == mine && from + j < i) ? 1 : 0;
    }
  }
  if (i >= n) return;
  if (args.single_steps) {
    args.order[i] = place;
  } else {
    args.order[place] = static_cast<std::uint32_t>(i);
  }
}

/// Writes record.advantage, and the sums and largest magnitudes of the batch.
///
/// Result: bitwise equal to the CPU's; AdvantageScan is the definition
/// Stream: asynchronous, after the rollout
/// Errors: those of the launches
inline cudaError_t critic_credit(const ActorCriticUpdateArgs& args, const LaunchShape& shape,
                                 cudaStream_t stream) {
  const std::int64_t groups = args.update.rollout.record.groups;
  const auto warps = (groups * kGroup + kWarp - 1) / kWarp;
  const cudaError_t status =
      launch("advantages", advantages_kernel<kMaxBlock>, blocks_for_warps(warps, shape.block),
             dim3(static_cast<unsigned>(shape.block)), 0, stream, args);
  if (status != cudaSuccess) return status;
  return launch("critic_moments", critic_moments_kernel<false>,
                row_blocks(groups * args.tiles.T * kGroup, kMaxBlock), dim3(kMaxBlock), 0, stream,
                args);
}

/// Puts the tiles, or single steps, of an epoch in their order.
///
/// Result: bitwise; the order of host/backend/minibatches.h
/// Stream: asynchronous
/// Errors: those of the launch
inline cudaError_t critic_shuffle(const ActorCriticUpdateArgs& args, const LaunchShape&,
                                  cudaStream_t stream) {
  if (args.order == nullptr) return cudaSuccess;
  const auto blocks = static_cast<unsigned>((shuffled(args) + kMaxBlock - 1) / kMaxBlock);
  return launch("shuffle", shuffle_kernel<kMaxBlock>, dim3(blocks), dim3(kMaxBlock), 0, stream,
                args);
}

}  // namespace lockstep::cuda
