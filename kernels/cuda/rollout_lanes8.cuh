// The rollout with eight lanes per environment, for batches too small to fill the device with a
// thread each. ReLU networks of at most kLanes8MaxHidden units.
//
// Fused: as in rollout.cuh.
// Mapping: lane r of a group of eight owns partial sum r of the logit, its units in registers for
// the whole launch; the sums meet in a butterfly with strides 1, 2, 4, which is the tree of
// policy.h. A group plays two environments, so that a warp's eight fill one byte of the record's
// words: lane r the game of environment r mod 2, like the other lanes of its parity. Its own units
// serve both, so neighbours exchange observations before the network, and after it each gives the
// other the partial that it has no game for: that exchange is the butterfly's stride 1. The random
// words are drawn once in 16 steps, a lane per counter, and handed round.
// Written per step and environment: as in rollout.cuh, bits by three lanes, a byte each.
// Limiter: latency of the chain observation, network, butterfly, exp, division, state; about 360
// instructions of a warp per step of its eight environments with 128 units, 198 of them the
// network. Registers: two blocks of 128 run on a multiprocessor, with 171 as with 256 a thread.
//
// budget: lanes8::.*<CartPole, .*, 16, false> registers<=208 spills<=0 loop<=570 per=8
// budget: lanes8::.*<CartPole, .*, 8, false> registers<=120 spills<=0 loop<=480 per=8
// budget: lanes8::.*<CartPole, .*, 4, false> registers<=96 spills<=0 loop<=425 per=8
// budget: lanes8::.*<CartPole, .*, true> registers<=208 spills<=0 loop<=580 per=8
#pragma once

#include "kernels/choose_action.h"
#include "kernels/cuda/play.cuh"
#include "kernels/policy.h"

namespace lockstep::cuda {
namespace lanes8 {

inline constexpr int kLanes = kPartials;               // of an environment
inline constexpr int kPair = 2;                        // environments of a group of lanes
inline constexpr int kEnvs = kWarp / kLanes * kPair;   // of a warp
inline constexpr int kWarpsPerGroup = kGroup / kEnvs;  // of a group of the record
inline constexpr int kWordSteps = 16;                  // served by one draw of all lanes
static_assert(kEnvs == 8 && kWarpsPerGroup == 2, "a warp fills a byte of the record's words");

/// One partial sum of a policy: a lane's units, by value.
template <int kChain, int kStride>
struct LaneUnits {
  alignas(kUnitAlignment) float unit[kChain][kStride];
};

/// The view of it that add_partials() walks.
template <int kChain>
struct LanePolicy {
  static constexpr int chain = kChain;
  static constexpr int kTurn = kChain;
  static constexpr float leak = 0;
  static constexpr std::uint32_t drop_below = 0;
  const float* units;
};

/// Units of partial sum r; chains are filled up to kChain.
template <int kChain, int O, int Z>
__device__ inline void load_units(const PolicyView<float>& policy, int r,
                                  LaneUnits<kChain, unit_stride(O, Z)>& to) {
  constexpr int kStride = unit_stride(O, Z);
  const float* from = policy.units + r * policy.chain * kStride;
  LS_UNROLL
  for (int k = 0; k < kChain; ++k) {
    LS_UNROLL
    for (int i = 0; i < kStride; ++i) {
      to.unit[k][i] = k < policy.chain ? from[k * kStride + i] : unit_padding(i, O);
    }
  }
}

/// Where a lane writes the record of its environment.
struct LaneRecord {
  const Record<float>& record;
  std::int64_t step;   // of the group, at t = 0, in steps from the start of the record
  int place;           // of the environment within the group
  int r;               // lane of the pair of environments
  std::uint8_t* bits;  // lanes 0 .. 2: byte of step 0 in the words of action, ends; else null

  __device__ LaneRecord(const Record<float>& to, std::int64_t first)
      : record(to),
        step(first / kGroup * to.T),
        place(static_cast<int>(first % kGroup) + lane_index() / kLanes * kPair +
              lane_index() % kPair),
        r(lane_index() % kLanes) {
    std::uint16_t* const words = lane_index() == 0   ? to.action_bits
                                 : lane_index() == 1 ? to.terminated
                                 : lane_index() == 2 ? to.truncated
                                                     : nullptr;
    bits = words == nullptr
               ? nullptr
               : reinterpret_cast<std::uint8_t*>(words + step) + first % kGroup / kEnvs;
  }
  /// Whether the lane is the one that writes what its environment does.
  __device__ bool writes() const { return r < kPair; }
  /// Field f of `fields` of step t.
  template <class T>
  __device__ void set(T* field, int t, int fields, int f, T value) const {
    if (writes()) field[((step + t) * fields + f) * kGroup + place] = value;
  }
  /// Stores step t of the bits, of which a lane votes for one kind: lanes 2 n and 2 n + 1 kind n.
  __device__ void set_bits(int t, bool action, bool terminated, bool truncated) const {
    const int kind = r / kPair;
    const bool mine = kind == 0 ? action : kind == 1 ? terminated : truncated;
    // byte q of the vote: the bits of lane group q, lane r bit r; lane n takes kind n of all groups
    const std::uint32_t vote = __ballot_sync(kAllLanes, mine);
    const std::uint32_t pairs = (vote >> (kPair * (lane_index() % kLanes))) & 0x03030303u;
    // moves the four pairs side by side into the top byte; no two terms share a bit
    if (bits != nullptr) bits[2 * t] = static_cast<std::uint8_t>((pairs * 0x01041040u) >> 24);
  }
};

/// The word of step t, of those drawn at t - t % 16, of the lane's environment.
__device__ inline std::uint32_t word_of_step(const PhiloxWords<std::uint32_t>& words, int t) {
  const std::uint32_t even = (t & 2) != 0 ? words.w[2] : words.w[0];
  const std::uint32_t odd = (t & 2) != 0 ? words.w[3] : words.w[1];
  const int drawn_by = lane_index() / kLanes * kLanes + t / 4 % 4 * kPair + lane_index() % kPair;
  return __shfl_sync(kAllLanes, (t & 1) != 0 ? odd : even, drawn_by);
}

/// The two warps of a group of the record may play a different number of steps; whoever ends last
/// clears the ends of the shorter one's remaining steps. `other_end`: -1 at first, one per group.
__device__ inline void close_record(const Record<float>& record, std::int64_t first, int t,
                                    std::int32_t* other_end) {
  const std::int64_t group = first / kGroup;
  int other = -1;
  if (lane_index() == 0) other = atomicExch(other_end, t);
  other = __shfl_sync(kAllLanes, other, 0);
  if (other < 0) return;  // the whole warp
  const std::int64_t half = t < other ? first % kGroup / kEnvs : 1 - first % kGroup / kEnvs;
  const int from = t < other ? t : other;
  const int to = t < other ? other : t;
  for (int i = from + lane_index(); i < to; i += kWarp) {
    const std::int64_t byte = 2 * (group * record.T + i) + half;
    if (record.terminated != nullptr) {
      reinterpret_cast<std::uint8_t*>(record.terminated)[byte] = 0;
    }
    if (record.truncated != nullptr) reinterpret_cast<std::uint8_t*>(record.truncated)[byte] = 0;
  }
  if (lane_index() == 0) record.steps[group] = to;
}

/// Plays the eight environments of a warp from `first` on; kParts: a part of the rollout's steps.
template <class E, bool kEpisodic, int kChain, bool kParts>
__device__ inline void play_warp(const PlayArgs& play, std::int64_t first,
                                 std::int32_t* other_end) {
  constexpr int O = E::kObservationSize;
  constexpr int A = E::kNumActions;
  constexpr int Z = logits_of(A);
  constexpr bool kDrawnAhead = !kEpisodic && kDrawAhead < E >> 1;
  using Words = ActionWords<PolicyForm::kRelu, A>;
  static_assert(Words::kSteps * kLanes / kPair == kWordSteps);

  const RolloutArgs<float> args = rollout_of(play);
  const Record<float>& record = args.record;
  const bool recording = record.action_bits != nullptr || record.terminated != nullptr;
  const LaneRecord rows(record, first);
  LaneUnits<kChain, unit_stride(O, Z)> units;
  load_units<kChain, O, Z>(args.policy, rows.r, units);
  const LanePolicy<kChain> policy{&units.unit[0][0]};
  float bias[Z];  // in registers: the compiler cannot know that a step's stores leave it alone
  LS_UNROLL
  for (int z = 0; z < Z; ++z) bias[z] = args.policy.output_bias[z];

  const std::int64_t id = first + lane_index() / kLanes * kPair + lane_index() % kPair;
  const auto env = static_cast<std::uint32_t>(id);
  Episode<E, float> episode = first_episode<E>(args, id);
  Scores<float> scores{0.0f, 0.0f};
  typename E::template State<float> next_start;
  PhiloxWords<std::uint32_t> words;

  const std::int32_t end = kParts ? play.part.end : args.T;
  int t = kParts ? play.part.begin() : 0;
  if (kParts && t > 0) {
    const SavedEpisode<E>& saved = saved_episode<E>(play, id);
    resume<E, kEpisodic>(saved, episode, scores);
    words = saved.words[rows.r / kPair];
    if constexpr (kDrawnAhead) next_start = saved.next_start;
    if (kEpisodic && !__any_sync(kAllLanes, episode.alive)) {
      // a part before told all; the other warp of the group goes on, perhaps
      if (recording) close_record(record, first, saved.played, other_end);
      return;
    }
  }

  for (; t < end; ++t) {
    if (t % kWordSteps == 0) {
      words = Words::draw(args.stream, env, t + rows.r / kPair * Words::kSteps);
    }
    if (kDrawnAhead && t % kDrawAhead<E> == 0) {
      next_start = start_state<E, float>(args.stream, env, episode.number + 1u);
    }

    float obs[kPair][O];  // of the lane's environment, of its neighbour's
    E::template observe<float>(episode.state, obs[0]);
    LS_UNROLL
    for (int o = 0; o < O; ++o) obs[1][o] = __shfl_xor_sync(kAllLanes, obs[0][o], 1);
    float partials[kPair][Z];
    add_partials<PolicyForm::kRelu, 1, 0, 1, float>(policy, obs, static_cast<DropoutWalk*>(nullptr),
                                                    partials);
    float logits[Z];
    LS_UNROLL
    for (int z = 0; z < Z; ++z) {
      logits[z] = partials[0][z] + __shfl_xor_sync(kAllLanes, partials[1][z], 1);
    }
    LS_UNROLL
    for (int stride = 2; stride < kLanes; stride *= 2) {
      LS_UNROLL
      for (int z = 0; z < Z; ++z) {  // side by side: a shuffle takes its time
        logits[z] = logits[z] + __shfl_xor_sync(kAllLanes, logits[z], stride);
      }
    }
    LS_UNROLL
    for (int z = 0; z < Z; ++z) logits[z] = logits[z] + bias[z];

    const auto action =
        choose_action<PolicyForm::kRelu, float, A>(args, env, t, logits, word_of_step(words, t));
    const Episode<E, float> before = episode;
    const StepOutcome<float> out = advance_and_score<E, float>(episode, scores, action);
    if constexpr (kEpisodic) {
      close_scores<E, float>(scores, out.ended);
      stand_still<E, float>(episode, before, out.ended);
    } else {
      if (out.ended && rows.writes()) log_episode<E>(play, env, episode, scores);
      close_scores<E, float>(scores, out.ended);
      if constexpr (kDrawnAhead) {
        restart<E, float>(episode, out.ended, next_start);
      } else if (__any_sync(kAllLanes, out.ended)) {
        restart<E, float>(episode, out.ended,
                          start_state<E, float>(args.stream, env, episode.number + 1u));
      }
    }
    if (recording) {
      bool bit = false;
      if constexpr (A == 2) {
        bit = action;
      } else {
        rows.set(record.action, t, 1, 0, static_cast<std::uint8_t>(action));
      }
      rows.set_bits(t, bit, out.terminated, out.truncated);
      if constexpr (!E::kConstantReward) rows.set(record.reward, t, 1, 0, out.reward);
      if (record.logits != nullptr) {
        for (int z = 0; z < Z; ++z) rows.set(record.logits, t, Z, z, logits[z]);
      }
      if (record.obs != nullptr) {
        for (int o = 0; o < O; ++o) rows.set(record.obs, t, O, o, obs[0][o]);
      }
    }
    if (kEpisodic && !__any_sync(kAllLanes, episode.alive)) {
      ++t;
      break;
    }
  }

  if constexpr (kParts) {
    SavedEpisode<E>& saved = saved_episode<E>(play, id);
    saved.words[rows.r / kPair] = words;
    if (rows.writes()) {
      save<E>(saved, episode, scores);
      if constexpr (kDrawnAhead) saved.next_start = next_start;
      saved.played = t;
    }
  }
  if (!kParts || t == args.T || (kEpisodic && !__any_sync(kAllLanes, episode.alive))) {
    leave<E, kEpisodic>(play, id, rows.writes(), episode, scores, t);
  }
  if (recording) close_record(record, first, t, other_end);
}

template <class E, bool kEpisodic, int kChain, bool kParts>
LS_KERNEL(kMaxBlock)
rollout_lanes8_kernel(const __grid_constant__ PlayArgs play) {
  LS_SHARED(ends, std::int32_t[kMaxBlock / kWarp / kWarpsPerGroup]);
  if (!is_running(play)) return;  // the whole grid
  std::int32_t& other_end = ends[warp_in_block() / kWarpsPerGroup];
  if (static_cast<int>(threadIdx.x) % (kWarp * kWarpsPerGroup) == 0) other_end = -1;
  __syncthreads();
  const std::int64_t first = warp_in_grid() * kEnvs;
  if (first / kGroup * kGroup >= play.rollout.num_envs) return;  // the whole warp
  play_warp<E, kEpisodic, kChain, kParts>(play, first, &other_end);
}

template <class E, int kChain>
inline cudaError_t launch_chain(const PlayArgs& play, int block, cudaStream_t stream) {
  // the two warps of a group of the record meet in shared memory
  const int threads = block < 2 * kWarp ? 2 * kWarp : block / (2 * kWarp) * (2 * kWarp);
  const std::int64_t groups = (play.rollout.num_envs + kGroup - 1) / kGroup;
  const dim3 grid = blocks_for_warps(groups * kWarpsPerGroup, threads);
  const bool episodic = play.rollout.episodic;
  const auto kernel = play.part.whole()
                          ? (episodic ? rollout_lanes8_kernel<E, true, kChain, false>
                                      : rollout_lanes8_kernel<E, false, kChain, false>)
                          : (episodic ? rollout_lanes8_kernel<E, true, kChain, true>
                                      : rollout_lanes8_kernel<E, false, kChain, true>);
  return launch("rollout", kernel, grid, dim3(threads), 0, stream, play);
}

}  // namespace lanes8

/// Errors: cudaErrorInvalidValue for a policy this mapping cannot play.
template <class E>
cudaError_t play_lanes8(const PlayArgs& play, int block, cudaStream_t stream) {
  const PolicyView<float>& policy = play.rollout.policy;
  if (policy.form != PolicyForm::kRelu || policy.hidden > kLanes8MaxHidden) {
    return cudaErrorInvalidValue;
  }
  if (policy.chain <= 4) return lanes8::launch_chain<E, 4>(play, block, stream);
  if (policy.chain <= 8) return lanes8::launch_chain<E, 8>(play, block, stream);
  return lanes8::launch_chain<E, kLanes8MaxHidden / kPartials>(play, block, stream);
}

}  // namespace lockstep::cuda
