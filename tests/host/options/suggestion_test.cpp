// Tests for host/options/suggestion.h: what is near, what is not, and that what it answers exists.
#include "host/options/suggestion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "host/options/options.h"

namespace lockstep {
namespace suggestion_test {

using ::testing::Contains;
using ::testing::IsEmpty;

std::string_view nearest_option(std::string_view word) {
  std::vector<std::string_view> names;
  for (const Option& option : option_table()) names.push_back(option.name);
  return nearest_name(word, names);
}

TEST(SuggestionTest, TypingErrorsAreFew) {
  constexpr std::string_view kNames[] = {"updates", "episodes", "steps", "lr"};
  EXPECT_EQ(nearest_name("upadtes", kNames), "updates");  // swapped neighbours are one edit
  EXPECT_EQ(nearest_name("episode", kNames), "episodes");
  EXPECT_EQ(nearest_name("step", kNames), "steps");
  EXPECT_EQ(edit_distance("upadtes", "updates"), 1);
  EXPECT_EQ(edit_distance("kitten", "sitting"), 3);
}

TEST(SuggestionTest, CaseAndDashesDoNotCount) {
  constexpr std::string_view kDevices[] = {"auto", "cpu", "cuda"};
  EXPECT_EQ(nearest_name("CUDA", kDevices), "cuda");
  EXPECT_EQ(nearest_name("cuda:x", kDevices), "cuda");
  EXPECT_EQ(nearest_name("GPU", kDevices), "cuda");
  EXPECT_EQ(nearest_option("LR_Decay"), "lr-decay");
  constexpr std::string_view kInits[] = {"xavier_uniform", "kaiming_uniform"};
  EXPECT_EQ(nearest_name("Kaiming-Uniform", kInits), "kaiming_uniform");
  EXPECT_EQ(nearest_name("kaiming", kInits), "kaiming_uniform");
}

TEST(SuggestionTest, TheFieldsOwnWordsAreKnown) {
  for (const auto& [word, option] :
       std::vector<std::pair<const char*, const char*>>{{"learning-rate", "lr"},
                                                        {"learning_rate", "lr"},
                                                        {"batch-size", "envs"},
                                                        {"num-envs", "envs"},
                                                        {"n_envs", "envs"},
                                                        {"discount", "gamma"},
                                                        {"total-timesteps", "steps"},
                                                        {"num-steps", "horizon"},
                                                        {"ent-coef", "entropy-coef"},
                                                        {"epocs", "epochs"},
                                                        {"hidden-size", "hidden"},
                                                        {"random-seed", "seed"},
                                                        {"optim", "optimizer"},
                                                        {"grad-norm", "max-grad-norm"}}) {
    EXPECT_EQ(nearest_option(word), option) << word;
  }
  constexpr std::string_view kOfRollout[] = {"envs", "steps"};
  EXPECT_EQ(nearest_name("num-steps", kOfRollout), "steps");  // the first that is there
}

TEST(SuggestionTest, NothingIsSaidWhereNothingIsNear) {
  for (const char* word : {"", "x", "wibble", "train", "7", "a", "--", "zzzzzzzzzz"}) {
    EXPECT_THAT(nearest_option(word), IsEmpty()) << word;
    EXPECT_THAT(nearest_hint(word, {}), IsEmpty());
  }
  constexpr std::string_view kNames[] = {"lr"};
  EXPECT_EQ(nearest_hint("learning-rate", kNames, "--"), "; the nearest is '--lr'");
  EXPECT_THAT(nearest_name(std::string(1 << 20, 'l'), kNames), IsEmpty());
}

TEST(SuggestionTest, EverySynonymStandsForSomething) {
  std::set<std::string_view> known = {"train", "eval", "rollout", "view",   "render", "bench",
                                      "list",  "info", "greedy",  "sample", "mode",   "save"};
  for (const Option& option : option_table()) {
    known.insert(option.name);
    known.insert(option.value.choices.begin(), option.value.choices.end());
  }
  for (const auto& [word, meaning] : synonyms()) {
    EXPECT_THAT(known, Contains(meaning)) << word;
    EXPECT_EQ(word.find('_'), std::string_view::npos) << word;
  }
}

}  // namespace suggestion_test
}  // namespace lockstep
