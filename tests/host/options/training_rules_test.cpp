// Tests for validate_training() of host/options/options.h, against the real backends: whatever it
// refuses has no gradient, and what has none is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "host/backend/backend.h"
#include "host/engine.h"
#include "tests/support/option_errors.h"

namespace lockstep {
namespace training_rules_test {

using test::Pairs;
using test::thrown_by;
using testing::HasSubstr;

std::string refusal(const Config& config) {
  return thrown_by([&] { validate_training(config); });
}
bool is_refused(const Config& config) { return refusal(config) != "nothing"; }

/// Whether no update with a finished episode had a gradient; of `updates` updates.
bool never_has_gradient(const Config& config, int updates) {
  const EnvironmentEntry& environment = find_environment(config.env);
  const auto backend = make_backend(config, environment);
  TrainingState state;
  state.parameters =
      initial_parameters(policy_shape(config, environment), config.init, config.seed);
  state.first_moment.assign(state.parameters.size(), 0.0f);
  state.second_moment = state.first_moment;
  backend->upload(state);
  int finished = 0;
  for (int update = 0; update < updates; ++update) {
    const UpdateResult result = backend->update(static_cast<std::uint32_t>(update), config.lr);
    finished += result.scores.empty() ? 0 : 1;
    if (result.grad_norm > 0) return false;
  }
  EXPECT_GT(finished, 0);
  return true;
}

std::string text_of(const Config& config) {
  std::string text = config.env;
  for (const char* name :
       {"returns", "baseline", "normalize", "std", "gamma", "envs", "horizon", "credit"}) {
    text += std::string(" --") + name + " " + option_text(config, *find_option(name));
  }
  return text;
}

/// Calls body(config) for every combination of what makes an advantage that is offered.
template <class Body>
void for_each_estimator(Config config, const Body& body) {
  for (const ReturnKind returns : {ReturnKind::kStepwise, ReturnKind::kFull, ReturnKind::kPoint}) {
    for (const Baseline baseline :
         {Baseline::kNone, Baseline::kBatchMean, Baseline::kTimeMean, Baseline::kRunningMean}) {
      for (const Normalize normalize :
           {Normalize::kNone, Normalize::kScale, Normalize::kBatch, Normalize::kEpisode}) {
        for (const StdKind std_kind : {StdKind::kPopulation, StdKind::kSample}) {
          config.returns = returns;
          config.baseline = baseline;
          config.normalize = normalize;
          config.std_kind = std_kind;
          if (thrown_by([&] { validate(config); }) != "nothing") continue;
          SCOPED_TRACE(text_of(config));
          body(config);
        }
      }
    }
  }
}

TEST(TrainingRules, RefuseExactlyTheAdvantagesOfCartPoleThatAreAlwaysZero) {
  Config config;
  config.hidden = 4;
  config.device = "cpu";
  int refused = 0, taken = 0;
  // 12 steps: room for one episode of at least 8
  for (const std::int64_t horizon : {0, 12, 40}) {
    for (const std::int64_t envs : {1, 2}) {
      for (const double gamma : {0.0, 1e-9, 1.0}) {
        config.horizon = horizon;
        config.until_score = horizon > 0 ? 10 : 475;
        config.envs = envs;
        config.gamma = gamma;
        for_each_estimator(config, [&](const Config& c) {
          const bool zero = never_has_gradient(c, horizon == 0 ? 3 : 40);
          EXPECT_EQ(is_refused(c), zero) << refusal(c);
          ++(zero ? refused : taken);
        });
      }
    }
  }
  EXPECT_GT(refused, 100);
  EXPECT_GT(taken, 100);
}

// Rounding leaves something of what is 0 but for it, and a deviation of that makes it large.
TEST(TrainingRules, DoNotDependOnHowADiscountRounds) {
  Config config;
  for (const std::int64_t envs : {1, 2}) {
    config.envs = envs;
    for_each_estimator(config, [&](Config c) {
      c.gamma = 1.0;
      const bool refused = is_refused(c);
      c.gamma = 0.99;
      EXPECT_EQ(is_refused(c), refused);
    });
  }
}

TEST(TrainingRules, LetEveryEstimatorOfAGameTeach) {
  Config config;
  config.env = "pong";
  config.hidden = 4;
  config.envs = 1;
  config.until_score = 18;
  config.init = Init::kNormal;
  config.device = "cpu";
  for (const double gamma : {0.0, 1.0}) {
    for (const Credit credit : {Credit::kAll, Credit::kIncoming}) {
      config.gamma = gamma;
      config.credit = credit;
      for_each_estimator(config, [&](const Config& c) {
        if (c.std_kind == StdKind::kSample) return;
        EXPECT_FALSE(never_has_gradient(c, 1));
        EXPECT_FALSE(is_refused(c)) << refusal(c);
      });
    }
  }
}

TEST(TrainingRules, SayWhyAndWhatToUseInstead) {
  const auto error = [](const Pairs& flags) { return refusal(resolve_config({flags, {}})); };
  EXPECT_EQ(error({}), "nothing");
  EXPECT_EQ(error({{"recipe", "classic"}}), "nothing");
  EXPECT_EQ(error({{"envs", "1"}}),
            "2 --envs: 1 with --baseline time_mean makes every advantage 0: the mean over one "
            "environment is its own return; use more, or --baseline none or running_mean");
  EXPECT_EQ(error({{"recipe", "linear"}, {"envs", "1"}}), error({{"envs", "1"}}));
  EXPECT_EQ(error({{"envs", "1"}, {"baseline", "running_mean"}}), "nothing");
  EXPECT_EQ(
      error(
          {{"returns", "full"}, {"baseline", "batch_mean"}, {"normalize", "none"}, {"envs", "1"}}),
      "2 --returns: full with one episode makes all returns of an update the same, and "
      "--baseline batch_mean then every advantage 0; use --returns stepwise, or more --envs");
  EXPECT_EQ(error({{"gamma", "0"}, {"baseline", "none"}}),
            "2 --gamma: 0.0 makes all returns of an update the same, and --normalize scale then "
            "every advantage 0; use a larger discount");
  EXPECT_EQ(error({{"gamma", "0"}, {"baseline", "none"}, {"normalize", "none"}}), "nothing");
}

TEST(TrainingRules, RefuseAThresholdBeyondTheHorizon) {
  const auto error = [](Pairs flags) {
    flags.emplace_back("baseline", "none");
    return refusal(resolve_config({flags, {}}));
  };
  EXPECT_EQ(
      error({{"horizon", "100"}}),
      "2 --until-score: 475.0 is more than the 100.0 that an episode can score within --horizon "
      "100; use at most that, or --horizon 0");
  EXPECT_EQ(error({{"horizon", "475"}}), "nothing");
  EXPECT_THAT(error({{"horizon", "474"}}),
              HasSubstr("2 --until-score: 475.0 is more than the 474.0"));
  EXPECT_EQ(error({{"horizon", "100"}, {"until-score", "100"}}), "nothing");
  EXPECT_THAT(error({{"horizon", "9000"}, {"until-score", "501"}}),
              HasSubstr("2 --until-score: 501.0 is more than the 500.0"));
  EXPECT_THAT(error({{"horizon", "7"}, {"until-score", "3"}}),
              HasSubstr("2 --horizon: no episode of cartpole ends within 7 steps, the shortest "
                        "takes 8"));
  EXPECT_THAT(error({{"env", "pong"}, {"horizon", "17"}}),
              HasSubstr("2 --until-score: 18.0 is more than the 17.0"));
  EXPECT_EQ(error({{"env", "pong"}, {"horizon", "500"}}), "nothing");
}

TEST(TrainingRules, AreAskedByTheEngineBeforeItTrainsAndNotBeforeItPlays) {
  Config config;
  config.envs = 1;
  Engine engine(config);
  EXPECT_EQ(engine.rollout({.steps = 10}).steps, 10);
  TrainHooks hooks;
  hooks.write_files = false;
  EXPECT_THAT(thrown_by([&] { engine.train(hooks); }), HasSubstr("2 --envs: 1 with --baseline"));
}

}  // namespace training_rules_test
}  // namespace lockstep
