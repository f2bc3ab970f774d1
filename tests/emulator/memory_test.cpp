#include "tests/emulator/device_test.h"

#include <cstdint>

namespace cuemu_test {
namespace {

constexpr std::size_t kInt = sizeof(int);

TEST(MemoryTest, NewMemoryHoldsNothingPlausible) {
  const Integers device(3);
  const Integers pinned(3, true);
  int host[3] = {};
  ASSERT_OK(cudaMemcpy(host, device, sizeof host, cudaMemcpyDeviceToHost));
  EXPECT_EQ(host[2], -1);
  EXPECT_EQ(pinned[2], -1);
  EXPECT_EQ(reinterpret_cast<std::uintptr_t>(static_cast<int*>(device)) % 256, 0u);
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

}  // namespace
}  // namespace cuemu_test
