// Tests for kernels/cpu/table_gradient.h and table_returns.h's integers: the batch gradient against
// a dense double-precision backward pass over drawn pictures, and its bits against each other.
#include "kernels/cpu/table_gradient.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

#include "tests/support/table_reference.h"

namespace lockstep {
namespace table_gradient_test {

using test::TableRun;
using test::TableSettings;

class TableGradientTest : public testing::TestWithParam<const cpu::TableOperations*> {};
INSTANTIATE_TEST_SUITE_P(Isas, TableGradientTest, testing::ValuesIn(test::usable_tables()),
                         [](const auto& isa) { return isa.param->isa; });

TableSettings small() {
  TableSettings s;
  s.envs = 5;
  s.T = 1300;
  s.hidden = 40;
  return s;
}

/// Plays a batch with a network that has opinions and estimates its returns.
void prepare(TableRun& run) {
  test::initialise(run, 7);
  for (int j = 0; j < run.shape.hidden; ++j) run.output()[j] *= 4;
  run.play(0, ActionChoice::kSample, true);
  run.estimate();
}

/// Largest difference and largest distance of two gradients, relative to the wanted one's.
struct Errors {
  double largest, norm;
};
Errors errors(const float* got, const double* want, std::int64_t n) {
  double top = 0, off = 0, square = 0, square_off = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    const double d = static_cast<double>(got[i]) - want[i];
    top = std::max(top, std::fabs(want[i]));
    off = std::max(off, std::fabs(d));
    square += want[i] * want[i];
    square_off += d * d;
  }
  return {off / top, std::sqrt(square_off / square)};
}
void expect_dense_gradient(TableRun& run) {
  ASSERT_TRUE(run.gradient());
  const auto want = test::dense_gradient(run);
  const std::int64_t weights = std::int64_t{run.shape.pixels} * run.shape.padded();
  const Errors first = errors(run.gradient_.data(), want.values.data(), weights);
  const Errors second =
      errors(run.gradient_.data() + weights, want.values.data() + weights, run.shape.padded());
  EXPECT_LE(first.largest, 1e-6);
  EXPECT_LE(first.norm, 1e-6);
  EXPECT_LE(second.largest, 1e-6);
  EXPECT_LE(second.norm, 1e-6);
  EXPECT_EQ(want.odd_masks, 0);
  EXPECT_EQ(run.valid_steps, want.steps);
  const TableGradientArgs args = run.gradient_args(0);
  // half an integer a step, and the rounding of the float terms
  const double n = static_cast<double>(want.steps);
  const double loss_scale = static_cast<double>(args.loss_scale);
  EXPECT_NEAR(static_cast<double>(run.total.loss) / loss_scale, want.loss,
              n * (0.5 / loss_scale + 1e-6));
  const double entropy_scale = static_cast<double>(args.entropy_scale);
  EXPECT_NEAR(static_cast<double>(run.total.entropy) / entropy_scale, want.entropy,
              n * (0.5 / entropy_scale + 1e-6));
}

TEST_P(TableGradientTest, EqualsTheDenseGradientOverWholeGames) {
  TableRun run(*GetParam(), small());
  prepare(run);
  int points = 0;
  for (int t = 0; t < run.length[0]; ++t) points += run.reward[t * kGroup] != 0;
  EXPECT_GE(points, 21);
  expect_dense_gradient(run);
}

TEST_P(TableGradientTest, EqualsTheDenseGradientWithALeak) {
  TableSettings s = small();
  s.leak = 0.01f;
  s.hidden = 24;  // a word of activity bits and none beside
  TableRun run(*GetParam(), s);
  prepare(run);
  expect_dense_gradient(run);
}

TEST_P(TableGradientTest, EqualsTheDenseGradientOverEpisodesInOneRecord) {
  TableSettings s = small();
  s.episodic = false;
  s.T = 2600;
  s.entropy_coef = 0.05;
  s.reset_at_points = false;
  TableRun run(*GetParam(), s);
  prepare(run);
  ASSERT_GE(run.games_.episodes, 10);
  expect_dense_gradient(run);
}

TEST_P(TableGradientTest, EqualsTheDenseGradientOfStepsWithAnIncomingBall) {
  TableSettings s = small();
  s.incoming_only = true;
  TableRun run(*GetParam(), s);
  prepare(run);
  std::int64_t all = 0;
  for (int i = 0; i < 5; ++i) all += run.length[i];
  EXPECT_LT(run.valid_steps, all * 2 / 3);
  EXPECT_GT(run.valid_steps, all / 4);
  expect_dense_gradient(run);
}

TEST_P(TableGradientTest, StepsOfUnfinishedGamesHaveNone) {
  TableRun whole(*GetParam(), small());
  prepare(whole);
  std::vector<int> lengths(whole.length.data(), whole.length.data() + 5);
  std::sort(lengths.begin(), lengths.end());
  ASSERT_LT(lengths[3], lengths[4]);
  TableSettings s = small();
  s.T = lengths[3];
  TableRun run(*GetParam(), s);
  prepare(run);
  ASSERT_EQ(run.games_.episodes, 4);
  EXPECT_EQ(run.valid_steps, lengths[0] + lengths[1] + lengths[2] + lengths[3]);
  expect_dense_gradient(run);
}

TEST_P(TableGradientTest, PaddingUnitsHaveNone) {
  TableRun run(*GetParam(), small());
  prepare(run);
  ASSERT_TRUE(run.gradient());
  for (std::int64_t p = 0; p <= run.shape.pixels; ++p) {
    for (int j = 40; j < 48; ++j) ASSERT_EQ(run.gradient_[p * 48 + j], 0) << p << " " << j;
  }
}

TEST_P(TableGradientTest, BitsDoNotDependOnThreadsOrInstructionSet) {
  for (const float leak : {0.0f, 0.01f}) {
    TableSettings s = small();
    s.envs = 40;
    s.leak = leak;
    TableRun want(cpu::tables_pong_scalar, s);
    prepare(want);
    ASSERT_TRUE(want.gradient());
    for (s.threads = 1; s.threads <= 3; ++s.threads) {
      TableRun got(*GetParam(), s);
      prepare(got);
      ASSERT_TRUE(got.gradient());
      EXPECT_EQ(std::memcmp(want.gradient_.data(), got.gradient_.data(),
                            static_cast<std::size_t>(want.count()) * sizeof(float)),
                0)
          << s.threads << " threads, leak " << leak;
      EXPECT_EQ(want.total.loss, got.total.loss);
      EXPECT_EQ(want.total.entropy, got.total.entropy);
    }
  }
}

TEST_P(TableGradientTest, TermsOutOfRangeRaiseTheFlagAndALostBitHelps) {
  TableRun run(*GetParam(), small());
  prepare(run);
  TableGradientArgs args = run.gradient_args(0);
  std::vector<std::uint8_t> hit(static_cast<std::size_t>(run.shape.rows));
  const auto saturated = [&] {
    TableSums sums;
    sums.hit = hit.data();
    run.ops.weigh(args, 0, sums);
    return sums.saturated;
  };
  EXPECT_FALSE(saturated());
  args.scale *= 1024;
  EXPECT_TRUE(saturated());
  EXPECT_LT(run.gradient_args(3).scale, run.gradient_args(2).scale);
  EXPECT_EQ(run.gradient_args(1).scale, run.gradient_args(0).scale / 2);

  args = run.gradient_args(0);
  args.mean = NAN;
  EXPECT_TRUE(saturated());
  args.record.steps.valid[3] = 0;  // what is not valid cannot be out of range
  for (int t = 0; t < run.steps_[0]; ++t) run.valid[t] = 0;
  EXPECT_FALSE(saturated());
}

TEST_P(TableGradientTest, OnlyRowsOfStepsWithAGradientAreTouched) {
  TableRun run(*GetParam(), small());
  prepare(run);
  ASSERT_TRUE(run.gradient());  // leaves sums behind
  for (int t = 0; t < run.steps_[0]; ++t) run.valid[t] = 0;
  run.valid[100] = 1u << 3;  // environment 3
  ASSERT_TRUE(run.gradient());
  std::vector<std::uint8_t> want(static_cast<std::size_t>(run.shape.rows));
  for (const int t : {99, 100}) {
    for (int i = 0; i < 3; ++i) want[run.shown[(t * 3 + i) * kGroup + 3]] = 1;
  }
  for (int r = 1; r < run.shape.rows; ++r) {
    ASSERT_EQ(run.hit[0][r], want[static_cast<std::size_t>(r)]) << r;
  }
  for (int p = 0; p < run.shape.pixels; ++p) {
    bool lit = false;
    for (int i = run.lit_start[static_cast<std::size_t>(p)];
         i < run.lit_start[static_cast<std::size_t>(p) + 1]; ++i) {
      lit |= want[run.lit_by[static_cast<std::size_t>(i)]] != 0;
    }
    for (int j = 0; j < 40 && !lit; ++j) ASSERT_EQ(run.gradient_[p * 48 + j], 0) << p;
  }
  EXPECT_EQ(run.used[3], 101);
  EXPECT_EQ(run.used[2], 0);
  EXPECT_EQ(run.touched_rows[0], 0);
}

TEST_P(TableGradientTest, PicturesOfAnySizeAreFinished) {
  TableRun run(*GetParam(), small());
  prepare(run);
  const int Hp = run.shape.padded();
  Buffer<std::int64_t> sums(std::int64_t{run.shape.rows} * kSliceUnits);
  for (std::int64_t i = 0; i < sums.size(); ++i)
    sums[i] = i < kSliceUnits ? 0 : i * 7919 % 20011 - 9000;
  Buffer<float> grad(run.count()), output(Hp);
  for (int pixels = 6390; pixels <= 6393; ++pixels) {
    grad.zero();
    TableFinishArgs args{run.view(),
                         {run.lit_start.data(), run.lit_by.data()},
                         run.parameters.data(),
                         0x1p-10,
                         grad.data(),
                         output.data()};
    args.policy.shape.pixels = pixels;
    run.ops.finish(args, 2, sums.data());
    for (int j = 0; j < kSliceUnits; ++j) {
      const int unit = 2 * kSliceUnits + j;
      double dot = 0;
      for (int p = 0; p < pixels; ++p) {
        double s = 0;
        for (int i = run.lit_start[static_cast<std::size_t>(p)];
             i < run.lit_start[static_cast<std::size_t>(p) + 1]; ++i) {
          s += static_cast<double>(
              sums[run.lit_by[static_cast<std::size_t>(i)] * std::int64_t{kSliceUnits} + j]);
        }
        const float want =
            static_cast<float>(s * (static_cast<double>(run.output()[unit]) * 0x1p-10));
        ASSERT_EQ(grad[p * Hp + unit], want) << "pixel " << p << " of " << pixels;
        dot += s * static_cast<double>(run.parameters[p * Hp + unit]);
      }
      ASSERT_EQ(grad[pixels * Hp + unit], 0);
      ASSERT_NEAR(static_cast<double>(output[unit]), dot * 0x1p-10, 1e-5);
    }
  }
}

TEST_P(TableGradientTest, AccumulatesOntoWhatIsThere) {
  TableRun run(*GetParam(), small());
  prepare(run);
  ASSERT_TRUE(run.gradient());
  const TableGradientArgs args = run.gradient_args(0);
  const std::int64_t n = std::int64_t{run.shape.rows} * kSliceUnits;
  Buffer<std::int64_t> once(n), twice(n);
  once.zero();
  twice.zero();
  run.ops.accumulate(args, 1, 0, once.data());
  run.ops.accumulate(args, 1, 0, twice.data());
  run.ops.accumulate(args, 1, 0, twice.data());
  std::int64_t largest = 0;
  for (std::int64_t i = 0; i < n; ++i) {
    ASSERT_EQ(twice[i], 2 * once[i]);
    largest = std::max(largest, std::abs(once[i]));
  }
  EXPECT_GT(largest, 1000);
  for (int j = 0; j < kSliceUnits; ++j) EXPECT_EQ(once[j], 0);  // row 0
}

}  // namespace table_gradient_test
}  // namespace lockstep
