// Tests for the bit contract of host/cpu/number_backend.h, the full matrix: threads x instruction
// sets x chunks x stores for six counts of environments and 50 updates. invariance_test.cpp is the
// quick part of it.
#include "tests/parity/invariance.h"

namespace lockstep {
namespace invariance_matrix_test {

using test::TrainingHash;
using test::Variant;

class InvarianceMatrix : public testing::TestWithParam<std::tuple<Variant, std::int64_t>> {};

TEST_P(InvarianceMatrix, OneHashPerCountOfEnvironments) {
  const auto& [variant, envs] = GetParam();
  Config config = test::variant_config(variant, envs);
  const int updates = 50;
  const TrainingHash want = test::reference_training(config, updates);
  ASSERT_GT(want.steps, envs * 8 * updates);
  int ways = 0;
  for (const Isa isa : test::available_isas()) {
    for (const int threads : {1, 2, 3, 4, 7}) {
      for (const int chunk : {1, 2, 4}) {
        if (isa == Isa::kScalar && chunk > 1) continue;  // it has no larger blocks
        config.store = (threads + chunk) % 2 == 0 ? Store::kLogits : Store::kRecompute;
        test::expect_same_training(config, {isa, threads, chunk}, updates, want);
        ++ways;
      }
    }
  }
  RecordProperty("ways", ways);
}

std::string name_of(const testing::TestParamInfo<std::tuple<Variant, std::int64_t>>& info) {
  const auto& [variant, envs] = info.param;
  return std::string(variant.name) + "_" + std::to_string(envs);
}
INSTANTIATE_TEST_SUITE_P(All, InvarianceMatrix,
                         testing::Combine(testing::ValuesIn(test::variants()),
                                          testing::Values(1, 31, 32, 33, 1000, 4097)),
                         name_of);

class InstructionSet : public testing::TestWithParam<Isa> {};

TEST_P(InstructionSet, IsPartOfTheMatrix) {
  if (!test::is_available(GetParam())) {
    GTEST_SKIP() << "not compared: this processor has no " << isa_name(GetParam());
  }
}

INSTANTIATE_TEST_SUITE_P(All, InstructionSet, testing::ValuesIn(test::kAllIsas),
                         [](const auto& isa) { return isa_name(isa.param); });

}  // namespace invariance_matrix_test
}  // namespace lockstep
