// Inside of Engine, shared by the files that implement it.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "host/backend/backend.h"
#include "host/backend/buffer.h"
#include "host/backend/threads.h"
#include "host/engine.h"
#include "host/files/checkpoint.h"

namespace lockstep {

inline constexpr std::uint32_t kSteppingEpoch = kEvaluationEpoch - 1;

/// What reset() and step() read: a stepper, and its observations as floats.
struct Stepping {
  std::unique_ptr<Stepper> stepper;
  StepViews seen;                // of the last call, on the host
  Buffer<float> obs, final_obs;  // [N][O] where the stepper's pictures are int8
  bool started = false;
};

struct Engine::Impl {
  explicit Impl(const Config& c)
      : config(c),
        environment(find_environment(c.env)),
        facts(*environment.facts),
        shape(policy_shape(c, environment)),
        backend(make_backend(c, environment)),
        parameters(initial_parameters(shape, c.init, c.seed, thread_count(c.threads))) {
    if (starts_from_file(c)) {
      parameters =
          parameters_from(shape, load_model(c.init_from), c.init_from, std::move(parameters));
    }
  }

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
  Stepping stepping;
  AutoresetMode autoreset = AutoresetMode::kNextStep;
};

}  // namespace lockstep
