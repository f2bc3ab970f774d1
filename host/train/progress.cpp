// Between a running training and its checkpoint.
#include "host/train/progress.h"

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>
#include <span>

#include "host/errors.h"
#include "host/text.h"

namespace lockstep {
namespace {

/// PyTorch's names of the optimiser's tensors; null where the optimiser has none.
struct MomentNames {
  const char* first;
  const char* second;
};
MomentNames moment_names(OptimizerKind kind) {
  switch (kind) {
    case OptimizerKind::kAdam:
      return {".exp_avg", ".exp_avg_sq"};
    case OptimizerKind::kSgd:
      return {".momentum_buffer", nullptr};
    case OptimizerKind::kRmsprop:
      return {".momentum_buffer", ".square_avg"};
  }
  return {nullptr, nullptr};
}

void append(std::vector<NamedTensor>& to, std::vector<NamedTensor> from) {
  for (NamedTensor& tensor : from) to.push_back(std::move(tensor));
}

constexpr const char* kState = "environments.state";
constexpr const char* kSteps = "environments.steps";
constexpr const char* kScore = "environments.score";

/// Environments in the middle of their episodes as tensors: state [N, S], steps [N] and, where
/// rewards differ, score [N]. Counts of steps are exact in float32.
std::vector<NamedTensor> environment_tensors(const EnvironmentStates& states) {
  std::vector<NamedTensor> tensors;
  const auto N = static_cast<std::int64_t>(states.steps.size());
  if (N == 0) return tensors;
  const auto S = static_cast<std::int64_t>(states.state.size()) / N;
  tensors.push_back({kState, {N, S}, states.state});
  tensors.push_back({kSteps, {N}, {states.steps.begin(), states.steps.end()}});
  if (!states.score.empty()) tensors.push_back({kScore, {N}, states.score});
  return tensors;
}

[[noreturn]] void throw_bad_number(const char* tensor, float number, const std::string& rule) {
  throw BadInput("tensor '" + std::string(tensor) + "' has " +
                 format_real(static_cast<double>(number)) + ", " + rule);
}

/// Errors: BadInput unless all are integers in [least, most].
void require_integers(const char* tensor, std::span<const float> numbers, std::int32_t least,
                      std::int32_t most) {
  for (const float number : numbers) {
    const bool fits = number >= static_cast<float>(least) && number <= static_cast<float>(most);
    if (fits && number == std::floor(number)) continue;
    throw_bad_number(
        tensor, number,
        "not an integer in [" + std::to_string(least) + ", " + std::to_string(most) + "]");
  }
}

/// Errors: BadInput unless all are finite.
void require_finite(const char* tensor, std::span<const float> numbers) {
  for (const float number : numbers) {
    if (!std::isfinite(number)) throw_bad_number(tensor, number, "not a finite number");
  }
}

/// States of environments [N, S]; those of a game fit 16 bits and end with rows of its table. Which
/// of these play can reach is not known here.
void require_states(std::span<const float> states, const EnvironmentFacts& facts) {
  const auto S = static_cast<std::size_t>(facts.carried_size);
  for (; !states.empty(); states = states.subspan(S)) {
    if (facts.tables == nullptr) {
      require_finite(kState, states.first(S));
      continue;
    }
    const TableShape& table = facts.tables->shape;
    const auto rows = static_cast<std::size_t>(table.objects);
    require_integers(kState, states.first(S - rows), -32768, 32767);
    require_integers(kState, states.first(S).last(rows), 0, table.rows - 1);
  }
}

/// Inverse. Errors: BadInput naming the tensor that is missing or does not fit.
EnvironmentStates environment_states(const std::vector<NamedTensor>& tensors,
                                     const Config& config) {
  const EnvironmentEntry& environment = find_environment(config.env);
  const EnvironmentFacts& facts = *environment.facts;
  const std::int32_t limit =
      episode_limit(game_options(config, environment, config.noops), environment);
  const auto find = [&](const char* name, const std::vector<std::int64_t>& shape) {
    return find_tensor(tensors, name, shape, "").data;
  };
  EnvironmentStates states;
  states.state = find(kState, {config.envs, facts.carried_size});
  require_states(states.state, facts);
  const std::vector<float> steps = find(kSteps, {config.envs});
  require_integers(kSteps, steps, 0, limit - 1);
  states.steps.assign(steps.begin(), steps.end());
  if (!facts.constant_reward) {
    states.score = find(kScore, {config.envs});
    if (facts.tables == nullptr) {
      require_finite(kScore, states.score);
    } else {
      require_integers(kScore, states.score, -(1 << 24), 1 << 24);  // points
    }
  }
  return states;
}

/// What get_to() would turn into some other number of ours without a word.
void require_numbers(const nlohmann::json& trainer) {
  constexpr std::int64_t kMaxCount = std::int64_t{1} << 62;  // as in metrics.jsonl
  const auto require_count = [&](const char* key) {
    const nlohmann::json& count = trainer.at(key);
    if (!count.is_number_integer() || count < 0 || count > kMaxCount) {
      throw BadInput(std::string("trainer.json: ") + key + " is not a count in 0..2^62");
    }
  };
  for (const char* key :
       {"update", "episodes", "steps", "reached_update", "reached_episodes", "reached_steps"}) {
    require_count(key);
  }
  for (const char* key : {"cut_steps", "gradient_updates"}) {  // not in older checkpoints
    if (trainer.contains(key)) require_count(key);
  }
  for (const nlohmann::json& score : trainer.at("recent_scores")) {
    if (!std::isfinite(score.get<float>())) {
      throw BadInput("trainer.json: a value of recent_scores is beyond float32");
    }
  }
}

}  // namespace

double TrainProgress::mean_score() const {
  if (recent.empty()) return std::numeric_limits<double>::quiet_NaN();
  double sum = 0;
  for (const float score : recent) sum += static_cast<double>(score);
  return sum / static_cast<double>(recent.size());
}

void TrainProgress::add(const UpdateResult& result, std::int64_t over) {
  ++update;
  episodes += result.episodes;
  steps += result.steps;
  cut_steps += result.cut_steps();
  if (result.grad_norm > 0) ++gradient_updates;
  for (const float score : result.scores) {
    recent.push_back(score);
    if (static_cast<std::int64_t>(recent.size()) > over) recent.pop_front();
  }
}

Checkpoint make_checkpoint(const Config& config, const std::string& config_toml,
                           const PolicyShape& shape, const TrainingState& state,
                           const TrainProgress& progress) {
  Checkpoint checkpoint;
  checkpoint.model = shape.tensors(state.parameters);
  const MomentNames names = moment_names(config.optimizer);
  append(checkpoint.optimizer, shape.tensors(state.first_moment, names.first));
  if (names.second != nullptr) {
    append(checkpoint.optimizer, shape.tensors(state.second_moment, names.second));
  }
  append(checkpoint.optimizer, environment_tensors(state.environments));
  checkpoint.trainer = {
      {"env", config.env},
      {"seed", config.seed},
      {"update", progress.update},
      {"episodes", progress.episodes},
      {"steps", progress.steps},
      {"seconds", progress.seconds},
      {"recent_scores", progress.recent},
      {"until_score", config.until_score},
      {"over", config.over},
      {"reached", progress.reached},
      {"reached_update", progress.reached_update},
      {"reached_episodes", progress.reached_episodes},
      {"reached_steps", progress.reached_steps},
      {"reached_seconds", progress.reached_seconds},
      {"cut_steps", progress.cut_steps},
      {"gradient_updates", progress.gradient_updates},
      {"best_eval", progress.best_eval},
      {"has_best", progress.has_best},
      {"beta1_power", state.beta1_power},
      {"beta2_power", state.beta2_power},
      {"lr_factor", state.lr_factor},
      {"running_mean", state.running_mean},
      {"config", config_toml},
  };
  return checkpoint;
}

void restore_checkpoint(const Checkpoint& checkpoint, const Config& config,
                        const PolicyShape& shape, TrainingState& state, TrainProgress& progress) {
  const MomentNames names = moment_names(config.optimizer);
  state.parameters = shape.flatten(checkpoint.model);
  state.first_moment = shape.flatten(checkpoint.optimizer, names.first);
  state.second_moment.assign(state.parameters.size(), 0.0f);
  if (names.second != nullptr) {
    state.second_moment = shape.flatten(checkpoint.optimizer, names.second);
  }
  try {
    const nlohmann::json& t = checkpoint.trainer;
    if (t.at("env").get<std::string>() != config.env) {
      throw BadInput("the checkpoint is of environment '" + t.at("env").get<std::string>() +
                     "', not '" + config.env + "'");
    }
    require_numbers(t);
    t.at("update").get_to(progress.update);
    // before the first update no episode has begun
    if (config.critic != Critic::kNone && progress.update > 0) {
      state.environments = environment_states(checkpoint.optimizer, config);
    }
    t.at("episodes").get_to(progress.episodes);
    t.at("steps").get_to(progress.steps);
    t.at("seconds").get_to(progress.seconds);
    t.at("recent_scores").get_to(progress.recent);
    t.at("reached").get_to(progress.reached);
    t.at("reached_update").get_to(progress.reached_update);
    t.at("reached_episodes").get_to(progress.reached_episodes);
    t.at("reached_steps").get_to(progress.reached_steps);
    t.at("reached_seconds").get_to(progress.reached_seconds);
    // older checkpoints did not count them: as if nothing had been cut and every update had had a
    // gradient, so that nobody is told that such a run learns nothing
    progress.cut_steps = t.value("cut_steps", std::int64_t{0});
    progress.gradient_updates = t.value("gradient_updates", progress.update);
    t.at("best_eval").get_to(progress.best_eval);
    t.at("has_best").get_to(progress.has_best);
    t.at("beta1_power").get_to(state.beta1_power);
    t.at("beta2_power").get_to(state.beta2_power);
    t.at("lr_factor").get_to(state.lr_factor);
    t.at("running_mean").get_to(state.running_mean);
    if (t.at("until_score").get<double>() != config.until_score ||
        t.at("over").get<std::int64_t>() != config.over) {
      progress.reached = false;
    }
  } catch (const nlohmann::json::exception& error) {
    throw BadInput(std::string("trainer.json: ") + error.what());
  }
}

}  // namespace lockstep
