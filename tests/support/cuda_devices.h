// Kinds of devices, for tests of what runs on which: the emulator becomes one, a real device stays
// what it is and is offered to kernels as if it had no more shared memory.
#pragma once

#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/support/cuda_array.h"

extern "C" bool cuemu_set_device(const char* name);  // the emulator's; or cuda_device.cpp's

namespace lockstep::test {

/// Bytes of shared memory a block can have on the first device.
inline int offered_shared_bytes() {
  int bytes = 0;
  require_cuda(cudaDeviceGetAttribute(&bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin, 0));
  return bytes;
}

struct DeviceKind {
  const char* name;  // of LS_EMULATOR_DEVICE
  int shared_bytes;  // of shared memory, the most of a block
};
inline constexpr DeviceKind kUsualDevice{"h200", 227 << 10};
inline constexpr DeviceKind kDeviceKinds[] = {
    {"t4", 64 << 10}, {"rtx", 99 << 10}, {"a100", 163 << 10}, kUsualDevice};

/// While it lives, devices are of a kind.
class DeviceOfKind {
 public:
  explicit DeviceOfKind(const DeviceKind& kind) : kind_(kind) {
    EXPECT_TRUE(cuemu_set_device(kind.name)) << kind.name;
  }
  ~DeviceOfKind() { cuemu_set_device(kUsualDevice.name); }
  DeviceOfKind(const DeviceOfKind&) = delete;
  DeviceOfKind& operator=(const DeviceOfKind&) = delete;

  /// Bytes of shared memory a block can have.
  int shared_bytes() const { return std::min(offered_shared_bytes(), kind_.shared_bytes); }

 private:
  DeviceKind kind_;
};

}  // namespace lockstep::test
