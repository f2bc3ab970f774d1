// What the rollout of a table policy keeps beside its network: the game a lane plays, the random
// words of its actions, its scores, and the bits of a block's steps on their way to the record.
#pragma once

#include "envs/object_env.h"
#include "kernels/cuda/table_launchers.h"
#include "kernels/cuda/warp.cuh"
#include "kernels/game_noise.h"
#include "kernels/sample_action.h"

namespace lockstep::cuda {

struct TablePlay {
  TableRolloutArgs rollout;
  const UpdateState* state;  // of the update under way; null: evaluation
  EpisodeLog log;            // count null: not kept
};

inline TablePlay table_play(const TableRolloutArgs& args) { return {args, nullptr, {}}; }
inline TablePlay table_play(const TableUpdateArgs& args) {
  return {args.rollout, args.state, args.episode_log};
}

/// The random numbers of the epoch under way.
__device__ inline RandomStream stream_of(const TablePlay& play) {
  RandomStream stream = play.rollout.stream;
  if (play.state != nullptr) stream.epoch = play.state->epoch;
  return stream;
}

/// The game of one environment, with what GameOptions make of it.
template <class E>
struct LaneGame {
  using I = std::int32_t;
  typename E::template State<I> state;
  I executed;             // by the last frame: -1 up, 1 down, 0 neither
  std::uint32_t episode;  // number of the next one

  /// Starts the next episode.
  __device__ void restart(const GameOptions& options, const RandomStream& stream,
                          std::uint32_t env) {
    const I noops = start_noops(options, stream, env, episode);
    state = E::template start<I>(noops, options.max_noops);
    executed = 0;
    ++episode;
  }
  /// Plays step t of the epoch.
  __device__ ObjectStep<I> step(const GameOptions& options, const RandomStream& stream,
                                std::uint32_t env, bool up, int t) {
    if (options.is_plain(E::kFrames)) return E::template step<I>(state, up);
    const RandomStream own = stream;  // StepNoise is kept in memory, and what it refers to
    StepNoise<std::uint32_t> noise(options, own, env, static_cast<std::uint32_t>(t));
    return E::step(
        state, up, options.max_skip, [&](int f) { return noise.plays(f); },
        [&](int f) { return noise.repeats(f); }, executed);
  }
};

/// The random words of an environment's actions: one counter serves four steps of a policy, 128 of
/// uniformly random actions. Asked for every step in turn, from step 0.
struct LaneWords {
  PhiloxWords<std::uint32_t> words{};  // that of the step is the first

  __device__ void draw(const TableRolloutArgs& args, const RandomStream& stream, std::uint32_t env,
                       int t) {
    const bool uniform = args.random_policy;
    if (!uniform && args.choice != ActionChoice::kSample) return;
    const int steps = uniform ? 128 : 4;
    if (t % steps == 0) {
      const Purpose purpose = uniform ? Purpose::kRandomAction : Purpose::kAction;
      words = random_words(stream, purpose, 0, env, static_cast<std::uint32_t>(t / steps));
    } else if (t % (steps / 4) == 0) {
      for (int i = 0; i < 3; ++i) words.w[i] = words.w[i + 1];
    }
  }
};

/// The action of step t: whether the bat goes up.
__device__ inline bool table_action(const TableRolloutArgs& args, const RandomStream& stream,
                                    std::uint32_t env, int t, float logit, std::uint32_t word) {
  if (args.random_policy) return ((word >> (t & 31)) & 1u) != 0;
  const float logits[1] = {logit};
  if (args.choice == ActionChoice::kSample) return sampled_action<float, 2>(logits, word);
  const bool action = greedy_action<float, 2>(logits);
  if (args.choice != ActionChoice::kEpsilon) return action;
  return explore<float, 2>(stream, env, static_cast<std::uint32_t>(t), args.epsilon, action);
}

/// Scores of one environment.
struct LaneScores {
  std::int32_t running = 0, steps = 0;                  // of the episode under way
  std::int32_t finished = 0, length = 0, episodes = 0;  // of those before

  __device__ void close() {
    finished += running;
    length += steps;
    ++episodes;
    running = steps = 0;
  }
};

/// Logs the episode that just ended; before LaneScores::close().
__device__ inline void log_episode(const TablePlay& play, std::int64_t env,
                                   const LaneScores& scores) {
  if (play.log.count == nullptr) return;
  const std::int64_t at =
      (std::int64_t{play.state->slot} * play.log.capacity + scores.episodes) * play.log.lanes + env;
  play.log.length[at] = scores.steps;
  if (play.log.score != nullptr) play.log.score[at] = static_cast<float>(scores.running);
}

/// Writes what is left of an environment.
__device__ inline void leave(const TablePlay& play, std::int64_t env, const LaneScores& scores) {
  play.rollout.score[env] = static_cast<float>(scores.finished);
  play.rollout.length[env] = scores.length;
  play.rollout.episodes[env] = scores.episodes;
  if (play.log.count == nullptr) return;
  play.log.count[play.state->slot * play.log.lanes + env] = scores.episodes;
}

inline constexpr int kTableRing = 16;  // steps of bits that leave a block together: a sector
inline constexpr int kTableKinds = 4;  // of bits: action, terminated, truncated, incoming

/// Most warps of a block.
template <int kEnvs>
inline constexpr int kTableWarps = kEnvs == 1   ? 16
                                   : kEnvs == 2 ? 8
                                                : 12;

/// The bits of a block's steps: two rings, so that one is written to while the other leaves.
/// A warp of kEnvs environments keeps bit e of kind q at place q kEnvs + e: what a vote of its
/// lanes gives when lane i votes for environment i mod kEnvs, kind i / kEnvs.
template <int kEnvs>
struct TableBits {
  static_assert(kEnvs * kTableKinds <= kWarp && kGroup % kEnvs == 0);
  static constexpr int kWarpsPerGroup = kGroup / kEnvs;
  std::uint32_t of[kTableWarps<kEnvs>][2][kTableRing];

  /// Notes step t of the calling warp. All lanes; `kind` has the lane's bits of all kinds.
  __device__ void note(int t, const bool (&kind)[kTableKinds]) {
    const int mine = lane_index() / kEnvs;
    const bool bit = mine == 0 ? kind[0] : mine == 1 ? kind[1] : mine == 2 ? kind[2] : kind[3];
    const std::uint32_t vote = __ballot_sync(kAllLanes, bit);
    if (lane_index() == 0) of[warp_in_block()][t / kTableRing % 2][t % kTableRing] = vote;
  }
  /// Clears the steps of the ring from t on.
  __device__ void pad(int t) {
    const int step = t % kTableRing + lane_index();
    if (step < kTableRing) of[warp_in_block()][t / kTableRing % 2][step] = 0;
  }
  /// Writes the steps from .. end - 1, a ring of them at most, to the record. All threads of the
  /// block, which plays `groups` groups from `first` on; a barrier behind the last note().
  __device__ void write(const TableRecord& record, std::int64_t first, int groups, int from,
                        int end) const {
    const int count = groups * kTableKinds * kTableRing;
    for (int i = static_cast<int>(threadIdx.x); i < count; i += static_cast<int>(blockDim.x)) {
      const int step = i % kTableRing, kind = i / kTableRing % kTableKinds;
      const int group = i / (kTableRing * kTableKinds);
      if (from + step >= end) continue;
      std::uint32_t word = 0;
      LS_UNROLL
      for (int w = 0; w < kWarpsPerGroup; ++w) {
        const std::uint32_t bits = of[group * kWarpsPerGroup + w][from / kTableRing % 2][step];
        word |= ((bits >> (kind * kEnvs)) & ((1u << kEnvs) - 1u)) << (w * kEnvs);
      }
      std::uint16_t* const to = kind == 0   ? record.steps.action_bits
                                : kind == 1 ? record.steps.terminated
                                : kind == 2 ? record.steps.truncated
                                            : record.incoming;
      to[(first + group) * record.steps.T + from + step] = static_cast<std::uint16_t>(word);
    }
  }
};

}  // namespace lockstep::cuda
