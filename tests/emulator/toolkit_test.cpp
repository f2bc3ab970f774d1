// The emulator's constants, types, error texts and answers on a machine without a driver are those
// of the toolkit. toolkit_values.cpp, built with either's headers, prints them.
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

namespace cuemu_test {
namespace toolkit_test {

std::vector<std::string> lines_of(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "r"), ::pclose);
  std::string text;
  char buffer[4096];
  while (pipe != nullptr && std::fgets(buffer, sizeof buffer, pipe.get()) != nullptr) {
    text += buffer;
  }
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

TEST(ToolkitTest, ConstantsTypesAndErrorTextsAreTheToolkits) {
  const std::vector<std::string> emulator = lines_of(LS_EMULATOR_VALUES);
  const std::vector<std::string> toolkit = lines_of(LS_TOOLKIT_VALUES);
  ASSERT_GT(toolkit.size(), 100u);
  EXPECT_EQ(emulator, toolkit);
}

TEST(ToolkitTest, MachineWithoutDriverAnswersTheSame) {
  const std::vector<std::string> toolkit = lines_of(LS_TOOLKIT_VALUES " calls");
  bool no_driver = false;
  for (const std::string& line : toolkit) no_driver |= line == "cudaGetDeviceCount(&number) = 35";
  if (!no_driver) GTEST_SKIP() << "this machine has a driver";
  EXPECT_EQ(lines_of("LS_EMULATOR_DRIVER=0 " LS_EMULATOR_VALUES " calls"), toolkit);
}

}  // namespace toolkit_test
}  // namespace cuemu_test
