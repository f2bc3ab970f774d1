// Tests for --math of `lockstep eval` and `lockstep rollout`, through the real program.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/support/program_test.h"

namespace lockstep {
namespace math_test {

using nlohmann::json;
using test::ProcessResult;
using ::testing::ContainsRegex;
using ::testing::HasSubstr;

using MathOptionTest = test::ProgramTest;

TEST_F(MathOptionTest, ResultsSayHowTheyWereComputed) {
  const Words rollout = {"rollout", "--envs", "40", "--steps", "50"};
  Words dense = rollout;
  dense.insert(dense.end(), {"--math", "dense"});
  const json exact_result = run_json(rollout), dense_result = run_json(dense);
  EXPECT_EQ(exact_result.at("math"), "exact");
  EXPECT_TRUE(exact_result.at("library").is_null());
  EXPECT_EQ(dense_result.at("math"), "dense");
  EXPECT_THAT(dense_result.at("library"), HasSubstr("OpenBLAS"));
  EXPECT_EQ(dense_result.at("steps"), 2000);
  dense.insert(dense.end(), {"--device", "cpu"});
  EXPECT_THAT(run(dense).out, ContainsRegex("\n  math +dense \\(OpenBLAS [0-9.]+, kernels "));
  EXPECT_THAT(run({"rollout", "--envs", "2", "--steps", "2", "--device", "cpu"}).out,
              Not(HasSubstr("math")));
}

TEST_F(MathOptionTest, ASolvedPolicyIsAsGoodEitherWay) {
  for (const char* recipe : {"fast", "linear"}) {
    run({"train", "--quiet", "--recipe", recipe, "--out", recipe, "--device", "cpu"});
    const json exact = run_json({"eval", recipe, "--episodes", "200"});
    const json dense = run_json({"eval", recipe, "--episodes", "200", "--math", "dense"});
    EXPECT_EQ(dense.at("math"), "dense");
    // one rounding may tip one choice in millions, and that choice one episode
    EXPECT_NEAR(dense.at("mean"), exact.at("mean"), 5) << recipe;
    EXPECT_GT(dense.at("mean"), 400) << recipe;
  }
}

TEST_F(MathOptionTest, TrajectoriesAreSavedAlike) {
  for (const char* math : {"exact", "dense"}) {
    run({"rollout", "--envs", "20", "--steps", "30", "--math", math, "--save",
         std::string(math) + ".npz", "--device", "cpu"});
  }
  // the same arrays of the same shapes, uncompressed
  EXPECT_EQ(std::filesystem::file_size(folder_ / "dense.npz"),
            std::filesystem::file_size(folder_ / "exact.npz"));
}

TEST_F(MathOptionTest, WhatItCannotDoIsRefused) {
  EXPECT_THAT(run({"rollout", "--policy", "random", "--math", "dense"}, 2).err,
              HasSubstr("--math dense: there is no network with --policy random"));
  EXPECT_THAT(run({"rollout", "--math", "sparse"}, 2).err,
              HasSubstr("--math: 'sparse' is not one of exact, dense"));
  EXPECT_THAT(
      run({"train", "--math", "dense"}, 2).err,
      HasSubstr("option '--math' is not one of this command's; it belongs to eval and rollout"));
}

}  // namespace math_test
}  // namespace lockstep
