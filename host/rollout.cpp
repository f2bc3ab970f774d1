// Engine::rollout(): throughput with automatic reset, and trajectories for the user.
#include <algorithm>
#include <limits>

#include "host/backend/parallel.h"
#include "host/backend/record.h"
#include "host/backend/table_lists.h"
#include "host/engine_impl.h"
#include "host/errors.h"

namespace lockstep {
namespace {

/// Of all arrays of a trajectory but final_obs, whose size only its episodes tell.
std::int64_t trajectory_bytes(std::int64_t T, std::int64_t N, std::int64_t O, std::int64_t logits,
                              bool pictures) {
  constexpr std::int64_t kNumber = sizeof(float), kFlags = 3;  // action, terminated, truncated
  return T * N * ((logits + 1) * kNumber + kFlags) + (T + 1) * N * O * (pictures ? 1 : kNumber);
}

/// From groups of 16 to time-major rows.
Trajectory to_trajectory(const Record<float>& r, std::int64_t N, int O, int A, bool logits) {
  const int Z = logits_of(A);
  Trajectory out;
  out.T = r.T;
  out.N = N;
  out.O = O;
  out.Z = Z;
  const auto steps = static_cast<std::size_t>(N * r.T);
  if (r.obs != nullptr) out.obs.resize(static_cast<std::size_t>(N * (r.T + 1) * O));
  if (logits) out.logits.resize(steps * static_cast<std::size_t>(Z));
  out.action.resize(steps);
  out.reward.resize(steps);
  out.terminated.resize(steps);
  out.truncated.resize(steps);
  for (std::int64_t t = 0; t < r.T; ++t) {
    for (std::int64_t i = 0; i < N; ++i) {
      const RecordedEnv env(r, O, A, i);
      const std::int64_t row = t * N + i;
      const auto at = static_cast<std::size_t>(row);
      for (int o = 0; r.obs != nullptr && o < O; ++o) {
        out.obs[static_cast<std::size_t>(row * O + o)] = env.obs(t, o);
      }
      for (int z = 0; logits && z < Z; ++z) {
        out.logits[static_cast<std::size_t>(row * Z + z)] = env.logit(t, z);
      }
      out.action[at] = env.action(t);
      out.reward[at] = env.reward(t);
      out.terminated[at] = env.terminated(t);
      out.truncated[at] = env.truncated(t);
    }
  }
  return out;
}

/// The difference pictures of recorded rows of a table, [T + 1, N, P], the last still 0.
std::vector<std::int8_t> to_pictures(const TableFacts& facts, const Trajectory& t,
                                     const std::vector<std::uint16_t>& rows, int threads) {
  std::vector<std::int8_t> pictures(static_cast<std::size_t>((t.T + 1) * t.N * t.O));
  parallel_for(t.N, threads, [&](std::int64_t i, int) {
    const std::uint16_t* group = rows.data() + i / kGroup * t.T * facts.shape.objects * kGroup;
    bool first = true;
    for (std::int64_t step = 0; step < t.T; ++step) {
      const std::int64_t at = step * t.N + i;
      difference_picture(facts, group, step, static_cast<int>(i % kGroup), first,
                         pictures.data() + at * t.O);
      const auto row = static_cast<std::size_t>(at);
      first = (t.terminated[row] | t.truncated[row]) != 0;
    }
  });
  return pictures;
}

}  // namespace

RolloutResult Engine::rollout(const RolloutOptions& options) {
  Impl& e = *impl_;
  require(options.steps >= 1 && options.steps < (std::int64_t{1} << 31),
          "rollout: steps must be in [1, 2^31)");
  require(options.repeats >= 1, "rollout: repeats must be at least 1");
  PlayRequest request;
  request.num_envs = e.config.envs;
  request.T = static_cast<std::int32_t>(options.steps);
  request.episodic = false;
  request.random_policy = options.random_policy;
  e.set_choice(request, options.mode, options.epsilon);
  request.dense = options.math == Math::kDense;
  request.game = game_options(e.config, e.environment, e.config.noops, request.dense);
  request.game.max_pool = e.pools(options.max_pool, options.math);
  const bool pictures = e.environment.has_objects();
  request.keep_pictures = pictures && options.keep;
  RolloutBuffers buffers;
  if (options.keep) {
    buffers = RolloutBuffers({.num_envs = e.config.envs,
                              .T = request.T,
                              .O = e.facts.observation_size,
                              .A = e.facts.num_actions,
                              .obs_and_logits = !pictures,
                              .logits = true,
                              .reward = !e.facts.constant_reward});
  }
  RolloutResult result;
  PlayResult played;
  double score = 0;
  for (std::int64_t repeat = 0; repeat < options.repeats; ++repeat) {
    request.stream = {e.config.seed, static_cast<std::uint32_t>(repeat)};
    Record<float> record = buffers.record();
    played = {};  // the pictures before go before there are new ones
    played = e.backend->play(e.parameters, request, options.keep ? &record : nullptr);
    result.seconds += played.seconds;
    result.library = played.library;
    for (const std::int32_t episodes : played.episodes) result.episodes += episodes;
    for (const float s : played.score) score += static_cast<double>(s);
  }
  result.steps = e.config.envs * options.steps * options.repeats;
  result.mean_score = result.episodes > 0 ? score / static_cast<double>(result.episodes)
                                          : std::numeric_limits<double>::quiet_NaN();
  if (options.keep) {
    // as long as arrays are being made: afterwards the trajectory is the caller's
    const MemoryClaim claim(
        trajectory_bytes(request.T, e.config.envs, e.facts.observation_size,
                         options.random_policy ? 0 : logits_of(e.facts.num_actions), pictures));
    result.trajectory = to_trajectory(buffers.record(), e.config.envs, e.facts.observation_size,
                                      e.facts.num_actions, !options.random_policy);
    if (request.dense) {
      result.trajectory.pictures = std::move(played.pictures);
    } else if (pictures) {
      result.trajectory.pictures = to_pictures(*e.facts.tables, result.trajectory, played.rows,
                                               thread_count(e.config.threads));
    }
    e.add_last_observations(request, result.trajectory);
  }
  return result;
}

}  // namespace lockstep
