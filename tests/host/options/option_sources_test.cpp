// Tests for resolve_config() of host/options/options.h: two words for one thing, and a command's
// own defaults.
#include <gtest/gtest.h>

#include <string>

#include "tests/support/option_errors.h"
#include "tests/support/scratch_folder.h"

namespace lockstep {
namespace option_sources_test {

using test::thrown_by;

TEST(OptionSourcesTest, AStrongerSourceBeatsAnotherWordForTheSame) {
  const test::ScratchFolder folder;
  const std::string path = (folder / "c.toml").string();
  test::spill(path, "seeds = \"1..5\"\nseed = 7\n");
  EXPECT_EQ(resolve_config({{{"config", path}}, {}}).seeds, "1..5");
  EXPECT_EQ(resolve_config({{{"config", path}}, {{"LS_SEED", "3"}}}).seeds, "");
  EXPECT_EQ(resolve_config({{{"config", path}, {"out", "x"}}, {}}).seeds, "");
  EXPECT_EQ(resolve_config({{{"out", "x"}}, {{"LS_SEEDS", "1..5"}}}).seeds, "");
  EXPECT_EQ(resolve_config({{{"seed", "3"}}, {{"LS_SEEDS", "1..5"}}}).seeds, "");
  EXPECT_EQ(resolve_config({{{"out", ""}}, {{"LS_SEEDS", "1..5"}}}).seeds, "1..5");
  EXPECT_EQ(resolve_config({{{"init", "normal"}}, {{"LS_INIT_FROM", "f"}}}).init_from, "");
  EXPECT_EQ(thrown_by([] {
              resolve_config({{{"seed", "1"}, {"seeds", "1..2"}}, {}});
            }),
            "2 --seed: not allowed with --seeds");
}

TEST(OptionSourcesTest, ACommandsOwnDefaultsAreAboveTheRecipe) {
  ConfigSources sources{.flags = {{"env", "pong"}}, .environment = {}, .own = {{"envs", "1024"}}};
  EXPECT_EQ(resolve_config(sources).envs, 1024);
  EXPECT_EQ(resolve_config(sources).noops, 29);
  sources.environment.emplace_back("LS_ENVS", "7");
  EXPECT_EQ(resolve_config(sources).envs, 7);
}

}  // namespace option_sources_test
}  // namespace lockstep
