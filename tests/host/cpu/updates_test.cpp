// Tests for host/cpu/updates: that an update is the stages of its learner in their order, which of
// them come again where a term was out of range, and what is left of an update that fails. The
// backend here has no kernels: it notes what it is asked for.
#include "host/cpu/updates.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>

#include "host/errors.h"
#include "tests/support/training.h"

namespace lockstep {
namespace updates_test {

using testing::ElementsAre;
using testing::IsEmpty;

Config config_of(int threads) {
  Config config = test::small_config(40);
  config.baseline = Baseline::kRunningMean;
  config.threads = threads;
  return config;
}

class Noting : public CpuUpdates {
 public:
  explicit Noting(const Learner& learner = reinforce(), const Config& config = config_of(1))
      : CpuUpdates(config, find_environment("cartpole"),
                   {.threads = static_cast<int>(config.threads)}, 1, learner) {
    allocate_updates(500);
    outcome_.episodes.zero();
    outcome_.episodes[0] = 2;
    outcome_.episodes[39] = 1;
    steps_.groups = 3;
    steps_.steps = lengths_;
    numbers.assign(4, 1.0f);
    first.assign(4, 0.0f);
    second = first;
  }

  void upload(const TrainingState& state) override { begin_from(state); }
  TrainingState download() const override {
    TrainingState state;
    static_cast<RunningState&>(state) = running_;
    state.parameters = numbers;
    return state;
  }
  PlayResult play(const std::vector<float>&, const PlayRequest&, Record<float>*) override {
    return {};
  }
  std::unique_ptr<Stepper> make_stepper(const StepperRequest&) override { return nullptr; }
  void rollout(std::uint32_t epoch) override { note("rollout " + std::to_string(epoch)); }
  std::span<const float> gradient_view() const override { return {}; }
  const Batch& batch() const { return batch_; }

  std::vector<std::string> notes;
  std::map<std::int64_t, std::vector<int>> threads;  // of the stages of a part
  std::int64_t count = 7;                            // of steps that count, a group
  int saturated_until = 0;  // bits dropped with which no term is out of range
  bool found_late = false;  // in reduce(), not in weigh()
  float stepped = 2;        // what a step makes of every number
  double norm = 0.5;
  std::int64_t number_of_parts = 1;
  std::vector<float> numbers, first, second;

 private:
  void note(const std::string& what) {
    const std::lock_guard lock(mutex_);
    notes.push_back(what);
  }
  const Record<float>& steps() const override { return steps_; }
  void tell_episodes(UpdateResult& result) const override { result.scores = {3, 4}; }
  void returns(std::int64_t, std::int64_t*, ReturnSums& sums) override {
    sums.count += count;
    sums.sum += 100;
  }
  void baseline(const BaselineArgs<float>&, std::int64_t group, ReturnSums&) override {
    if (group == 0) note("credit");
  }
  void weigh(int bits_dropped) override {
    note("weigh " + std::to_string(bits_dropped));
    in_range_ = bits_dropped >= saturated_until;
    saturated_ = !in_range_ && !found_late;
  }
  std::int64_t parts() const override { return number_of_parts; }
  void note(const std::string& what, std::int64_t part, int thread) {
    note(what + " " + std::to_string(part));
    const std::lock_guard lock(mutex_);
    threads[part].push_back(thread);
  }
  void accumulate(std::int64_t part, int thread) override { note("accumulate", part, thread); }
  void reduce(std::int64_t part, int thread) override {
    note("reduce", part, thread);
    if (found_late) saturated_ = !in_range_;
  }
  void finish(std::int64_t part, int thread) override { note("finish", part, thread); }
  Totals totals() const override { return {.loss = -60, .entropy = 42}; }
  double gradient_norm() override { return norm; }
  std::array<std::span<float>, 3> trained() override { return {numbers, first, second}; }
  std::uint32_t optimize(const OptimizerArgs&, std::int64_t from, std::int64_t n) override {
    note("step");
    std::fill_n(numbers.begin() + from, n, stepped);
    return magnitude_bits(stepped);
  }
  void renew() override { note("renew"); }

  std::int32_t lengths_[3] = {10, 20, 5};
  Record<float> steps_{};
  bool in_range_ = true;
  std::mutex mutex_;
};

TEST(CpuUpdates, AreTheStagesOfReinforce) {
  Noting backend;
  const UpdateResult result = backend.update(6, 0.1);
  EXPECT_THAT(backend.notes, ElementsAre("rollout 6", "credit", "weigh 0", "accumulate 0",
                                         "reduce 0", "finish 0", "step", "renew"));
  EXPECT_EQ(result.rescalings, 0);
  EXPECT_EQ(result.policy_loss, -60.0 / 3);
  EXPECT_EQ(result.entropy, 42.0 / 21);
  EXPECT_EQ(result.grad_norm, 0.5);
  EXPECT_THAT(result.scores, ElementsAre(3, 4));
  EXPECT_EQ(result.episodes, 2);
}

TEST(CpuUpdates, FollowTheListOfWhateverLearner) {
  const Learner twice{
      .begin = {Stage::kRollout},
      .epoch = {},
      .pass = {Stage::kCredit, Stage::kWeigh, Stage::kAccumulate, Stage::kWeigh, Stage::kFinish}};
  Noting backend(twice);
  backend.credit();  // there is something to learn
  backend.notes.clear();
  backend.update(0, 0.1);
  EXPECT_THAT(backend.notes,
              ElementsAre("rollout 0", "credit", "weigh 0", "accumulate 0", "weigh 0", "finish 0"));
}

TEST(CpuUpdates, SumUpWhatABatchIsMadeOf) {
  Noting backend;
  backend.credit();
  EXPECT_EQ(backend.batch().returns.count, 3 * 7);
  EXPECT_EQ(backend.batch().returns.sum, 300);
  EXPECT_EQ(backend.batch().steps, 35 * kGroup);
  EXPECT_EQ(backend.batch().episodes, 3);
}

TEST(CpuUpdates, APassBeginsAgainUntilAllTermsAreInRange) {
  for (const bool late : {false, true}) {
    Noting backend;
    backend.saturated_until = 2;
    backend.found_late = late;
    EXPECT_EQ(backend.update(0, 0.1).rescalings, 2);
    std::vector<std::string> want = {"rollout 0", "credit"};
    for (const char* bits : {"0", "1"}) {
      want.push_back(std::string("weigh ") + bits);
      if (late) want.insert(want.end(), {"accumulate 0", "reduce 0"});
    }
    want.insert(want.end(), {"weigh 2", "accumulate 0", "reduce 0", "finish 0", "step", "renew"});
    EXPECT_EQ(backend.notes, want) << late;
  }
  Noting backend;
  backend.saturated_until = kMaxRescalings;
  EXPECT_EQ(backend.gradient(), kMaxRescalings);
  EXPECT_EQ(backend.notes.back(), "finish 0");
}

TEST(CpuUpdates, APartIsFinishedByTheThreadThatSummedIt) {
  for (const int threads : {1, 3}) {
    Noting backend(reinforce(), config_of(threads));
    backend.number_of_parts = 20;
    backend.gradient();
    EXPECT_EQ(backend.notes.size(), 1u + 3 * 20);
    const auto at = [&](const std::string& note) {
      return std::find(backend.notes.begin(), backend.notes.end(), note) - backend.notes.begin();
    };
    for (int part = 0; part < 20; ++part) {
      const std::string name = std::to_string(part);
      EXPECT_LT(at("accumulate " + name), at("reduce " + name));
      EXPECT_LT(at("reduce " + name), at("finish " + name));
      const std::vector<int>& by = backend.threads[part];
      EXPECT_THAT(by, testing::AllOf(testing::SizeIs(3), testing::Each(by.front()))) << part;
    }
    if (threads == 1) {
      EXPECT_EQ(at("finish 0") + 1, at("accumulate 1"));
    }
  }
}

TEST(CpuUpdates, LearnNothingWhereNothingCounts) {
  Noting backend;
  backend.count = 0;
  const UpdateResult result = backend.update(0, 0.1);
  EXPECT_THAT(backend.notes, ElementsAre("rollout 0", "credit"));
  EXPECT_EQ(result.entropy, 0);
  EXPECT_EQ(result.grad_norm, 0);
  EXPECT_EQ(backend.download().running_mean, 0);
}

void expect_unchanged(Noting& backend, const char* message) {
  const TrainingState before = backend.download();
  EXPECT_THAT([&] { backend.update(1, 0.1); },
              testing::ThrowsMessage<NumericError>(testing::HasSubstr(message)));
  const TrainingState after = backend.download();
  EXPECT_EQ(after.running_mean, before.running_mean);
  EXPECT_EQ(after.beta1_power, before.beta1_power);
  EXPECT_EQ(after.beta2_power, before.beta2_power);
  EXPECT_EQ(after.parameters, before.parameters);
}

TEST(CpuUpdates, ThatFailLeaveTheStateOfBefore) {
  Noting saturated;
  saturated.update(0, 0.1);
  EXPECT_NE(saturated.download().running_mean, 0);
  EXPECT_NE(saturated.download().beta1_power, 1);
  saturated.saturated_until = kMaxRescalings + 1;
  expect_unchanged(saturated, numeric_error::kSaturated);

  Noting steep;
  steep.norm = INFINITY;
  expect_unchanged(steep, numeric_error::kGradient);

  Noting broken;  // with numbers that a step could make overflow
  broken.numbers.assign(4, 3e38f);
  broken.upload({});
  broken.stepped = NAN;
  expect_unchanged(broken, numeric_error::kParameter);
  EXPECT_EQ(broken.numbers[0], 3e38f);
}

TEST(CpuUpdates, ThatFailByTheirOptionsLeaveTheStateOfBefore) {
  const auto with = [](const auto& set) {
    Config config = config_of(1);
    set(config);
    return config;
  };
  for (const Config& config :
       {with([](Config& c) { c.decoupled_weight_decay = 1e38; }),
        with([](Config& c) { c.weight_decay = 1e30; }), with([](Config& c) { c.eps = 1e-30; })}) {
    Noting backend(reinforce(), config);
    backend.upload({});
    backend.stepped = NAN;
    expect_unchanged(backend, numeric_error::kParameter);
    EXPECT_EQ(backend.numbers[0], 1.0f) << config.weight_decay << ", " << config.eps;
  }
}

}  // namespace updates_test
}  // namespace lockstep
