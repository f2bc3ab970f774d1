// Tests for host/options/config_file.cpp: the TOML part of host/options/options.h.
#include "host/options/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "tests/support/option_errors.h"
#include "tests/support/scratch_folder.h"

namespace lockstep {
namespace config_file_test {

using test::all_texts;
using test::flag_error;
using test::ScratchFolder;
using test::thrown_by;
using ::testing::HasSubstr;

/// A valid value of the row that differs from `config`'s; empty if there is none to try.
std::string other_value(const ProgramOptions& config, const Option& option) {
  const std::string now = option_text(config, option);
  switch (option.value.type) {
    case ValueType::kInteger:
      return std::to_string(option.value.int_max);
    case ValueType::kRange:
      return "2-4";
    case ValueType::kSeed:
      return "18446744073709551615";
    case ValueType::kReal:
      return "0.12345678901234567";
    case ValueType::kBoolean:
      return now == "true" ? "false" : "true";
    case ValueType::kText:
      break;
  }
  if (option.name == "env") return "";  // its recipes and rules are others
  if (option.name == "seeds") return "3..18446744073709551615";
  if (option.value.choices.empty()) return R"(a "b" \c é # d)";
  return std::string(option.value.choices[option.value.choices[1] == now ? 0 : 1]);
}

std::string write_file(const ScratchFolder& folder, const std::string& name,
                       const std::string& text) {
  std::filesystem::create_directories((folder / name).parent_path());
  test::spill(folder / name, text);
  return (folder / name).string();
}

TEST(TomlTest, EveryFieldSurvivesTheRoundTrip) {
  ProgramOptions base;
  base.baseline = Baseline::kNone;  // so that every other single value is a valid combination
  base.optimizer = OptimizerKind::kRmsprop;
  int changed = 0;
  for (const Option& option : option_table()) {
    ProgramOptions config = base;
    const bool of_games = option.group == "game" || option.name == "credit";
    if (of_games) config.env = "pong";
    std::string text = other_value(config, option);
    if (option.group == "critic" || option.group == "passes" || option.name == "algorithm") {
      config.algorithm = option.name == "algorithm" ? Algorithm::kA2c : Algorithm::kPpo;
      config.critic = option.name == "critic" ? Critic::kShared : Critic::kSeparate;
      config.horizon = 8;
      text = option.value.type == ValueType::kInteger ? "2"
             : option.value.choices.empty()           ? other_value(config, option)
                                                      : std::string(option.value.choices.back());
    }
    if (option.scope == OptionScope::kSource || text.empty()) continue;
    set_option(config, option, text, Origin{"test"});
    ASSERT_NE(all_texts(config), all_texts(base)) << option.name;
    const ProgramOptions again = config_from_toml_text(to_toml_of_call(config), "memory");
    EXPECT_EQ(all_texts(again), all_texts(config));
    ++changed;
  }
  EXPECT_EQ(changed, static_cast<int>(option_table().size()) - 4);  // env, resume, config, print
}

TEST(TomlTest, RunFileHoldsOnlyWhatBelongsToTheRun) {
  ProgramOptions config;
  config.out = "somewhere";
  config.quiet = config.force = true;
  const std::string text = to_toml(config);
  EXPECT_THAT(text, HasSubstr("lr = 0.03\n"));
  EXPECT_THAT(text, HasSubstr("updates = \"none\"\n"));
  EXPECT_THAT(text, Not(HasSubstr("somewhere")));
  EXPECT_THAT(text, Not(HasSubstr("quiet")));
  EXPECT_THAT(text, Not(HasSubstr("\nforce")));
  EXPECT_THAT(text, Not(HasSubstr("resume")));
  EXPECT_THAT(to_toml_of_call(config), HasSubstr("out = \"somewhere\"\n"));
}

TEST(TomlTest, LibraryDefaultsSurviveWithoutTheRecipe) {
  const ProgramOptions config;  // extra_updates 0, whereas the recipe says 20
  EXPECT_EQ(all_texts(config_from_toml_text(to_toml(config), "memory")), all_texts(config));
}

TEST(TomlTest, ErrorsNameFileLineAndReason) {
  const auto error = [](const std::string& text) {
    return thrown_by([&] { config_from_toml_text(text, "a.toml"); });
  };
  EXPECT_EQ(error("\n\nlr_decay = 'linear'\n"),
            "4 a.toml:3: unknown key 'lr_decay'; the nearest is 'lr-decay'");
  EXPECT_EQ(error("[train]\nlr = 1.0\n"), "4 a.toml:1: unknown key 'train'");
  EXPECT_EQ(error("seed = 1\nlr = nan\n"), "4 a.toml:2: lr: nan is not in (0, inf)");
  EXPECT_EQ(error("envs = 0"), "4 a.toml:1: envs: 0 is not in [1, 16777216]");
  EXPECT_EQ(error("envs = 2.0"), "4 a.toml:1: envs: a float is not in [1, 16777216]");
  EXPECT_EQ(error("envs = \"2\""), "4 a.toml:1: envs: a string is not in [1, 16777216]");
  EXPECT_EQ(error("env = 'pong'\nframe-skip = '4-2'"),
            "4 a.toml:2: frame-skip: '4-2' is empty; give A-B with A <= B");
  EXPECT_EQ(error("env = 'pong'\nframe-skip = 2.0"),
            "4 a.toml:2: frame-skip: a float is not in [1, 60] or A-B");
  EXPECT_EQ(error("envs = [2]"), "4 a.toml:1: envs: an array is not in [1, 16777216]");
  EXPECT_EQ(error("lr.x = 1"), "4 a.toml:1: lr: a table is not in (0, inf)");
  EXPECT_EQ(error("quiet = 1"), "4 a.toml:1: quiet: an integer is not in true | false");
  EXPECT_EQ(error("policy = 1979-05-27"),
            "4 a.toml:1: policy: a date or time is not in mlp | linear");
  EXPECT_EQ(error("seed = -1"), "4 a.toml:1: seed: -1 is not in [0, 18446744073709551615]");
  EXPECT_EQ(error("baseline = 'mean'"),
            "4 a.toml:1: baseline: 'mean' is not one of none, batch_mean, time_mean, running_mean; "
            "the nearest is 'batch_mean'");
  EXPECT_EQ(error("env = 'pong2'"),
            "4 a.toml:1: env: 'pong2' is not one of cartpole, pong; the nearest is 'pong'");
  EXPECT_EQ(error("resume = 'x'"),
            "4 a.toml:1: resume: allowed on the command line and as LS_RESUME, not in a file");
  EXPECT_THAT(error("lr = "), HasSubstr("4 a.toml:1: "));
  EXPECT_THAT(error("lr = 0.1\nlr = 0.2\n"), HasSubstr("4 a.toml:2: "));
  EXPECT_EQ(error("lr = 0.1\nlr = \n\n").find('\n'), std::string::npos);
  EXPECT_THAT(error("out = \"\xff\""), HasSubstr("4 a.toml:1: "));
  EXPECT_THAT(error("dropout = 0.5\npolicy = 'linear'"),
              HasSubstr("4 a.toml: --dropout: 0.5 with"));
  EXPECT_THAT(error("[[["), HasSubstr("4 a.toml:1: "));
  EXPECT_THAT(error("lr = " + std::string(10000, '[')), HasSubstr("4 a.toml:1: "));
  std::string deep;
  while (deep.size() + 4 < kMaxConfigBytes) deep += "a.";
  EXPECT_EQ(error(deep + "a=1"), "4 a.toml:1: unknown key 'a'");
}

TEST(TomlTest, TakesIntegersForRealOptionsAndTextForLargeSeeds) {
  const Config c = config_from_toml_text("lr = 1\nseed = '18446744073709551615'", "a.toml");
  EXPECT_EQ(c.lr, 1.0);
  EXPECT_EQ(c.seed, 18446744073709551615u);
}

TEST(TomlTest, MissingOversizedAndOddFilesAreBadInput) {
  const ScratchFolder folder;
  const auto error = [](const std::string& path) {
    return thrown_by([&] { config_from_toml(path); });
  };
  const std::string missing = (folder / "missing.toml").string();
  EXPECT_THAT(error(missing), AllOf(HasSubstr("4 "), HasSubstr(missing)));
  EXPECT_THAT(error((folder / "").string()), HasSubstr("4 "));
  EXPECT_THAT(error(write_file(folder, "big.toml", std::string(kMaxConfigBytes + 1, '#'))),
              HasSubstr("4 "));
  EXPECT_EQ(flag_error("config", missing).substr(0, 2), "4 ");
}

}  // namespace config_file_test
}  // namespace lockstep
