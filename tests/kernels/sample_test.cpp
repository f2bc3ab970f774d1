// Tests for the sampling operation, kernels/cpu/sample.h around kernels/dense.h, on every
// instruction set: the choices are those of the bodies the fused rollout uses. That the bodies'
// choices have the right probabilities is sample_action_test.cpp's.
#include <gtest/gtest.h>

#include <cmath>

#include "host/backend/environments.h"
#include "kernels/cpu/launchers.h"
#include "tests/support/sample_cases.h"
#include "tests/support/training.h"

namespace lockstep::test {
namespace sample_test {

class SampleTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (!is_available(GetParam())) GTEST_SKIP() << "not on this processor";
  }
  void run(SampleBatch& batch) const {
    const auto& ops = operations_for(find_environment("cartpole"), GetParam());
    for (std::int64_t group = 0; group < batch.lanes / kGroup; ++group) {
      ops.sample(batch.args(), group);
    }
  }
};

TEST_P(SampleTest, ChoosesAsTheBodiesForEveryNumberOfActions) {
  expect_choices_of_bodies([&](SampleBatch& batch) { run(batch); });
}

TEST_P(SampleTest, LogProbabilitiesAreThoseOfTheSoftmax) {
  for (const int A : {2, 3, 64}) {
    SampleBatch batch({.N = 1000, .A = A});
    run(batch);
    for (std::int64_t i = 0; i < batch.c.N; ++i) {
      const int Z = logits_of(A);
      const float* row = batch.logits.data() + i * Z;
      const auto logit = [&](int a) {
        return A == 2 ? (a == 1 ? static_cast<double>(row[0]) : 0.0) : static_cast<double>(row[a]);
      };
      double largest = logit(0), total = 0;
      for (int a = 1; a < A; ++a) largest = std::max(largest, logit(a));
      for (int a = 0; a < A; ++a) total += std::exp(logit(a) - largest);
      const auto at = static_cast<std::size_t>(i);
      const double exact = logit(batch.action[at]) - largest - std::log(total);
      // float32 terms of up to 180 nats, and up to 64 addends
      EXPECT_NEAR(static_cast<double>(batch.log_prob[at]), exact, 2e-5) << A << ", " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, SampleTest, testing::Values(Isa::kScalar, Isa::kAvx2, Isa::kAvx512),
                         [](const auto& isa) { return std::string(isa_name(isa.param)); });

}  // namespace sample_test
}  // namespace lockstep::test
