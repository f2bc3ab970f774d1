// From the sums of a table policy's rows to its gradient and the gradient's norm, and whether the
// update goes on.
//
// Three launches. table_pixels: a thread takes a number of W1, its warp neighbouring units of a
// pixel; reads some three sums of 8 bytes, writes S and dW1, 12 bytes. table_output: the chains of
// dw2 run over all pixels one after another, so a block takes 8 units and brings them to shared
// memory tile by tile, for one warp to walk; reads 12 bytes a number; latency. table_norm: a block
// a chunk of the squares; the last one to be done adds the chunks up and decides. Limiter of the
// others: bandwidth of the cache.
// budget: table_pixels_kernel<.*> registers<=48 spills<=0
// budget: table_output_kernel<256> registers<=64 spills<=0
// budget: table_norm_kernel<256> registers<=80 spills<=0
#pragma once

#include "kernels/cuda/table_steps.cuh"
#include "kernels/table_plan.h"

namespace lockstep::cuda {

/// Whether there are sums to make a gradient of. Not written until the last block of table_norm.
__device__ inline bool has_gradient(const TableUpdateArgs& args) {
  return args.state->stop == Stop::kRunning && args.step->learn && args.totals->saturated == 0;
}

/// S and dW1.
template <int kBlock>
LS_KERNEL(kBlock)
table_pixels_kernel(const __grid_constant__ TableUpdateArgs args) {
  if (!has_gradient(args)) return;  // the whole grid
  const TableView& policy = args.rollout.policy;
  const int padded = policy.shape.padded();
  for_numbers(std::int64_t{policy.shape.pixels} * padded, [&](std::int64_t i) {
    const int pixel = static_cast<int>(i) / padded, unit = static_cast<int>(i) % padded;
    const double factor = static_cast<double>(policy.output[unit]) * args.step->unit;
    unsigned long long sum = 0;
    for (int k = args.lit_by.start[pixel]; k < args.lit_by.start[pixel + 1]; ++k) {
      sum += args.sums[std::int64_t{args.lit_by.entry[k]} * padded + unit];
    }
    const double s = static_cast<double>(static_cast<std::int64_t>(sum));
    args.pixel_sums[i] = s;
    args.gradient[i] = static_cast<float>(s * factor);
  });
}

inline constexpr int kOutputUnits = kWarp / kPixelChains;  // of a block of table_output
inline constexpr int kOutputTile = 256;                    // pixels

/// dw2.
template <int kBlock>
LS_KERNEL(kBlock)
table_output_kernel(const __grid_constant__ TableUpdateArgs args) {
  LS_SHARED(sums, double[kOutputTile][kOutputUnits]);
  LS_SHARED(weights, float[kOutputTile][kOutputUnits]);
  if (!has_gradient(args)) return;  // the whole grid
  constexpr int kEach = kOutputTile * kOutputUnits / kBlock;
  const TableShape& shape = args.rollout.policy.shape;
  const std::int64_t padded = shape.padded();
  const int thread = static_cast<int>(threadIdx.x);
  const int first = static_cast<int>(blockIdx.x) * kOutputUnits;
  // what the thread brings, and as a lane of the first warp, what it adds up: unit and chain
  const int unit = thread % kOutputUnits, place = thread / kOutputUnits;
  double sum[kEach];
  float weight[kEach];
  const auto fetch = [&](int tile) {
    LS_UNROLL
    for (int i = 0; i < kEach; ++i) {
      const int pixel = tile + place + i * (kBlock / kOutputUnits);
      const bool there = pixel < shape.pixels;
      const std::int64_t at = pixel * padded + first + unit;
      sum[i] = there ? args.pixel_sums[at] : 0.0;
      weight[i] = there ? args.parameters[at] : 0.0f;
    }
  };
  double chain = 0;
  fetch(0);
  for (int tile = 0; tile < shape.pixels; tile += kOutputTile) {
    LS_UNROLL
    for (int i = 0; i < kEach; ++i) {
      sums[place + i * (kBlock / kOutputUnits)][unit] = sum[i];
      weights[place + i * (kBlock / kOutputUnits)][unit] = weight[i];
    }
    __syncthreads();
    fetch(tile + kOutputTile);  // on its way while this one is walked
    if (thread < kWarp) {
      const int left = shape.pixels - tile;
      const int end = left < kOutputTile ? left : kOutputTile;
      for (int pixel = place; pixel < end; pixel += kPixelChains) {
        chain = fma(static_cast<double>(weights[pixel][unit]), sums[pixel][unit], chain);
      }
    }
    __syncthreads();
  }
  if (thread >= kWarp) return;
  const double pair = chain + __shfl_xor_sync(kAllLanes, chain, kOutputUnits);
  const double total = pair + __shfl_xor_sync(kAllLanes, pair, 2 * kOutputUnits);
  if (place == 0) {
    args.gradient[shape.pixels * padded + first + unit] =
        static_cast<float>(total * args.step->unit);
  }
}
static_assert(kSliceUnits % kOutputUnits == 0);

/// The end of the gradient, by one thread: log and coefficients of the step, or why there is none.
__device__ inline void decide_step(const TableUpdateArgs& args, bool saturated, double squares) {
  TableTotals& totals = *args.totals;
  totals.blocks_done = 0;
  if (saturated) {
    totals.loss = totals.entropy = 0;  // for the gradient with smaller scales
    totals.saturated = 0;
    args.state->stop = Stop::kSaturated;
    return;
  }
  TableStep& step = *args.step;
  UpdateLog log = step.log;
  static_cast<UpdateFigures&>(log) =
      figures_of(static_cast<std::int64_t>(totals.loss), step.gradient.loss_scale,
                 static_cast<std::int64_t>(totals.entropy), step.gradient.entropy_scale,
                 log.episodes, log.valid_steps);
  log.grad_norm = sqrt(squares);
  if (!is_finite(log.grad_norm)) {
    args.state->stop = Stop::kGradientNotFinite;
    return;
  }
  RunningState running = args.state->running;
  advance_running_mean(args.plan, load_sums(*args.returns), running);
  step.optimizer =
      optimizer_args(args.plan.optimizer, args.lr[args.state->slot], log.grad_norm, running);
  step.running = running;
  step.log = log;
}

/// Whether the block is the last one of the grid to come here; what the others wrote before is then
/// there to be read. `count` starts at 0.
__device__ inline bool is_last_block(unsigned* count) {
  LS_SHARED(last, bool);
  __syncthreads();
  if (threadIdx.x == 0) {
    __threadfence();
    last = atomicAdd(count, 1u) + 1 == gridDim.x;
    __threadfence();
  }
  __syncthreads();
  return last;
}

/// Norm and decision; a block takes chunks of the squares in strides of the grid.
template <int kBlock>
LS_KERNEL(kBlock)
table_norm_kernel(const __grid_constant__ TableUpdateArgs args) {
  LS_SHARED(part, double[kBlock]);
  if (args.state->stop != Stop::kRunning || !args.step->learn) return;  // the whole grid
  const int thread = static_cast<int>(threadIdx.x);
  const std::int64_t numbers = table_numbers(args.rollout.policy.shape);
  const int chunks = static_cast<int>(square_chunks(numbers));
  const bool saturated = args.totals->saturated != 0;
  for (int chunk = static_cast<int>(blockIdx.x); chunk < chunks && !saturated;
       chunk += static_cast<int>(gridDim.x)) {
    part[thread] = part_of_squares(args.gradient + chunk * kSquareChunk,
                                   square_chunk_size(numbers, chunk), thread);
    for (int stride = kBlock / 2; stride >= 1; stride /= 2) {
      __syncthreads();
      if (thread < stride) part[thread] += part[thread + stride];
    }
    if (thread == 0) args.squares[chunk] = part[0];
    __syncthreads();
  }
  if (!is_last_block(&args.totals->blocks_done)) return;
  double squares = 0;
  for (int tile = 0; tile < chunks && !saturated; tile += kBlock) {
    if (tile + thread < chunks) part[thread] = args.squares[tile + thread];
    __syncthreads();
    for (int i = 0; thread == 0 && i < kBlock && tile + i < chunks; ++i) squares += part[i];
    __syncthreads();
  }
  if (thread == 0) decide_step(args, saturated, squares);
}

/// Makes the gradient of args.sums, and decides on the step.
///
/// Shapes: lit_by: of all pixels; gradient [P + 1][Hp] out; args.step: optimizer, running, log
/// Result: bitwise equal to the CPU's; the norm is that of chunked_sum_of_squares()
/// Stream: asynchronous, after accumulate()
/// Errors: those of the launches
inline cudaError_t table_finish(const TableUpdateArgs& args, const TableLaunchShape& shape,
                                cudaStream_t stream) {
  static_assert(kSquareParts == kMaxBlock);
  const TableShape& table = args.rollout.policy.shape;
  const std::int64_t numbers = table_numbers(table);
  const dim3 block(kMaxBlock);
  cudaError_t status =
      launch("table_pixels", table_pixels_kernel<kMaxBlock>,
             blocks_for_numbers(numbers - table.padded(), shape), block, 0, stream, args);
  if (status != cudaSuccess) return status;
  status =
      launch("table_output", table_output_kernel<kMaxBlock>,
             dim3(static_cast<unsigned>(table.padded() / kOutputUnits)), block, 0, stream, args);
  if (status != cudaSuccess) return status;
  return launch("table_norm", table_norm_kernel<kMaxBlock>,
                blocks_for_numbers(square_chunks(numbers) * kMaxBlock, shape), block, 0, stream,
                args);
}

}  // namespace lockstep::cuda
