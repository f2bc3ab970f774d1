// Inside of Engine, shared by the files that implement it.
#pragma once

#include <algorithm>
#include <memory>
#include <vector>

#include "host/backend/backend.h"
#include "host/backend/threads.h"
#include "host/engine.h"
#include "host/files/checkpoint.h"

namespace lockstep {

inline constexpr std::uint32_t kSteppingEpoch = kEvaluationEpoch - 1;

/// Buffers of reset() and step().
struct Stepper {
  Stepper(const EnvironmentFacts& facts, std::int64_t envs)
      : N(envs),
        O(facts.observation_size),
        groups((envs + kGroup - 1) / kGroup),
        state(groups * facts.state_size * kGroup),
        steps(groups * kGroup),
        number(groups * kGroup),
        action(groups * kGroup),
        reset(groups * kGroup),
        ended(groups * kGroup),
        obs(groups * O * kGroup),
        final_obs(groups * O * kGroup),
        reward(groups * kGroup),
        terminated(groups * kGroup),
        truncated(groups * kGroup) {
    state.zero();
    final_obs.zero();  // nothing is written to it but in the mode kSameStep
    steps.zero();
    action.zero();
    for (std::int64_t i = 0; i < groups * kGroup; ++i) {
      number[i] = ~0u;  // the first reset starts episode 0
      ended[i] = 0;
    }
  }

  /// The rows of the environments there are.
  std::span<const float> rows(const Buffer<float>& all) const {
    return {all.data(), static_cast<std::size_t>(N * O)};
  }

  /// Remembers whose episode has ended and is not restarted yet.
  void note_ends(bool same_step) {
    const std::uint8_t kept = same_step ? 0 : 1;
    std::uint8_t* to = ended.data();
    const std::uint8_t *a = terminated.data(), *b = truncated.data();
#pragma omp simd
    for (std::int64_t i = 0; i < N; ++i) to[i] = static_cast<std::uint8_t>((a[i] | b[i]) & kept);
  }

  struct How {
    bool reset_only, same_step;
  };
  StepBuffers buffers(std::uint64_t seed, How how) {
    return {N,
            {seed, kSteppingEpoch},
            state.data(),
            steps.data(),
            number.data(),
            action.data(),
            reset.data(),
            how.reset_only,
            how.same_step,
            obs.data(),
            final_obs.data(),
            reward.data(),
            terminated.data(),
            truncated.data()};
  }

  std::int64_t N, O, groups;
  Buffer<float> state;
  Buffer<std::int32_t> steps;
  Buffer<std::uint32_t> number;
  Buffer<std::uint8_t> action, reset, ended;
  Buffer<float> obs, final_obs, reward;
  Buffer<std::uint8_t> terminated, truncated;
  bool started = false;
};

struct Engine::Impl {
  explicit Impl(const Config& c)
      : config(c),
        environment(find_environment(c.env)),
        facts(*environment.facts),
        shape(policy_shape(c, environment)),
        backend(make_backend(c, environment)),
        parameters(starts_from_file(c)
                       ? shape.flatten(load_model(c.init_from), "", c.init_from)
                       : initial_parameters(shape, c.init, c.seed, thread_count(c.threads))) {}

  /// A run that goes on from a checkpoint needs its first parameters no more.
  static bool starts_from_file(const Config& c) {
    return !c.init_from.empty() &&
           (c.resume.empty() || !has_checkpoint(std::filesystem::path(c.resume) / "checkpoints"));
  }

  /// Sets how actions are chosen. Errors: InvalidArgument for an epsilon out of range.
  static void set_choice(PlayRequest& request, ActionMode mode, double epsilon);
  /// Fills obs[T] and final_obs of a rollout whose other fields are there.
  void add_last_observations(const PlayRequest& request, Trajectory& trajectory) const;
  /// What evaluate() plays. Errors: InvalidArgument for options out of range.
  PlayRequest evaluation(const EvalOptions& options) const;
  /// Whether observations are maxima of two frames, by an option or the configuration.
  /// Errors: InvalidArgument where object tables would have to express that.
  bool pools(bool option, Math math) const;
  /// Fills actions, noops and frames of episodes whose lengths are known.
  void keep_actions(PlayRequest request, EvalResult& result) const;

  Config config;
  const EnvironmentEntry& environment;
  const EnvironmentFacts& facts;
  PolicyShape shape;
  std::unique_ptr<Backend> backend;
  std::vector<float> parameters;
  std::unique_ptr<Stepper> stepper;
  AutoresetMode autoreset = AutoresetMode::kNextStep;
};

}  // namespace lockstep
