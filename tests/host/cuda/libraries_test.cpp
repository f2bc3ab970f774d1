// Tests for host/cuda/libraries.h on made folders: the layouts in which pip installs NVIDIA's
// libraries, for a virtual environment, for a user and by PYTHONPATH.
#include "host/cuda/libraries.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/support/process.h"

namespace lockstep {
namespace libraries_test {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class PythonLibrariesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    setenv("PATH", (folder_ / "empty").c_str(), 1);
    setenv("HOME", (folder_ / "nobody").c_str(), 1);
    unsetenv("PYTHONPATH");
  }
  fs::path make(const std::string& name) {
    fs::create_directories((folder_ / name).parent_path());
    test::spill(folder_ / name, "");
    return folder_ / name;
  }
  static std::vector<fs::path> find() {
    std::vector<fs::path> found = cuda::python_libraries("libcublas.so.13");
    for (fs::path& path : found) path = fs::canonical(path);
    return found;
  }
  test::ScratchFolder folder_;
};

TEST_F(PythonLibrariesTest, ThoseOfThePythonOnThePathAreFound) {
  const std::string packages = "venv/lib/python3.12/site-packages/nvidia/";
  const fs::path whole = make(packages + "cu13/lib/libcublas.so.13");
  const fs::path single = make(packages + "cublas/lib/libcublas.so.13");
  make(packages + "cublas/lib/libcublas.so.12");
  setenv("PATH", ((folder_ / "empty").string() + "::" + (folder_ / "venv/bin").string()).c_str(),
         1);
  make("venv/bin/pip");
  EXPECT_THAT(find(), IsEmpty()) << "a folder of the path without a Python";
  make("venv/bin/python3");
  EXPECT_THAT(find(), ElementsAre(fs::canonical(whole), fs::canonical(single)));
}

TEST_F(PythonLibrariesTest, ThoseOfAUserAndOfPythonpathAreFound) {
  const fs::path user =
      make("nobody/.local/lib/python3.11/site-packages/nvidia/cu13/lib/libcublas.so.13");
  const fs::path debian = make("usr/lib/python3/dist-packages/nvidia/cu13/lib/libcublas.so.13");
  const fs::path carried = make("site/nvidia/cu13/lib/libcublas.so.13");
  make("usr/bin/python3");
  setenv("PATH", (folder_ / "usr/bin").c_str(), 1);
  setenv("PYTHONPATH", (folder_ / "site").c_str(), 1);
  EXPECT_THAT(find(),
              ElementsAre(fs::canonical(carried), fs::canonical(debian), fs::canonical(user)));
}

TEST_F(PythonLibrariesTest, WithoutVariablesNothingIsFound) {
  unsetenv("PATH");
  unsetenv("HOME");
  EXPECT_THAT(find(), IsEmpty());
}

}  // namespace libraries_test
}  // namespace lockstep
