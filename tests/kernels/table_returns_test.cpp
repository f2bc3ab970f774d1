// Tests for kernels/cpu/table_returns.h: reward-to-go between points, which steps count, and the
// integers that gradients are summed from.
#include "kernels/cpu/table_returns.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <vector>

#include "tests/support/table_reference.h"

namespace lockstep {
namespace table_returns_test {

using test::TableRun;
using test::TableSettings;

class TableReturnsTest : public testing::TestWithParam<const cpu::TableOperations*> {
 protected:
  /// A record of one group whose lanes all hold `rewards`; nothing is played.
  void fill(const std::vector<int>& rewards, std::vector<int> ends) {
    TableSettings s;
    s.envs = 16;
    s.T = static_cast<std::int32_t>(rewards.size());
    s.hidden = 16;
    s.leak = 0.25f;
    run_ = std::make_unique<TableRun>(*GetParam(), s);
    run_->steps_[0] = s.T;
    run_->logits.zero();
    run_->actions.zero();
    run_->shown.zero();
    for (int t = 0; t < s.T; ++t) {
      for (int lane = 0; lane < kGroup; ++lane) {
        run_->reward[t * kGroup + lane] =
            static_cast<std::int8_t>(rewards[static_cast<std::size_t>(t)]);
      }
      run_->terminated[t] = run_->truncated[t] = 0;
      run_->incoming[t] = static_cast<std::uint16_t>(t % 2 == 0 ? 0xffff : 0x00ff);
    }
    for (const int t : ends) (t % 2 == 0 ? run_->terminated : run_->truncated)[t] = 0xffff;
  }
  ReturnSums returns(float gamma, bool cut, bool incoming_only = false) {
    ReturnSums sums;
    run_->ops.returns({run_->record(), gamma, cut, incoming_only, 0x1p16f}, 0, sums);
    return sums;
  }
  void expect_returns(const std::vector<double>& want) {
    for (int t = 0; t < run_->set.T; ++t) {
      for (int lane = 0; lane < kGroup; ++lane) {
        EXPECT_NEAR(static_cast<double>(run_->advantage[t * kGroup + lane]),
                    want[static_cast<std::size_t>(t)], 1e-6)
            << t << " " << lane;
      }
    }
  }
  std::unique_ptr<TableRun> run_;
};
INSTANTIATE_TEST_SUITE_P(Isas, TableReturnsTest, testing::ValuesIn(test::usable_tables()),
                         [](const auto& isa) { return isa.param->isa; });

/// Points for either side with play after them, two ends, and a step after the last.
const std::vector<int> kRewards = {0, 1, 0, -1, 0, 1, 0, 0, 1, 0};
const std::vector<int> kEnds = {7, 8};

TEST_P(TableReturnsTest, SumsEndAtPointsAndAtTheEndOfAnEpisode) {
  fill(kRewards, kEnds);
  returns(0.5f, true);
  expect_returns({0.5, 1, -0.5, -1, 0.5, 1, 0, 0, 1, 0});
  for (int t = 0; t < 10; ++t) EXPECT_EQ(run_->valid[t], t < 9 ? 0xffff : 0) << t;
}

TEST_P(TableReturnsTest, SumsRunOnOverPointsWhereTheyAreNotCut) {
  fill(kRewards, kEnds);
  returns(0.5f, false);
  expect_returns({0.40625, 0.8125, -0.375, -0.75, 0.5, 1, 0, 0, 1, 0});
}

TEST_P(TableReturnsTest, SumsAreOfTheValidStepsAlone) {
  fill(kRewards, kEnds);
  const ReturnSums all = returns(0.5f, true);
  EXPECT_EQ(all.count, 9 * kGroup);
  EXPECT_EQ(all.sum, kGroup * 65536 * 5 / 2);
  const ReturnSums incoming = returns(0.5f, true, true);  // even steps, odd ones in eight lanes
  EXPECT_EQ(incoming.count, 5 * kGroup + 4 * kGroup / 2);
  EXPECT_EQ(incoming.sum, 65536 * (16 * 3 / 2 + 8));
  EXPECT_EQ(run_->valid[1], 0x00ff);
  EXPECT_EQ(run_->valid[2], 0xffff);
}

TEST_P(TableReturnsTest, StepsGetTheirGradientAsAnInteger) {
  fill({0, 0, 0, 0, 0, 0, 0, 0}, {3, 7});
  returns(0.5f, true);
  TableGradientArgs args{};
  args.record = run_->record();
  args.shape = run_->shape;
  args.leak = 0.25f;
  args.mean = 1;
  args.inv_std = 2;
  args.scale = 4096;
  args.loss_scale = args.entropy_scale = 1024;
  for (int t = 0; t < 8; ++t) {
    for (int lane = 0; lane < kGroup; ++lane) {
      run_->advantage[t * kGroup + lane] = static_cast<float>(t);
    }
  }
  run_->valid[5] = 0xfffe;
  run_->actions[6] = 0xffff;
  run_->logits[6 * kGroup + 1] = -2;
  TableSums sums;
  sums.hit = run_->hit[0].data();
  run_->hit[0].zero();
  run_->ops.weigh(args, 0, sums);
  EXPECT_FALSE(sums.saturated);
  for (int t = 0; t < 8; ++t) {
    for (int lane = 0; lane < kGroup; ++lane) {
      const bool first = t == 0 || t == 4, valid = t != 5 || lane > 0;
      double p = t == 6 ? -0.5 : 0.5;  // dlogit of -log pi at logit 0
      if (t == 6 && lane == 1) p = -1 / (1 + std::exp(-2.0));
      const double g = first || !valid ? 0 : (t - 1) * 2 * p;
      ASSERT_EQ(run_->quantised[t * kGroup + lane], std::lrint(g * 4096)) << t << " " << lane;
      ASSERT_EQ(run_->quantised_leak[t * kGroup + lane], std::lrint(g * 1024)) << t << " " << lane;
    }
  }
  for (int lane = 0; lane < kGroup; ++lane) EXPECT_EQ(run_->used[lane], 8);
}

}  // namespace table_returns_test
}  // namespace lockstep
