// A backend that plays back what a test wants the trainer to see. Test code only.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "host/backend/backend.h"
#include "host/backend/outcome.h"

namespace lockstep::test {

/// Three episodes an update with the scores of `scores(update)`, one step a point of score.
class ScriptedBackend : public Backend {
 public:
  std::function<std::vector<float>(std::uint32_t)> scores = [](std::uint32_t) {
    return std::vector<float>{10, 20, 30};
  };
  std::function<float(const PlayRequest&)> evaluation = [](const PlayRequest&) { return 0.0f; };
  double grad_norm = 0;        // of every update
  std::int64_t cut_steps = 0;  // of every update, beside those of its episodes
  std::vector<std::uint32_t> epochs;
  std::vector<double> rates;
  std::vector<PlayRequest> plays;
  std::vector<std::size_t> asked;              // updates, by call
  std::size_t most_updates = ~std::size_t{0};  // done in one call

  std::int64_t most_listed() const { return most_listed_; }
  std::string name() const override { return "scripted"; }
  void upload(const TrainingState& state) override { state_ = state; }
  TrainingState download() const override { return state_; }
  std::vector<UpdateResult> updates(std::uint32_t epoch, std::span<const double> lr) override {
    asked.push_back(lr.size());
    std::vector<UpdateResult> results;
    for (const double rate : lr) {
      results.push_back(one_update(epoch++, rate));
      if (results.size() == most_updates) break;
    }
    return results;
  }
  UpdateResult one_update(std::uint32_t epoch, double lr) {
    UpdateResult result;
    result.scores = scores(epoch);
    for (const float score : result.scores) {
      result.lengths.push_back(static_cast<std::int32_t>(score));
      result.steps += result.lengths.back();
    }
    sum_up_episodes(most_listed_, result);
    result.steps += cut_steps;
    result.grad_norm = grad_norm;
    epochs.push_back(epoch);
    rates.push_back(lr);
    for (float& p : state_.parameters) p = 0.5f * p + static_cast<float>(lr);
    return result;
  }
  PlayResult play(const std::vector<float>&, const PlayRequest& request, Record<float>*) override {
    plays.push_back(request);
    PlayResult result;
    result.score.assign(static_cast<std::size_t>(request.num_envs), evaluation(request));
    return result;
  }
  std::unique_ptr<Stepper> make_stepper(const StepperRequest&) override { return nullptr; }

 private:
  TrainingState state_;
};

}  // namespace lockstep::test
