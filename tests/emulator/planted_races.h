// Kernels that forget to wait: each is right with kBug = false and has one planted bug otherwise.
// Blocks have kThreads threads; results do not depend on the order unless the bug makes them.
#pragma once

#include <numeric>
#include <vector>

#include "kernels/cuda/launch.cuh"
#include "tests/emulator/outcome.h"

namespace cuemu_test {

using lockstep::cuda::kAllLanes;
using lockstep::cuda::launch;

inline constexpr int kThreads = 128;

/// Runs `kernel` on `blocks` blocks with 0, 1, 2... as input and gives back `outputs` numbers.
template <class Kernel, class... More>
std::vector<int> run_on_counting(Kernel kernel, int blocks, int inputs, int outputs, More... more) {
  std::vector<int> host(static_cast<std::size_t>(inputs));
  std::iota(host.begin(), host.end(), 0);
  std::vector<int> result(static_cast<std::size_t>(outputs), -1);
  int* in = nullptr;
  int* out = nullptr;
  const std::size_t in_bytes = host.size() * sizeof(int);
  const std::size_t out_bytes = result.size() * sizeof(int);
  if (cudaMalloc(&in, in_bytes) != cudaSuccess) return {};
  if (cudaMalloc(&out, out_bytes) != cudaSuccess) return {};
  if (cudaMemcpy(in, host.data(), in_bytes, cudaMemcpyHostToDevice) != cudaSuccess) return {};
  if (cudaMemset(out, 0, out_bytes) != cudaSuccess) return {};
  if (launch("planted", kernel, dim3(static_cast<unsigned>(blocks)), dim3(kThreads), 0, nullptr, in,
             out, more...) != cudaSuccess) {
    return {};
  }
  if (cudaMemcpy(result.data(), out, out_bytes, cudaMemcpyDeviceToHost) != cudaSuccess) return {};
  static_cast<void>(cudaFree(in));
  static_cast<void>(cudaFree(out));
  return result;
}

inline Finding right_if(bool right) { return right ? Finding::kRight : Finding::kWrongResult; }

/// Writes one element past the end of its output.
template <bool kBug>
LS_KERNEL(kThreads)
write_past_end(const int* in, int* out, int n) {
  const int i = static_cast<int>(threadIdx.x);
  if (kBug ? i <= n : i < n) out[i] = in[i];
}
template <bool kBug>
Finding global_overrun() {
  const std::vector<int> out = run_on_counting(write_past_end<kBug>, 1, kThreads, 100, 100);
  return right_if(out.at(99) == 99);
}

/// Writes one element past the end of a shared array, into what lies next to it.
struct Tile {
  int row[kThreads];
  int next;
};
template <bool kBug>
LS_KERNEL(kThreads)
write_past_row(const int* in, int* out) {
  LS_SHARED(tile, Tile);
  const int i = static_cast<int>(threadIdx.x);
  if (i == 0) tile.next = 7;
  __syncthreads();
  tile.row[kBug ? i + 1 : i] = in[i];
  if (i == 0) out[0] = tile.next;
  __syncthreads();
  if (i == 0) out[1] = tile.next;
}
template <bool kBug>
Finding shared_overrun() {
  const std::vector<int> out = run_on_counting(write_past_row<kBug>, 1, kThreads, 2);
  return right_if(out.at(0) == 7 && out.at(1) == 7);
}

__device__ inline int sum_of_warp(int value) {
  for (int lanes = 16; lanes > 0; lanes /= 2) value += __shfl_xor_sync(kAllLanes, value, lanes);
  return value;
}

/// Sums over the block, `kSums` of them through the same shared array.
template <int kSums, bool kNoSyncBeforeRead, bool kNoSyncAfterRead>
LS_KERNEL(kThreads)
block_sums(const int* in, int* out) {
  LS_SHARED(part, int[kThreads / 32]);
  const int i = static_cast<int>(threadIdx.x);
  for (int k = 0; k < kSums; ++k) {
    const int value = sum_of_warp(in[k * kThreads + i]);
    if (i % 32 == 0) part[i / 32] = value;
    if (!kNoSyncBeforeRead) __syncthreads();
    int total = 0;
    for (int w = 0; w < kThreads / 32; ++w) total += part[w];
    if (i == 0) out[k] = total;
    if (!kNoSyncAfterRead) __syncthreads();
  }
}
template <bool kBug>
Finding reduce_without_barrier() {
  const std::vector<int> out = run_on_counting(block_sums<1, kBug, false>, 1, kThreads, 1);
  return right_if(out.at(0) == kThreads * (kThreads - 1) / 2);
}
template <bool kBug>
Finding reuse_without_barrier() {
  const std::vector<int> out = run_on_counting(block_sums<3, false, kBug>, 1, 3 * kThreads, 3);
  const int first = kThreads * (kThreads - 1) / 2;
  return right_if(out.at(0) == first && out.at(1) == first + kThreads * kThreads &&
                  out.at(2) == first + 2 * kThreads * kThreads);
}

/// Threads without work return before the others meet.
template <bool kBug, bool kShuffle>
LS_KERNEL(kThreads)
leave_early(const int* in, int* out, int n) {
  const int i = static_cast<int>(threadIdx.x);
  if (kBug && i >= n) return;
  int value = i < n ? in[i] : 0;
  if (kShuffle) {
    value = sum_of_warp(value);
  } else {
    __syncthreads();
  }
  if (i == 0) out[0] = value;
}
template <bool kBug>
Finding early_return_before_shuffle() {
  const std::vector<int> out = run_on_counting(leave_early<kBug, true>, 1, kThreads, 1, 20);
  return right_if(out.at(0) == 190);
}
template <bool kBug>
Finding early_return_before_barrier() {
  const std::vector<int> out = run_on_counting(leave_early<kBug, false>, 1, kThreads, 1, 100);
  return right_if(out.at(0) == 0);
}

/// A product of two 16 x 16k matrices whose tiles go through shared memory; entry (r, c) is r + c.
template <bool kNoSyncBefore, bool kNoSyncAfter>
LS_KERNEL(256)
tile_product(int* out, int tiles) {
  LS_SHARED(a, int[16][16]);
  LS_SHARED(b, int[16][16]);
  const int row = static_cast<int>(threadIdx.y);
  const int column = static_cast<int>(threadIdx.x);
  int sum = 0;
  for (int t = 0; t < tiles; ++t) {
    a[row][column] = row + 16 * t + column;
    b[row][column] = 16 * t + row + column;
    if (!kNoSyncBefore) __syncthreads();
    for (int k = 0; k < 16; ++k) sum += a[row][k] * b[k][column];
    if (!kNoSyncAfter) __syncthreads();
  }
  out[row * 16 + column] = sum;
}
template <bool kNoSyncBefore, bool kNoSyncAfter>
Finding product() {
  constexpr int kTiles = 3;
  std::vector<int> out(256);
  int* device = nullptr;
  if (cudaMalloc(&device, sizeof(int) * 256) != cudaSuccess) return Finding::kLaunchRefused;
  if (launch("tile_product", tile_product<kNoSyncBefore, kNoSyncAfter>, dim3(1), dim3(16, 16), 0,
             nullptr, device, kTiles) != cudaSuccess) {
    return Finding::kLaunchRefused;
  }
  static_cast<void>(cudaMemcpy(out.data(), device, sizeof(int) * 256, cudaMemcpyDeviceToHost));
  bool right = true;
  for (int i = 0; i < 256; ++i) {
    int sum = 0;
    for (int k = 0; k < 16 * kTiles; ++k) sum += (i / 16 + k) * (k + i % 16);
    right = right && out[static_cast<std::size_t>(i)] == sum;
  }
  return right_if(right);
}

/// Inclusive sums over the block, in log2 steps with two barriers each.
template <bool kBug>
LS_KERNEL(kThreads)
block_scan(const int* in, int* out) {
  LS_SHARED(sums, int[kThreads]);
  const int i = static_cast<int>(threadIdx.x);
  sums[i] = in[i];
  __syncthreads();
  for (int d = 1; d < kThreads; d *= 2) {
    const int left = i >= d ? sums[i - d] : 0;
    if (!kBug) __syncthreads();
    sums[i] += left;
    __syncthreads();
  }
  out[i] = sums[i];
}
template <bool kBug>
Finding scan_without_barrier() {
  const std::vector<int> out = run_on_counting(block_scan<kBug>, 1, kThreads, kThreads);
  bool right = true;
  for (int i = 0; i < kThreads; ++i)
    right = right && out[static_cast<std::size_t>(i)] == i * (i + 1) / 2;
  return right_if(right);
}

/// Sums over the blocks before: each block takes a ticket, waits for its predecessor's flag and
/// sets its own. out: [0] tickets, [1 + b] flags, [1 + B + b] sums.
template <bool kBug>
LS_KERNEL(kThreads)
look_back(const int*, int* out, int blocks) {
  if (threadIdx.x != 0) return;
  const int ticket = atomicAdd(out, 1);
  int* const flags = out + 1;
  int* const sums = flags + blocks;
  int before = 0;
  if (ticket > 0) {
    while (atomicAdd(flags + ticket - 1, 0) == 0) __nanosleep(100);
    __threadfence();
    before = sums[ticket - 1];
  }
  sums[ticket] = before + ticket;
  if (!kBug) __threadfence();
  atomicExch(flags + ticket, 1);
}
template <bool kBug>
Finding flag_without_fence() {
  constexpr int kBlocks = 12;
  const std::vector<int> out =
      run_on_counting(look_back<kBug>, kBlocks, 1, 1 + 2 * kBlocks, kBlocks);
  bool right = true;
  for (int b = 0; b < kBlocks; ++b) {
    right = right && out[static_cast<std::size_t>(1 + kBlocks + b)] == b * (b + 1) / 2;
  }
  return right_if(right);
}

/// Neighbours in a warp exchange numbers through shared memory.
template <bool kBug>
LS_KERNEL(kThreads)
exchange(const int* in, int* out) {
  LS_SHARED(box, int[kThreads]);
  const int i = static_cast<int>(threadIdx.x);
  box[i] = in[i];
  if (!kBug) __syncwarp(kAllLanes);
  out[i] = box[i ^ 1];
}
template <bool kBug>
Finding exchange_without_syncwarp() {
  const std::vector<int> out = run_on_counting(exchange<kBug>, 1, kThreads, kThreads);
  bool right = true;
  for (int i = 0; i < kThreads; ++i) right = right && out[static_cast<std::size_t>(i)] == (i ^ 1);
  return right_if(right);
}

/// Blocks count themselves in one cell.
template <bool kBug>
LS_KERNEL(kThreads)
count_blocks(const int*, int* out) {
  if (threadIdx.x != 0) return;
  if (kBug) {
    *out += 1;
  } else {
    atomicAdd(out, 1);
  }
}
template <bool kBug>
Finding add_without_atomic() {
  return right_if(run_on_counting(count_blocks<kBug>, 6, 1, 1).at(0) == 6);
}

}  // namespace cuemu_test
