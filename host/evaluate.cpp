// Engine::evaluate(): whole episodes of a policy, and what is kept of them.
#include <algorithm>
#include <string>

#include "host/backend/parallel.h"
#include "host/backend/record.h"
#include "host/engine_impl.h"
#include "host/errors.h"
#include "kernels/game_noise.h"

namespace lockstep {
namespace {

/// Frames that an episode's actions play, those before the first action included.
std::int32_t count_frames(const PictureFacts& facts, const PlayRequest& request, std::uint32_t env,
                          const std::vector<std::uint8_t>& actions, std::int32_t noops) {
  const auto player = facts.start(request.stream, env, request.game);
  std::int32_t frames = noops;
  for (const std::uint8_t action : actions) {
    player->begin_step(action);
    while (player->next_frame()) ++frames;
  }
  return frames;
}

}  // namespace

bool Engine::Impl::pools(bool option, Math math) const {
  if (!option && !config.max_pool) return false;
  require(environment.has_objects(), "--max-pool: " + config.env + " is no game of frames");
  require(
      math == Math::kDense,
      "--max-pool: the maximum of two frames is no sum of objects; use --math dense, which eval "
      "and rollout have");
  return true;
}

void Engine::Impl::set_choice(PlayRequest& request, ActionMode mode, double epsilon) {
  require(epsilon >= 0 && epsilon <= 1, "epsilon must be in [0, 1]");
  request.choice = mode == ActionMode::kSample    ? ActionChoice::kSample
                   : mode == ActionMode::kEpsilon ? ActionChoice::kEpsilon
                                                  : ActionChoice::kGreedy;
  request.epsilon = static_cast<float>(epsilon);
}

PlayRequest Engine::Impl::evaluation(const EvalOptions& options) const {
  require(options.episodes >= 1, "evaluate: episodes must be at least 1");
  require(options.noops >= 0 && options.noops <= kMaxNoops,
          "evaluate: noops must be in [0, " + std::to_string(kMaxNoops) + "]");
  PlayRequest request;
  request.num_envs = options.episodes;
  request.dense = options.math == Math::kDense;
  request.game = game_options(config, environment, options.noops, request.dense);
  request.game.noops_in_turn = options.noops_in_turn;
  request.game.max_pool = pools(options.max_pool, options.math);
  request.T = episode_limit(request.game, environment);
  set_choice(request, options.mode, options.epsilon);
  request.stream = {options.seed, kEvaluationEpoch + static_cast<std::uint32_t>(options.index)};
  return request;
}

/// Plays once more, now that it is known how long records must be. Episodes follow one another
/// then; the first of each environment is the one that was played.
void Engine::Impl::keep_actions(PlayRequest request, EvalResult& result) const {
  request.T = *std::max_element(result.lengths.begin(), result.lengths.end());
  request.episodic = false;
  const RolloutBuffers buffers({.num_envs = request.num_envs,
                                .T = request.T,
                                .O = facts.observation_size,
                                .A = facts.num_actions,
                                .logits = true,
                                .reward = !facts.constant_reward});
  Record<float> record = buffers.record();
  backend->play(parameters, request, &record);
  const auto episodes = static_cast<std::size_t>(request.num_envs);
  result.actions.resize(episodes);
  for (std::size_t i = 0; i < episodes; ++i) {
    const RecordedEnv env(record, facts.observation_size, facts.num_actions,
                          static_cast<std::int64_t>(i));
    for (std::int32_t t = 0; t < result.lengths[i]; ++t) {
      result.actions[i].push_back(env.action(t));
    }
  }
  if (!environment.has_objects()) return;
  result.noops.resize(episodes);
  result.frames.resize(episodes);
  parallel_for(request.num_envs, thread_count(config.threads), [&](std::int64_t env, int) {
    const auto i = static_cast<std::size_t>(env);
    const auto id = static_cast<std::uint32_t>(env);
    result.noops[i] = start_noops(request.game, request.stream, id, 0);
    result.frames[i] =
        count_frames(facts.watch.picture, request, id, result.actions[i], result.noops[i]);
  });
}

EvalResult Engine::evaluate(const EvalOptions& options) {
  Impl& e = *impl_;
  const PlayRequest request = e.evaluation(options);
  PlayResult played = e.backend->play(e.parameters, request, nullptr);
  EvalResult result;
  result.scores = std::move(played.score);
  result.lengths = std::move(played.length);
  for (const std::int32_t length : result.lengths) result.steps += length;
  result.seconds = played.seconds;
  result.library = played.library;
  if (options.keep_actions) e.keep_actions(request, result);
  return result;
}

}  // namespace lockstep
