// Errors, planted failures, devices and launches. The devices of a machine come from the
// environment, which is read once: those cases run in child processes.
#include "tests/emulator/device_test.h"
#include "tests/emulator/outcome.h"

#include <dlfcn.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>

namespace cuemu_test {
namespace runtime_test {

Finding right_if(bool right) { return right ? Finding::kRight : Finding::kWrongResult; }

LS_KERNEL(1024) do_nothing() {}
LS_KERNEL(1024) not_in_the_file() {}

void expect_in_child(Body body) {
  const Outcome outcome = run_child({}, body);
  EXPECT_EQ(outcome.letter, kClean) << outcome.text;
}

TEST(MachineTest, WithoutDriverEveryCallSaysSo) {
  expect_in_child([] {
    ::setenv("LS_EMULATOR_DRIVER", "0", 1);
    int count = 5;
    int version = 5;
    int* memory = nullptr;
    EXPECT_OK(cudaDriverGetVersion(&version));
    EXPECT_EQ(version, 0);
    EXPECT_OK(cudaRuntimeGetVersion(&version));
    EXPECT_EQ(version, CUDART_VERSION);
    EXPECT_EQ(cudaGetDeviceCount(&count), cudaErrorInsufficientDriver);
    EXPECT_EQ(count, 5) << "as the toolkit's runtime, it is left alone";
    EXPECT_EQ(cudaGetLastError(), cudaErrorInsufficientDriver);
    EXPECT_EQ(cudaGetLastError(), cudaErrorInsufficientDriver);
    EXPECT_EQ(cudaMalloc(&memory, 4), cudaErrorInsufficientDriver);
    EXPECT_EQ(set_on(nullptr, memory, 1), cudaErrorInsufficientDriver);
    return Finding::kRight;
  });
}

TEST(MachineTest, WithoutDeviceEveryCallSaysSo) {
  expect_in_child([] {
    ::setenv("LS_EMULATOR_DEVICES", "0", 1);
    int count = 5;
    EXPECT_EQ(cudaGetDeviceCount(&count), cudaErrorNoDevice);
    EXPECT_EQ(cudaSetDevice(0), cudaErrorNoDevice);
    return Finding::kRight;
  });
}

TEST(MachineTest, StreamsAndMemoryBelongToTheirDevice) {
  expect_in_child([] {
    ::setenv("LS_EMULATOR_DEVICES", "2", 1);
    ::setenv("LS_EMULATOR_MEMORY", "100000", 1);
    int count = 0;
    EXPECT_OK(cudaGetDeviceCount(&count));
    EXPECT_EQ(count, 2);
    EXPECT_EQ(cudaSetDevice(2), cudaErrorInvalidDevice);
    const Stream first;
    const Integers most_of_first(20000);
    EXPECT_OK(cudaSetDevice(1));
    const Integers most_of_second(20000);
    EXPECT_EQ(set_on(first, most_of_first, 1), cudaErrorInvalidResourceHandle);
    cudaDeviceProp properties;
    EXPECT_OK(cudaGetDeviceProperties(&properties, 1));
    EXPECT_EQ(properties.totalGlobalMem, 100000u);
    EXPECT_EQ(properties.major, 9);
    EXPECT_EQ(cudaGetDeviceProperties(&properties, 2), cudaErrorInvalidDevice);
    return Finding::kRight;
  });
}

TEST(MachineTest, EnvironmentPlantsAFailure) {
  expect_in_child([] {
    ::setenv("LS_EMULATOR_FAIL", "2:801", 1);
    int* memory = nullptr;
    EXPECT_OK(cudaMalloc(&memory, 4));
    EXPECT_EQ(cudaMemset(memory, 0, 4), cudaErrorNotSupported);
    EXPECT_OK(cudaMemset(memory, 0, 4));
    EXPECT_OK(cudaFree(memory));
    return Finding::kRight;
  });
}

TEST(MachineTest, EnvironmentSaysWhatTheDevicesAre) {
  expect_in_child([] {
    ::setenv("LS_EMULATOR_DEVICE", "rtx", 1);
    const auto value_of = [](cudaDeviceAttr attribute) {
      int value = 0;
      EXPECT_OK(cudaDeviceGetAttribute(&value, attribute, 0));
      return value;
    };
    EXPECT_EQ(value_of(cudaDevAttrComputeCapabilityMajor), 8);
    EXPECT_EQ(value_of(cudaDevAttrComputeCapabilityMinor), 9);
    EXPECT_EQ(value_of(cudaDevAttrMultiProcessorCount), 128);
    EXPECT_EQ(value_of(cudaDevAttrMaxSharedMemoryPerBlock), 48 << 10);
    EXPECT_EQ(value_of(cudaDevAttrMaxSharedMemoryPerBlockOptin), 99 << 10);
    cudaDeviceProp properties;
    EXPECT_OK(cudaGetDeviceProperties(&properties, 0));
    EXPECT_EQ(properties.sharedMemPerBlockOptin, std::size_t{99} << 10);
    const auto allow = [](int bytes) {
      return cudaFuncSetAttribute(do_nothing, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
    };
    EXPECT_OK(allow(99 << 10));
    EXPECT_EQ(allow((99 << 10) + 1), cudaErrorInvalidValue);
    int blocks = 0;
    EXPECT_OK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, do_nothing, 256, 0));
    EXPECT_EQ(blocks, 6);
    EXPECT_TRUE(cuemu_set_device("t4"));
    EXPECT_EQ(value_of(cudaDevAttrMaxSharedMemoryPerBlockOptin), 64 << 10);
    EXPECT_FALSE(cuemu_set_device("t5"));
    return Finding::kRight;
  });
}

TEST(MachineTest, ValuesThatCannotBeReadEndTheProcess) {
  for (const char* variable :
       {"LS_EMULATOR_SEED=x", "LS_EMULATOR_ORDER=up", "LS_EMULATOR_RESIDENT=0",
        "LS_EMULATOR_FAIL=3:", "LS_EMULATOR_DEVICES=-1", "LS_EMULATOR_DEVICE=t5",
        "LS_EMULATOR_SHARED=49151", "LS_EMULATOR_REGISTERS=/dev/null"}) {
    static const char* pair;
    pair = variable;
    const Outcome outcome = run_child({}, [] {
      std::string name = pair;
      const std::size_t equal = name.find('=');
      ::setenv(name.substr(0, equal).c_str(), name.c_str() + equal + 1, 1);
      int count = 0;
      return right_if(cudaGetDeviceCount(&count) != cudaSuccess);
    });
    EXPECT_EQ(outcome.letter, kStopped) << variable;
    EXPECT_NE(outcome.text.find(variable), std::string::npos) << outcome.text;
  }
}

/// Lets the emulator know what nvcc would make of do_nothing().
void tell_registers(int registers, int threads) {
  const auto file =
      std::filesystem::temp_directory_path() / ("registers-" + std::to_string(::getpid()));
  Dl_info module{};
  EXPECT_NE(dladdr(reinterpret_cast<void*>(do_nothing), &module), 0);
  std::ofstream(file) << std::hex
                      << reinterpret_cast<char*>(do_nothing) - static_cast<char*>(module.dli_fbase)
                      << std::dec << ' ' << registers << ' ' << threads << '\n';
  ::setenv("LS_EMULATOR_REGISTERS", file.c_str(), 1);
  EXPECT_OK(cudaSetDevice(0));  // reads it
  std::filesystem::remove(file);
}

cudaError_t launch_threads(unsigned threads) {
  return cuemu::launch("nothing", do_nothing, dim3(1), dim3(threads), 0, nullptr);
}

TEST(RegistersTest, ABlockHasWhatAMultiprocessorHas) {
  expect_in_child([] {
    tell_registers(73, 1024);  // 80 of a lane, 2560 of a warp: six a quarter
    EXPECT_OK(launch_threads(24 * 32));
    EXPECT_EQ(launch_threads(24 * 32 + 1), cudaErrorLaunchOutOfResources);
    EXPECT_EQ(cudaGetLastError(), cudaErrorLaunchOutOfResources);
    EXPECT_OK(launch_threads(24 * 32 - 31)) << "the error does not stay";
    int blocks = 0;
    EXPECT_OK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, do_nothing, 256, 0));
    EXPECT_EQ(blocks, 3);
    cudaFuncAttributes attributes;
    EXPECT_OK(cudaFuncGetAttributes(&attributes, do_nothing));
    EXPECT_EQ(attributes.numRegs, 73);
    return Finding::kRight;
  });
}

TEST(RegistersTest, ABlockKeepsWithinTheLaunchBounds) {
  expect_in_child([] {
    tell_registers(64, 256);
    EXPECT_OK(launch_threads(256));
    EXPECT_EQ(launch_threads(257), cudaErrorLaunchOutOfResources);
    return Finding::kRight;
  });
}

TEST(RegistersTest, AKernelThatTheFileDoesNotHaveEndsTheProcess) {
  const Outcome outcome = run_child({}, [] {
    tell_registers(64, 256);
    return right_if(cuemu::launch("forgotten", not_in_the_file, dim3(1), dim3(1), 0, nullptr) ==
                    cudaSuccess);
  });
  EXPECT_EQ(outcome.letter, kStopped);
  EXPECT_NE(outcome.text.find("no registers"), std::string::npos) << outcome.text;
}

TEST(LaunchTest, RefusesWhatTheDeviceRefuses) {
  expect_in_child([] {
    const auto launched = [](dim3 grid, dim3 block, std::size_t shared) {
      return cuemu::launch("nothing", do_nothing, grid, block, shared, nullptr);
    };
    EXPECT_OK(launched(dim3(1), dim3(1024), 48 << 10));
    EXPECT_EQ(launched(dim3(1), dim3(1025), 0), cudaErrorInvalidConfiguration);
    EXPECT_EQ(launched(dim3(1), dim3(32, 33), 0), cudaErrorInvalidConfiguration);
    EXPECT_EQ(launched(dim3(1), dim3(1, 1, 65), 0), cudaErrorInvalidConfiguration);
    EXPECT_EQ(launched(dim3(0), dim3(1), 0), cudaErrorInvalidConfiguration);
    EXPECT_EQ(launched(dim3(1), dim3(0), 0), cudaErrorInvalidConfiguration);
    EXPECT_EQ(launched(dim3(1, 65536), dim3(1), 0), cudaErrorInvalidConfiguration);
    EXPECT_EQ(launched(dim3(1), dim3(1), (48 << 10) + 1), cudaErrorInvalidValue);
    EXPECT_OK(cudaFuncSetAttribute(do_nothing, cudaFuncAttributeMaxDynamicSharedMemorySize, 60000));
    EXPECT_OK(launched(dim3(1), dim3(1), 60000));
    EXPECT_EQ(launched(dim3(1), dim3(1), 60001), cudaErrorInvalidValue);
    EXPECT_EQ(cudaFuncSetAttribute(do_nothing, cudaFuncAttributeMaxDynamicSharedMemorySize, 300000),
              cudaErrorInvalidValue);
    cudaFuncAttributes attributes;
    EXPECT_OK(cudaFuncGetAttributes(&attributes, do_nothing));
    EXPECT_EQ(attributes.maxDynamicSharedSizeBytes, 60000);
    int blocks = 0;
    EXPECT_OK(cudaOccupancyMaxActiveBlocksPerMultiprocessor(&blocks, do_nothing, 1024, 0));
    EXPECT_EQ(blocks, 2);
    return Finding::kRight;
  });
}

// A few calls of every kind; each says what it returned.
std::vector<cudaError_t> a_few_calls() {
  std::vector<cudaError_t> errors;
  int* memory = nullptr;
  cudaStream_t stream = nullptr;
  cudaEvent_t event = nullptr;
  errors.push_back(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
  errors.push_back(cudaEventCreate(&event));
  errors.push_back(cudaMalloc(&memory, 4));
  errors.push_back(launch("nothing", do_nothing, dim3(1), dim3(1), 0, stream));
  errors.push_back(cudaMemsetAsync(memory, 0, 4, stream));
  errors.push_back(cudaStreamSynchronize(stream));
  static_cast<void>(cudaFree(memory));
  if (event != nullptr) static_cast<void>(cudaEventDestroy(event));
  if (stream != nullptr) static_cast<void>(cudaStreamDestroy(stream));
  return errors;
}

TEST(PlantedFailureTest, EveryCallFailsInItsTurnAndInItsOwnWay) {
  expect_in_child([] {
    const cudaError_t own[] = {cudaErrorUnknown,          cudaErrorUnknown,
                               cudaErrorMemoryAllocation, cudaErrorLaunchFailure,
                               cudaErrorIllegalAddress,   cudaErrorIllegalAddress};
    for (long n = 1; n <= 6; ++n) {
      cuemu_set_fail(n);
      const std::vector<cudaError_t> errors = a_few_calls();
      for (long i = 0; i < n - 1; ++i) EXPECT_OK(errors[static_cast<std::size_t>(i)]) << n << i;
      const cudaError_t error = own[n - 1];
      EXPECT_EQ(errors[static_cast<std::size_t>(n - 1)], error) << n;
      const bool stays = n >= 4;
      for (std::size_t i = static_cast<std::size_t>(n); i < 6; ++i) {
        if (stays) {
          EXPECT_EQ(errors[i], error) << n << " " << i;
        }
      }
      EXPECT_EQ(cudaDeviceSynchronize(), stays ? error : cudaSuccess);
      EXPECT_EQ(cuemu_live_objects(), 0) << "releases take effect after a fault too: " << n;
    }
    cuemu_set_fail(7);
    for (const cudaError_t error : a_few_calls()) EXPECT_OK(error);
    EXPECT_EQ(cuemu_fallible_calls(), 6);
    return Finding::kRight;
  });
}

TEST(PlantedFailureTest, FaultDropsTheWorkThatWasQueued) {
  expect_in_child([] {
    const Integers value(1);
    {
      const Stream stream;
      EXPECT_OK(cudaMemset(value, 0, 4));
      EXPECT_OK(cudaDeviceSynchronize());
      EXPECT_OK(set_on(stream, value, 7));
      cuemu_set_fail(1);
      EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorIllegalAddress);
      EXPECT_EQ(cudaPeekAtLastError(), cudaErrorIllegalAddress);
      EXPECT_EQ(cudaGetLastError(), cudaErrorIllegalAddress);
      EXPECT_EQ(cudaGetLastError(), cudaErrorIllegalAddress) << "it stays";
      cuemu_set_fail(0);
    }
    EXPECT_OK(cudaDeviceSynchronize());
    EXPECT_EQ(value.value(), 0);
    return Finding::kRight;
  });
}

TEST(ErrorTest, LastErrorIsKeptForEachThreadUntilAsked) {
  expect_in_child([] {
    EXPECT_EQ(cudaFree(&errno), cudaErrorInvalidValue);
    EXPECT_EQ(cudaPeekAtLastError(), cudaErrorInvalidValue);
    EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidValue);
    EXPECT_OK(cudaGetLastError());
    EXPECT_STREQ(cudaGetErrorName(cudaErrorInvalidValue), "cudaErrorInvalidValue");
    EXPECT_STREQ(cudaGetErrorString(cudaErrorMemoryAllocation), "out of memory");
    EXPECT_STREQ(cudaGetErrorName(static_cast<cudaError_t>(1000)), "unrecognized error code");
    return Finding::kRight;
  });
}

}  // namespace runtime_test
}  // namespace cuemu_test
