// Tests for host/train/trainer.h: stopping rules, threshold, evaluation, checkpoints and errors,
// with a backend that plays back what the test wants. Real trainings across a resume:
// resume_test.cpp.
#include "host/train/trainer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <thread>

#include "host/errors.h"
#include "host/files/checkpoint.h"
#include "tests/support/trainer_fixture.h"

namespace lockstep {
namespace trainer_test {

using test::ScriptedBackend;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

using Trainer = test::TrainerTest;

TEST_F(Trainer, StopsAtTheTotalOfUpdates) {
  config.updates = 4;
  const TrainResult result = train();
  EXPECT_EQ(result.updates, 4);
  EXPECT_EQ(result.episodes, 12);
  EXPECT_EQ(result.steps, 240);
  EXPECT_THAT(backend.epochs, ElementsAre(0u, 1u, 2u, 3u));
  EXPECT_FALSE(result.reached);
  EXPECT_FALSE(result.time_limit_hit);
  config.updates = 6;
  EXPECT_EQ(resume().updates, 6);
  EXPECT_THAT(resumed_epochs, ElementsAre(4u, 5u));
}

TEST_F(Trainer, AsksForTheEpisodesThatTheMeanIsOver) {
  config.updates = 4;
  config.over = 2;  // of three an update
  const TrainResult result = train();
  EXPECT_EQ(backend.most_listed(), 2);
  EXPECT_EQ(result.episodes, 12);
  EXPECT_EQ(result.mean_score, 25);
  EXPECT_EQ(result.curve.back().batch_score, 20);
  EXPECT_EQ(result.curve.back().batch_length, 20);
}

TEST_F(Trainer, StopsWithTheUpdateThatBringsTheTotalOfEpisodes) {
  config.episodes = 10;
  EXPECT_EQ(train().episodes, 12);
  config.episodes = 13;
  EXPECT_EQ(resume().episodes, 15);
  EXPECT_THAT(resumed_epochs, ElementsAre(4u));
}

TEST_F(Trainer, StopsWithTheUpdateThatBringsTheTotalOfSteps) {
  config.steps = 120;
  EXPECT_EQ(train().steps, 120);
  config.steps = 121;
  EXPECT_EQ(resume().steps, 180);
  EXPECT_EQ(resume().updates, 3);
  EXPECT_THAT(resumed_epochs, IsEmpty());
}

TEST_F(Trainer, StopsAtTheTotalOfSeconds) {
  config.time_limit = 0.03;
  backend.scores = [](std::uint32_t) {
    std::this_thread::sleep_for(std::chrono::milliseconds(4));
    return std::vector<float>{1};
  };
  const TrainResult first = train();
  EXPECT_TRUE(first.time_limit_hit);
  EXPECT_GE(first.updates, 1);
  EXPECT_LE(first.updates, 8);
  EXPECT_TRUE(resume().time_limit_hit);
  EXPECT_THAT(resumed_epochs, IsEmpty());
  config.time_limit = 1000;
  config.updates = first.updates + 1;
  EXPECT_FALSE(resume().time_limit_hit);
  EXPECT_THAT(resumed_epochs, SizeIs(1));
}

TEST_F(Trainer, FindsTheThresholdInTheMeanOfTheLastEpisodes) {
  // update u scores u, u, u: over 4 episodes the mean after u is (3 u + u - 1) / 4
  backend.scores = [](std::uint32_t u) { return std::vector<float>(3, static_cast<float>(u)); };
  config.over = 4;
  config.until_score = 5.75;
  config.extra_updates = 2;
  const TrainResult result = train();
  EXPECT_TRUE(result.reached);
  EXPECT_EQ(result.reached_update, 7);
  EXPECT_EQ(result.reached_episodes, 21);
  EXPECT_EQ(result.reached_steps, 3 * 21);
  EXPECT_EQ(result.updates, 9);
  EXPECT_EQ(result.mean_score, 7.75);
  ASSERT_THAT(result.curve, SizeIs(9));
  for (std::size_t u = 2; u < 9; ++u) {
    EXPECT_EQ(result.curve[u].mean_score, static_cast<double>(u) - 0.25);
    EXPECT_EQ(result.curve[u].batch_score, static_cast<double>(u));
    EXPECT_EQ(result.curve[u].update, static_cast<std::int64_t>(u) + 1);
  }
  EXPECT_EQ(resume().updates, 9) << "a run that is done stays done";
  config.extra_updates = 3;
  EXPECT_EQ(resume().updates, 10);
  EXPECT_EQ(resume().reached_update, 7);
}

TEST_F(Trainer, MeansAreOverTheLastEpisodesInTheOrderOfEnvironments) {
  config.over = 2;
  config.until_score = 50;  // the mean of 10, 20, 30 never is; of 20, 80 it is
  backend.scores = [](std::uint32_t u) {
    return u < 3 ? std::vector<float>{90, 10, 20} : std::vector<float>{10, 20, 80};
  };
  const TrainResult result = train();
  EXPECT_EQ(result.reached_update, 4);
  EXPECT_EQ(result.curve[0].mean_score, 15);
  EXPECT_EQ(result.mean_score, 50);
}

TEST_F(Trainer, WaitsForEnoughEpisodesAndForALogPoint) {
  backend.scores = [](std::uint32_t) { return std::vector<float>(3, 500.0f); };
  config.until_score = 475;
  config.over = 25;
  EXPECT_EQ(train().reached_update, 9);  // 27 episodes
  config.out = (scratch / "second").string();
  config.log_every = 4;
  const TrainResult result = train();
  EXPECT_EQ(result.reached_update, 12);
  EXPECT_EQ(result.updates, 12);
  EXPECT_THAT(result.curve, SizeIs(3));
}

TEST_F(Trainer, HandsOverTheUpdatesUpToTheNextThingToDo) {
  config.updates = 17;
  config.log_every = 5;
  config.checkpoint_every = 8;
  config.lr_decay = LrDecay::kExponential;
  const TrainResult whole = train();
  EXPECT_THAT(backend.asked, ElementsAre(5u, 3u, 2u, 5u, 1u, 1u));  // 5 8 10 15 16 17
  EXPECT_THAT(checkpoints(), testing::IsSupersetOf({"00000008", "00000016"}));
  ScriptedBackend slow;
  slow.most_updates = 2;
  config.out = (scratch / "second").string();
  const TrainResult parts = train(slow);
  EXPECT_EQ(slow.epochs, backend.epochs);
  EXPECT_EQ(slow.rates, backend.rates);
  EXPECT_EQ(parts.steps, whole.steps);
  ASSERT_THAT(parts.curve, SizeIs(4));  // 5 10 15 and the end
  EXPECT_EQ(parts.curve[3].mean_score, whole.curve[3].mean_score);
}

TEST_F(Trainer, TestsTotalsAtLogPoints) {
  config.log_every = 4;
  config.episodes = 13;  // three an update
  EXPECT_EQ(train().updates, 8);
  backend.most_updates = 1;
  config.out = (scratch / "second").string();
  EXPECT_EQ(train().updates, 8);
}

TEST_F(Trainer, ExtraUpdatesAreCountedFromTheThreshold) {
  backend.scores = [](std::uint32_t) { return std::vector<float>(3, 500.0f); };
  config.until_score = 475;
  config.over = 3;
  config.log_every = 4;
  config.extra_updates = 2;
  EXPECT_EQ(train().updates, 6);
}

TEST_F(Trainer, TakesAnyFiniteThreshold) {
  config.until_score = -5;
  config.over = 1;
  EXPECT_EQ(train().reached_update, 1);
}

TEST_F(Trainer, ANewThresholdIsTestedAnewOnResume) {
  config.until_score = 20;
  config.over = 3;
  EXPECT_EQ(train().updates, 1);
  config.until_score = 21;
  config.updates = 5;
  const TrainResult result = resume();
  EXPECT_FALSE(result.reached);
  EXPECT_EQ(result.updates, 5);
}

TEST_F(Trainer, EvaluatesWhenDueAndKeepsTheBest) {
  config.updates = 9;
  config.eval_every = 2;
  config.eval_episodes = 7;
  const float values[] = {0, 3, 8, 8, 5, 8};  // the last one is of the resumed run
  backend.evaluation = [&](const PlayRequest& r) {
    return values[r.stream.epoch - kEvaluationEpoch];
  };
  const TrainResult result = train();
  ASSERT_THAT(backend.plays, SizeIs(4));
  EXPECT_EQ(backend.plays[1].num_envs, 7);
  EXPECT_EQ(backend.plays[1].T, 500);
  EXPECT_TRUE(backend.plays[1].episodic);
  EXPECT_EQ(backend.plays[1].choice, ActionChoice::kGreedy);
  for (std::size_t u = 0; u < 9; ++u) {
    EXPECT_EQ(result.curve[u].has_eval, u % 2 == 1);
    EXPECT_EQ(result.curve[u].eval_score, u % 2 == 1 ? values[(u + 1) / 2] : 0.0f);
  }
  // the first of the two with 8: after update 4
  const Checkpoint best = load_checkpoint(scratch / "run/checkpoints/best");
  EXPECT_EQ(best.trainer.at("update"), 4);
  EXPECT_EQ(best.trainer.at("best_eval"), 8);
  config.updates = 11;
  resume();
  EXPECT_EQ(load_checkpoint(scratch / "run/checkpoints/best").trainer.at("update"), 4);
}

TEST_F(Trainer, SavesWhenDueAndKeepsTheNewest) {
  config.updates = 11;
  config.checkpoint_every = 2;
  config.keep = 3;
  train();
  EXPECT_THAT(checkpoints(), UnorderedElementsAre("00000008", "00000010", "00000011", "last"));
  EXPECT_EQ(std::filesystem::read_symlink(scratch / "run/checkpoints/last"), "00000011");
  for (const char* name : {"00000008", "00000010", "00000011"}) {
    const Checkpoint saved = load_checkpoint(scratch / "run/checkpoints" / name);
    EXPECT_EQ(saved.trainer.at("update"), std::stoi(name));
    EXPECT_EQ(saved.trainer.at("episodes"), 3 * std::stoi(name));
  }
}

TEST_F(Trainer, WritesNothingIfToldSo) {
  config.updates = 3;
  config.checkpoint_every = 1;
  hooks.write_files = false;
  const TrainResult result = train();
  EXPECT_THAT(result.folder.string(), IsEmpty());
  EXPECT_THAT(result.curve, SizeIs(3));
  EXPECT_THAT(scratch.names(), IsEmpty());
}

TEST_F(Trainer, ASignalEndsTheRunAfterTheUpdateWithACheckpoint) {
  volatile std::sig_atomic_t signal = 0;
  hooks.stop_signal = &signal;
  hooks.on_log = [&](const UpdateMetrics& m) { signal = m.update == 5 ? SIGTERM : 0; };
  const TrainResult result = train();
  EXPECT_EQ(result.stop_signal, SIGTERM);
  EXPECT_EQ(result.updates, 5);
  EXPECT_EQ(load_checkpoint(scratch / "run/checkpoints/last").trainer.at("update"), 5);
  EXPECT_THAT(test::slurp(scratch / "run/run.json"), testing::HasSubstr("\"interrupted\""));
}

TEST_F(Trainer, AnErrorKeepsTheLastGoodState) {
  backend.scores = [](std::uint32_t u) -> std::vector<float> {
    if (u == 6) throw NumericError("planted");
    return {1};
  };
  config.checkpoint_every = 4;
  EXPECT_THROW(train(), NumericError);
  EXPECT_THAT(checkpoints(), UnorderedElementsAre("00000004", "00000006", "last"));
  const std::string record = test::slurp(scratch / "run/run.json");
  EXPECT_THAT(record, testing::HasSubstr("\"failed\""));
  EXPECT_THAT(record, testing::HasSubstr("planted"));
  EXPECT_THROW(resume(), NumericError);
  backend.scores = [](std::uint32_t) { return std::vector<float>{1}; };
  config.updates = 8;
  EXPECT_EQ(resume().updates, 8);
  EXPECT_THAT(resumed_epochs, ElementsAre(6u, 7u));
}

// A checkpoint of an update stands for its row in the log and the test of the threshold, too.
TEST_F(Trainer, AnUpdateThatWasNotLoggedIsNotSaved) {
  config.updates = 6;
  config.checkpoint_every = 3;
  config.eval_every = 2;
  config.over = 1;
  config.until_score = 3;
  config.extra_updates = 100;
  backend.scores = [](std::uint32_t u) { return std::vector<float>{u == 3 ? 3.0f : 1.0f}; };
  backend.evaluation = [](const PlayRequest& r) -> float {
    if (r.stream.epoch == kEvaluationEpoch + 2) throw OutOfMemory("planted");
    return 1;
  };
  EXPECT_THROW(train(), OutOfMemory);
  EXPECT_THAT(checkpoints(), UnorderedElementsAre("00000003", "best", "last"));
  backend.evaluation = [](const PlayRequest&) { return 1.0f; };
  const TrainResult result = resume();
  EXPECT_THAT(resumed_epochs, ElementsAre(3u, 4u, 5u));
  EXPECT_EQ(result.reached_update, 4);
  EXPECT_THAT(result.curve, SizeIs(6));
}

TEST_F(Trainer, AnUpdateIsSavedWhoeverFailsAfterItsLog) {
  hooks.on_log = [](const UpdateMetrics& m) {
    if (m.update == 4) throw IoError("planted");
  };
  EXPECT_THROW(train(), IoError);
  EXPECT_THAT(checkpoints(), UnorderedElementsAre("00000004", "last"));
}

// Whatever ends a training, and wherever: in the loop, at its end, before its first update.
TEST_F(Trainer, EveryFailureIsRecorded) {
  const auto status = [&] {
    const std::string record = test::slurp(scratch / "run/run.json");
    return record.find("\"status\": \"failed\"") != std::string::npos &&
           record.find("\"error\": ") != std::string::npos;
  };
  config.force = true;
  config.updates = 3;
  backend.scores = [](std::uint32_t) -> std::vector<float> { throw std::bad_alloc(); };
  EXPECT_THROW(train(), std::bad_alloc);
  EXPECT_TRUE(status()) << "no memory";
  EXPECT_FALSE(std::filesystem::exists(scratch / "run/checkpoints")) << "of a state nobody knows";

  backend.scores = [](std::uint32_t) -> std::vector<float> { throw 1; };
  EXPECT_THROW(train(), int);
  EXPECT_TRUE(status()) << "no exception class";

  backend.scores = [](std::uint32_t) { return std::vector<float>{1}; };
  hooks.on_log = [&](const UpdateMetrics&) { test::spill(scratch / "run/checkpoints", ""); };
  EXPECT_THROW(train(), IoError);
  EXPECT_TRUE(status()) << "the last checkpoint";
  std::filesystem::remove(scratch / "run/checkpoints");

  hooks.on_log = {};
  struct NoRoom : test::ScriptedBackend {
    void upload(const TrainingState&) override { throw OutOfMemory("planted"); }
  } no_room;
  EXPECT_THROW(train(no_room), OutOfMemory);
  EXPECT_TRUE(status()) << "the upload";
  EXPECT_FALSE(std::filesystem::exists(scratch / "run/checkpoints"));
}

TEST_F(Trainer, ARunDoesNotFailForItsPicture) {
  std::vector<std::string> warnings;
  hooks.on_warning = [&](const std::string& text) { warnings.push_back(text); };
  hooks.on_log = [&](const UpdateMetrics&) {
    std::filesystem::create_directory(scratch / "run/curve.svg");
  };
  config.updates = 3;
  EXPECT_EQ(train().updates, 3);
  EXPECT_THAT(warnings, ElementsAre(testing::HasSubstr("curve.svg")));
  EXPECT_THAT(test::slurp(scratch / "run/run.json"), testing::HasSubstr("\"finished\""));
}

TEST_F(Trainer, ARunThatNeverSavedStartsAgain) {
  config.updates = 3;
  train();
  std::filesystem::remove_all(scratch / "run/checkpoints");
  const TrainResult result = resume();
  EXPECT_EQ(result.updates, 3);
  EXPECT_THAT(resumed_epochs, ElementsAre(0u, 1u, 2u));
  EXPECT_THAT(result.curve, SizeIs(3));
}

TEST_F(Trainer, TidiesUpAfterAProcessThatDiedInItsLastSave) {
  config.updates = 4;
  config.checkpoint_every = 1;
  config.keep = 2;
  train();
  const std::filesystem::path folder = scratch / "run/checkpoints";
  std::filesystem::create_directory(folder / "tmp.removed.2147483646");  // no process has that id
  std::filesystem::remove(folder / "last");
  std::filesystem::create_directory_symlink("00000003", folder / "last");
  EXPECT_EQ(resume().updates, 4);
  EXPECT_THAT(checkpoints(), UnorderedElementsAre("00000003", "00000004", "last"));
  EXPECT_EQ(std::filesystem::read_symlink(folder / "last"), "00000004");
}

TEST_F(Trainer, RefusesToResumeWhatIsDamaged) {
  config.updates = 3;
  train();
  std::filesystem::resize_file(scratch / "run/checkpoints/00000003/model.safetensors", 100);
  EXPECT_THROW(resume(), BadInput);
  EXPECT_EQ(checkpoints().count("00000003"), 1u);
}

TEST_F(Trainer, ResumesFromTheNewestCheckpointThatIsWhole) {
  config.updates = 9;
  config.checkpoint_every = 3;
  train();
  std::filesystem::resize_file(scratch / "run/checkpoints/00000009/optimizer.safetensors", 9);
  const TrainResult result = resume();
  EXPECT_THAT(resumed_epochs, ElementsAre(6u, 7u, 8u));
  EXPECT_THAT(result.curve, SizeIs(9));
  EXPECT_NO_THROW(load_checkpoint(scratch / "run/checkpoints/00000009"));
}

}  // namespace trainer_test
}  // namespace lockstep
