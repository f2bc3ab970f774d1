// What the rollout of a table policy keeps beside its network: the game a lane plays, the random
// words of its actions, its scores, and the bits of a block's steps on their way to the record.
#pragma once

#include "envs/object_env.h"
#include "kernels/choose_action.h"
#include "kernels/cuda/rollout_parts.cuh"
#include "kernels/cuda/table_launchers.h"
#include "kernels/cuda/warp.cuh"
#include "kernels/game_noise.h"

namespace lockstep::cuda {

struct TablePlay {
  TableRolloutArgs rollout;
  const UpdateState* state;  // of the update under way; null: evaluation
  EpisodeLog log;            // count null: not kept
  RolloutPart part;          // all steps, unless play_in_parts() says otherwise
};

inline TablePlay table_play(const TableRolloutArgs& args) {
  return {args, nullptr, {}, {0, args.T, nullptr}};
}
inline TablePlay table_play(const TableUpdateArgs& args) {
  return {args.rollout, args.state, args.episode_log, {0, args.rollout.T, nullptr}};
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
template <bool kRandom>
struct LaneWords {
  PhiloxWords<std::uint32_t> words{};  // that of the step is the first

  __device__ void draw(const TableRolloutArgs& args, const RandomStream& stream, std::uint32_t env,
                       int t) {
    using Words = ActionWords<kRandom ? PolicyForm::kRandom : PolicyForm::kRelu, 2>;
    if (!kRandom && args.choice != ActionChoice::kSample) return;
    if (t % Words::kSteps == 0) {
      words = Words::draw(stream, env, t);
    } else if (t % Words::kStepsPerWord == 0) {
      for (int i = 0; i < 3; ++i) words.w[i] = words.w[i + 1];
    }
  }
};

/// The action of step t: whether the bat goes up.
template <bool kRandom>
__device__ inline bool table_action(const TableRolloutArgs& args, const RandomStream& stream,
                                    std::uint32_t env, int t, float logit, std::uint32_t word) {
  if constexpr (kRandom) return ((word >> (t & 31)) & 1u) != 0;
  const float logits[1] = {logit};
  if (args.choice == ActionChoice::kSample) return sampled_action<float, 2>(logits, word);
  const bool action = greedy_action<float, 2>(logits);
  if (args.choice != ActionChoice::kEpsilon) return action;
  return explore<float, 2>(stream, env, static_cast<std::uint32_t>(t), args.epsilon, action);
}

/// The episode under way. What those before it came to is in the results, where it costs no
/// registers.
struct LaneEpisode {
  std::int32_t score, steps;
};

/// An environment between two parts of a rollout.
template <class E>
struct SavedGame {
  LaneGame<E> game;
  LaneEpisode episode;
  PhiloxWords<std::uint32_t> words;  // of its actions
  std::int32_t alive;
  std::uint32_t place[kMaxObjects];  // WarpNetwork::place(), if its warp has played in the part
};

/// Where environment `env` is saved.
template <class E>
__device__ inline SavedGame<E>& saved_game(const TablePlay& play, std::uint32_t env) {
  return static_cast<SavedGame<E>*>(play.part.saved)[env];
}

/// Nothing is finished yet: one lane of every environment of a group, whether it plays or not.
__device__ inline void clear_results(const TablePlay& play, std::uint32_t env) {
  play.rollout.score[env] = 0;
  play.rollout.length[env] = play.rollout.episodes[env] = 0;
  if (play.log.count == nullptr) return;
  play.log.count[play.state->slot * play.log.lanes + env] = 0;
}

/// Adds an episode to the results and to the log; the same lane.
__device__ inline void close_episode(const TablePlay& play, std::uint32_t env,
                                     const LaneEpisode& episode) {
  const std::int32_t number = play.rollout.episodes[env]++;
  play.rollout.score[env] += static_cast<float>(episode.score);  // integers below 2^24: exact
  play.rollout.length[env] += episode.steps;
  const EpisodeLog& log = play.log;
  if (log.count == nullptr) return;
  const std::int64_t slot = play.state->slot;
  log.count[slot * log.lanes + env] = number + 1;
  const std::int64_t at = (slot * log.capacity + number) * log.lanes + env;
  log.length[at] = episode.steps;
  if (log.score != nullptr) log.score[at] = static_cast<float>(episode.score);
}

inline constexpr int kTableRing = 16;  // steps of bits that leave a block together: a sector
inline constexpr int kTableKinds = 4;  // of bits: action, terminated, truncated, incoming

inline constexpr int kTableWarps = 16;  // most warps of a block

/// The bits of a block's steps: two rings, so that one is written to while the other leaves.
/// A warp of kEnvs environments keeps bit e of kind q at place q kEnvs + e: what a vote of its
/// lanes gives when lane i votes for environment i mod kEnvs, kind i / kEnvs.
template <int kEnvs>
struct TableBits {
  static_assert(kEnvs * kTableKinds <= kWarp && kGroup % kEnvs == 0);
  static constexpr int kWarpsPerGroup = kGroup / kEnvs;
  std::uint32_t of[kTableWarps][2][kTableRing];

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
  /// Writes the ring that begins with step `from` to the record, of the part's steps. All threads
  /// of the block, which plays `groups` groups from `first` on; a barrier behind the last note().
  __device__ void write(const TableRecord& record, std::int64_t first, int groups, int from,
                        const RolloutPart& part) const {
    const int count = groups * kTableKinds * kTableRing;
    for (int i = static_cast<int>(threadIdx.x); i < count; i += static_cast<int>(blockDim.x)) {
      const int step = i % kTableRing, kind = i / kTableRing % kTableKinds;
      const int group = i / (kTableRing * kTableKinds);
      if (from + step < part.first || from + step >= part.end) continue;
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
