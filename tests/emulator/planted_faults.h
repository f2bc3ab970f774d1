// Kernels with faults other than races: each is right with kBug = false and has one planted bug
// otherwise.
#pragma once

#include <limits>

#include "tests/emulator/planted_races.h"

namespace cuemu_test {

/// Reads shared memory nobody wrote, where zero would be right.
template <bool kBug>
LS_KERNEL(kThreads)
read_unwritten(const int* in, int* out) {
  LS_SHARED(box, int[kThreads]);
  const int i = static_cast<int>(threadIdx.x);
  if (!kBug || i != 0) box[i] = in[i];
  __syncthreads();
  out[i] = box[i];
}
template <bool kBug>
Finding uninitialised_shared_read() {
  return right_if(run_on_counting(read_unwritten<kBug>, 1, kThreads, kThreads).at(0) == 0);
}

/// Reads four numbers at once from an address that is no multiple of 16.
template <bool kBug>
LS_KERNEL(kThreads)
load_four(const int* in, int* out) {
  if (threadIdx.x != 0) return;
  const int4 four = *reinterpret_cast<const int4*>(in + (kBug ? 1 : 0));
  *reinterpret_cast<int4*>(out) = four;
}
template <bool kBug>
Finding misaligned_load() {
  return right_if(run_on_counting(load_four<kBug>, 1, kThreads, 4).at(1) == (kBug ? 2 : 1));
}

/// Leaves a row of a two-dimensional array for the next one.
template <bool kBug>
LS_KERNEL(kThreads)
cross_rows(const int* in, int* out) {
  LS_SHARED(grid, int[2][4]);
  const int i = static_cast<int>(threadIdx.x);
  if (i < 8) grid[i / 4][i % 4] = in[i];
  __syncthreads();
  const int column = in[kBug ? 4 : 3];
  if (i == 0) out[0] = grid[0][column];
}
template <bool kBug>
Finding inner_index_past_its_dimension() {
  return right_if(run_on_counting(cross_rows<kBug>, 1, kThreads, 1).at(0) == (kBug ? 4 : 3));
}

template <bool kBug>
LS_KERNEL(kThreads)
add_to_largest(const int* in, int* out, int largest) {
  if (threadIdx.x == 0) out[0] = largest + in[kBug ? 1 : 0];
}
template <bool kBug>
Finding signed_overflow() {
  constexpr int kLargest = std::numeric_limits<int>::max();
  return right_if(run_on_counting(add_to_largest<kBug>, 1, kThreads, 1, kLargest).size() == 1);
}

template <bool kBug>
LS_KERNEL(kThreads)
shift_left(const int* in, int* out) {
  if (threadIdx.x == 0) out[0] = static_cast<int>(1u << in[kBug ? 35 : 3]);
}
template <bool kBug>
Finding shift_too_far() {
  return right_if(run_on_counting(shift_left<kBug>, 1, kThreads, 1).size() == 1);
}

/// Needs `n` integers of dynamic shared memory.
template <int kUnused>
LS_KERNEL(kThreads)
use_dynamic(int* out, int n) {
  LS_DYNAMIC_SHARED(int, box);
  for (int i = static_cast<int>(threadIdx.x); i < n; i += kThreads) box[i] = i;
  __syncthreads();
  if (threadIdx.x == 0) out[0] = box[n - 1];
}
inline Finding use_dynamic_bytes(int n, std::size_t bytes) {
  int* out = nullptr;
  int last = 0;
  if (cudaMalloc(&out, sizeof(int)) != cudaSuccess) return Finding::kWrongResult;
  if (launch("use_dynamic", use_dynamic<0>, dim3(1), dim3(kThreads), bytes, nullptr, out, n) !=
      cudaSuccess) {
    return Finding::kLaunchRefused;
  }
  static_cast<void>(cudaMemcpy(&last, out, sizeof(int), cudaMemcpyDeviceToHost));
  static_cast<void>(cudaFree(out));
  return right_if(last == n - 1);
}
template <bool kBug>
Finding dynamic_shared_too_small() {
  return use_dynamic_bytes(127, (kBug ? 126 : 127) * sizeof(int));
}
template <bool kBug>
Finding dynamic_shared_too_large() {
  constexpr int kMost = 227 * 1024;
  const int bytes = kBug ? kMost + 4 : kMost;
  const cudaError_t error =
      cudaFuncSetAttribute(use_dynamic<0>, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
  if (error != cudaSuccess) return Finding::kLaunchRefused;
  return use_dynamic_bytes(bytes / 4, static_cast<std::size_t>(bytes));
}

/// Static shared memory beside the dynamic one that it gets as much of as a block can have.
template <int kUnused>
LS_KERNEL(kThreads)
use_both(int* out, int n) {
  LS_SHARED(first, int[1]);
  LS_DYNAMIC_SHARED(int, box);
  if (threadIdx.x != 0) return;
  first[0] = 1;
  for (int i = 0; i < n; ++i) box[i] = i;
  out[0] = box[n - 1] + first[0];
}
template <bool kBug>
Finding static_and_dynamic_shared_too_large() {
  const int bytes = 227 * 1024 - (kBug ? 0 : static_cast<int>(sizeof(int)));
  if (cudaFuncSetAttribute(use_both<0>, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes) !=
      cudaSuccess) {
    return Finding::kLaunchRefused;
  }
  int* out = nullptr;
  int last = 0;
  static_cast<void>(cudaMalloc(&out, sizeof(int)));
  static_cast<void>(launch("use_both", use_both<0>, dim3(1), dim3(kThreads),
                           static_cast<std::size_t>(bytes), nullptr, out, bytes / 4));
  static_cast<void>(cudaMemcpy(&last, out, sizeof(int), cudaMemcpyDeviceToHost));
  static_cast<void>(cudaFree(out));
  return right_if(last == bytes / 4);
}

/// Multiplies by a pitch in the wrong unit.
template <bool kBug>
LS_KERNEL(kThreads)
store_far(const int* in, int* out) {
  const std::int64_t row = threadIdx.x;
  const std::int64_t pitch = kBug ? std::int64_t{1} << 36 : 1;
  out[row * pitch] = in[row];
}
template <bool kBug>
Finding store_far_past_the_end() {
  return right_if(run_on_counting(store_far<kBug>, 1, kThreads, kThreads).at(9) == 9);
}

/// Half of a warp shuffles with the mask of the whole.
template <bool kBug>
LS_KERNEL(kThreads)
shuffle_half(const int* in, int* out) {
  const int i = static_cast<int>(threadIdx.x);
  int value = in[i];
  if (i < 16) value = __shfl_sync(kBug ? kAllLanes : 0xffffu, value, 3);
  if (i == 0) out[0] = value;
}
template <bool kBug>
Finding shuffle_in_half_a_warp() {
  return right_if(run_on_counting(shuffle_half<kBug>, 1, kThreads, 1).at(0) == 3);
}

/// Reads from a lane that is not in the mask.
template <bool kBug>
LS_KERNEL(kThreads)
shuffle_outside(const int* in, int* out) {
  const int i = static_cast<int>(threadIdx.x);
  if (i >= 16) return;
  const int value = __shfl_sync(0xffffu, in[i], kBug ? 20 : 12);
  if (i == 0) out[0] = value;
}
template <bool kBug>
Finding shuffle_from_outside_the_mask() {
  const int value = run_on_counting(shuffle_outside<kBug>, 1, kThreads, 1).at(0);
  return right_if(value == (kBug ? 20 : 12));
}

/// Lanes of one warp reach the same operation at two places.
template <bool kBug>
LS_KERNEL(kThreads)
vote_at_two_places(const int* in, int* out) {
  const int i = static_cast<int>(threadIdx.x);
  unsigned votes = 0;
  if (kBug && i % 2 == 0) {
    votes = __ballot_sync(kAllLanes, in[i] >= 0);
  } else {
    votes = __ballot_sync(kBug ? kAllLanes : __ballot_sync(kAllLanes, 1), in[i] >= 0);
  }
  if (i == 0) out[0] = __popc(votes);
}
template <bool kBug>
Finding warp_operation_at_two_places() {
  return right_if(run_on_counting(vote_at_two_places<kBug>, 1, kThreads, 1).at(0) == 32);
}

/// Threads wait at two barriers for each other.
template <bool kBug>
LS_KERNEL(kThreads)
meet_at_two_places(const int* in, int* out) {
  const int i = static_cast<int>(threadIdx.x);
  if (kBug && i < 32) {
    __syncthreads();
  } else {
    __syncthreads();
  }
  if (i == 0) out[0] = in[1];
}
template <bool kBug>
Finding barrier_at_two_places() {
  return right_if(run_on_counting(meet_at_two_places<kBug>, 1, kThreads, 1).at(0) == 1);
}

/// A loop with a barrier that some threads leave earlier.
template <bool kBug>
LS_KERNEL(kThreads)
loop_with_barrier(const int* in, int* out) {
  const int i = static_cast<int>(threadIdx.x);
  const int trips = kBug && i == 100 ? 2 : 3;
  for (int t = 0; t < trips; ++t) __syncthreads();
  if (i == 0) out[0] = in[1];
}
template <bool kBug>
Finding unequal_trip_counts() {
  return right_if(run_on_counting(loop_with_barrier<kBug>, 1, kThreads, 1).at(0) == 1);
}

/// Each block waits for the next one, whichever starts first.
template <bool kBug>
LS_KERNEL(kThreads)
wait_for_all_blocks(const int*, int* out) {
  if (threadIdx.x != 0) return;
  atomicAdd(out, 1);
  if (!kBug) return;
  while (atomicAdd(out, 0) < static_cast<int>(gridDim.x)) __nanosleep(100);
}
template <bool kBug>
Finding spin_on_block_that_is_not_resident() {
  return right_if(run_on_counting(wait_for_all_blocks<kBug>, 8, 1, 1).at(0) == 8);
}

/// A big array of each thread's own is no fault.
template <bool>
LS_KERNEL(kThreads)
use_big_local_array(const int* in, int* out) {
  int local[2048];
  for (int k = 0; k < 2048; ++k) local[k] = in[(static_cast<int>(threadIdx.x) + k) % kThreads];
  __syncthreads();
  out[threadIdx.x] = local[in[threadIdx.x] * 16];
}
template <bool kBug>
Finding big_local_array() {
  const int value = run_on_counting(use_big_local_array<kBug>, 1, kThreads, kThreads).at(1);
  return right_if(value == 17);
}

/// An overrun through a pointer, which no array type can show.
template <bool kBug>
LS_KERNEL(kThreads)
overrun_by_pointer(const int* in, int* out) {
  LS_SHARED(box, int[40]);
  int* const start = box;
  const int i = static_cast<int>(threadIdx.x);
  if (i < (kBug ? 41 : 40)) start[i] = in[i];
  __syncthreads();
  if (i == 0) out[0] = start[39];
}
template <bool kBug>
Finding shared_overrun_by_pointer() {
  return right_if(run_on_counting(overrun_by_pointer<kBug>, 1, kThreads, 1).at(0) == 39);
}

/// Host code reads device memory.
template <bool kBug>
Finding host_reads_device_memory() {
  int* device = nullptr;
  int host = 3;
  if (cudaMalloc(&device, sizeof(int)) != cudaSuccess) return Finding::kWrongResult;
  static_cast<void>(cudaMemcpy(device, &host, sizeof(int), cudaMemcpyHostToDevice));
  static_cast<void>(cudaMemcpy(&host, device, sizeof(int), cudaMemcpyDeviceToHost));
  const int value = kBug ? *static_cast<volatile int*>(device) : host;
  static_cast<void>(cudaFree(device));
  return right_if(value == 3);
}

}  // namespace cuemu_test
