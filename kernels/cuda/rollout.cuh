// The rollout with a thread per environment, or per kEnvs of them.
//
// Fused: observation, network, action, physics, automatic reset and the record of a step; a launch
// plays a rollout, or a part of a long one (rollout_parts.cuh). State, random words and running
// scores stay in registers.
// Mapping: lane i of warp w plays environments (w kEnvs + k) 32 + i, so that what a warp writes for
// one k is two groups of the record, side by side. The weights are in shared memory, read by all
// lanes at once in 16-byte loads; more environments a thread share each load.
// Written per step and environment: 3 bits; the action's byte instead of a bit for more than two;
// 4 bytes of reward unless it is constant; 4 Z of logits and 4 O of observation if they are kept.
// Bits go through a ring in shared memory and leave it 16 steps at a time, a sector of each row.
// Limiter: issue. Instructions of a thread per step of one CartPole, 128 units, logits recorded:
//   environments a thread              8     4     1
//   network                          838   895  1105   (6 a unit and environment are arithmetic)
//   everything else                  128   130   135   (122 for the random policy, in all)
//   shared memory, 16 bytes            8  per 4 units, whatever the number of environments
// With one environment a thread the loads of the weights are the limiter instead. Registers leave
// room for 12 warps on a multiprocessor (eight a thread), 16 (four) and 32 (one).
//
// budget: rollout_kernel<CartPole, .*2.* 8, true, false> registers<=168 spills<=0 loop<=205 per=32
// budget: rollout_kernel<CartPole, .*2.* 8, false, false> registers<=168 spills<=0 loop<=57 per=8
// budget: rollout_kernel<CartPole, .*2, .*, 4, .*, false> registers<=128 spills<=0 loop<=111 per=16
// budget: rollout_kernel<CartPole, .*2, .*, 1, .*, false> registers<=64 spills<=0
// budget: rollout_kernel<CartPole, .*3, .*, false> registers<=72 spills<=0
// budget: rollout_kernel<CartPole, .PolicyForm.[01], .*, false> registers<=48 spills<=0
// budget: rollout_kernel<CartPole, .*, true> registers<=128 spills<=0
#pragma once

#include "kernels/choose_action.h"
#include "kernels/cuda/play.cuh"
#include "kernels/cuda/rollout_lanes8.cuh"
#include "kernels/policy.h"

namespace lockstep::cuda {

/// A policy whose chains were padded to whole turns of the loop over them.
struct PaddedPolicy : PolicyView<float> {
  static constexpr int kTurn = 4;
};

inline constexpr int kRing = 16;  // steps of bits kept back
inline constexpr int kKinds = 3;  // action, terminated, truncated
inline constexpr int kActionBits = 0, kTerminatedBits = 1, kTruncatedBits = 2;

/// What a warp keeps in shared memory.
template <int kEnvs>
struct WarpScratch {
  std::uint32_t bits[kEnvs][kKinds][kRing];  // of the last steps, bit = lane
  // Number of the warp's first environment. Read again wherever it is needed: the compiler would
  // move what follows from it (addresses, the first round of a random word) out of the loop over
  // steps, into registers that the network has a better use for.
  volatile std::uint32_t first;
};

/// Where lane i of a warp writes the record of environments first + 32 k + i.
struct WarpRecord {
  const Record<float>& record;
  std::int64_t group;  // of k = 0
  int pairs;           // environments with k < pairs are in the record

  __device__ WarpRecord(const RolloutArgs<float>& args, std::int64_t first)
      : record(args.record), group(first / kGroup + lane_index() / kGroup) {
    const std::int64_t left = (args.num_envs + kGroup - 1) / kGroup - group;
    pairs = static_cast<int>(left <= 0 ? 0 : (left + 1) / 2);
  }
  /// Field f of `fields` of environment k at step t.
  template <class T>
  __device__ T* at(T* field, int k, int t, int fields, int f) const {
    return field + (((group + 2 * k) * record.T + t) * fields + f) * kGroup + lane_index() % kGroup;
  }
};

template <int kEnvs>
__device__ inline void set_bits(WarpScratch<kEnvs>& scratch, int kind, int k, int t, bool bit) {
  const std::uint32_t word = __ballot_sync(kAllLanes, bit);
  if (lane_index() == 0) scratch.bits[k][kind][t % kRing] = word;
}

/// Writes the ring's steps up to t to the record, but for those of parts before; when it is full,
/// and after the last step.
template <int kEnvs>
__device__ inline void flush_bits(const RolloutArgs<float>& args, WarpScratch<kEnvs>& scratch,
                                  int first_step, int t) {
  const WarpRecord rows(args, scratch.first);
  const Record<float>& record = args.record;
  std::uint16_t* const words[kKinds] = {record.action_bits, record.terminated, record.truncated};
  __syncwarp(kAllLanes);
  const int step = lane_index() % kGroup;
  const bool played =
      step <= t % kRing && (first_step == 0 || t / kRing * kRing + step >= first_step);
  LS_UNROLL
  for (int k = 0; k < kEnvs; ++k) {
    const std::int64_t at = (rows.group + 2 * k) * record.T + t / kRing * kRing + step;
    LS_UNROLL
    for (int kind = 0; kind < kKinds; ++kind) {
      if (words[kind] == nullptr || !played || k >= rows.pairs) continue;
      words[kind][at] = static_cast<std::uint16_t>(scratch.bits[k][kind][step] >>
                                                   (lane_index() / kGroup * kGroup));
    }
  }
  __syncwarp(kAllLanes);
}
static_assert(kRing == kGroup && kWarp == 2 * kGroup, "a lane flushes one step of one group");

/// Plays the environments of a warp from `first` on; kParts: a part of the rollout's steps.
/// kCritic: the policy has a value behind its logits, and episodes go on from the rollout before.
template <class E, PolicyForm kForm, bool kEpisodic, bool kParts, int kEnvs, bool kCritic = false,
          class Policy>
__device__ inline void play_warp(const PlayArgs& play, const Policy& policy,
                                 WarpScratch<kEnvs>& scratch, std::int64_t first) {
  constexpr int O = E::kObservationSize;
  constexpr int A = E::kNumActions;
  constexpr int Z = logits_of(A);
  constexpr bool kRandom = kForm == PolicyForm::kRandom;
  // registers allow it for one environment a thread
  constexpr bool kDrawnAhead = !kEpisodic && kEnvs == 1 && kDrawAhead < E >> 1;
  constexpr int kInFlight = kForm == PolicyForm::kGeneral ? kPartials : 1;
  using Words = ActionWords<kForm, A>;

  const RolloutArgs<float> args = rollout_of(play);
  const Record<float>& record = args.record;
  const bool recording = record.action_bits != nullptr || record.terminated != nullptr;
  const auto id = [&](int k) {
    return scratch.first + static_cast<std::uint32_t>(k * kWarp + lane_index());
  };
  if (lane_index() == 0) scratch.first = static_cast<std::uint32_t>(first);
  __syncwarp(kAllLanes);

  Episode<E, float> episode[kEnvs];
  Scores<float> scores[kEnvs];
  PhiloxWords<std::uint32_t> words[kEnvs];
  typename E::template State<float> next_start[kEnvs];
  LS_UNROLL
  for (int k = 0; k < kEnvs; ++k) {
    episode[k] = first_episode<E>(args, id(k));
    scores[k] = {0.0f, 0.0f};
  }
  if constexpr (kCritic) {
    if (play.part.starts() && play.state->fresh == 0 && WarpRecord(args, first).pairs > 0) {
      resume_carried<E, float>(args.carried, id(0), episode[0], scores[0]);
    }
  }
  const std::int32_t first_step = kParts ? play.part.begin() : 0;
  const std::int32_t end = kParts ? play.part.end : args.T;
  int t = first_step;
  if (kParts && first_step > 0) {
    const WarpRecord rows(args, first);
    bool alive = false;
    LS_UNROLL
    for (int k = 0; k < kEnvs; ++k) {
      if (k < rows.pairs) {
        const SavedEpisode<E>& saved = saved_episode<E>(play, id(k));
        resume<E, kEpisodic>(saved, episode[k], scores[k]);
        words[k] = saved.words[0];
        if constexpr (kDrawnAhead) next_start[k] = saved.next_start;
      }
      alive |= episode[k].alive;
    }
    if (kEpisodic && !__any_sync(kAllLanes, alive)) return;  // a part before told all
  }

  for (; t < end; ++t) {
    if (t % Words::kSteps == 0) {
      LS_UNROLL
      for (int k = 0; k < kEnvs; ++k) words[k] = Words::draw(args.stream, id(k), t);
    } else if (t % Words::kStepsPerWord == 0) {
      LS_UNROLL
      for (int k = 0; k < kEnvs; ++k) {
        for (int i = 0; i < 3; ++i) words[k].w[i] = words[k].w[i + 1];
      }
    }
    if (kDrawnAhead && t % kDrawAhead<E> == 0) {
      LS_UNROLL
      for (int k = 0; k < kEnvs; ++k) {
        next_start[k] = start_state<E, float>(args.stream, id(k), episode[k].number + 1u);
      }
    }

    float obs[kEnvs][O];
    float logits[kEnvs][Z];
    [[maybe_unused]] float value = 0;
    LS_UNROLL
    for (int k = 0; k < kEnvs; ++k) E::template observe<float>(episode[k].state, obs[k]);
    if constexpr (kCritic) {
      value = logits_and_value<kForm>(policy, obs, logits);
    } else if constexpr (!kRandom) {
      DropoutWalk dropout{
          args.stream, policy.drop_below, policy.drop_half, id(0), static_cast<std::uint32_t>(t),
          {}};
      policy_logits<kForm, kInFlight, float>(policy, obs, &dropout, logits);
    }

    bool running = false;
    const WarpRecord rows(args, scratch.first);
    LS_UNROLL
    for (int k = 0; k < kEnvs; ++k) {
      const auto action = choose_action<kForm, float, A>(args, id(k), t, logits[k], words[k].w[0]);
      const Episode<E, float> before = episode[k];
      const StepOutcome<float> out = advance_and_score<E, float>(episode[k], scores[k], action);
      if constexpr (kCritic) {
        if (rows.pairs > 0) *rows.at(record.value, k, t, 1, 0) = value;
        if (rows.pairs > 0 && (out.truncated || t == args.T - 1)) {
          float after[1][O], unused[1][Z];
          E::template observe<float>(episode[k].state, after[0]);
          *rows.at(record.next_value, k, t, 1, 0) = logits_and_value<kForm>(policy, after, unused);
        }
      }
      if constexpr (kEpisodic) {
        close_scores<E, float>(scores[k], out.ended);
        stand_still<E, float>(episode[k], before, out.ended);
        running |= episode[k].alive;
      } else {
        if (out.ended) log_episode<E>(play, id(k), episode[k], scores[k]);
        close_scores<E, float>(scores[k], out.ended);
        if constexpr (kDrawnAhead) {
          restart<E, float>(episode[k], out.ended, next_start[k]);
        } else if (__any_sync(kAllLanes, out.ended)) {
          restart<E, float>(episode[k], out.ended,
                            start_state<E, float>(args.stream, id(k), episode[k].number + 1u));
        }
      }
      if (!recording) continue;
      if constexpr (A == 2) set_bits(scratch, kActionBits, k, t, action);
      set_bits(scratch, kTerminatedBits, k, t, out.terminated);
      set_bits(scratch, kTruncatedBits, k, t, out.truncated);
      if (k >= rows.pairs) continue;
      if constexpr (A > 2) *rows.at(record.action, k, t, 1, 0) = static_cast<std::uint8_t>(action);
      if constexpr (!E::kConstantReward) *rows.at(record.reward, k, t, 1, 0) = out.reward;
      if (!kRandom && record.logits != nullptr) {
        for (int z = 0; z < Z; ++z) *rows.at(record.logits, k, t, Z, z) = logits[k][z];
      }
      if (kEnvs == 1 && record.obs != nullptr) {
        for (int o = 0; o < O; ++o) *rows.at(record.obs, k, t, O, o) = obs[k][o];
      }
    }
    if (recording && t % kRing == kRing - 1) flush_bits(args, scratch, first_step, t);
    if (kEpisodic && !__any_sync(kAllLanes, running)) {
      ++t;
      break;
    }
  }

  if (recording && t % kRing != 0) flush_bits(args, scratch, first_step, t - 1);
  const WarpRecord rows(args, first);
  bool goes_on = kParts && t < args.T;  // in the next part
  if constexpr (kParts && kEpisodic) {
    bool alive = false;
    LS_UNROLL
    for (int k = 0; k < kEnvs; ++k) alive |= episode[k].alive;
    goes_on = __any_sync(kAllLanes, alive) && goes_on;
  }
  LS_UNROLL
  for (int k = 0; k < kEnvs; ++k) {
    if (recording && k < rows.pairs && lane_index() % kGroup == 0) {
      record.steps[rows.group + 2 * k] = t;
    }
    if (kParts && k < rows.pairs && (!kCritic || goes_on)) {
      SavedEpisode<E>& saved = saved_episode<E>(play, id(k));
      save<E>(saved, episode[k], scores[k]);
      saved.words[0] = words[k];
      if constexpr (kDrawnAhead) saved.next_start = next_start[k];
    }
    if (goes_on) continue;
    if (kCritic && rows.pairs > 0)
      save_carried<E, float>(args.carried, id(k), episode[k], scores[k]);
    leave<E, kEpisodic>(play, first + k * kWarp + lane_index(), k < rows.pairs, episode[k],
                        scores[k], t);
  }
}

/// Chain of the padded policy, in units.
LS_HD constexpr int padded_chain(int chain) {
  constexpr int kTurn = PaddedPolicy::kTurn;
  return (chain + kTurn - 1) / kTurn * kTurn;
}

/// Bytes of a policy whose chains are padded.
template <int O, int Z>
std::size_t padded_bytes(const PolicyView<float>& policy) {
  return sizeof(float) * kPartials * unit_stride(O, Z) *
         static_cast<std::size_t>(padded_chain(policy.chain));
}

/// Copies the policy's units to shared memory, padding every chain. All threads of a block; ends
/// with a barrier.
template <int O, int Z>
__device__ inline PaddedPolicy padded_policy(const PolicyView<float>& policy, float* to) {
  constexpr int kStride = unit_stride(O, Z);
  const int from_row = policy.chain * kStride;
  const int to_row = padded_chain(policy.chain) * kStride;
  for (int i = static_cast<int>(threadIdx.x); i < kPartials * to_row;
       i += static_cast<int>(blockDim.x)) {
    const int place = i % to_row;
    to[i] = place < from_row ? policy.units[i / to_row * from_row + place]
                             : unit_padding(place % kStride, O);
  }
  __syncthreads();
  PaddedPolicy padded{policy};
  padded.units = to;
  padded.chain = padded_chain(policy.chain);
  return padded;
}

/// Most threads of a block: what the registers of a multiprocessor hold several of.
template <int kEnvs>
inline constexpr int kPlayBlock = kEnvs == 8 ? kMaxBlock / 2 : kMaxBlock;

template <class E, PolicyForm kForm, bool kEpisodic, int kEnvs, bool kShared, bool kParts>
LS_KERNEL(kPlayBlock<kEnvs>)
rollout_kernel(const __grid_constant__ PlayArgs play) {
  LS_DYNAMIC_SHARED(float, units);
  LS_SHARED(scratch, WarpScratch<kEnvs>[kPlayBlock<kEnvs> / kWarp]);
  if (!is_running(play)) return;  // the whole grid
  const std::int64_t first = warp_in_grid() * kEnvs * kWarp;
  const bool plays = first < play.rollout.num_envs;
  WarpScratch<kEnvs>& mine = scratch[warp_in_block()];
  if constexpr (kShared) {
    const PaddedPolicy policy =
        padded_policy<E::kObservationSize, logits_of(E::kNumActions)>(play.rollout.policy, units);
    if (plays) play_warp<E, kForm, kEpisodic, kParts, kEnvs>(play, policy, mine, first);
  } else {
    if (plays) {
      play_warp<E, kForm, kEpisodic, kParts, kEnvs>(play, play.rollout.policy, mine, first);
    }
  }
}

/// Environments a thread at most in a part of a rollout: eight leave no registers to load what was
/// saved of them.
inline constexpr int kMostInParts = 4;

/// Shared memory a launch may use without asking for more, in bytes.
inline constexpr std::size_t kPlainShared = 48 * 1024;

template <class E, PolicyForm kForm, int kEnvs, bool kShared>
cudaError_t launch_rollout(const PlayArgs& play, int block, std::size_t shared_bytes,
                           cudaStream_t stream) {
  const int threads = block < kPlayBlock<kEnvs> ? block : kPlayBlock<kEnvs>;
  const std::int64_t per_warp = std::int64_t{kEnvs} * kWarp;
  const dim3 grid = blocks_for_warps((play.rollout.num_envs + per_warp - 1) / per_warp, threads);
  auto kernel = play.rollout.episodic ? rollout_kernel<E, kForm, true, kEnvs, kShared, false>
                                      : rollout_kernel<E, kForm, false, kEnvs, kShared, false>;
  if (!play.part.whole()) {
    if constexpr (kEnvs > kMostInParts) {
      return cudaErrorInvalidValue;
    } else {
      kernel = play.rollout.episodic ? rollout_kernel<E, kForm, true, kEnvs, kShared, true>
                                     : rollout_kernel<E, kForm, false, kEnvs, kShared, true>;
    }
  }
  return launch("rollout", kernel, grid, dim3(static_cast<unsigned>(threads)), shared_bytes, stream,
                play);
}

template <class E, PolicyForm kForm, int kEnvs>
cudaError_t launch_network(const PlayArgs& play, int block, cudaStream_t stream) {
  const std::size_t bytes =
      padded_bytes<E::kObservationSize, logits_of(E::kNumActions)>(play.rollout.policy);
  constexpr std::size_t kScratch = sizeof(WarpScratch<kEnvs>) * (kPlayBlock<kEnvs> / kWarp);
  if (bytes + kScratch <= kPlainShared) {
    return launch_rollout<E, kForm, kEnvs, true>(play, block, bytes, stream);
  }
  return launch_rollout<E, kForm, kEnvs, false>(play, block, 0, stream);
}

/// Launches the steps of play.part; asynchronous on `stream`.
template <class E>
cudaError_t play_part(const PlayArgs& play, const LaunchShape& shape, cudaStream_t stream) {
  const int block = shape.block;
  if (shape.mapping == Mapping::kLanes8) return play_lanes8<E>(play, block, stream);
  switch (play.rollout.policy.form) {
    case PolicyForm::kRandom:
      return launch_rollout<E, PolicyForm::kRandom, 1, false>(play, block, 0, stream);
    case PolicyForm::kLinear:
      return launch_rollout<E, PolicyForm::kLinear, 1, false>(play, block, 0, stream);
    case PolicyForm::kGeneral:
      return launch_network<E, PolicyForm::kGeneral, 1>(play, block, stream);
    case PolicyForm::kRelu:
      break;
  }
  // several environments a thread leave no registers to record observations from, and eight of
  // them none for more than one logit each
  int envs = play.rollout.record.obs != nullptr ? 1 : shape.envs_per_thread;
  if (!play.part.whole() && envs > kMostInParts) envs = kMostInParts;
  constexpr int kMost = logits_of(E::kNumActions) == 1 ? 8 : 4;
  if (envs == 1) return launch_network<E, PolicyForm::kRelu, 1>(play, block, stream);
  if (envs == 4) return launch_network<E, PolicyForm::kRelu, 4>(play, block, stream);
  if (envs == 8) return launch_network<E, PolicyForm::kRelu, kMost>(play, block, stream);
  return cudaErrorInvalidValue;
}

/// Plays. Stream: asynchronous on `stream`. Errors: of the launches, and cudaErrorInvalidValue for
/// a policy that the mapping cannot play, or as play_in_parts().
template <class E>
cudaError_t play_all(const PlayArgs& play, const LaunchShape& shape, cudaStream_t stream) {
  return play_in_parts(play, shape.cut,
                       [&](const PlayArgs& part) { return play_part<E>(part, shape, stream); });
}

}  // namespace lockstep::cuda
