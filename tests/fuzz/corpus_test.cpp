// Every fuzz target, played through its seeds, the committed corpus and some thousand mutations of
// them: the same with every compiler and without libFuzzer, so that targets stay true to the
// sources.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/fuzz/fuzz.h"

namespace lockstep::fuzz {
namespace corpus_test {

constexpr int kMutations = 500;  // of each target

// One byte changed, or the end cut off.
std::string plain_mutation(std::string text, Random& random) {
  if (text.empty()) return text;
  const std::size_t at = below(random, text.size());
  if (random() % 8 == 0) return text.substr(0, at);
  text[at] = static_cast<char>(random());
  return text;
}

class CorpusTest : public testing::TestWithParam<Target> {
 protected:
  static std::vector<std::string> inputs() {
    std::vector<std::string> list = GetParam().seeds();
    for (std::string& input : committed(GetParam())) list.push_back(std::move(input));
    return list;
  }
  void TearDown() override { clear_scratch(); }
};

TEST_P(CorpusTest, KnownInputsBreakNothing) {
  const std::vector<std::string> list = inputs();
  ASSERT_FALSE(list.empty());
  for (const std::string& input : list) GetParam().run(input);
}

TEST_P(CorpusTest, MutationsOfKnownInputsBreakNothing) {
  const std::vector<std::string> list = inputs();
  Random random(1);
  const auto bytes = [&random](std::string text) {
    return plain_mutation(std::move(text), random);
  };
  for (int i = 0; i < kMutations; ++i) {
    const std::string& from = list[below(random, list.size())];
    const bool structured = GetParam().mutate != nullptr && random() % 4 != 0;
    GetParam().run(structured ? GetParam().mutate(from, random, bytes) : bytes(from));
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, CorpusTest, testing::ValuesIn(targets()),
                         [](const auto& each) { return std::string(each.param.name); });

}  // namespace corpus_test
}  // namespace lockstep::fuzz
