// The facade: training, and stepping.
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
void require_steppable(std::int64_t N, const std::uint8_t* ended, const std::uint8_t* actions,
                       int num_actions, bool none_ended) {
  unsigned wrong = 0;
#pragma omp simd reduction(| : wrong)
  for (std::int64_t i = 0; i < N; ++i) wrong |= actions[i] >= num_actions ? 1u : 0u;
  if (none_ended) {
    for (std::int64_t i = 0; i < N; ++i) wrong |= ended[i];
  }
  if (wrong == 0) return;
  for (std::int64_t i = 0; i < N; ++i) {
    if (actions[i] >= num_actions) {
      throw InvalidArgument("step: action " + std::to_string(actions[i]) + " of environment " +
                            std::to_string(i) + " is not in [0, " + std::to_string(num_actions) +
                            ")");
    }
    if (none_ended && ended[i] != 0) {
      throw InvalidArgument("step: the episode of environment " + std::to_string(i) +
                            " has ended; reset it first (automatic reset is disabled)");
    }
  }
}

Restart restart_of(AutoresetMode mode) {
  switch (mode) {
    case AutoresetMode::kNextStep:
      return Restart::kNextStep;
    case AutoresetMode::kSameStep:
      return Restart::kSameStep;
    case AutoresetMode::kDisabled:
      break;
  }
  return Restart::kNever;
}

template <class T>
std::span<const T> values_of(const ArrayView& view) {
  if (view.data == nullptr) return {};
  return {view.as<const T>(), static_cast<std::size_t>(view.shape[0] * view.shape[1])};
}

/// A view's values as floats: where it has floats those, else copies in `to`.
std::span<const float> as_floats(const ArrayView& view, Buffer<float>& to) {
  if (view.type == ElementType::kFloat32) return values_of<float>(view);
  const auto values = values_of<std::int8_t>(view);
  const auto count = static_cast<std::int64_t>(values.size());
  if (to.size() < count) to = Buffer<float>(count);
  std::copy(values.begin(), values.end(), to.data());
  return {to.data(), values.size()};
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
  impl_->parameters = parameters_from(impl_->shape, tensors, "", impl_->parameters);
}

std::span<const float> Engine::reset(std::span<const std::uint8_t> mask,
                                     std::span<const std::uint64_t> seeds) {
  Impl& e = *impl_;
  Stepping& s = e.stepping;
  const std::int64_t N = e.config.envs;
  const auto require_size = [N](const char* what, std::size_t size) {
    require(size == 0 || static_cast<std::int64_t>(size) == N,
            std::string("reset: ") + what + " " + std::to_string(size) + " entries, expected " +
                std::to_string(N));
  };
  require_size("the mask has", mask.size());
  require_size("seeds have", seeds.size());
  require(mask.empty() || s.started, "reset: the first reset takes all environments");
  if (!s.stepper) {
    s.stepper = e.backend->make_stepper(
        {.num_envs = N,
         .stream = {e.config.seed, kSteppingEpoch},
         .game = game_options(e.config, e.environment, e.config.noops, true),
         .pictures = ElementType::kFloat32});
  }
  s.stepper->reset(mask.empty() ? nullptr : mask.data(), seeds.empty() ? nullptr : seeds.data());
  s.seen = s.stepper->on_host();
  s.started = true;
  return as_floats(s.seen.obs, s.obs);
}

StepView Engine::step(std::span<const std::uint8_t> actions) {
  Impl& e = *impl_;
  Stepping& s = e.stepping;
  require(s.started, "step: call reset() first");
  const auto n = static_cast<std::size_t>(e.config.envs);
  if (actions.size() != n) {
    throw InvalidArgument("step: " + std::to_string(actions.size()) + " actions given, expected " +
                          std::to_string(n));
  }
  require_steppable(e.config.envs, s.seen.ended.as<const std::uint8_t>(), actions.data(),
                    e.facts.num_actions, e.autoreset == AutoresetMode::kDisabled);
  s.stepper->step_from_host(actions.data(), restart_of(e.autoreset));
  s.seen = s.stepper->on_host();
  return {as_floats(s.seen.obs, s.obs), values_of<float>(s.seen.reward),
          values_of<std::uint8_t>(s.seen.terminated), values_of<std::uint8_t>(s.seen.truncated),
          as_floats(s.seen.final_obs, s.final_obs)};
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
