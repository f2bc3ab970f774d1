// What the engine asks of a device. A backend owns the buffers and the training state; the host
// talks to it in whole updates, so that a device can run many without a round trip.
// Implementations: number_backend.h and table_backend.h of host/cpu and host/cuda.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "envs/game_options.h"
#include "host/backend/environments.h"
#include "host/backend/policy_parameters.h"
#include "host/backend/stepper.h"
#include "host/config.h"
#include "kernels/update_figures.h"
#include "kernels/update_plan.h"

namespace lockstep {

/// Environments in the middle of their episodes, where these go on from update to update.
struct EnvironmentStates {
  std::vector<float> state;         // [N][S] row-major; empty: the next update starts episodes
  std::vector<std::int32_t> steps;  // [N] done in the episode under way
  std::vector<float> score;         // [N] sum of its rewards; empty where every reward is 1
};

/// Everything that changes from update to update and is not in the log: what a checkpoint holds.
struct TrainingState : RunningState {
  std::vector<float> parameters;     // PolicyShape's flat layout
  std::vector<float> first_moment;   // Adam's exp_avg, or the momentum buffer
  std::vector<float> second_moment;  // Adam's exp_avg_sq, RMSProp's square_avg
  double lr_factor = 1;              // exponential decay, a running product
  EnvironmentStates environments;    // with a critic
};

/// What one update tells.
struct UpdateResult : UpdateFigures {
  std::vector<float> scores;          // listed episodes, by environment, then time
  std::vector<std::int32_t> lengths;  // steps
  std::int64_t episodes = 0;          // finished, listed or not
  double score_sum = 0;               // of finished episodes
  std::int64_t length_sum = 0;
  std::int64_t steps = 0;  // environment steps played
  int rescalings = 0;      // times the gradient saturated and was computed again
  bool carried = false;    // episodes go on in the next update: all steps count in this one

  /// Of the steps, those in episodes that the horizon cut: nothing is learned from them.
  std::int64_t cut_steps() const { return carried ? 0 : steps - length_sum; }
  bool learned() const { return carried || episodes > 0; }
};

/// Frames without an action that episodes start with in evaluations during training.
inline constexpr int kEvaluationNoops = 29;

/// A configuration's options of a game; those of other environments mean nothing. Episodes start
/// with up to `noops` frames without an action, a number that is drawn. Those who read tables
/// truncate an episode before the first frame that tables do not know, those who draw its pictures
/// (`drawn`) at the game's own limit of frames.
GameOptions game_options(const Config& config, const EnvironmentEntry& environment,
                         std::int64_t noops, bool drawn = false);
/// Steps after which an episode is truncated.
std::int32_t episode_limit(const GameOptions& options, const EnvironmentEntry& environment);

/// The constants of a run's updates. `quantised` numbers: kernels/fixed_point.h.
UpdatePlan update_plan(const Config& config, const EnvironmentFacts& facts);

/// Messages of NumericError, the same on every backend.
namespace numeric_error {
inline constexpr const char* kReturnRange =
    "a return is not finite or exceeds the environment's reward bound";
inline constexpr const char* kSaturated =
    "the gradient stays saturated after 16 rescalings: a weight, an observation or an option is "
    "too "
    "large for it";
inline constexpr const char* kAdvantage = "an advantage or a value is not finite";
inline constexpr const char* kGradient = "the gradient is not finite";
inline constexpr const char* kParameter = "a parameter became NaN or infinite";
/// What a user can do about it: the options of a run that numbers outgrow, and their values.
std::string advice(const Config& config);
}  // namespace numeric_error
inline constexpr int kMaxRescalings = 16;

/// A rollout outside training: evaluation or throughput.
struct PlayRequest {
  std::int64_t num_envs = 0;
  std::int32_t T = 0;
  bool episodic = true;
  bool random_policy = false;
  ActionChoice choice = ActionChoice::kGreedy;
  float epsilon = 0;
  RandomStream stream{};
  GameOptions game{};          // of a game; ignored elsewhere
  bool dense = false;          // by the dense path (dense_policy.h) instead of the exact one
  bool keep_pictures = false;  // PlayResult::pictures, of a game by the dense path
};

/// What a request says about a rollout; the policy, the record and where results go are still open.
inline RolloutArgs<float> rollout_args(const PlayRequest& request) {
  RolloutArgs<float> args{};
  args.stream = request.stream;
  args.num_envs = request.num_envs;
  args.T = request.T;
  args.episodic = request.episodic;
  args.choice = request.choice;
  args.epsilon = request.epsilon;
  return args;
}

/// The same for a table policy.
inline TableRolloutArgs table_rollout_args(const PlayRequest& request) {
  TableRolloutArgs args{};
  args.stream = request.stream;
  args.num_envs = request.num_envs;
  args.T = request.T;
  args.episodic = request.episodic;
  args.choice = request.choice;
  args.epsilon = request.epsilon;
  args.random_policy = request.random_policy;
  args.game = request.game;
  return args;
}

/// Results by environment; records in the layout of kernels/trajectory.h.
struct PlayResult {
  std::vector<float> score;            // [N] sum of rewards over finished episodes
  std::vector<std::int32_t> length;    // [N] steps of finished episodes
  std::vector<std::int32_t> episodes;  // [N]
  double seconds = 0;                  // in the kernels alone
  std::string library;                 // behind the dense path's products; empty: exact
  std::vector<std::uint16_t> rows;     // [G][T][k][16] of an environment of objects, if recorded
  std::vector<std::int8_t> pictures;   // [T][N][P] of the dense path, if asked for: -1, 0, 1
};

class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string name() const = 0;

  /// From now on an update lists the last so many of its finished episodes; at first all. Millions
  /// of episodes take longer to bring to the host than to play.
  void list_at_most(std::int64_t episodes) { most_listed_ = episodes; }

  virtual void upload(const TrainingState& state) = 0;
  virtual TrainingState download() const = 0;

  /// Consecutive updates from number `epoch` on, each a rollout, returns, gradient and a step of
  /// the optimiser with its rate of `lr`. Does at least one and tells how many by the results; a
  /// device does them without a round trip to the host. Errors: NumericError if anything becomes
  /// NaN or infinite, or the gradient stays saturated; the state is then the one before that
  /// update. Updates done before it are returned first; the next call throws.
  virtual std::vector<UpdateResult> updates(std::uint32_t epoch, std::span<const double> lr) = 0;
  UpdateResult update(std::uint32_t epoch, double lr) { return updates(epoch, {&lr, 1}).front(); }

  /// Plays with given parameters, beside training; records the trajectory in a `record` not null.
  virtual PlayResult play(const std::vector<float>& parameters, const PlayRequest& request,
                          Record<float>* record) = 0;

  /// Environments to be stepped with the caller's actions; not reset yet. Needs the backend no
  /// more. Errors: OutOfMemory, as cuda_check() on a device
  virtual std::unique_ptr<Stepper> make_stepper(const StepperRequest& request) = 0;

 protected:
  std::int64_t most_listed_ = std::numeric_limits<std::int64_t>::max();
};

/// Errors: DeviceUnavailable if the device of the configuration is not there.
std::unique_ptr<Backend> make_backend(const Config& config, const EnvironmentEntry& environment);

}  // namespace lockstep
