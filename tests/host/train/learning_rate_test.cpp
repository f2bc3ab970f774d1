// Tests for the learning rate of host/train/learning_rate.h and of a training: closed forms, where
// the decay begins, resuming.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "host/train/learning_rate.h"
#include "tests/support/trainer_fixture.h"

namespace lockstep {
namespace learning_rate_test {

using testing::ElementsAre;
using testing::ElementsAreArray;
using LearningRate = test::TrainerTest;

TEST_F(LearningRate, FollowsItsClosedForm) {
  config.lr = 0.25;
  config.updates = 300;
  config.lr_decay_updates = 200;
  config.log_every = 7;
  int run = 0;
  for (const LrDecay decay : {LrDecay::kConstant, LrDecay::kLinear, LrDecay::kExponential}) {
    config.lr_decay = decay;
    config.out = (scratch / std::to_string(++run)).string();
    backend.rates.clear();
    const TrainResult result = train();
    for (std::size_t u = 0; u < 300; ++u) {
      const double done = static_cast<double>(u) / 200;
      const double want = decay == LrDecay::kConstant ? 0.25
                          : decay == LrDecay::kLinear ? 0.25 * std::max(0.0, 1 - done)
                                                      : 0.25 * std::pow(10, -done);
      EXPECT_NEAR(backend.rates[u], want, 1e-13) << u;
    }
    EXPECT_EQ(result.curve[1].learning_rate, backend.rates[13]);
  }
}

TEST_F(LearningRate, AResumedRunDecaysToTheSameBits) {
  config.lr_decay = LrDecay::kExponential;
  config.lr_decay_updates = 37;
  config.updates = 80;
  config.out.clear();
  hooks.write_files = false;
  train();
  const std::vector<double> whole = backend.rates;
  hooks.write_files = true;
  config.out = (scratch / "run").string();
  config.updates = 33;
  train();
  config.updates = 80;
  resume();
  EXPECT_THAT(resumed_rates, ElementsAreArray(whole.begin() + 33, whole.end()));
}

TEST_F(LearningRate, IsConstantUntilTheDecayBegins) {
  config.lr = 1;
  config.updates = 8;
  config.lr_decay_start = 3;
  config.lr_decay_updates = 4;
  config.lr_decay = LrDecay::kLinear;
  train();
  EXPECT_THAT(backend.rates, ElementsAre(1, 1, 1, 1, 0.75, 0.5, 0.25, 0));
  config.lr_decay = LrDecay::kExponential;
  config.out = (scratch / "second").string();
  backend.rates.clear();
  train();
  const double step = decay_factor(config);
  EXPECT_THAT(backend.rates, ElementsAre(1, 1, 1, 1, step, step * step, step * step * step,
                                         step * step * step * step));
}

TEST_F(LearningRate, MayBeginToDecayWhenTheThresholdIsReached) {
  backend.scores = [](std::uint32_t update) {
    return std::vector<float>(3, update < 2 ? 0.0f : 500.0f);
  };
  config.lr = 1;
  config.until_score = 475;
  config.over = 3;
  config.extra_updates = 4;
  config.lr_decay_start = -1;
  config.lr_decay_updates = 4;
  config.lr_decay = LrDecay::kLinear;
  EXPECT_EQ(train().reached_update, 3);
  const std::vector<double> whole = {1, 1, 1, 1, 0.75, 0.5, 0.25};
  EXPECT_EQ(backend.rates, whole);
  config.updates = 5;
  config.out = (scratch / "parts").string();
  train();
  config.updates = -1;
  config.resume = config.out;
  config.out.clear();
  test::ScriptedBackend rest;
  rest.scores = backend.scores;
  train(rest);
  EXPECT_THAT(rest.rates, ElementsAre(0.5, 0.25));
}

}  // namespace learning_rate_test
}  // namespace lockstep
