// A test that runs the real program in a folder of its own. Test code only.
#pragma once

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/process.h"

namespace lockstep::test {

class ProgramTest : public testing::Test {
 protected:
  using Words = std::vector<std::string>;

  ProcessResult run(const Words& arguments, int code = 0) const {
    ProcessResult result = Process(LS_TEST_PROGRAM, arguments, folder_.path(), {}).wait();
    EXPECT_EQ(result.code, code) << result.err;
    return result;
  }
  nlohmann::json run_json(Words arguments) const {
    arguments.insert(arguments.end(), {"--json", "--device", "cpu"});
    return nlohmann::json::parse(run(arguments).out);
  }

  ScratchFolder folder_;
};

}  // namespace lockstep::test
