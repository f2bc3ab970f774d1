// The facade: training, and the buffers of step().
#include "host/engine.h"

#include <algorithm>
#include <cfenv>
#include <cfloat>

#include "host/engine_impl.h"
#include "host/errors.h"
#include "host/files/checkpoint.h"
#include "host/options/options.h"
#include "host/train/trainer.h"

namespace lockstep {

namespace {

/// Some libraries, and programs linked for fast mathematics, set modes that change results.
void require_standard_floats() {
  volatile float number = FLT_MIN;
  number = number / 2;
  if (number > 0 && std::fegetround() == FE_TONEAREST) return;
  throw RunFailure(
      "this process flushes subnormal numbers to 0 or does not round to nearest (is it linked "
      "for fast mathematics?): results would be others");
}

/// Errors: InvalidArgument that names the first environment whose action there is not, or whose
/// episode has ended where that counts. Looks for it only where there is one: a step is short.
void require_steppable(const Stepper& s, const std::uint8_t* actions, int num_actions,
                       bool none_ended) {
  unsigned wrong = 0;
#pragma omp simd reduction(| : wrong)
  for (std::int64_t i = 0; i < s.N; ++i) wrong |= actions[i] >= num_actions ? 1u : 0u;
  if (none_ended) {
    for (std::int64_t i = 0; i < s.N; ++i) wrong |= s.ended[i];
  }
  if (wrong == 0) return;
  for (std::int64_t i = 0; i < s.N; ++i) {
    if (actions[i] >= num_actions) {
      throw InvalidArgument("step: action " + std::to_string(actions[i]) + " of environment " +
                            std::to_string(i) + " is not in [0, " + std::to_string(num_actions) +
                            ")");
    }
    if (none_ended && s.ended[i] != 0) {
      throw InvalidArgument("step: the episode of environment " + std::to_string(i) +
                            " has ended; reset it first (automatic reset is disabled)");
    }
  }
}

}  // namespace

Engine::Engine(const Config& config) {
  require_standard_floats();
  validate(config);
  impl_ = std::make_unique<Impl>(config);
}
Engine::~Engine() = default;
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;

const Config& Engine::config() const { return impl_->config; }
std::int64_t Engine::observation_size() const { return impl_->facts.observation_size; }
std::int64_t Engine::num_actions() const { return impl_->facts.num_actions; }
void Engine::set_autoreset(AutoresetMode mode) { impl_->autoreset = mode; }

std::vector<NamedTensor> Engine::policy() const { return impl_->shape.tensors(impl_->parameters); }
void Engine::set_policy(const std::vector<NamedTensor>& tensors) {
  impl_->parameters = impl_->shape.flatten(tensors);
}

std::span<const float> Engine::reset(std::span<const std::uint8_t> mask) {
  Impl& e = *impl_;
  if (!e.stepper) e.stepper = std::make_unique<Stepper>(e.facts, e.config.envs);
  Stepper& s = *e.stepper;
  require(mask.empty() || static_cast<std::int64_t>(mask.size()) == s.N,
          "reset: the mask has " + std::to_string(mask.size()) + " entries, expected " +
              std::to_string(s.N));
  require(mask.empty() || s.started, "reset: the first reset takes all environments");
  for (std::int64_t i = 0; i < s.groups * kGroup; ++i) {
    s.reset[i] = mask.empty() || (i < s.N && mask[static_cast<std::size_t>(i)] != 0) ? 1 : 0;
  }
  e.backend->step(s.buffers(e.config.seed, {.reset_only = true, .same_step = false}));
  for (std::int64_t i = 0; i < s.N; ++i) s.ended[i] = s.reset[i] != 0 ? 0 : s.ended[i];
  s.started = true;
  return s.rows(s.obs);
}

StepView Engine::step(std::span<const std::uint8_t> actions) {
  Impl& e = *impl_;
  require(e.stepper != nullptr && e.stepper->started, "step: call reset() first");
  Stepper& s = *e.stepper;
  const auto n = static_cast<std::size_t>(s.N);
  if (actions.size() != n) {
    throw InvalidArgument("step: " + std::to_string(actions.size()) + " actions given, expected " +
                          std::to_string(n));
  }
  const bool restarts = e.autoreset != AutoresetMode::kDisabled;
  require_steppable(s, actions.data(), e.facts.num_actions, !restarts);
  const std::uint8_t restarted = restarts ? 1 : 0;
  std::uint8_t *action = s.action.data(), *reset = s.reset.data();
  const std::uint8_t *wanted = actions.data(), *ended = s.ended.data();
#pragma omp simd
  for (std::int64_t i = 0; i < s.N; ++i) {
    action[i] = wanted[i];
    reset[i] = static_cast<std::uint8_t>(ended[i] & restarted);
  }
  const bool same_step = e.autoreset == AutoresetMode::kSameStep;
  e.backend->step(s.buffers(e.config.seed, {.reset_only = false, .same_step = same_step}));
  s.note_ends(same_step);
  return {s.rows(s.obs),
          {s.reward.data(), n},
          {s.terminated.data(), n},
          {s.truncated.data(), n},
          same_step ? s.rows(s.final_obs) : std::span<const float>()};
}

TrainResult Engine::train(const TrainHooks& hooks) {
  Impl& e = *impl_;
  validate_training(e.config);
  e.pools(false, Math::kExact);
  TrainingState initial;
  initial.parameters = e.parameters;
  initial.first_moment.assign(e.parameters.size(), 0.0f);
  initial.second_moment.assign(e.parameters.size(), 0.0f);
  RunRecord program;
  if (hooks.write_files) {
    program.build = this_build();
    program.fingerprint = fingerprint();
  }
  TrainResult result = run_training(*e.backend, e.config, e.environment, initial, hooks, program);
  e.parameters = e.backend->download().parameters;
  return result;
}

std::vector<EnvironmentInfo> list_environments() {
  std::vector<EnvironmentInfo> list;
  for (const EnvironmentEntry& entry : environment_entries()) {
    const auto& f = *entry.facts;
    list.push_back(
        {f.name, f.summary, f.observation_size, f.state_size, f.num_actions, f.max_episode_steps});
  }
  return list;
}

}  // namespace lockstep
