// Tests for host/options/options.h.
#include "host/options/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

#include "tests/support/option_errors.h"
#include "tests/support/scratch_folder.h"

namespace lockstep {
namespace options_test {

using test::all_texts;
using test::flag_error;
using test::Pairs;
using test::ScratchFolder;
using test::thrown_by;
using ::testing::Contains;
using ::testing::HasSubstr;

std::string write_file(const ScratchFolder& folder, const std::string& name,
                       const std::string& text) {
  std::filesystem::create_directories((folder / name).parent_path());
  test::spill(folder / name, text);
  return (folder / name).string();
}

TEST(OptionTableTest, EveryRowHasNameHelpRangeAndValidDefault) {
  std::set<std::string_view> names;
  std::set<std::string_view> groups;
  std::string_view last_group;
  for (const Option& option : option_table()) {
    EXPECT_TRUE(names.insert(option.name).second) << option.name << " twice";
    EXPECT_FALSE(option.help.empty()) << option.name;
    EXPECT_LE(option.help.size(), 90u) << option.name;
    EXPECT_NE(option.help.back(), '.') << option.name;
    EXPECT_FALSE(range_text(option.value).empty()) << option.name;
    if (option.group != last_group) {
      EXPECT_TRUE(groups.insert(option.group).second) << option.group << " in two places";
      last_group = option.group;
    }
    ProgramOptions config;
    const std::string text = option_text(config, option);
    EXPECT_EQ(thrown_by([&] { set_option(config, option, text, Origin{"default"}); }), "nothing");
    EXPECT_EQ(option_text(config, option), text);
  }
}

/// Fields of a struct, one a line.
std::ptrdiff_t fields_of(const std::string& file, const std::string& first_line) {
  std::ifstream source(file);  // tests run in the source folder
  EXPECT_TRUE(source) << file << " not found from the working folder";
  std::ptrdiff_t fields = 0;
  bool inside = false;
  for (std::string line; std::getline(source, line);) {
    if (line == first_line) inside = true;
    if (line == "};") inside = false;
    const std::string code = line.substr(0, line.find("//"));
    if (inside && code.find(';') != std::string::npos) ++fields;
  }
  return fields;
}

TEST(OptionTableTest, EveryFieldHasOneRow) {
  const std::span<const Option> table = option_table();
  const std::ptrdiff_t of_program = std::count_if(
      table.begin(), table.end(), [](const Option& option) { return option.of_program(); });
  EXPECT_EQ(fields_of("host/config.h", "struct Config {"), std::ssize(table) - of_program);
  EXPECT_EQ(fields_of("host/options/program_options.h", "struct ProgramOptions : Config {"),
            of_program);
}

TEST(OptionTableTest, ARunHasNothingOfTheCall) {
  for (const Option& option : option_table()) {
    if (!option.of_program()) continue;
    EXPECT_NE(option.scope, OptionScope::kRun) << option.name;
    EXPECT_TRUE(option.may_change) << option.name;
    EXPECT_THROW(option_text(Config(), option), std::logic_error) << option.name;
    Config config;
    EXPECT_THROW(set_option(config, option, "1", Origin{"test"}), std::logic_error) << option.name;
  }
}

TEST(OptionTableTest, ChoicesAreInTheOrderOfTheEnums) {
  const Pairs flags = {{"policy", "linear"},
                       {"activation", "leaky_relu"},
                       {"init", "zeros"},
                       {"optimizer", "rmsprop"},
                       {"lr-decay", "exponential"},
                       {"returns", "full"},
                       {"normalize", "batch"},
                       {"std", "sample"},
                       {"baseline", "running_mean"},
                       {"store", "recompute"}};
  const Config config = resolve_config({.flags = flags, .environment = {}});
  EXPECT_EQ(config.policy, PolicyKind::kLinear);
  EXPECT_EQ(config.activation, Activation::kLeakyRelu);
  EXPECT_EQ(config.init, Init::kZeros);
  EXPECT_EQ(config.optimizer, OptimizerKind::kRmsprop);
  EXPECT_EQ(config.lr_decay, LrDecay::kExponential);
  EXPECT_EQ(config.returns, ReturnKind::kFull);
  EXPECT_EQ(config.normalize, Normalize::kBatch);
  EXPECT_EQ(config.std_kind, StdKind::kSample);
  EXPECT_EQ(config.baseline, Baseline::kRunningMean);
  EXPECT_EQ(config.store, Store::kRecompute);
  EXPECT_EQ(resolve_config({{{"mapping", "lanes8"}}, {}}).mapping, GpuMapping::kLanes8);
  EXPECT_EQ(resolve_config({{{"mapping", "thread"}}, {}}).mapping, GpuMapping::kThread);
  EXPECT_EQ(resolve_config({{{"init", "kaiming_uniform"}}, {}}).init, Init::kKaimingUniform);
  EXPECT_EQ(resolve_config({{{"optimizer", "sgd"}}, {}}).optimizer, OptimizerKind::kSgd);
  EXPECT_EQ(resolve_config({{{"normalize", "episode"}}, {}}).normalize, Normalize::kEpisode);
  EXPECT_EQ(resolve_config({{{"baseline", "batch_mean"}}, {}}).baseline, Baseline::kBatchMean);
}

TEST(ResolveConfigTest, FlagBeatsVariableBeatsFileBeatsRecipeBeatsDefault) {
  const ScratchFolder folder;
  struct Row {
    std::string name, variable, flag, environment, file, recipe, fallback;
  };
  // the recipe layer is `linear`; the default layer is the recipe `fast`
  const std::vector<Row> rows = {
      {"lr", "LS_LR", "0.5", "0.6", "0.7", "0.4", "0.03"},
      {"envs", "LS_ENVS", "5", "6", "7", "12", "16"},
      {"policy", "LS_POLICY", "mlp", "linear", "mlp", "linear", "mlp"},
      {"init", "LS_INIT", "kaiming_uniform", "xavier_uniform", "kaiming_uniform", "zeros",
       "xavier_uniform"},
      {"alpha", "LS_ALPHA", "0.1", "0.2", "0.3", "0.99", "0.99"},
  };
  for (const Row& row : rows) {
    const Option& option = *find_option(row.name);
    const bool is_text = option.value.type == ValueType::kText;
    const std::string quote = is_text ? "\"" : "";
    const std::string path =
        write_file(folder, "c.toml", row.name + " = " + quote + row.file + quote);
    for (int layers = 0; layers < 16; ++layers) {
      ConfigSources sources;
      std::string expected = row.fallback;
      if ((layers & 1) != 0) {
        // the recipe's zeros need a linear policy, whatever the other layers say
        sources.flags.emplace_back("recipe", "linear");
        expected = row.recipe;
      }
      if ((layers & 2) != 0) {
        sources.flags.emplace_back("config", path);
        expected = row.file;
      }
      if ((layers & 4) != 0) {
        sources.environment.emplace_back(row.variable, row.environment);
        expected = row.environment;
      }
      if ((layers & 8) != 0) {
        sources.flags.emplace_back(row.name, row.flag);
        expected = row.flag;
      }
      if (row.name == "policy") sources.flags.emplace_back("init", "kaiming_uniform");
      EXPECT_EQ(option_text(resolve_config(sources), option), expected)
          << row.name << " with layers " << layers;
    }
  }
}

TEST(ResolveConfigTest, RecipeIsTakenFromTheStrongestSource) {
  const ScratchFolder folder;
  const std::string path = write_file(folder, "c.toml", "recipe = \"classic\"\nlr = 0.25\n");
  const Config from_file = resolve_config({{{"config", path}}, {}});
  EXPECT_EQ(from_file.recipe, "classic");
  EXPECT_EQ(from_file.gamma, 0.99);
  EXPECT_EQ(from_file.lr, 0.25);
  const Config from_variable = resolve_config({{{"config", path}}, {{"LS_RECIPE", "linear"}}});
  EXPECT_EQ(from_variable.recipe, "linear");
  EXPECT_EQ(from_variable.envs, 12);
  EXPECT_EQ(from_variable.lr, 0.25);
  const Config from_flag =
      resolve_config({{{"recipe", "fast"}}, {{"LS_CONFIG", path}, {"LS_RECIPE", "linear"}}});
  EXPECT_EQ(from_flag.recipe, "fast");
  EXPECT_EQ(from_flag.envs, 16);
  EXPECT_EQ(from_flag.lr, 0.25);
}

TEST(ResolveConfigTest, LastOfRepeatedFlagsWins) {
  EXPECT_EQ(resolve_config({{{"seed", "4"}, {"seed", "9"}}, {}}).seed, 9u);
}

TEST(ValidateTest, GamesAndNumbersHaveOptionsOfTheirOwn) {
  const auto error = [](const char* env, const char* option, const char* text) {
    return thrown_by([&] { resolve_config({{{"env", env}, {option, text}}, {}}); });
  };
  EXPECT_EQ(error("cartpole", "frame-skip", "2"),
            "2 --frame-skip: cartpole is no game of frames and objects");
  EXPECT_EQ(error("cartpole", "frame-skip", "4"), "nothing");
  EXPECT_THAT(error("cartpole", "returns", "point"), HasSubstr("2 --returns: point is for games"));
  EXPECT_THAT(error("cartpole", "credit", "incoming"), HasSubstr("2 --credit: cartpole is no"));
  EXPECT_THAT(error("pong", "policy", "linear"),
              HasSubstr("2 --policy: linear is not offered by the pictures of pong; use mlp"));
  EXPECT_THAT(error("pong", "baseline", "time_mean"), HasSubstr("2 --baseline: time_mean is not"));
  EXPECT_THAT(error("pong", "hidden", "1025"), HasSubstr("2 --hidden: 1025 is not offered"));
  EXPECT_THAT(error("pong", "dropout", "0.5"), HasSubstr("2 --dropout: 0.5 is not offered"));
  EXPECT_EQ(error("pong", "frame-skip", "0"), "2 --frame-skip: 0 is not in [1, 60]");
  EXPECT_EQ(error("pong", "frame-skip", "4-2"),
            "2 --frame-skip: '4-2' is empty; give A-B with A <= B");
  EXPECT_THAT(error("pong", "frame-skip", "two"), HasSubstr("2 --frame-skip: 'two' is not an"));
  EXPECT_EQ(error("pong", "frame-skip", "2-61"), "2 --frame-skip: 61 is not in [1, 60]");
  EXPECT_EQ(error("pong", "frame-skip", "2-4"), "nothing");
  EXPECT_EQ(thrown_by([] {
              resolve_config({{{"env", "pong"}}, {{"LS_FRAME_SKIP", "9-"}}});
            }),
            "2 LS_FRAME_SKIP: '' is not an integer in [1, 60]");
  EXPECT_EQ(error("pong", "repeat-action-probability", "1.5"),
            "2 --repeat-action-probability: 1.5 is not in [0, 1]");
}

TEST(VariableTest, SetsTheOptionAndIsNamedInErrors) {
  EXPECT_EQ(variable_name("lr-decay-updates"), "LS_LR_DECAY_UPDATES");
  EXPECT_EQ(resolve_config({{}, {{"LS_LR_DECAY_UPDATES", "77"}}}).lr_decay_updates, 77);
  const auto error = [](const char* name, const char* text) {
    return thrown_by([&] { resolve_config({{}, {{name, text}}}); });
  };
  EXPECT_EQ(error("LS_LR", "nan"), "2 LS_LR: nan is not in (0, inf)");
  EXPECT_EQ(error("LS_QUIET", "yes"), "2 LS_QUIET: 'yes' is not one of true, false");
  EXPECT_EQ(error("LS_UPDATE", "3"), "2 unknown variable 'LS_UPDATE'; the nearest is 'LS_UPDATES'");
  EXPECT_EQ(error("LS_NUM_ENVS", "3"),
            "2 unknown variable 'LS_NUM_ENVS'; the nearest is 'LS_ENVS'");
}

TEST(VariableTest, OtherProgramsVariablesAreLeftAlone) {
  const Pairs others = {
      {"LS_COLORS", "di=01"}, {"LS_ISA", "avx2"},         {"LS_TESTS", "ON"},
      {"LS_OPTIONS", "-l"},   {"LS_REQUIRE_GPU", "1"},    {"HOME", "/root"},
      {"LS_HOME", "/opt"},    {"LS_JAVA_OPTS", "-Xmx1g"}, {"LS_EMULATOR_SEED", "3"}};
  EXPECT_EQ(all_texts(resolve_config({{}, others})), all_texts(resolve_config({{}, {}})));
  EXPECT_EQ(unknown_variables(others), (std::vector<std::string>{"LS_HOME", "LS_JAVA_OPTS"}));
}

TEST(ValidateTest, ChecksEveryRangeOfAHandMadeConfig) {
  const auto error = [](auto&& change) {
    Config config;
    change(config);
    return thrown_by([&] { validate(config); });
  };
  EXPECT_EQ(error([](Config&) {}), "nothing");
  EXPECT_EQ(error([](Config& c) { c.lr = std::nan(""); }), "2 lr: nan is not in (0, inf)");
  EXPECT_EQ(error([](Config& c) { c.updates = -2; }),
            "2 updates: -2 is not in [1, 9007199254740992] or none");
  EXPECT_EQ(error([](Config& c) { c.optimizer = static_cast<OptimizerKind>(7); }),
            "2 optimizer: '7' is not one of adam, sgd, rmsprop");
  EXPECT_EQ(error([](Config& c) { c.env = "nowhere"; }),
            "2 env: 'nowhere' is not one of cartpole, pong");
}

TEST(VariableTest, TheBlockSizeOfLsIsNotOurs) {
  EXPECT_EQ(resolve_config({{}, {{"LS_BLOCK_SIZE", "human-readable"}}}).block_size, 0);
  EXPECT_EQ(resolve_config({{}, {{"LS_CUDA_BLOCK_SIZE", "64"}}}).block_size, 64);
}

TEST(ValidateTest, AMappingNeedsAKernel) {
  const auto error = [](Pairs flags) {
    flags.emplace_back("mapping", "lanes8");
    return thrown_by([&] { resolve_config({std::move(flags), {}}); });
  };
  EXPECT_EQ(error({{"hidden", "128"}, {"block-size", "256"}}), "nothing");
  EXPECT_EQ(error({{"hidden", "129"}}),
            "2 --hidden: 129 with --mapping lanes8 is not in [1, 128], the units 8 lanes have "
            "registers for");
  EXPECT_EQ(error({{"policy", "linear"}}),
            "2 --mapping: lanes8 has no kernel for --policy linear; use mlp, or --mapping thread");
  EXPECT_THAT(error({{"activation", "leaky_relu"}}), HasSubstr("2 --mapping: lanes8 has no"));
  EXPECT_THAT(error({{"dropout", "0.5"}}), HasSubstr("2 --mapping: lanes8 has no kernel"));
  EXPECT_EQ(flag_error("block-size", "48"),
            "2 --block-size: 48 is not 0 or a multiple of 32 in [32, 256]");
  EXPECT_EQ(flag_error("block-size", "288"), "2 --block-size: 288 is not in [0, 256]");
}

TEST(ValidateTest, RejectsCombinationsThatCannotWork) {
  const auto error = [](Pairs flags) {
    return thrown_by([&] { resolve_config({std::move(flags), {}}); });
  };
  EXPECT_EQ(error({{"normalize", "episode"}, {"returns", "full"}}),
            "2 --normalize: episode with --returns full makes every return 0; use none, scale or "
            "batch");
  EXPECT_EQ(error({{"init", "zeros"}}),
            "2 --init: zeros with --policy mlp makes the gradient 0; use xavier_uniform or "
            "kaiming_uniform");
  EXPECT_EQ(error({{"init", "zeros"}, {"policy", "linear"}}), "nothing");
  EXPECT_EQ(error({{"init", "zeros"}, {"init-from", "m.safetensors"}}), "nothing");
  EXPECT_THAT(error({{"horizon", "64"}}), HasSubstr("2 --horizon: 64 with --baseline time_mean"));
  EXPECT_EQ(error({{"horizon", "64"}, {"baseline", "none"}}), "nothing");
  EXPECT_THAT(error({{"policy", "linear"}, {"dropout", "0.5"}}),
              HasSubstr("2 --dropout: 0.5 with"));
  EXPECT_THAT(error({{"hidden", "4097"}, {"dropout", "0.5"}}),
              HasSubstr("2 --hidden: 4097 with --dropout is not in [1, 4096]"));
  EXPECT_THAT(error({{"momentum", "0.9"}}), HasSubstr("2 --momentum: 0.9 with --optimizer adam"));
  EXPECT_EQ(error({{"momentum", "0.9"}, {"optimizer", "sgd"}}), "nothing");
  EXPECT_THAT(error({{"seeds", "1..3"}, {"out", "x"}}), HasSubstr("2 --seeds: not allowed with"));
  EXPECT_EQ(error({{"seeds", "3..1"}}), "2 --seeds: '3..1' is empty; give A..B with A <= B");
  EXPECT_THAT(error({{"seeds", "1...3"}}), HasSubstr("2 --seeds: '.3' is not an integer"));
}

TEST(SeedRangeTest, BothEndsBelong) {
  const auto range = [](const char* text) { return parse_seed_range(text, Origin{"--seeds"}); };
  EXPECT_EQ(range("1..100"), std::make_pair(std::uint64_t{1}, std::uint64_t{100}));
  EXPECT_EQ(range("7"), std::make_pair(std::uint64_t{7}, std::uint64_t{7}));
}

TEST(ResumeTest, TakesTheRunsSettingsAndLetsStoppingRulesChange) {
  const ScratchFolder folder;
  const Config saved = resolve_config({{{"recipe", "classic"}, {"lr", "0.25"}, {"seed", "5"}}, {}});
  write_file(folder, "run/config.toml", to_toml(saved));
  const Config wanted = resolve_config({{{"resume", (folder / "run").string()},
                                         {"episodes", "none"},
                                         {"updates", "2000"},
                                         {"until-score", "490"},
                                         {"threads", "1"},
                                         {"quiet", "true"}},
                                        {{"LS_SEED", "5"}}});
  EXPECT_EQ(wanted.recipe, "classic");
  EXPECT_EQ(wanted.lr, 0.25);
  EXPECT_EQ(wanted.seed, 5u);
  EXPECT_EQ(wanted.episodes, -1);
  EXPECT_EQ(wanted.updates, 2000);
  EXPECT_EQ(wanted.until_score, 490);
  EXPECT_EQ(wanted.resume, (folder / "run").string());
}

TEST(ResumeTest, RefusesWhatWouldMakeItAnotherRun) {
  const ScratchFolder folder;
  write_file(folder, "run/config.toml", to_toml(resolve_config({{}, {}})));
  const auto error = [&](const char* name, const char* text) {
    return flag_error("resume", (folder / "run").string()) + " / " + thrown_by([&] {
             resolve_config({{{"resume", (folder / "run").string()}, {name, text}}, {}});
           });
  };
  EXPECT_EQ(error("lr", "0.1"),
            "nothing / 2 --lr: 0.1 differs from the run's 0.03, which --resume cannot change");
  EXPECT_EQ(error("recipe", "classic"),
            "nothing / 2 --recipe: classic differs from the run's fast, which --resume cannot "
            "change");
  EXPECT_THAT(error("out", "x"), HasSubstr("2 --out: not allowed with --resume"));
  EXPECT_THAT(error("seeds", "1..2"), HasSubstr("2 --seeds: not allowed with --resume"));
  EXPECT_EQ(flag_error("resume", (folder / "nothing").string()).substr(0, 2), "4 ");
  std::set<std::string_view> fixed;
  for (const Option& option : option_table()) {
    if (!option.may_change) fixed.insert(option.name);
  }
  EXPECT_TRUE(fixed.contains("seed") && fixed.contains("hidden") && fixed.contains("over"));
  EXPECT_FALSE(fixed.contains("updates") || fixed.contains("device") ||
               fixed.contains("log-every") || fixed.contains("mapping") ||
               fixed.contains("block-size"));
}

}  // namespace options_test
}  // namespace lockstep
