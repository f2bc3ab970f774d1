// Warp operations and barriers against naive loops over the lanes.
#include "tests/emulator/device_test.h"

#include <algorithm>
#include <numeric>
#include <set>

namespace cuemu_test {
namespace collective_test {

constexpr int kResults = 20;

// lane value: a number that is not monotone in the lane and changes sign
__device__ int value_of(int lane) { return (lane * 37 + 11) % 64 - 20; }

template <int kUnused>
LS_KERNEL(64)
warp_operations(int* out, unsigned mask, int width) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  if ((mask >> lane & 1u) == 0) return;
  int* const mine = out + static_cast<int>(threadIdx.x) * kResults;
  const int value = value_of(lane);
  int k = 0;
  mine[k++] = __shfl_sync(mask, value, 5, width);
  mine[k++] = __shfl_sync(mask, value, lane + 3, width);
  mine[k++] = __shfl_up_sync(mask, value, 2, width);
  mine[k++] = __shfl_down_sync(mask, value, 3, width);
  mine[k++] = __shfl_xor_sync(mask, value, 6, width);
  mine[k++] = static_cast<int>(__ballot_sync(mask, value > 0));
  mine[k++] = __any_sync(mask, value == value_of(0));
  mine[k++] = __all_sync(mask, value < 44);
  mine[k++] = __all_sync(mask, value > 0);
  mine[k++] = static_cast<int>(__match_any_sync(mask, value & 3));
  mine[k++] = __reduce_add_sync(mask, value);
  mine[k++] = __reduce_min_sync(mask, value);
  mine[k++] = __reduce_max_sync(mask, value);
  mine[k++] = static_cast<int>(__reduce_min_sync(mask, static_cast<unsigned>(value)));
  mine[k++] = static_cast<int>(__reduce_max_sync(mask, static_cast<unsigned>(value)));
  mine[k++] = static_cast<int>(__reduce_and_sync(mask, static_cast<unsigned>(value)));
  mine[k++] = static_cast<int>(__reduce_or_sync(mask, static_cast<unsigned>(value)));
  mine[k++] = static_cast<int>(__reduce_xor_sync(mask, static_cast<unsigned>(value)));
  const double wide = __shfl_xor_sync(mask, value * 1.5, 1, width);
  mine[k++] = static_cast<int>(wide * 2);
  const long long big = __shfl_xor_sync(mask, 10000000000ll * value, 1, width);
  mine[k++] = static_cast<int>(big / 10000000000ll);
}

constexpr int kAbsent = static_cast<int>(0xdbdbdbdbu);

// What the CUDA C++ Programming Guide (warp shuffle, vote, match and reduce functions) says lane
// gets.
std::vector<int> expected_of(int lane, unsigned mask, int width) {
  std::vector<int> lanes;
  for (int i = 0; i < 32; ++i) {
    if (mask >> i & 1u) lanes.push_back(i);
  }
  const int segment = lane / width * width;
  const auto of = [&](int source) { return mask >> source & 1u ? value_of(source) : kAbsent; };
  const auto fold = [&](auto change) {
    int total = value_of(lanes[0]);
    for (std::size_t i = 1; i < lanes.size(); ++i) total = change(total, value_of(lanes[i]));
    return total;
  };
  const auto votes = [&](auto holds) {
    unsigned bits = 0;
    for (const int i : lanes) bits |= holds(value_of(i)) ? 1u << i : 0;
    return bits;
  };
  const auto by_size = [](unsigned a, unsigned b) { return a < b; };
  const auto smaller = [&](int a, int b) {
    return by_size(static_cast<unsigned>(a), static_cast<unsigned>(b)) ? a : b;
  };
  const auto larger = [&](int a, int b) { return smaller(a, b) == a ? b : a; };
  const int own = value_of(lane);
  return {of(segment + 5 % width),
          of(segment + (lane + 3) % width),
          of(lane - 2 >= segment ? lane - 2 : lane),
          of(lane + 3 < segment + width ? lane + 3 : lane),
          of((lane ^ 6) < segment + width ? lane ^ 6 : lane),
          static_cast<int>(votes([](int v) { return v > 0; })),
          votes([](int v) { return v == value_of(0); }) != 0,
          votes([](int v) { return v < 44; }) == mask,
          votes([](int v) { return v > 0; }) == mask,
          static_cast<int>(votes([&](int v) { return (v & 3) == (own & 3); })),
          fold([](int a, int b) { return a + b; }),
          fold([](int a, int b) { return std::min(a, b); }),
          fold([](int a, int b) { return std::max(a, b); }),
          fold(smaller),
          fold(larger),
          fold([](int a, int b) { return a & b; }),
          fold([](int a, int b) { return a | b; }),
          fold([](int a, int b) { return a ^ b; }),
          3 * of(lane ^ 1),
          of(lane ^ 1)};
}

TEST(WarpTest, OperationsAgreeWithTheirDefinition) {
  constexpr int kThreads = 64;
  std::vector<int> host(kThreads * kResults);
  const Integers out(host.size());
  // the lower two masks leave lanes out in pairs, so that xor 1 always has a partner
  for (const unsigned mask : {0xffffffffu, 0x0000ffffu, 0x3f0cc3f3u}) {
    for (const int width : {2, 8, 16, 32}) {
      ASSERT_OK(launch("warp", warp_operations<0>, dim3(1), dim3(kThreads), 0, nullptr, out, mask,
                       width));
      ASSERT_OK(cudaMemcpy(host.data(), out, host.size() * sizeof(int), cudaMemcpyDeviceToHost));
      for (int i = 0; i < kThreads; ++i) {
        if ((mask >> (i % 32) & 1u) == 0) continue;
        const auto first = host.begin() + i * kResults;
        EXPECT_EQ(std::vector<int>(first, first + kResults), expected_of(i % 32, mask, width))
            << "thread " << i << " mask " << std::hex << mask << " width " << std::dec << width;
      }
    }
  }
}

template <int kUnused>
LS_KERNEL(96)
count_at_barriers(int* out) {
  const int i = static_cast<int>(threadIdx.x);
  const int count = __syncthreads_count(i % 3 == 0);
  const int none = __syncthreads_or(i > 1000);
  const int some = __syncthreads_or(i == 95);
  const int all = __syncthreads_and(i < 96);
  const int not_all = __syncthreads_and(i != 50);
  out[i] = count + 100 * none + 200 * some + 400 * all + 800 * not_all;
}

TEST(BarrierTest, PredicatesAreCountedOverTheBlock) {
  const Integers out(96);
  std::vector<int> host(96);
  ASSERT_OK(launch("count", count_at_barriers<0>, dim3(1), dim3(96), 0, nullptr, out));
  ASSERT_OK(cudaMemcpy(host.data(), out, 96 * sizeof(int), cudaMemcpyDeviceToHost));
  EXPECT_EQ(host, std::vector<int>(96, 32 + 200 + 400));
}

template <int kUnused>
LS_KERNEL(64)
note_places(int* out) {
  const unsigned block = blockIdx.x + gridDim.x * (blockIdx.y + gridDim.y * blockIdx.z);
  const unsigned thread = threadIdx.x + blockDim.x * (threadIdx.y + blockDim.y * threadIdx.z);
  atomicAdd(out + block * (blockDim.x * blockDim.y * blockDim.z) + thread, 1);
}

TEST(LaunchTest, EveryThreadOfEveryBlockRunsOnce) {
  constexpr int kAll = 2 * 3 * 4 * 5 * 3 * 2;
  const Integers out(kAll);
  std::vector<int> host(kAll);
  ASSERT_OK(cudaMemset(out, 0, kAll * sizeof(int)));
  ASSERT_OK(launch("places", note_places<0>, dim3(2, 3, 4), dim3(5, 3, 2), 0, nullptr, out));
  ASSERT_OK(cudaMemcpy(host.data(), out, kAll * sizeof(int), cudaMemcpyDeviceToHost));
  EXPECT_EQ(host, std::vector<int>(kAll, 1));
}

struct Pair {
  int a, b;
};

template <int kUnused>
LS_KERNEL(32)
share(Pair by_value, int* out) {
  LS_SHARED(pairs, std::pair<int, Pair>[2]);
  LS_DYNAMIC_SHARED(Pair, more);
  if (threadIdx.x == 0) {
    out[2 * blockIdx.x] =
        pairs[1].second.b + more[1].a;  // -1 each: nobody wrote them in this block
    pairs[1].second.b = by_value.b;
    more[1].a = by_value.a;
    by_value.a = 100;  // this thread's copy
  }
  __syncthreads();
  if (threadIdx.x == 1) out[2 * blockIdx.x + 1] = pairs[1].second.b + more[1].a + by_value.a;
}

TEST(SharedTest, IsNewInEveryBlockAndArgumentsAreCopies) {
  const Integers out(6);
  std::vector<int> host(6);
  ASSERT_OK(
      launch("share", share<0>, dim3(3), dim3(32), 2 * sizeof(Pair), nullptr, Pair{1, 20}, out));
  ASSERT_OK(cudaMemcpy(host.data(), out, 6 * sizeof(int), cudaMemcpyDeviceToHost));
  EXPECT_EQ(host, (std::vector<int>{-2, 22, -2, 22, -2, 22}));
}

}  // namespace collective_test
}  // namespace cuemu_test
