#include "tests/emulator/device_test.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <string>

namespace cuemu_test {
namespace memory_test {

constexpr std::size_t kInt = sizeof(int);

/// What a kernel finds in memory that nobody wrote, by way of memory that somebody does.
int found_at(const int* place) {
  const Integers read(1);
  EXPECT_OK(add_on(nullptr, place, read, 1));
  return read.value() - 1;
}

TEST(MemoryTest, NewMemoryHoldsNothingPlausible) {
  const Integers device(3);
  const Integers pinned(3, true);
  for (int i = 0; i < 3; ++i) {
    EXPECT_LT(found_at(device + i), 0);
    EXPECT_TRUE(std::isnan(std::bit_cast<float>(found_at(device + i))));
  }
  EXPECT_EQ(pinned[2], -1);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(static_cast<int*>(device)) % 256, 0u);
}

TEST(MemoryDeathTest, WhatNobodyWroteIsNotCopiedToTheHost) {
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  constexpr std::size_t kCount = 5;
  const auto copy_but = [](std::size_t gap, bool pinned) {
    const Stream stream;
    const Integers device(kCount);
    const Integers target(kCount, true);
    int host[kCount] = {};
    for (std::size_t i = 0; i < kCount; ++i) {
      if (i == gap) continue;
      ASSERT_OK(set_on(stream, device + i, static_cast<int>(i)));
    }
    ASSERT_OK(cudaMemcpyAsync(pinned ? static_cast<int*>(target) : host, device, sizeof host,
                              cudaMemcpyDeviceToHost, stream));
    ASSERT_OK(cudaStreamSynchronize(stream));
    EXPECT_EQ(pinned ? target[4] : host[4], 4);
  };
  copy_but(kCount, false);  // whole
  copy_but(kCount, true);
  for (const bool pinned : {false, true}) {
    for (const std::size_t gap : {std::size_t{0}, std::size_t{2}, kCount - 1}) {
      EXPECT_EXIT(copy_but(gap, pinned), testing::ExitedWithCode(86),
                  "20 bytes to the host: nobody wrote the one at " + std::to_string(4 * gap));
    }
  }
}

TEST(MemoryTest, NothingIsAllocatedForNoBytes) {
  void* memory = &memory;
  EXPECT_OK(cudaMalloc(&memory, 0));
  EXPECT_EQ(memory, nullptr);
  EXPECT_OK(cudaFree(nullptr));
  EXPECT_OK(cudaFreeHost(nullptr));
  EXPECT_EQ(cudaMalloc(static_cast<void**>(nullptr), 4), cudaErrorInvalidValue);
}

TEST(MemoryTest, DeviceIsFullAtItsSize) {
  std::size_t free_bytes = 0;
  std::size_t total = 0;
  ASSERT_OK(cudaMemGetInfo(&free_bytes, &total));
  int* memory = nullptr;
  EXPECT_EQ(cudaMalloc(&memory, free_bytes + 1), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaMalloc(&memory, SIZE_MAX), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaGetLastError(), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess) << "it does not stay";
  const Integers some(1000);
  std::size_t left = 0;
  ASSERT_OK(cudaMemGetInfo(&left, &total));
  EXPECT_EQ(left, free_bytes - 1000 * kInt);
  EXPECT_EQ(cudaMalloc(&memory, left + 1), cudaErrorMemoryAllocation);
  static_cast<void>(cudaGetLastError());
}

TEST(MemoryTest, FreesOnlyWhatItAllocated) {
  int on_host = 0;
  const Integers device(4);
  const Integers pinned(4, true);
  EXPECT_EQ(cudaFree(&on_host), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFree(device + 1), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFree(pinned), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFreeHost(device), cudaErrorInvalidValue);
  static_cast<void>(cudaGetLastError());
}

TEST(MemoryTest, FreeWaitsForTheWorkThatUsesIt) {
  const Stream stream;
  int* memory = nullptr;
  ASSERT_OK(cudaMalloc(&memory, kInt));
  ASSERT_OK(set_on(stream, memory, 1));
  const long before = cuemu_counters().kernels;
  ASSERT_OK(cudaFree(memory));
  EXPECT_EQ(cuemu_counters().kernels, before + 1);
}

TEST(CopyTest, RefusesWhatDoesNotFitItsAllocation) {
  const Integers device(4);
  int host[8] = {};
  ASSERT_OK(cudaMemcpy(device, host, 4 * kInt, cudaMemcpyHostToDevice));
  EXPECT_EQ(cudaMemcpy(device, host, 5 * kInt, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(host, device + 2, 3 * kInt, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemset(device, 0, 5 * kInt), cudaErrorInvalidValue);
  EXPECT_OK(cudaMemcpy(host, device + 2, 2 * kInt, cudaMemcpyDeviceToHost));
  static_cast<void>(cudaGetLastError());
}

TEST(CopyTest, RefusesTheWrongDirection) {
  const Integers device(4);
  const Integers pinned(4, true);
  int host[4] = {};
  EXPECT_EQ(cudaMemcpy(host, device, 4, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(device, host, 4, cudaMemcpyDeviceToDevice), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(host, pinned, 4, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpy(host, device, 4, static_cast<cudaMemcpyKind>(7)),
            cudaErrorInvalidMemcpyDirection);
  EXPECT_EQ(cudaMemset(host, 0, 4), cudaErrorInvalidValue);
  EXPECT_OK(cudaMemcpy(device, host, 4, cudaMemcpyDefault));
  EXPECT_OK(cudaMemcpy(host, pinned, 4, cudaMemcpyHostToHost));
  static_cast<void>(cudaGetLastError());
}

TEST(CopyTest, PageableSourceIsReadAtTheCallAndPinnedAtTheCopy) {
  const Stream stream;
  const Integers device(1);
  const Integers pinned(1, true);
  int pageable = 1;
  ASSERT_OK(cudaMemcpyAsync(device, &pageable, kInt, cudaMemcpyHostToDevice, stream));
  pageable = 2;
  ASSERT_OK(cudaStreamSynchronize(stream));
  EXPECT_EQ(device.value(), 1);
  *pinned = 3;
  ASSERT_OK(cudaMemcpyAsync(device, pinned, kInt, cudaMemcpyHostToDevice, stream));
  *pinned = 4;
  ASSERT_OK(cudaStreamSynchronize(stream));
  EXPECT_EQ(device.value(), 4);
}

TEST(CopyTest, PageableTargetIsFilledWhenTheCallReturns) {
  const Stream stream;
  const Integers device(1);
  int host = 0;
  const long before = cuemu_counters().synchronisations;
  ASSERT_OK(set_on(stream, device, 8));
  ASSERT_OK(cudaMemcpyAsync(&host, device, kInt, cudaMemcpyDeviceToHost, stream));
  EXPECT_EQ(host, 8);
  EXPECT_EQ(cuemu_counters().synchronisations, before + 1) << "a wait the host may not know of";
}

TEST(CopyTest, PinnedCopiesWaitForNothing) {
  const Stream stream;
  const Integers device(1);
  const Integers other(1);
  const Integers pinned(1, true);
  const cuemu::Counters before = cuemu_counters();
  ASSERT_OK(cudaMemcpyAsync(device, pinned, kInt, cudaMemcpyHostToDevice, stream));
  ASSERT_OK(cudaMemcpyAsync(other, device, kInt, cudaMemcpyDeviceToDevice, stream));
  ASSERT_OK(cudaMemcpyAsync(pinned, other, kInt, cudaMemcpyDeviceToHost, stream));
  ASSERT_OK(cudaMemsetAsync(device, 0, kInt, stream));
  const cuemu::Counters after = cuemu_counters();
  EXPECT_EQ(after.copies, before.copies + 4);
  EXPECT_EQ(after.synchronisations, before.synchronisations);
  EXPECT_EQ(after.allocations, before.allocations);
}

}  // namespace memory_test
}  // namespace cuemu_test
