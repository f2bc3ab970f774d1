// Tests for kernels/score_sum.h: which scores add up exactly, and in any order.
#include "kernels/score_sum.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <random>
#include <vector>

namespace lockstep {
namespace score_sum_test {

double sum_of(const std::vector<float>& scores) {
  ScoreSum sum;
  for (const float score : scores) sum = sum + ScoreSum::of(score);
  return sum.value();
}

TEST(ScoreSumTest, DyadicScoresAddUpExactly) {
  EXPECT_EQ(sum_of({}), 0);
  EXPECT_EQ(sum_of({21, -21, -0.0625f, 0.8125f}), 0.75);
  EXPECT_EQ(sum_of({0x1p-32f, -0x1p-31f}), -0x1p-32);
  EXPECT_EQ(sum_of({2147483520.0f, 2147483520.0f, 0.5f}), 4294967040.5);
  EXPECT_EQ((ScoreSum::of(2.25f) - ScoreSum::of(-3.5f)).value(), 5.75);
}

TEST(ScoreSumTest, TheOrderDoesNotMatter) {
  std::mt19937 random(1);
  std::normal_distribution<float> draw(0, 100);
  std::vector<float> scores(1000);
  for (float& score : scores) score = draw(random);
  const double sum = sum_of(scores);
  for (int i = 0; i < 20; ++i) {
    std::shuffle(scores.begin(), scores.end(), random);
    EXPECT_EQ(sum_of(scores), sum);
  }
  double plain = 0;
  for (const float score : scores) plain += static_cast<double>(score);
  EXPECT_NEAR(sum, plain, 1000 * 0x1p-32);
}

TEST(ScoreSumTest, WhatDoesNotFitMakesNoNumber) {
  constexpr float kInf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  for (const float score : {nan, kInf, -kInf, 2147483648.0f, -2147483648.0f}) {
    EXPECT_THAT(sum_of({1, score, 2}), testing::IsNan()) << score;
    const ScoreSum both = ScoreSum::of(5) + ScoreSum::of(score);
    EXPECT_EQ((both - ScoreSum::of(score)).value(), 5) << "it is not in the rest";
  }
}

}  // namespace score_sum_test
}  // namespace lockstep
