// The public C++ API: create an engine from a configuration, then step, roll out, evaluate or
// train. Nothing here knows a backend or a file format; host/cli/ is one user of this header among
// others.
//
// Letters: N environments, T steps, O observation size, S state size, A actions
// (kernels/README.md).
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "host/build_info.h"
#include "host/config.h"
#include "host/tensor.h"
#include "host/training.h"

namespace lockstep {

struct PlayedEpisode;
class EpisodePictures;

/// What happens to an environment whose episode has ended; names and semantics are Gymnasium's.
enum class AutoresetMode {
  kNextStep,  // the next step() ignores the action and returns the reset observation, reward 0
  kSameStep,  // the same step() returns the reset observation; final_obs holds the true last one
  kDisabled,  // step() on an ended environment is an error until reset(mask)
};

/// Views into buffers of the engine, valid until the next call.
struct StepView {
  std::span<const float> obs;                // [N, O]
  std::span<const float> reward;             // [N]
  std::span<const std::uint8_t> terminated;  // [N] 0 or 1: the world ended the episode
  std::span<const std::uint8_t> truncated;   // [N] 0 or 1: the time limit ended it; both may be 1
  std::span<const float> final_obs;          // [N, O]; kSameStep only, valid where an episode ended
};

enum class ActionMode { kSample, kGreedy, kEpsilon };

/// How a policy's logits are computed. Training is always exact.
enum class Math {
  kExact,  // the same bits everywhere
  kDense,  // matrix products by a BLAS library: equal up to rounding, its own bits on one device
};

struct EvalOptions {
  ActionMode mode = ActionMode::kGreedy;
  double epsilon = 0.0;  // kEpsilon: probability of a uniformly random action
  std::int64_t episodes = 1000;
  std::uint64_t seed = 1;
  std::int64_t index = 0;   // number of the evaluation; picks the random stream
  std::int64_t noops = 29;  // of a game: most frames without an action that an episode starts with
  bool noops_in_turn = false;  // episode i starts with i mod (noops + 1) of them; else drawn
  bool max_pool = false;  // of a game, kDense: see the maximum of a step's last two frames, as the
                          // configuration's max_pool
  Math math = Math::kExact;
  bool keep_actions = false;  // fill EvalResult's actions, noops and frames: plays twice
};

/// Math::kDense ends an episode of a game at the game's own limit of frames; tables, which do not
/// know all of its pictures, before.
struct EvalResult {
  std::vector<float> scores;                       // undiscounted sum of rewards, one per episode
  std::vector<std::int32_t> lengths;               // steps, one per episode
  std::vector<std::vector<std::uint8_t>> actions;  // one a step; with keep_actions
  std::vector<std::int32_t> noops, frames;  // of a game: frames without an action, and in all
  std::int64_t steps = 0;
  double seconds = 0;
  std::string library;  // behind kDense, with its version
};

struct RolloutOptions {
  std::int64_t steps = 500;  // T, steps of every environment
  std::int64_t repeats = 1;  // rollouts timed one after another
  ActionMode mode = ActionMode::kSample;
  double epsilon = 0.0;        // as EvalOptions::epsilon
  bool random_policy = false;  // uniformly random actions instead of the policy
  bool keep = false;           // fill `trajectory` with the last rollout
  bool max_pool = false;       // as EvalOptions::max_pool
  Math math = Math::kExact;    // kDense needs a policy
};

/// A rollout with automatic reset, time-major. The action of step t was chosen on obs[t]; obs[t +
/// 1] is what follows, a start of the next episode where one ended in step t. What that step showed
/// of the old episode is a row of final_obs, one for each of the E ends, by step, then environment:
/// the order of the true entries of terminated | truncated.
struct Trajectory {
  std::int64_t T = 0, N = 0, O = 0, Z = 0;  // Z logits a step: 1 for two actions, else A
  std::vector<float> obs;                   // [T + 1, N, O]
  std::vector<float> final_obs;             // [E, O]
  std::vector<std::int8_t> pictures;        // [T + 1, N, O] instead of obs, of a game: -1, 0, 1
  std::vector<std::int8_t> final_pictures;  // [E, O] instead of final_obs
  std::vector<float> logits;                // [T, N, Z]; empty with random actions
  std::vector<std::uint8_t> action;         // [T, N]
  std::vector<float> reward;                // [T, N]
  std::vector<std::uint8_t> terminated;     // [T, N]
  std::vector<std::uint8_t> truncated;      // [T, N]
};

struct RolloutResult {
  std::int64_t steps = 0;     // N * T * repeats
  std::int64_t episodes = 0;  // episodes that ended
  double mean_score = 0;      // over the episodes that ended; NaN if none
  double seconds = 0;
  std::string library;    // behind kDense, with its version
  Trajectory trajectory;  // only with RolloutOptions::keep
};

/// One environment batch, one policy, one backend.
///
/// Result: bitwise equal for every backend, thread count, instruction set and chunking.
/// Errors: InvalidArgument (bad values), DeviceUnavailable, OutOfMemory, RunFailure (float modes).
class Engine {
 public:
  explicit Engine(const Config& config);
  ~Engine();
  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;

  const Config& config() const;
  std::int64_t observation_size() const;  // O
  std::int64_t num_actions() const;       // A

  /// Starts new episodes in all environments, or in those with mask[i] != 0; returns obs [N, O]: of
  /// a game the difference of the pictures after and before a step, 0 after a reset.
  /// With seeds [N], environment i of those plays, bit for bit, what the only environment of an
  /// engine with Config::seed = seeds[i] does, from episode 0 on and through later resets, until it
  /// gets another seed; without, it goes on in its stream.
  /// Errors: InvalidArgument for a wrong size, or a mask in the first reset.
  std::span<const float> reset(std::span<const std::uint8_t> mask = {},
                               std::span<const std::uint64_t> seeds = {});
  /// Steps every environment with the caller's actions [N], each in [0, A).
  /// Errors: InvalidArgument for a wrong size or action, or a step of an ended environment
  /// (kDisabled); the state is unchanged then.
  StepView step(std::span<const std::uint8_t> actions);
  void set_autoreset(AutoresetMode mode);

  /// Parameters under PyTorch's names; set_policy checks names and shapes (BadInput).
  std::vector<NamedTensor> policy() const;
  void set_policy(const std::vector<NamedTensor>& tensors);

  /// Plays whole episodes of the current policy, one per environment id 0..episodes-1.
  /// Errors: DeviceUnavailable where the library of Math::kDense is not installed; so rollout().
  EvalResult evaluate(const EvalOptions& options);
  /// One episode of evaluate(options), by its number and whatever options.episodes says, with the
  /// actions taken in it; and its pictures. Users include host/episode.h.
  PlayedEpisode play_episode(const EvalOptions& options, std::int64_t episode);
  EpisodePictures pictures(const EvalOptions& options, const PlayedEpisode& episode) const;
  /// Steps all environments T times with automatic reset, and times it.
  RolloutResult rollout(const RolloutOptions& options);
  /// Trains by REINFORCE until a stopping rule of the configuration holds.
  /// Errors: NumericError (the last good checkpoint is kept), IoError, BadInput on a bad resume.
  TrainResult train(const TrainHooks& hooks = {});

  /// 64-bit hash of a fixed workload (rollout, gradient, weights): equal on every correct build.
  static std::uint64_t fingerprint();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Static facts about an environment, for listings and shape checks.
struct EnvironmentInfo {
  std::string name;
  std::string summary;
  std::int64_t observation_size = 0, state_size = 0, num_actions = 0, max_episode_steps = 0;
};
std::vector<EnvironmentInfo> list_environments();

/// Steps given actions from given states without automatic reset, going on after termination as
/// Gymnasium does (reward 0). float64 uses the reference arithmetic: Gymnasium's bits.
struct ReplayOptions {
  std::string env = "cartpole";
  bool float64 = false;
  std::uint64_t seed = 1;  // start states when `initial` is empty
};
struct ReplayResult {
  std::int64_t T = 0, N = 0, S = 0, O = 0;
  std::vector<double> state;             // [T+1, N, S]; float32 values are exact in double
  std::vector<float> obs;                // [T+1, N, O]
  std::vector<float> reward;             // [T, N]
  std::vector<std::uint8_t> terminated;  // [T, N]
  std::vector<std::uint8_t> truncated;   // [T, N]
};
/// Shapes: actions [T, N], each in [0, A); initial [N, S] or empty.
ReplayResult replay(std::span<const std::uint8_t> actions, std::int64_t T, std::int64_t N,
                    std::span<const double> initial, const ReplayOptions& options);

}  // namespace lockstep
