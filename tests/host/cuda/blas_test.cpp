// Tests for where host/cuda/blas.h loads its library from.
#include "host/cuda/blas.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "host/errors.h"
#include "tests/support/process.h"

namespace lockstep {
namespace blas_test {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

class LoadLibraryTest : public ::testing::Test {
 protected:
  /// A Python with this module under `name` among NVIDIA's packages.
  void install(const std::string& module, const std::string& name) {
    const auto folder = folder_ / "lib/python3.12/site-packages/nvidia/cu13/lib";
    std::filesystem::create_directories(folder);
    std::filesystem::create_directories(folder_ / "bin");
    test::spill(folder_ / "bin/python3", "");
    test::spill(folder / name, module);
    setenv("PATH", (folder_ / "bin").c_str(), 1);
    setenv("HOME", folder_.path().c_str(), 1);
    unsetenv("PYTHONPATH");
  }
  test::ScratchFolder folder_;
};

TEST_F(LoadLibraryTest, AMissingLibraryIsNamed) {
  EXPECT_THAT(
      [] {
        cuda::load_library({"libno-such-blas.so.1", "libno-such-blas.so.2"}, "none");
      },
      ThrowsMessage<DeviceUnavailable>(
          AllOf(HasSubstr("needs cuBLAS"), HasSubstr("libno-such-blas.so.2"))));
}

TEST_F(LoadLibraryTest, OneThatCameWithAPythonPackageIsFound) {
  install(test::slurp(LS_MODULE), "libno-such-blas.so.1");
  EXPECT_NE(cuda::load_library({"libno-such-blas.so.1"}, "libno-such-blas.so.1"), nullptr);
}

TEST_F(LoadLibraryTest, OneThatCannotBeLoadedIsNamed) {
  install("no module", "libno-such-blas.so.2");
  EXPECT_THAT([] { cuda::load_library({"libno-such-blas.so.2"}, "libno-such-blas.so.2"); },
              ThrowsMessage<DeviceUnavailable>(HasSubstr("cu13/lib/libno-such-blas.so.2: ")));
}

}  // namespace blas_test
}  // namespace lockstep
