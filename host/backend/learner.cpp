#include "host/backend/learner.h"

#include <algorithm>

namespace lockstep {

std::span<const Stage> Learner::gradient() const {
  return {pass.begin(), std::find(pass.begin(), pass.end(), Stage::kStep)};
}

const Learner& reinforce() {
  static const Learner learner{
      .begin = {Stage::kRollout, Stage::kCredit},
      .pass = {Stage::kWeigh, Stage::kAccumulate, Stage::kReduce, Stage::kFinish, Stage::kStep}};
  return learner;
}

}  // namespace lockstep
