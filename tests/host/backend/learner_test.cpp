// Tests for host/backend/learner: what REINFORCE is made of.
#include "host/backend/learner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lockstep {
namespace learner_test {

using testing::ElementsAre;

TEST(Learner, ReinforceTakesOneStepFromEveryRollout) {
  EXPECT_THAT(reinforce().begin, ElementsAre(Stage::kRollout, Stage::kCredit));
  EXPECT_THAT(reinforce().pass, ElementsAre(Stage::kWeigh, Stage::kAccumulate, Stage::kReduce,
                                            Stage::kFinish, Stage::kStep));
}

TEST(Learner, ActorCriticGoesOverItsBatchInMinibatches) {
  EXPECT_EQ(actor_critic().begin, reinforce().begin);
  EXPECT_THAT(actor_critic().epoch, ElementsAre(Stage::kShuffle));
  EXPECT_EQ(actor_critic().pass, reinforce().pass);
}

TEST(Learner, TheGradientIsThePassUpToTheStep) {
  const auto gradient = reinforce().gradient();
  EXPECT_EQ(gradient.size(), 4u);
  EXPECT_EQ(gradient.back(), Stage::kFinish);
  const Learner without{.begin = {}, .epoch = {}, .pass = {Stage::kWeigh, Stage::kFinish}};
  EXPECT_EQ(without.gradient().size(), 2u);
}

}  // namespace learner_test
}  // namespace lockstep
