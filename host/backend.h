// What the engine asks of a device. A backend owns the buffers and the training state; the host
// talks to it in whole updates, so that a device can run many without a round trip.
// Implementations: cpu_backend.h.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "host/config.h"
#include "host/environments.h"
#include "host/policy_parameters.h"

namespace lockstep {

/// Everything that changes from update to update and is not in the log: what a checkpoint holds.
struct TrainingState {
  std::vector<float> parameters;     // PolicyShape's flat layout
  std::vector<float> first_moment;   // Adam's exp_avg, or the momentum buffer
  std::vector<float> second_moment;  // Adam's exp_avg_sq, RMSProp's square_avg
  double beta1_power = 1;            // beta1^t, a running product
  double beta2_power = 1;
  double lr_factor = 1;     // exponential decay, a running product
  double running_mean = 0;  // baseline running_mean
};

/// What one update tells.
struct UpdateResult {
  std::vector<float> scores;          // finished episodes, by environment, then time
  std::vector<std::int32_t> lengths;  // steps
  std::int64_t steps = 0;             // environment steps played
  std::int64_t cut_steps = 0;         // of these, in episodes the horizon cut: not in the gradient
  double policy_loss = 0;             // sum of -advantage * log-prob over steps, per episode
  double entropy = 0;                 // mean over steps, nats
  double grad_norm = 0;               // before clipping
  int rescalings = 0;                 // times the gradient saturated and was computed again
};

/// A rollout outside training: evaluation or throughput.
struct PlayRequest {
  std::int64_t num_envs = 0;
  std::int32_t T = 0;
  bool episodic = true;
  bool random_policy = false;
  ActionChoice choice = ActionChoice::kGreedy;
  float epsilon = 0;
  RandomStream stream{};
  bool keep = false;  // record the trajectory
};

/// Results by environment; records in the layout of kernels/trajectory.h.
struct PlayResult {
  std::vector<float> score;            // [N] sum of rewards over finished episodes
  std::vector<std::int32_t> length;    // [N] steps of finished episodes
  std::vector<std::int32_t> episodes;  // [N]
  double seconds = 0;                  // in the kernels alone
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string name() const = 0;

  virtual void upload(const TrainingState& state) = 0;
  virtual TrainingState download() const = 0;

  /// One update: rollout, returns, gradient, optimiser.
  /// Errors: NumericError if anything becomes NaN or infinite, or the gradient stays saturated; the
  /// state is then the one before the update.
  virtual UpdateResult update(std::uint32_t epoch, double lr) = 0;

  /// Plays with given parameters, beside training. `record` is filled when the request says keep.
  virtual PlayResult play(const std::vector<float>& parameters, const PlayRequest& request,
                          Record<float>* record) = 0;

  /// Steps environments with the caller's actions.
  virtual void step(const StepBuffers& buffers) = 0;
};

/// Errors: DeviceUnavailable if the device of the configuration is not there.
std::unique_ptr<Backend> make_backend(const Config& config, const EnvironmentEntry& environment);

}  // namespace lockstep
