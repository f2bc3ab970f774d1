// Tests for host/cuda/memory.h: every error of the runtime becomes the exception whose exit code
// is documented, and owners give back what they own, once.
#include "host/cuda/memory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <type_traits>

#include <cuemu/control.h>
#include "host/backend/arena.h"

namespace lockstep::cuda {
namespace memory_test {

using testing::AllOf;
using testing::HasSubstr;

/// Exit code and message of what cuda_check() throws.
std::string thrown(cudaError_t status) {
  try {
    cuda_check(status, "trying");
  } catch (const Error& error) {
    return std::to_string(static_cast<int>(error.exit_code())) + " " + error.what();
  }
  return "nothing";
}

TEST(CudaCheck, EveryErrorHasItsExitCode) {
  EXPECT_EQ(thrown(cudaSuccess), "nothing");
  EXPECT_THAT(thrown(cudaErrorMemoryAllocation), HasSubstr("9 CUDA: trying: "));
  for (const cudaError_t none :
       {cudaErrorNoDevice, cudaErrorInvalidDevice, cudaErrorNoKernelImageForDevice,
        cudaErrorInvalidDeviceFunction, cudaErrorInsufficientDriver, cudaErrorUnsupportedPtxVersion,
        cudaErrorInitializationError}) {
    EXPECT_THAT(thrown(none), HasSubstr("3 CUDA: ")) << none;
  }
  for (const cudaError_t wrong :
       {cudaErrorInvalidValue, cudaErrorInvalidConfiguration, cudaErrorInvalidResourceHandle,
        cudaErrorNotReady, cudaErrorStreamCaptureUnsupported, cudaErrorStreamCaptureImplicit,
        cudaErrorNotSupported}) {
    EXPECT_THAT(thrown(wrong), HasSubstr("1 CUDA: trying: ")) << wrong;
  }
  for (const cudaError_t lost :
       {cudaErrorIllegalAddress, cudaErrorLaunchFailure, cudaErrorECCUncorrectable,
        cudaErrorMisalignedAddress, cudaErrorIllegalInstruction, cudaErrorAssert,
        cudaErrorLaunchTimeout, cudaErrorUnknown}) {
    EXPECT_THAT(thrown(lost), HasSubstr("10 CUDA: trying: ")) << lost;
  }
}

TEST(CudaCheck, NamesTheErrorAndThePlace) {
  EXPECT_THAT(thrown(cudaErrorIllegalAddress),
              AllOf(HasSubstr("cudaErrorIllegalAddress"), HasSubstr("memory_test.cpp:")));
}

TEST(CudaCheck, ClearsTheLastError) {
  void* memory = nullptr;
  EXPECT_NE(cudaMalloc(&memory, SIZE_MAX / 2), cudaSuccess);
  EXPECT_NE(cudaPeekAtLastError(), cudaSuccess);
  EXPECT_THROW(cuda_check(cudaErrorMemoryAllocation, "trying"), OutOfMemory);
  EXPECT_EQ(cudaPeekAtLastError(), cudaSuccess);
}

TEST(DeviceMemory, TellsWhatWasWantedAndWhatIsFree) {
  EXPECT_THAT([] { device_memory(std::int64_t{1} << 50, "use less"); },
              testing::ThrowsMessage<OutOfMemory>(testing::MatchesRegex(
                  "out of device memory: wanted 1125899906842624 bytes, [0-9]+ of [0-9]+ free; "
                  "use less")));
  EXPECT_EQ(cudaPeekAtLastError(), cudaSuccess);
}

TEST(Owners, AreMovedAndGiveBackOnce) {
  static_assert(!std::is_copy_constructible_v<Stream> && !std::is_copy_assignable_v<Event>);
  static_assert(!std::is_copy_constructible_v<DeviceMemory>);
  const long before = cuemu_live_objects();
  {
    Stream a = make_stream();
    const Event event = make_event();
    DeviceMemory memory = device_memory(1000, "");
    const PinnedMemory pinned = pinned_memory(1000);
    EXPECT_EQ(cuemu_live_objects(), before + 4);
    const cudaStream_t handle = a.get();
    Stream b = std::move(a);
    EXPECT_EQ(b.get(), handle);
    EXPECT_FALSE(a);
    a = std::move(b);
    EXPECT_EQ(a.get(), handle);
    memory = device_memory(2000, "");
    EXPECT_EQ(memory.bytes(), 2000);
    EXPECT_EQ(cuemu_live_objects(), before + 4);
  }
  EXPECT_EQ(cuemu_live_objects(), before);
}

TEST(Owners, GrowKeepsMemoryThatIsLargeEnough) {
  DeviceMemory memory;
  const auto make = [](std::int64_t bytes) { return device_memory(bytes, ""); };
  grow(memory, 1000, make);
  std::byte* const first = memory.data();
  EXPECT_EQ(memory.bytes(), 1500);
  grow(memory, 1500, make);
  EXPECT_EQ(memory.data(), first);
  grow(memory, 1501, make);
  EXPECT_GE(memory.bytes(), 1501);
}

TEST(Arena, CountsAndPlacesAlike) {
  struct Fields {
    float* a;
    std::uint16_t* b;
    double* none;
    char* c;
  } fields{};
  const auto place = [&](Arena& arena) {
    arena.place(fields.a, 65);
    arena.place(fields.b, 1);
    arena.place(fields.none, 0);
    arena.place(fields.c, std::int64_t{1} << 40);
  };
  EXPECT_EQ(arena_bytes(place), 512 + 256 + (std::int64_t{1} << 40));
  EXPECT_EQ(fields.a, nullptr);
  alignas(256) std::byte memory[256];
  Arena arena(memory);
  place(arena);
  EXPECT_EQ(reinterpret_cast<std::byte*>(fields.a), memory);
  EXPECT_EQ(reinterpret_cast<std::byte*>(fields.b), memory + 512);
  EXPECT_EQ(fields.none, nullptr);
  EXPECT_EQ(reinterpret_cast<std::byte*>(fields.c), memory + 768);
}

}  // namespace memory_test
}  // namespace lockstep::cuda
