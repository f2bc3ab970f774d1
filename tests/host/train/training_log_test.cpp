// Tests for what host/train/trainer.h logs and tells: the end of a run, what there is not, what
// taught nothing, and whose time it is. The backend plays back what the test wants.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cmath>
#include <csignal>
#include <nlohmann/json.hpp>
#include <thread>

#include "host/errors.h"
#include "host/files/checkpoint.h"
#include "host/files/metrics.h"
#include "tests/support/trainer_fixture.h"

namespace lockstep {
namespace training_log_test {

using nlohmann::json;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class TrainingLog : public test::TrainerTest {
 protected:
  std::vector<std::int64_t> logged() const {
    std::vector<std::int64_t> updates;
    for (const UpdateMetrics& m : read_metrics(scratch / "run/metrics.jsonl")) {
      updates.push_back(m.update);
    }
    return updates;
  }
  json trainer_json() const { return load_checkpoint(scratch / "run/checkpoints/last").trainer; }
  json run_json() const { return json::parse(test::slurp(scratch / "run/run.json")); }
};

TEST_F(TrainingLog, TheLastUpdateIsALogPointWhateverEndsTheRun) {
  config.log_every = 10;
  config.updates = 15;
  EXPECT_EQ(train().curve.back().update, 15);
  EXPECT_THAT(logged(), ElementsAre(10, 15));

  config.force = true;
  config.updates = 5;
  EXPECT_THAT(train().curve, SizeIs(1));
  EXPECT_THAT(logged(), ElementsAre(5));
  config.updates = 20;
  train();
  EXPECT_THAT(logged(), ElementsAre(10, 20)) << "an end at a log point is logged once";

  volatile std::sig_atomic_t signal = 0;
  hooks.stop_signal = &signal;
  backend.most_updates = 1;
  backend.scores = [&](std::uint32_t u) {
    signal = u == 12 ? SIGTERM : 0;
    return std::vector<float>{1};
  };
  EXPECT_EQ(train().stop_signal, SIGTERM);
  EXPECT_THAT(logged(), ElementsAre(10, 13));
  hooks.stop_signal = nullptr;

  backend.scores = [](std::uint32_t u) -> std::vector<float> {
    if (u == 6) throw NumericError("planted");
    return {1};
  };
  EXPECT_THROW(train(), NumericError);
  EXPECT_THAT(logged(), ElementsAre(6));
}

// The disk is full for the log alone: a checkpoint ahead of it would resume a run with a gap.
TEST_F(TrainingLog, ALogThatCouldNotBeWrittenLeavesTheCheckpointBefore) {
  rlimit old{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto on_signal = ::signal(SIGXFSZ, SIG_IGN);
  hooks.on_log = [&](const UpdateMetrics& m) {
    const rlimit limit{10'000, old.rlim_max};
    if (m.update == 20) {
      EXPECT_EQ(::setrlimit(RLIMIT_FSIZE, &limit), 0);
    }
  };
  config.updates = 200;
  config.checkpoint_every = 10;
  EXPECT_THROW(train(), IoError);
  ::setrlimit(RLIMIT_FSIZE, &old);
  ::signal(SIGXFSZ, on_signal);

  const auto saved = trainer_json().at("update").get<std::int64_t>();
  EXPECT_EQ(saved % 10, 0) << saved;
  ASSERT_FALSE(logged().empty());
  EXPECT_GE(logged().back(), saved) << "the checkpoint is ahead of its log";
  hooks.on_log = {};
  resume();
  EXPECT_THAT(logged(), SizeIs(200));
}

TEST_F(TrainingLog, TheThresholdIsTestedAtTheEnd) {
  config.log_every = 10;
  config.updates = 5;
  config.over = 3;
  config.until_score = 20;
  const TrainResult result = train();
  EXPECT_TRUE(result.reached);
  EXPECT_EQ(result.reached_update, 5);
  EXPECT_TRUE(run_json().at("result").at("reached"));
  EXPECT_FALSE(trainer_json().at("reached")) << "a run that goes on does not test it here";
}

TEST_F(TrainingLog, ARunThatGoesOnHasNoTraceOfAnEarlierEnd) {
  config.log_every = 10;
  config.updates = 15;
  config.over = 3;
  config.until_score = 20;
  config.extra_updates = 1000;
  backend.scores = [](std::uint32_t u) { return std::vector<float>(3, u == 14 ? 20.0f : 19.0f); };
  EXPECT_EQ(train().reached_update, 15);
  EXPECT_EQ(resume().reached_update, 15) << "nothing left to do: what was found is found again";
  EXPECT_THAT(resumed_epochs, IsEmpty());
  EXPECT_THAT(logged(), ElementsAre(10, 15));
  config.updates = 30;
  EXPECT_FALSE(resume().reached);
  EXPECT_THAT(logged(), ElementsAre(10, 20, 30));
}

TEST_F(TrainingLog, AResumeThatCannotStartLeavesTheEarlierEnd) {
  config.log_every = 10;
  config.updates = 15;
  train();
  const std::filesystem::path settings = scratch / "run/config.toml";
  std::filesystem::remove(settings);
  std::filesystem::create_directory(settings);  // which no file can replace
  EXPECT_THROW(resume(), IoError);
  EXPECT_THAT(logged(), ElementsAre(10, 15));
  EXPECT_EQ(run_json().at("status"), "finished");
  std::filesystem::remove(settings);
  config.updates = 30;
  resume();
  EXPECT_THAT(logged(), ElementsAre(10, 20, 30));
}

TEST_F(TrainingLog, TheEndOfARunIsKnownWhateverTheIntervalWas) {
  config.updates = 4;
  train();
  config.log_every = 10;
  config.updates = 8;
  resume();
  EXPECT_THAT(logged(), ElementsAre(1, 2, 3, 4, 8));
}

TEST_F(TrainingLog, PrintsAtAnIntervalOfItsOwn) {
  config.log_every = 5;
  config.updates = 11;
  hooks.print_every = 3;
  std::vector<std::int64_t> printed;
  hooks.on_print = [&](const UpdateMetrics& m) { printed.push_back(m.update); };
  const TrainResult result = train();
  EXPECT_THAT(printed, ElementsAre(3, 6, 9));
  EXPECT_THAT(logged(), ElementsAre(5, 10, 11));
  EXPECT_THAT(backend.asked, ElementsAre(3u, 2u, 1u, 3u, 1u, 1u));  // 3 5 6 9 10 11
}

TEST_F(TrainingLog, WhatThereIsNotIsNoNumber) {
  config.updates = 3;
  backend.cut_steps = 40;
  backend.scores = [](std::uint32_t u) {
    return u < 2 ? std::vector<float>{} : std::vector<float>{-1, 1};  // a mean of 0
  };
  const TrainResult result = train();
  for (std::size_t u = 0; u < 2; ++u) {
    const UpdateMetrics& m = result.curve[u];
    for (const double v :
         {m.mean_score, m.batch_score, m.batch_length, m.policy_loss, m.entropy, m.grad_norm}) {
      EXPECT_TRUE(std::isnan(v)) << u;
    }
  }
  EXPECT_EQ(result.curve[2].mean_score, 0);
  EXPECT_EQ(result.curve[2].entropy, 0);
  EXPECT_EQ(result.mean_score, 0);
  const std::string log = test::slurp(scratch / "run/metrics.jsonl");
  EXPECT_TRUE(json::parse(log.substr(0, log.find('\n'))).at("losses/entropy").is_null());
  EXPECT_THAT(logged(), ElementsAre(1, 2, 3));
  config.updates = 4;
  EXPECT_THAT(resume().curve, SizeIs(4));

  config.resume.clear();
  config.out = (scratch / "run").string();
  config.force = true;
  config.updates = 2;
  EXPECT_TRUE(std::isnan(train().mean_score));
  EXPECT_TRUE(run_json().at("result").at("mean_score").is_null());
}

TEST_F(TrainingLog, CountsWhatTaughtAndWhatWasCutOverTheWholeRun) {
  config.updates = 3;
  backend.cut_steps = 40;
  EXPECT_EQ(train().gradient_updates, 0);
  backend.grad_norm = 0.5;
  config.updates = 5;
  const TrainResult result = resume();
  EXPECT_EQ(result.gradient_updates, 2);
  EXPECT_EQ(result.cut_steps, 5 * 40);
  EXPECT_EQ(result.steps, 5 * 100);
  EXPECT_EQ(run_json().at("result").at("cut_steps"), 200);
}

TEST_F(TrainingLog, SecondsAreTheWholeRunsAndProcessSecondsThisOnes) {
  config.updates = 3;
  backend.scores = [](std::uint32_t) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
    return std::vector<float>{1};
  };
  const TrainResult first = train();
  EXPECT_EQ(first.seconds, first.process_seconds);
  config.updates = 4;
  const TrainResult second = resume();
  EXPECT_GE(second.process_seconds, 0.005);
  EXPECT_GE(second.seconds, second.process_seconds + 0.015);
  EXPECT_GE(second.seconds, second.curve.back().seconds);
  const json record = run_json().at("result");
  EXPECT_EQ(record.at("seconds"), second.seconds);
  EXPECT_EQ(record.at("process_seconds"), second.process_seconds);
}

}  // namespace training_log_test
}  // namespace lockstep
