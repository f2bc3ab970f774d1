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
#include "tests/support/option_errors.h"
#include "tests/support/scratch_folder.h"
#include "tests/support/training.h"

namespace lockstep {
namespace resume_test {

namespace fs = std::filesystem;

/// metrics.jsonl without the keys that hold times.
std::string metrics_without_times(const fs::path& run) {
  std::istringstream lines(test::slurp(run / "metrics.jsonl"));
  std::string out;
  for (std::string line; std::getline(lines, line);) {
    nlohmann::json object = nlohmann::json::parse(line);
    for (const char* key : {"time/seconds", "time/unix", "charts/SPS"}) {
      EXPECT_EQ(object.erase(key), 1u) << key;
    }
    out += object.dump() + '\n';
  }
  return out;
}

/// trainer.json without times and without what the time in it changes.
nlohmann::json trainer_without_times(const fs::path& checkpoint) {
  nlohmann::json trainer = load_checkpoint(checkpoint).trainer;
  for (const char* key : {"seconds", "reached_seconds", "config"}) {
    EXPECT_EQ(trainer.erase(key), 1u) << key;
  }
  return trainer;
}

void expect_same_run(const fs::path& got, const fs::path& want) {
  const fs::path a = got / "checkpoints/last", b = want / "checkpoints/last";
  EXPECT_EQ(fs::read_symlink(a), fs::read_symlink(b));
  EXPECT_EQ(test::slurp(a / "model.safetensors"), test::slurp(b / "model.safetensors"));
  EXPECT_EQ(test::slurp(a / "optimizer.safetensors"), test::slurp(b / "optimizer.safetensors"));
  EXPECT_EQ(trainer_without_times(a), trainer_without_times(b));
  EXPECT_EQ(metrics_without_times(got), metrics_without_times(want));
}

class Resume : public testing::Test {
 protected:
  Resume() {
    config = test::small_config(18, 9);
    config.until_score = 1e9;
    config.lr = 3e-3;
  }
  void TearDown() override { ::unsetenv("LS_ISA"); }

  fs::path run_whole(std::int64_t updates, const std::string& name = "whole") {
    Config c = config;
    c.updates = updates;
    c.out = (scratch / name).string();
    return Engine(c).train().folder;
  }
  /// Stops after `first` updates, then goes on; between the two everything that may change does.
  fs::path run_in_parts(const std::vector<std::int64_t>& stops, const std::string& name = "parts") {
    Config c = config;
    c.out = (scratch / name).string();
    const auto isas = test::available_isas();
    for (std::size_t i = 0; i < stops.size(); ++i) {
      ::setenv("LS_ISA", isa_name(isas[(i + isas.size() - 1) % isas.size()]), 1);
      c.updates = stops[i];
      c.threads = 1 + static_cast<std::int64_t>(i) * 2;
      Engine(c).train();
      c.out.clear();
      c.resume = (scratch / name).string();
    }
    ::unsetenv("LS_ISA");
    return scratch / name;
  }

  test::ScratchFolder scratch{test::memory_folder()};
  Config config;
};

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

TEST_F(Resume, IsExactInTheMiddleOfCarriedEpisodes) {
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

Config pong_config() {
  Config config = test::small_config(18, 9);
  config.env = "pong";
  config.until_score = 1e9;
  config.algorithm = Algorithm::kPpo;
  config.critic = Critic::kShared;
  config.horizon = 40;
  config.frame_skip = {20, 20};  // games of some hundred steps
  config.repeat_action_probability = 0.25;
  config.baseline = Baseline::kNone;
  config.minibatches = 2;
  config.lr = 3e-3;
  return config;
}

TEST_F(Resume, IsExactInTheMiddleOfGames) {
  config = pong_config();
  expect_same_run(run_in_parts({1, 4, 9}), run_whole(9));
}

TEST_F(Resume, GoesOnFromBeforeTheFirstUpdateWithACritic) {
  config = test::small_config(18, 9);
  config.until_score = 1e9;
  config.algorithm = Algorithm::kPpo;
  config.critic = Critic::kShared;
  config.horizon = 7;
  config.baseline = Baseline::kNone;
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

TEST_F(Resume, RefusesEnvironmentsThatAreNoneOfTheRun) {
  config = test::small_config(5, 9);
  config.until_score = 1e9;
  config.algorithm = Algorithm::kPpo;
  config.critic = Critic::kShared;
  config.horizon = 7;
  config.baseline = Baseline::kNone;
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
  EXPECT_EQ(error([&](auto& all) { named(all, "environments.state")->data[7] = NAN; }),
            "tensor 'environments.state' has nan, not a finite number");
}

TEST_F(Resume, RefusesGamesThatNoTableKnows) {
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
  const std::string state = "2 tensor 'environments.state' has ";
  EXPECT_EQ(error("environments.state", 0, 40000),
            state + "40000, not an integer in [-32768, 32767]");
  EXPECT_EQ(error("environments.state", 3, 0.5f), state + "0.5, not an integer in [-32768, 32767]");
  EXPECT_EQ(error("environments.state", 18, 7430), state + "7430, not an integer in [0, 7429]");
  EXPECT_EQ(error("environments.state", 16, -1), state + "-1, not an integer in [0, 7429]");
  EXPECT_THAT(error("environments.score", 1, NAN), testing::HasSubstr("not an integer"));
  EXPECT_THAT(error("environments.steps", 1, 20000), testing::HasSubstr("not an integer"));
  config.frame_skip = {1, 1};  // games of more steps
  EXPECT_EQ(error("environments.steps", 1, 20000), "nothing");
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
