#include "host/backend/learner.h"

#include <algorithm>

namespace lockstep {

std::span<const Stage> Learner::gradient() const {
  return {pass.begin(), std::find(pass.begin(), pass.end(), Stage::kStep)};
}

const Learner& reinforce() {
  static const Learner learner{
      .begin = {Stage::kRollout, Stage::kCredit},
      .epoch = {},
      .pass = {Stage::kWeigh, Stage::kAccumulate, Stage::kReduce, Stage::kFinish, Stage::kStep}};
  return learner;
}

const Learner& actor_critic() {
  static const Learner learner{
      .begin = reinforce().begin, .epoch = {Stage::kShuffle}, .pass = reinforce().pass};
  return learner;
}

}  // namespace lockstep
