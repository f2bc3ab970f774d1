// Tests for host/cpu/table_backend.h: one gradient on every instruction set and any number of
// threads, for every estimator and optimiser; what an update reports and leaves alone; rescaling,
// errors, resume. The numbers themselves: tests/kernels/table_*_test.cpp.
#include "host/cpu/table_backend.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "host/errors.h"
#include "kernels/table_plan.h"
#include "tests/support/compare.h"
#include "tests/support/pong_training.h"
#include "tests/support/scratch_folder.h"

namespace lockstep::test {
namespace table_backend_test {

using testing::HasSubstr;
using testing::ThrowsMessage;

/// Short steps are what takes time: many frames each, of a number that is drawn, with actions that
/// stick.
Config quick_config(std::int64_t envs, std::int64_t hidden = 24) {
  Config config = small_pong_config(envs, hidden);
  config.frame_skip = {9, 15};
  config.repeat_action_probability = 0.25;
  config.noops = 30;
  return config;
}

void add_state(Fnv64& hash, const TrainingState& state) {
  for (const auto* values : {&state.parameters, &state.first_moment, &state.second_moment}) {
    hash.add(std::span(*values));
  }
  const double running[] = {state.beta1_power, state.beta2_power, state.running_mean,
                            state.lr_factor};
  hash.add(std::span<const double>(running));
}

std::uint64_t hash_of(TableBackend& backend, const Config& config, std::uint32_t updates,
                      std::uint32_t first = 0) {
  Fnv64 hash;
  for (std::uint32_t update = first; update < first + updates; ++update) {
    const UpdateResult result = backend.update(update, config.lr);
    hash.add(std::span(result.scores));
    hash.add(std::span(result.lengths));
    hash.add(backend.gradient_view());
    const double numbers[] = {result.policy_loss,
                              result.entropy,
                              result.grad_norm,
                              static_cast<double>(result.steps),
                              static_cast<double>(result.cut_steps()),
                              static_cast<double>(result.rescalings)};
    hash.add(std::span<const double>(numbers));
  }
  add_state(hash, backend.download());
  return hash.value();
}

bool is_offered(const Config& c) {
  return !(c.credit == Credit::kIncoming && c.normalize == Normalize::kEpisode);
}

/// Every estimator that tables offer with every optimiser; activations, clipping, entropy, and
/// whole episodes or a horizon in turn.
std::vector<Config> estimators() {
  std::vector<Config> all;
  for (const ReturnKind returns : {ReturnKind::kStepwise, ReturnKind::kPoint}) {
    for (const Credit credit : {Credit::kAll, Credit::kIncoming}) {
      for (const Normalize normalize :
           {Normalize::kNone, Normalize::kScale, Normalize::kBatch, Normalize::kEpisode}) {
        for (const Baseline baseline :
             {Baseline::kNone, Baseline::kBatchMean, Baseline::kRunningMean}) {
          for (const OptimizerKind optimizer :
               {OptimizerKind::kAdam, OptimizerKind::kSgd, OptimizerKind::kRmsprop}) {
            Config config = quick_config(18, 9);
            config.returns = returns;
            config.credit = credit;
            config.normalize = normalize;
            config.baseline = baseline;
            config.optimizer = optimizer;
            const auto n = all.size();
            config.momentum = optimizer == OptimizerKind::kAdam ? 0 : 0.9;
            config.std_kind = n % 2 == 0 ? StdKind::kPopulation : StdKind::kSample;
            config.activation = n / 2 % 2 == 0 ? Activation::kRelu : Activation::kLeakyRelu;
            config.entropy_coef = n % 5 == 0 ? 0.01 : 0;
            config.max_grad_norm = n % 7 == 0 ? 0.5 : 0;
            config.horizon = n % 4 == 3 ? 700 : 0;
            if (is_offered(config)) all.push_back(config);
          }
        }
      }
    }
  }
  return all;
}

std::string name_of(const Config& c) {
  return "returns " + std::to_string(static_cast<int>(c.returns)) + ", credit " +
         std::to_string(static_cast<int>(c.credit)) + ", normalize " +
         std::to_string(static_cast<int>(c.normalize)) + ", baseline " +
         std::to_string(static_cast<int>(c.baseline)) + ", optimizer " +
         std::to_string(static_cast<int>(c.optimizer));
}

TEST(TableBackend, EveryEstimatorGivesTheSameBitsOnEveryInstructionSetAndNumberOfThreads) {
  std::vector<std::uint64_t> seen;
  int turn = 0;
  for (const Config& config : estimators()) {
    TableBackend plain = make_table_backend(config);
    const std::uint64_t want = hash_of(plain, config, 2);
    for (const Isa isa : available_isas()) {
      const int threads = 1 + ++turn % 3;
      if (isa == Isa::kScalar && threads == 1) continue;
      TableBackend other = make_table_backend(config, {.isa = isa, .threads = threads});
      EXPECT_EQ(hash_of(other, config, 2), want)
          << isa_name(isa) << ", " << threads << " threads, " << name_of(config);
    }
    seen.push_back(want);
  }
  EXPECT_EQ(seen.size(), 126u);
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(std::unique(seen.begin(), seen.end()), seen.end());  // no option without effect
}

TEST(TableBackend, GivesBackTheStateItWasGiven) {
  for (const std::int64_t hidden : {1, 16, 19}) {
    const Config config = small_pong_config(4, hidden);
    TableBackend backend = make_table_backend(config);
    TrainingState state;
    state.beta1_power = 0.5;
    state.beta2_power = 0.25;
    state.running_mean = -3;
    state.lr_factor = 0.75;
    const auto weights = [&](std::uint64_t seed) {
      return initial_parameters(backend.shape(), Init::kNormal, seed);
    };
    state.parameters = weights(5);
    state.first_moment = weights(6);
    state.second_moment = weights(7);
    backend.upload(state);
    Fnv64 want, got;
    add_state(want, state);
    add_state(got, backend.download());
    EXPECT_EQ(got.value(), want.value()) << hidden;
    EXPECT_EQ(backend.download().parameters, state.parameters) << hidden;
  }
}

TEST(TableBackend, ReportsEveryEpisodeInTheOrderOfEnvironments) {
  for (const std::int64_t horizon : {0, 700}) {
    Config config = quick_config(19);
    config.horizon = horizon;
    TableBackend backend = make_table_backend(config);
    const UpdateResult result = backend.update(0, config.lr);
    const TableRecord& r = backend.record();
    std::vector<float> scores;
    std::vector<std::int32_t> lengths;
    std::int64_t cut = 0, steps = 0;
    for (std::int64_t env = 0; env < 19; ++env) {
      float score = 0;
      int length = 0;
      for (int t = 0; t < r.steps.steps[env / kGroup]; ++t) {
        const std::int64_t step = env / kGroup * r.steps.T + t;
        score += static_cast<float>(r.reward[step * kGroup + env % kGroup]);
        ++length;
        const int ends = r.steps.terminated[step] | r.steps.truncated[step];
        if (((ends >> (env % kGroup)) & 1) == 0) continue;
        scores.push_back(score);
        lengths.push_back(length);
        steps += length;
        score = 0;
        length = 0;
        if (horizon == 0) break;
      }
      cut += length;
    }
    EXPECT_EQ(result.scores, scores);
    EXPECT_EQ(result.lengths, lengths);
    EXPECT_EQ(result.steps, steps + cut);
    EXPECT_EQ(result.cut_steps(), cut);
    EXPECT_EQ(cut > 0, horizon > 0);
    EXPECT_GE(scores.size(), 19u);
    EXPECT_NEAR(result.entropy, std::log(2.0), 0.2);
    EXPECT_GT(result.grad_norm, 0);
  }
}

std::uint64_t state_of(const TableBackend& backend) {
  Fnv64 hash;
  add_state(hash, backend.download());
  return hash.value();
}

TEST(TableBackend, LearnsNothingWhereNoEpisodeFinished) {
  Config config = quick_config(17);
  config.horizon = 20;
  config.baseline = Baseline::kRunningMean;
  TableBackend backend = make_table_backend(config);
  const std::uint64_t before = state_of(backend);
  const UpdateResult result = backend.update(0, config.lr);
  EXPECT_TRUE(result.scores.empty());
  EXPECT_EQ(result.steps, 17 * 20);
  EXPECT_EQ(result.cut_steps(), 17 * 20);
  EXPECT_EQ(state_of(backend), before);
}

TEST(TableBackend, ThePartsAreTheUpdate) {
  const Config config = quick_config(18);
  TableBackend whole = make_table_backend(config), parts = make_table_backend(config);
  for (std::uint32_t update = 0; update < 3; ++update) {
    const UpdateResult result = whole.update(update, config.lr);
    parts.rollout(update);
    parts.credit();
    EXPECT_EQ(parts.gradient(), result.rescalings);
    parts.take_step(config.lr, result.grad_norm);
  }
  EXPECT_EQ(state_of(whole), state_of(parts));
}

TEST(TableBackend, PlayingLeavesTheTrainingAlone) {
  const Config config = quick_config(18);
  const GameOptions game{.max_noops = 3, .max_steps = 900};
  for (const bool dense : {false, true}) {
    TableBackend plain = make_table_backend(config), disturbed = make_table_backend(config);
    const auto weights = initial_parameters(plain.shape(), Init::kNormal, 99);
    for (std::uint32_t update = 0; update < 3; ++update) {
      plain.update(update, config.lr);
      PlayRequest request{.num_envs = 5, .T = 900, .stream = {3, kEvaluationEpoch}, .game = game};
      request.dense = dense;
      disturbed.play(weights, request, nullptr);
      disturbed.update(update, config.lr);
    }
    EXPECT_EQ(state_of(plain), state_of(disturbed)) << dense;
  }
}

TEST(TableBackend, AnErrorLeavesTheStateOfBeforeTheUpdate) {
  Config config = quick_config(17);
  config.baseline = Baseline::kRunningMean;
  for (const OptimizerKind optimizer : {OptimizerKind::kAdam, OptimizerKind::kSgd}) {
    config.optimizer = optimizer;
    TableBackend backend = make_table_backend(config), other = make_table_backend(config);
    backend.update(0, config.lr);
    other.update(0, config.lr);
    for (const double lr : {1e39, std::nan(""), HUGE_VAL}) {
      EXPECT_THROW(backend.update(1, lr), NumericError) << lr;
      EXPECT_EQ(state_of(backend), state_of(other)) << lr;
    }
    backend.update(1, config.lr);
    other.update(1, config.lr);
    EXPECT_EQ(state_of(backend), state_of(other));
  }
}

TEST(TableBackend, GoesBackFromAStepThatOverflowsLargeWeights) {
  Config config = quick_config(17, 16);
  config.optimizer = OptimizerKind::kSgd;
  TableBackend backend = make_table_backend(config);
  TrainingState state = backend.download();
  state.parameters[100] = 3e38f;  // of a pixel that nothing lights
  config.weight_decay = 0;
  backend.upload(state);
  const std::uint64_t before = state_of(backend);
  EXPECT_THROW(backend.update(0, 1e38), NumericError);
  EXPECT_EQ(state_of(backend), before);
}

TEST(TableBackend, RefusesWeightsThatAreNotFinite) {
  const Config config = quick_config(5, 16);
  for (const float bad : {std::nanf(""), HUGE_VALF}) {
    for (const std::size_t place : {std::size_t{6400 * 3 + 40 * 80 + 70}, std::size_t{6400 * 16}}) {
      TableBackend backend = make_table_backend(config);
      TrainingState state = backend.download();
      state.parameters[place] = bad;
      backend.upload(state);
      const std::uint64_t before = state_of(backend);
      EXPECT_THROW(backend.update(0, config.lr), NumericError) << bad << " at " << place;
      EXPECT_EQ(state_of(backend), before) << bad << " at " << place;
    }
  }
}

/// A backend after the estimates of an update; all have the same.
TableBackend estimated(const Config& config) {
  TableBackend backend = make_table_backend(config);
  backend.rollout(0);
  backend.credit();
  return backend;
}

TEST(TableBackend, ComputesASaturatedGradientAgainWithFewerBits) {
  Config config = quick_config(17, 16);
  config.normalize = Normalize::kNone;  // advantages as they stand in the record
  TableBackend plain = estimated(config);
  EXPECT_EQ(plain.gradient(), 0);
  const auto base = plain.gradient_view();
  // one step's share is linear in its advantage: twice of it from twice the advantage, which is
  // rounded with a bit less
  const auto with = [&](float factor, int& rescalings) {
    TableBackend backend = estimated(config);
    const TableRecord& r = backend.record();
    for (std::int64_t step = 5;; ++step) {
      float& advantage = r.steps.advantage[step * kGroup + 2];
      if ((r.steps.valid[step] >> 2 & 1) == 0 || std::abs(advantage) < 0.5f) continue;
      advantage *= factor;
      break;
    }
    rescalings = backend.gradient();
    std::vector<double> share;
    for (std::size_t i = 0; i < base.size(); ++i) {
      share.push_back(static_cast<double>(backend.gradient_view()[i]) -
                      static_cast<double>(base[i]));
    }
    return share;
  };
  int few = 0, more = 0;
  const auto once = with(1 + 64, few), twice = with(1 + 128, more);
  EXPECT_GE(few, 3);
  EXPECT_EQ(more, few + 1);
  double largest = 0, wrong = 0;
  for (std::size_t i = 0; i < once.size(); ++i) {
    largest = std::max(largest, std::abs(twice[i]));
    wrong = std::max(wrong, std::abs(twice[i] - 2 * once[i]));
  }
  EXPECT_GT(largest, 0);
  EXPECT_LT(wrong, 1e-4 * largest);
}

TEST(TableBackend, GivesUpOnAGradientThatStaysSaturated) {
  const Config config = quick_config(17, 16);
  for (const float bad : {std::nanf(""), HUGE_VALF, 1e30f}) {
    TableBackend backend = estimated(config);
    const TableRecord& r = backend.record();
    for (int t = 0; t < 100; ++t) r.steps.advantage[t * kGroup + 2] = bad;
    EXPECT_THAT([&] { backend.gradient(); },
                ThrowsMessage<NumericError>(HasSubstr("stays saturated")))
        << bad;
  }
}

TEST(TablePlan, BitsAreDroppedBeyondTwoToThe24Steps) {
  EXPECT_EQ(table_bits(0), 0);
  EXPECT_EQ(table_bits(kMaxTableSteps), 0);
  EXPECT_EQ(kMaxTableSteps, 1 << 24);
  EXPECT_EQ(table_bits(kMaxTableSteps + 1), 1);
  EXPECT_EQ(table_bits(2 * kMaxTableSteps), 1);
  EXPECT_EQ(table_bits(2 * kMaxTableSteps + 1), 2);
  EXPECT_EQ(table_bits(std::int64_t{1} << 40), 16);
  // the sums stay below 2^51: largest |e_t - e_{t+1}| times steps
  for (const std::int64_t steps : {std::int64_t{1} << 24, std::int64_t{1} << 30}) {
    const double scale = static_cast<double>(table_gradient_scale(1.0, table_bits(steps)));
    EXPECT_LE(2 * scale * static_cast<double>(steps), 0x1p51) << steps;
  }
}

TEST(TableBackend, ResumeIsExact) {
  ScratchFolder scratch{memory_folder()};
  for (const OptimizerKind optimizer :
       {OptimizerKind::kAdam, OptimizerKind::kSgd, OptimizerKind::kRmsprop}) {
    Config config = quick_config(17, 9);
    config.optimizer = optimizer;
    config.momentum = optimizer == OptimizerKind::kAdam ? 0 : 0.9;
    config.baseline = Baseline::kRunningMean;
    config.lr_decay = LrDecay::kLinear;
    config.lr_decay_updates = 9;
    config.until_score = 100;
    config.eval_every = 2;
    config.eval_episodes = 5;
    config.updates = 6;
    const std::string n = std::to_string(static_cast<int>(optimizer));
    config.out = (scratch / ("whole" + n)).string();
    Engine(config).train();
    config.out = (scratch / ("parts" + n)).string();
    config.updates = 2;
    Engine(config).train();
    config.resume = config.out;
    config.out.clear();
    config.updates = 6;
    config.threads = 3;
    Engine(config).train();
    for (const char* file : {"model.safetensors", "optimizer.safetensors"}) {
      const auto of = [&](const char* run) {
        return slurp(scratch / (run + n) / "checkpoints/last" / file);
      };
      EXPECT_GT(of("whole").size(), 6400u * 4 * 9);
      EXPECT_EQ(of("parts"), of("whole")) << file << " " << n;
    }
  }
}

}  // namespace table_backend_test
}  // namespace lockstep::test
