// Linked to tests that compute on a real device: without one they are skipped, or fail where
// LS_REQUIRE_GPU=1 says that there must be one.
#include <cuda_runtime.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string_view>

/// What tests/support/cuda_devices.h asks of the emulator: a real device stays what it is.
extern "C" bool cuemu_set_device(const char*) { return true; }

namespace lockstep::test {
namespace {

class DeviceEnvironment : public ::testing::Environment {
 public:
  void SetUp() override {
    int devices = 0;
    const cudaError_t status = cudaGetDeviceCount(&devices);
    if (status == cudaSuccess && devices > 0) return;
    const char* const reason = status == cudaSuccess ? "none" : cudaGetErrorName(status);
    const char* const required = std::getenv("LS_REQUIRE_GPU");
    if (required != nullptr && std::string_view(required) == "1") {
      // not FAIL(): the tests would then be reported as skipped, and ctest believes that
      std::fprintf(stderr, "no CUDA device, but LS_REQUIRE_GPU=1: %s\n", reason);
      std::exit(1);
    }
    std::printf("[  SKIPPED ] no CUDA device: %s\n", reason);  // the words ctest looks for
    std::fflush(stdout);
    GTEST_SKIP();
  }
};

const ::testing::Environment* const kEnvironment =
    ::testing::AddGlobalTestEnvironment(new DeviceEnvironment);

}  // namespace
}  // namespace lockstep::test
