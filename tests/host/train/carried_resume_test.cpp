// Tests for host/train/progress.h with real trainings of learners with a critic: environments in
// the middle of their episodes, which a checkpoint holds.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "host/backend/environments.h"
#include "host/backend/policy_parameters.h"
#include "host/errors.h"
#include "host/train/progress.h"
#include "tests/support/option_errors.h"
#include "tests/support/resumed_runs.h"

namespace lockstep {
namespace carried_resume_test {

namespace fs = std::filesystem;
using test::expect_same_run;

class CarriedResume : public test::ResumedRuns {};

TEST_F(CarriedResume, IsExactInTheMiddleOfCarriedEpisodes) {
  for (const Critic critic : {Critic::kShared, Critic::kSeparate}) {
    config = test::small_config(18, 9);
    config.until_score = 1e9;
    config.algorithm = Algorithm::kPpo;
    config.critic = critic;
    config.critic_hidden = 12;
    config.horizon = 7;
    config.baseline = Baseline::kNone;
    config.normalize = Normalize::kMinibatch;
    config.epochs = 2;
    config.minibatches = 2;
    config.lr = 3e-3;
    config.eval_every = 3;
    config.eval_episodes = 5;
    const std::string name = critic == Critic::kShared ? "shared" : "separate";
    expect_same_run(run_in_parts({1, 4, 9}, name + "-parts"), run_whole(9, name + "-whole"));
  }
}

Config shared_config(std::int64_t envs) {
  Config config = test::small_config(envs, 9);
  config.until_score = 1e9;
  config.algorithm = Algorithm::kPpo;
  config.critic = Critic::kShared;
  config.horizon = 7;
  config.baseline = Baseline::kNone;
  return config;
}

Config pong_config() {
  Config config = shared_config(18);
  config.env = "pong";
  config.horizon = 40;
  config.frame_skip = {20, 20};  // games of some hundred steps
  config.repeat_action_probability = 0.25;
  config.minibatches = 2;
  config.lr = 3e-3;
  return config;
}

TEST_F(CarriedResume, IsExactInTheMiddleOfGames) {
  config = pong_config();
  expect_same_run(run_in_parts({1, 4, 9}), run_whole(9));
}

TEST_F(CarriedResume, GoesOnFromBeforeTheFirstUpdateWithACritic) {
  config = shared_config(18);
  config.time_limit = 1e-12;  // reached before anything is done
  config.out = (scratch / "parts").string();
  Engine(config).train();
  config.time_limit = std::numeric_limits<double>::infinity();
  config.out.clear();
  const fs::path whole = run_whole(3);
  config.resume = (scratch / "parts").string();
  config.updates = 3;
  Engine(config).train();
  expect_same_run(scratch / "parts", whole);
}

TEST_F(CarriedResume, RefusesEnvironmentsThatAreNoneOfTheRun) {
  config = shared_config(5);
  const Checkpoint whole = load_checkpoint(run_whole(3) / "checkpoints/last");
  const PolicyShape shape = policy_shape(config, find_environment(config.env));
  const auto error = [&](const auto& change) {
    Checkpoint checkpoint = whole;
    change(checkpoint.optimizer);
    TrainingState state;
    TrainProgress progress;
    try {
      restore_checkpoint(checkpoint, config, shape, state, progress);
    } catch (const BadInput& bad) {
      return std::string(bad.what());
    }
    return std::string("nothing");
  };
  const auto named = [](std::vector<NamedTensor>& tensors, const char* name) {
    return std::find_if(tensors.begin(), tensors.end(),
                        [&](const NamedTensor& tensor) { return tensor.name == name; });
  };
  EXPECT_EQ(error([](auto&) {}), "nothing");
  EXPECT_EQ(error([&](auto& all) { all.erase(named(all, "environments.state")); }),
            "tensor 'environments.state' is missing");
  EXPECT_EQ(error([&](auto& all) { named(all, "environments.steps")->shape = {4}; }),
            "tensor 'environments.steps' has shape [4], expected [5]");
  for (const float wrong : {-1.0f, 0.5f, 500.0f}) {
    EXPECT_THAT(error([&](auto& all) { named(all, "environments.steps")->data[2] = wrong; }),
                testing::AllOf(testing::HasSubstr("tensor 'environments.steps' has "),
                               testing::HasSubstr(", not an integer in [0, 499]")));
  }
  EXPECT_EQ(error([&](auto& all) { named(all, "environments.state")->data[6] = NAN; }),
            "tensor 'environments.state' has nan, not a finite number");
}

TEST_F(CarriedResume, RefusesGamesThatNoTableKnows) {
  config = pong_config();
  const Checkpoint whole = load_checkpoint(run_whole(2) / "checkpoints/last");
  const PolicyShape shape = policy_shape(config, find_environment(config.env));
  const auto error = [&](const char* name, std::size_t at, float wrong) {
    Checkpoint checkpoint = whole;
    for (NamedTensor& tensor : checkpoint.optimizer) {
      if (tensor.name == name) tensor.data.at(at) = wrong;
    }
    TrainingState state;
    TrainProgress progress;
    return test::thrown_by([&] { restore_checkpoint(checkpoint, config, shape, state, progress); });
  };
  EXPECT_EQ(error("environments.state", 0, 1), "nothing");
  const std::string state = "4 tensor 'environments.state' has ";
  EXPECT_EQ(error("environments.state", 0, 40000),
            state + "40000.0, not an integer in [-32768, 32767]");
  EXPECT_EQ(error("environments.state", 3, 0.5f), state + "0.5, not an integer in [-32768, 32767]");
  EXPECT_EQ(error("environments.state", 18, 7430), state + "7430.0, not an integer in [0, 7429]");
  EXPECT_EQ(error("environments.state", 16, -1), state + "-1.0, not an integer in [0, 7429]");
  EXPECT_THAT(error("environments.score", 1, NAN), testing::HasSubstr("not an integer"));
  EXPECT_THAT(error("environments.steps", 1, 20000), testing::HasSubstr("not an integer"));
  config.frame_skip = {1, 1};  // games of more steps
  EXPECT_EQ(error("environments.steps", 1, 20000), "nothing");
}

}  // namespace carried_resume_test
}  // namespace lockstep
