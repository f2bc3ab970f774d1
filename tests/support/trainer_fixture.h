// A trainer with a scripted backend and a folder to write to. Test code only.
#pragma once

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "host/train/trainer.h"
#include "tests/support/scratch_folder.h"
#include "tests/support/scripted_backend.h"

namespace lockstep::test {

class TrainerTest : public testing::Test {
 protected:
  TrainerTest() {
    config.hidden = 2;
    config.until_score = 1e9;
    config.out = (scratch / "run").string();
  }

  TrainResult train() { return train(backend); }
  TrainResult train(ScriptedBackend& with) {
    const EnvironmentEntry& environment = find_environment("cartpole");
    TrainingState initial;
    initial.parameters.assign(4 * 2 + 2 + 2 * 2 + 2, 1.0f);
    initial.first_moment.assign(initial.parameters.size(), 0.0f);
    initial.second_moment = initial.first_moment;
    return run_training(with, config, environment, initial, hooks);
  }
  TrainResult resume() {
    ScriptedBackend again;
    again.scores = backend.scores;
    again.evaluation = backend.evaluation;
    again.grad_norm = backend.grad_norm;
    again.cut_steps = backend.cut_steps;
    config.resume = (scratch / "run").string();
    config.out.clear();
    const TrainResult result = train(again);
    resumed_epochs = again.epochs;
    resumed_rates = again.rates;
    return result;
  }
  std::set<std::string> checkpoints() const { return scratch.names("run/checkpoints"); }

  ScratchFolder scratch{memory_folder()};
  Config config;
  TrainHooks hooks;
  ScriptedBackend backend;
  std::vector<std::uint32_t> resumed_epochs;
  std::vector<double> resumed_rates;
};

}  // namespace lockstep::test
