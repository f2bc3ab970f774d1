// From a configuration to the constants of its updates.
#include <algorithm>
#include <cmath>
#include <utility>

#include "host/backend/backend.h"
#include "host/text.h"

namespace lockstep {
namespace {

/// Bound on |return| of any episode.
double bound_of_returns(double gamma, double max_abs_reward, int steps) {
  double bound = 0;
  for (int t = 0; t < steps; ++t) bound = bound * gamma + max_abs_reward;
  return bound;
}

BaselineRule rule_of(Baseline baseline) {
  switch (baseline) {
    case Baseline::kNone:
      return BaselineRule::kNone;
    case Baseline::kBatchMean:
      return BaselineRule::kBatchMean;
    case Baseline::kTimeMean:
      return BaselineRule::kTimeMean;
    case Baseline::kRunningMean:
      return BaselineRule::kRunningMean;
  }
  return BaselineRule::kNone;
}

NormalizeRule rule_of(Normalize normalize) {
  switch (normalize) {
    case Normalize::kNone:
      return NormalizeRule::kNone;
    case Normalize::kScale:
      return NormalizeRule::kScale;
    case Normalize::kBatch:
      return NormalizeRule::kBatch;
    case Normalize::kEpisode:
      return NormalizeRule::kEpisode;
    case Normalize::kMinibatch:
      return NormalizeRule::kBatch;  // of the steps that a pass takes for the batch
  }
  return NormalizeRule::kNone;
}

OptimizerPlan optimizer_plan(const Config& config) {
  OptimizerPlan plan{};
  plan.rule = config.optimizer == OptimizerKind::kAdam  ? OptimizerRule::kAdam
              : config.optimizer == OptimizerKind::kSgd ? OptimizerRule::kSgd
                                                        : OptimizerRule::kRmsprop;
  plan.max_grad_norm = config.max_grad_norm;
  plan.weight_decay = config.weight_decay;
  plan.decoupled_weight_decay = config.decoupled_weight_decay;
  plan.momentum = config.momentum;
  plan.beta1 = config.beta1;
  plan.beta2 = config.beta2;
  plan.alpha = config.alpha;
  plan.eps = config.eps;
  return plan;
}

}  // namespace

UpdatePlan update_plan(const Config& config, const EnvironmentFacts& facts) {
  const double actions = static_cast<double>(facts.num_actions);
  // a point ends the sum it is in
  const int summed = config.returns == ReturnKind::kPoint ? 1 : facts.max_episode_steps;
  const double bound =
      bound_of_returns(config.gamma, static_cast<double>(facts.max_abs_reward), summed);
  UpdatePlan plan{};
  plan.num_envs = config.envs;
  plan.O = facts.tables == nullptr ? facts.observation_size : 0;  // of the fixed-point gradient
  plan.A = facts.num_actions;
  plan.gamma = static_cast<float>(config.gamma);
  plan.returns = config.returns == ReturnKind::kFull ? ReturnMode::kFull : ReturnMode::kStepwise;
  plan.baseline = rule_of(config.baseline);
  plan.normalize = rule_of(config.normalize);
  plan.sample_std = config.std_kind == StdKind::kSample;
  plan.return_scale = scale_for_bound(bound);
  plan.advantage_scale = scale_for_bound(2 * bound);
  plan.entropy_coef = config.entropy_coef;
  // |z p (1 - p)| of two actions; p |log p + H| of more
  plan.entropy_slope = facts.num_actions == 2 ? 0.25 : std::log(actions) + 1.0;
  plan.entropy_scale = scale_for_bound(std::log(actions) * (1 + 1e-5));
  for (int i = 0; i < plan.O; ++i) {
    plan.observation_limit[i] = static_cast<double>(facts.observation_limit[i]);
  }
  plan.optimizer = optimizer_plan(config);
  return plan;
}

std::string numeric_error::advice(const Config& config) {
  // what an update is multiplied with or gets added; ordinary values are at most 1
  const std::pair<const char*, double> options[] = {
      {"lr", config.lr},
      {"entropy-coef", config.entropy_coef},
      {"value-coef", config.critic == Critic::kNone ? 0 : config.value_coef},
      {"weight-decay", config.weight_decay},
      {"decoupled-weight-decay", config.decoupled_weight_decay}};
  std::string large;
  for (const auto& [name, value] : options) {
    if (value > 1) large += (large.empty() ? "--" : ", --") + (name + (" " + format_real(value)));
  }
  if (!large.empty()) return "too large: " + large;
  return "a smaller --lr than " + format_real(config.lr) + " may help";
}

}  // namespace lockstep
