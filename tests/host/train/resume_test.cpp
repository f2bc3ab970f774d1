// Tests for host/train/trainer.h with real trainings: a run that stops and goes on ends with the
// bits of one that did not, on any instruction set and any number of threads.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>
#include <sstream>

#include "host/backend/environments.h"
#include "host/backend/policy_parameters.h"
#include "host/engine.h"
#include "host/errors.h"
#include "host/files/checkpoint.h"
#include "host/train/progress.h"
#include "tests/support/resumed_runs.h"

namespace lockstep {
namespace resume_test {

namespace fs = std::filesystem;

using test::expect_same_run;
using test::metrics_without_times;

class Resume : public test::ResumedRuns {};

TEST_F(Resume, IsExactForEveryOptimiserDecayAndBaseline) {
  // every pair of optimiser and baseline, each with another decay
  int run = 0;
  for (const OptimizerKind optimizer :
       {OptimizerKind::kAdam, OptimizerKind::kSgd, OptimizerKind::kRmsprop}) {
    for (const Baseline baseline :
         {Baseline::kNone, Baseline::kBatchMean, Baseline::kTimeMean, Baseline::kRunningMean}) {
      config.optimizer = optimizer;
      config.momentum = optimizer == OptimizerKind::kAdam ? 0 : 0.9;
      config.lr_decay = static_cast<LrDecay>((run + run / 4) % 3);
      config.lr_decay_updates = 15;
      config.baseline = baseline;
      const std::string n = std::to_string(run++);
      SCOPED_TRACE("run " + n);
      expect_same_run(run_in_parts({4, 8}, "parts" + n), run_whole(8, "whole" + n));
    }
  }
}

TEST_F(Resume, IsExactWithHorizonDropoutEvaluationAndManyStops) {
  config.horizon = 40;
  config.until_score = 40;
  config.baseline = Baseline::kRunningMean;
  config.dropout = 0.5;
  config.eval_every = 3;
  config.eval_episodes = 5;
  config.log_every = 2;
  config.max_grad_norm = 0.5;
  config.weight_decay = 0.01;
  expect_same_run(run_in_parts({1, 4, 9, 14}), run_whole(14));
  const auto best = [&](const char* run) {
    return test::slurp(scratch / run / "checkpoints/best/model.safetensors");
  };
  EXPECT_EQ(best("parts"), best("whole"));
}

TEST_F(Resume, IsExactForTheLinearPolicyAndRecomputedSteps) {
  config.policy = PolicyKind::kLinear;
  config.store = Store::kRecompute;
  config.returns = ReturnKind::kFull;
  expect_same_run(run_in_parts({7, 8, 14}), run_whole(14));
}

TEST_F(Resume, TellsOfADamagedCheckpointThatItPassesOver) {
  config.checkpoint_every = 2;
  const fs::path run = run_whole(6);
  fs::resize_file(run / "checkpoints/00000006/optimizer.safetensors", 100);
  config.checkpoint_every = 0;
  config.out.clear();
  config.resume = run.string();
  config.updates = 7;
  std::vector<std::string> warnings;
  TrainHooks hooks;
  hooks.on_warning = [&](const std::string& text) { warnings.push_back(text); };
  Engine(config).train(hooks);
  ASSERT_EQ(warnings.size(), 1u);
  EXPECT_THAT(warnings[0], testing::AllOf(testing::HasSubstr("00000006"),
                                          testing::HasSubstr("going on from an older checkpoint")));
}

TEST_F(Resume, FindsTheThresholdInTheSameUpdate) {
  config = test::small_config(16, 128);
  config.over = 25;
  config.until_score = 60;
  config.extra_updates = 4;
  const fs::path whole = run_whole(-1);
  const auto reached = load_checkpoint(whole / "checkpoints/last").trainer.at("reached_update");
  const std::int64_t update = reached.get<std::int64_t>();
  ASSERT_GT(update, 2);
  expect_same_run(run_in_parts({update - 1, -1}, "before"), whole);
  expect_same_run(run_in_parts({update + 1, -1}, "after"), whole);
}

// An end between two log points is logged and tested, which a run that does not end there does not
// do: nothing may come of it, not even where a rate falls once the threshold is reached.
TEST_F(Resume, IsExactAcrossEndsBetweenLogPoints) {
  config = test::small_config(16, 128);
  config.over = 25;
  config.until_score = 60;
  config.extra_updates = 100;
  config.lr_decay = LrDecay::kLinear;
  config.lr_decay_start = -1;  // when solved
  config.lr_decay_updates = 9;
  const fs::path every = run_whole(60, "every");
  const auto reached = load_checkpoint(every / "checkpoints/last").trainer.at("reached_update");
  const std::int64_t update = reached.get<std::int64_t>();
  ASSERT_GT(update, 2);
  config.log_every = update + 3;  // the threshold holds when it is looked for, and has for a while
  const fs::path whole = run_whole(2 * update + 8);
  const fs::path parts = run_in_parts({update - 1, update + 1, update + 4, 2 * update + 8});
  expect_same_run(parts, whole);
  EXPECT_EQ(load_checkpoint(parts / "checkpoints/last").trainer.at("reached_update"), update + 3);
}

TEST_F(Resume, CutsTheLogsBackToTheCheckpoint) {
  config.checkpoint_every = 4;
  const fs::path whole = run_whole(10);
  const fs::path parts = run_in_parts({7});
  // as if the process had been killed after update 7 was logged and before it was saved
  fs::remove_all(parts / "checkpoints/00000007");
  Config c = config;
  c.updates = 10;
  c.resume = parts.string();
  Engine(c).train();
  expect_same_run(parts, whole);
}

TEST_F(Resume, ADifferentSeedIsADifferentRun) {
  const fs::path one = run_whole(4, "one");
  config.seed = 2;
  const fs::path two = run_whole(4, "two");
  EXPECT_NE(test::slurp(one / "checkpoints/last/model.safetensors"),
            test::slurp(two / "checkpoints/last/model.safetensors"));
  EXPECT_NE(metrics_without_times(one), metrics_without_times(two));
}

TEST_F(Resume, ANumericFailureLeavesAFiniteCheckpoint) {
  config.lr = 1e38;
  Config c = config;
  c.out = (scratch / "run").string();
  EXPECT_THROW(Engine(c).train(), NumericError);
  const Checkpoint saved = load_checkpoint(newest_checkpoint(scratch / "run/checkpoints"));
  for (const auto* tensors : {&saved.model, &saved.optimizer}) {
    for (const NamedTensor& tensor : *tensors) {
      for (const float v : tensor.data) ASSERT_TRUE(std::isfinite(v)) << tensor.name;
    }
  }
  EXPECT_THAT(test::slurp(scratch / "run/run.json"), testing::HasSubstr("\"failed\""));
  // as far as it went, it is the run with a rate that works from then on
  c.out.clear();
  c.resume = (scratch / "run").string();
  c.lr = 1e-3;
  c.updates = saved.trainer.at("update").get<std::int64_t>() + 3;
  EXPECT_EQ(Engine(c).train().updates, c.updates);
}

TEST_F(Resume, HorizonModeCountsWhatItCutAndTrains) {
  config.horizon = 25;
  config.until_score = 25;
  config.baseline = Baseline::kBatchMean;
  config.updates = 3;
  TrainHooks hooks;
  hooks.write_files = false;
  Engine engine(config);
  const auto before = engine.policy()[0].data;
  const TrainResult result = engine.train(hooks);
  EXPECT_EQ(result.steps, 3 * 18 * 25);
  EXPECT_GT(result.episodes, 18);
  EXPECT_LT(result.episodes, 3 * 18 * 3);
  EXPECT_NE(engine.policy()[0].data, before);
}

// A training's state, and where it stands.
struct RestoreCheckpoint : ::testing::Test {
  RestoreCheckpoint() {
    state.parameters.assign(static_cast<std::size_t>(shape.size()), 0.5f);
    state.first_moment = state.second_moment = state.parameters;
  }

  const Config config;
  const PolicyShape shape = policy_shape(config, find_environment(config.env));
  TrainingState state;
  TrainProgress progress;
};

TEST_F(RestoreCheckpoint, RefusesCountsAndScoresOutOfRange) {
  progress.recent = {20};
  const Checkpoint good = make_checkpoint(config, "", shape, state, progress);
  const auto restore = [&](const char* key, const nlohmann::json& value) {
    Checkpoint checkpoint = good;
    checkpoint.trainer[key] = value;
    restore_checkpoint(checkpoint, config, shape, state, progress);
  };
  EXPECT_NO_THROW(restore("steps", std::int64_t{1} << 62));
  EXPECT_EQ(progress.steps, std::int64_t{1} << 62);
  for (const char* key : {"update", "episodes", "steps", "reached_update", "reached_episodes",
                          "reached_steps", "cut_steps", "gradient_updates"}) {
    for (const nlohmann::json& value :
         {nlohmann::json(-1), nlohmann::json(0.5), nlohmann::json(1e300),
          nlohmann::json((std::int64_t{1} << 62) + 1), nlohmann::json(~std::uint64_t{0}),
          nlohmann::json(true), nlohmann::json("1")}) {
      EXPECT_THROW(restore(key, value), BadInput) << key << " " << value;
    }
  }
  EXPECT_THROW(restore("recent_scores", {1, 1e300}), BadInput);
}

TEST_F(RestoreCheckpoint, TakesOlderOnesThatDidNotCountWhatTaught) {
  progress.update = 7;
  progress.cut_steps = progress.gradient_updates = 3;
  Checkpoint older = make_checkpoint(config, "", shape, state, progress);
  older.trainer.erase("cut_steps");
  older.trainer.erase("gradient_updates");
  restore_checkpoint(older, config, shape, state, progress);
  EXPECT_EQ(progress.cut_steps, 0);
  EXPECT_EQ(progress.gradient_updates, 7);
}

}  // namespace resume_test
}  // namespace lockstep
