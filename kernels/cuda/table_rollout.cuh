// The rollout of a table policy (kernels/object_tables.h): a warp plays up to eight environments.
//
// Fused: game, rows of the picture, network, action, automatic reset and the record of a step; a
// launch plays a rollout, or a part of a long one (rollout_parts.cuh). phi of the step before stays
// in registers, w2 too.
// Mapping: lane i plays the game of environment i mod kEnvs; all lanes share the network of each of
// them in turn, lane r the units r, r + 32, ...: its fma chain is partial r of the logit, a load of
// a row is one line, and a vote of the lanes is a word of activity bits. A butterfly with strides
// 1, 2, 4, 8, 16, which halves the environments while there are several, is the logit's tree and
// leaves each logit in the lanes that play with it. The rows of the bats are in shared memory where
// they fit, those of the ball come from L2. A block plays whole groups and has a multiprocessor.
// Read per step and environment: a row of 4 Hp bytes from L2. Written: 11.5 bytes and 4 for each
// 32 units; bits leave through rings in shared memory, 16 steps at a time.
// Limiter: latency, with two warps a scheduler, and issue. Instructions of a warp for a step of all
// its environments, sampled and recorded (environments, units):
//                               8, 200   8, 256   4, 200   4, 512
//   network and butterfly          737      826      386      776
//   phi back to its registers       56       64       28       64
//   game, four frames              435      439      439      435
//   everything else                319      316      318      317
// The game is played by all lanes alike, four times as often as need be with eight environments.
//
// budget: table::.*<.*, 0, false, false, 8, false> registers<=80 spills<=0 stack<=64
// budget: table::.*<.*, 2, .*, false> registers<=168 spills<=0 stack<=64 around<=1460
// budget: table::.*<.*, 7, .*, true, 4, false> registers<=168 spills<=0 stack<=64 around<=1580
// budget: table::.*<.*, 7, .*, false, 4, false> registers<=128 spills<=16 stack<=72 around<=1580
// budget: table::.*<.*, 7, .*, 8, false> registers<=240 spills<=0 stack<=64 around<=2140
// budget: table::.*<.*, 8, .*, 4, false> registers<=168 spills<=0 stack<=64 around<=1930
// budget: table::.*<.*, 8, .*, 8, false> registers<=255 spills<=0 stack<=64 around<=2300
// budget: table::.*<.*, 16, .*, false> registers<=255 spills<=0 stack<=64 around<=2940
// budget: table::.*<.*, 32, .*, false> registers<=255 spills<=0 stack<=64 around<=2940
// budget: table::.*<.*, true> registers<=255 spills<=16 stack<=72 around<=2940
#pragma once

#include "kernels/cuda/table_network.cuh"
#include "kernels/cuda/table_play.cuh"

namespace lockstep::cuda {
namespace table {

/// Most warps of a block, which has a multiprocessor's registers for itself.
template <int kUnits, int kEnvs>
inline constexpr int kWarps = kEnvs == 1                 ? 16
                              : kUnits > 2 || kEnvs == 2 ? 8
                                                         : 12;

/// Plays the environments of a warp. Without units: at random.
template <class E, bool kLeaky, int kUnits, bool kWhole, bool kNear, int kEnvs>
class WarpPlayer {
 public:
  using Network = WarpNetwork<E, kLeaky, kUnits, kWhole, kNear, kEnvs>;
  using I = std::int32_t;
  static constexpr int k = E::kObjects;

  /// What it keeps in shared memory.
  struct Scratch {
    typename Network::Scratch network;
    // Number of the warp's first environment. Read again wherever it is needed: the compiler would
    // move what follows from it out of the loop over steps, into registers wanted elsewhere.
    volatile std::uint32_t first;
  };

  __device__ WarpPlayer(const TablePlay& play, const RolloutPart& part, std::uint32_t first,
                        const float* near_rows, Scratch& scratch)
      : play_(play),
        args_(play.rollout),
        stream_(stream_of(play)),
        scratch_(scratch),
        network_(args_.policy, near_rows, scratch.network) {
    if (lane_index() == 0) scratch.first = first;
    __syncwarp(kAllLanes);
    const std::uint32_t mine = env();
    step_ = mine / kGroup * static_cast<std::uint32_t>(args_.record.steps.T);
    alive_ = mine < args_.num_envs;
    game_.episode = 0;
    game_.restart(args_.game, stream_, mine);
    episode_ = {0, 0};
    if (part.starts()) {
      if (lane_index() < kEnvs && mine < lanes()) clear_results(play, mine);
    } else {
      resume(mine, part.begin());
    }
  }
  /// Leaves the environments for the next part; `played`: whether the warp had any step in this
  /// one.
  __device__ void save(bool played) const {
    const std::uint32_t mine = env();
    if (lane_index() >= kEnvs || mine >= lanes()) return;
    SavedGame<E>& saved = saved_game<E>(play_, mine);
    saved.game = game_;
    saved.episode = episode_;
    saved.words = words_.words;
    saved.alive = alive_ ? 1 : 0;
    if (played) network_.place(saved.place);
  }
  __device__ bool playing() const { return __any_sync(kAllLanes, alive_) != 0; }

  /// Step t.
  __device__ void step(int t, TableBits<kEnvs>& bits) {
    const bool recording = args_.record.steps.groups > 0;
    I row[k];
    E::rows(game_.state, row);
    const bool incoming = E::incoming(game_.state);
    words_.draw(args_, stream_, env(), t);
    float logit = 0;
    if constexpr (kUnits > 0) {
      logit = network_.step(row, episode_.steps == 0, recording, [&] { write_active(); });
    }
    const bool up = table_action<kUnits == 0>(args_, stream_, env(), t, logit, words_.words.w[0]);
    const auto result = game_.step(args_.game, stream_, env(), up, t);

    episode_.score += result.reward;
    ++episode_.steps;
    const bool late = episode_.steps >= args_.game.max_steps;
    const bool terminated = alive_ && result.over;
    const bool truncated = alive_ && late && !result.over;
    if (recording) {
      bits.note(t, {up, terminated, truncated, incoming});
      record(logit, row, result.reward);
    }
    if (result.over || late) {  // lanes that are done play on unseen, from a new start
      if (terminated || truncated) {
        if (lane_index() < kEnvs) close_episode(play_, env(), episode_);
        alive_ = !args_.episodic;
      }
      episode_ = {0, 0};
      game_.restart(args_.game, stream_, env());
    }
    ++step_;
  }

 private:
  /// From where the part before has left environment `mine`; lanes without one go on being unused.
  __device__ void resume(std::uint32_t mine, int first_step) {
    std::uint32_t place[kMaxObjects] = {};
    if (mine < lanes()) {
      const SavedGame<E>& saved = saved_game<E>(play_, mine);
      game_ = saved.game;
      episode_ = saved.episode;
      words_.words = saved.words;
      alive_ = saved.alive != 0;
      LS_UNROLL
      for (int i = 0; i < k; ++i) place[i] = saved.place[i];
    }
    step_ += static_cast<std::uint32_t>(first_step);
    if (playing()) network_.resume(place);  // else there has been no step, or there will be none
  }
  /// Places of the results.
  __device__ std::int64_t lanes() const { return (args_.num_envs + kGroup - 1) / kGroup * kGroup; }
  __device__ std::uint32_t env() const {
    return scratch_.first + static_cast<std::uint32_t>(lane_index() % kEnvs);
  }
  /// Where the record keeps field f of `fields` of the step.
  template <class T>
  __device__ T& at(T* field, int fields, int f) const {
    const auto row =
        std::uint64_t{step_} * static_cast<unsigned>(fields) + static_cast<unsigned>(f);
    return field[row * kGroup + env() % kGroup];
  }

  __device__ void write_active() const {
    const int words = args_.policy.shape.words();
    LS_UNROLL
    for (int from = 0; from < kUnits; from += kWarp / kEnvs) {
      const int word = from + lane_index() / kEnvs;
      if (word < words) at(args_.record.active, words, word) = network_.active(word);
    }
  }
  __device__ void record(float logit, const I (&row)[k], I reward) const {
    const int object = lane_index() / kEnvs;
    I shown = row[0];
    LS_UNROLL
    for (int i = 1; i < k; ++i) shown = object == i ? row[i] : shown;
    if (object < k) at(args_.record.rows, k, object) = static_cast<std::uint16_t>(shown);
    if (object == 0) {
      at(args_.record.steps.logits, 1, 0) = logit;
      at(args_.record.reward, 1, 0) = static_cast<std::int8_t>(reward);
    }
  }
  static_assert(kMaxObjects * kEnvs <= kWarp);

  const TablePlay& play_;
  const TableRolloutArgs& args_;
  RandomStream stream_;  // of the epoch under way
  Scratch& scratch_;
  Network network_;
  std::uint32_t step_;  // in arrays [G][T]
  bool alive_;
  LaneGame<E> game_;
  LaneWords<kUnits == 0> words_;
  LaneEpisode episode_;
};

/// What a block keeps in shared memory beside the near rows.
template <class Player, int kMostWarps, int kEnvs>
struct BlockScratch {
  typename Player::Scratch scratch[kMostWarps];
  TableBits<kEnvs> bits;
  std::int32_t ends[kMostWarps];  // of the groups' records
};

template <class E, bool kLeaky, int kUnits, bool kWhole, bool kNear, int kEnvs, bool kParts>
LS_KERNEL((kWarps<kUnits, kEnvs> * kWarp))
table_rollout_kernel(const __grid_constant__ TablePlay play) {
  constexpr int kWarpsPerGroup = kGroup / kEnvs;
  LS_DYNAMIC_SHARED(float, near_rows);
  using Player = WarpPlayer<E, kLeaky, kUnits, kWhole, kNear, kEnvs>;
  LS_SHARED(block, BlockScratch<Player, kWarps<kUnits, kEnvs>, kEnvs>);
  TableBits<kEnvs>& bits = block.bits;
  if (play.state != nullptr && play.state->stop != Stop::kRunning) return;  // the whole grid
  const TableRolloutArgs& args = play.rollout;
  // known to the compiler where it is the whole
  const RolloutPart part = kParts ? play.part : RolloutPart{0, args.T, nullptr};
  const bool recording = args.record.steps.groups > 0;
  if constexpr (kNear) {
    const int count = E::kNearRows * args.policy.shape.padded();
    for (int i = static_cast<int>(threadIdx.x); i < count; i += static_cast<int>(blockDim.x)) {
      near_rows[i] = args.policy.rows[i];
    }
  }
  const int per_block = static_cast<int>(blockDim.x) / kWarp / kWarpsPerGroup;
  const std::int64_t all = (args.num_envs + kGroup - 1) / kGroup;
  const std::int64_t first = std::int64_t{blockIdx.x} * per_block;
  const int groups = static_cast<int>(all - first < per_block ? all - first : per_block);
  if (static_cast<int>(threadIdx.x) < per_block) {
    // a group whose episodes ended in a part before keeps its end
    const bool known = recording && !part.starts() && static_cast<int>(threadIdx.x) < groups;
    block.ends[threadIdx.x] = known ? args.record.steps.steps[first + threadIdx.x] : 0;
  }
  __syncthreads();

  Player player(play, part, static_cast<std::uint32_t>(first * kGroup + warp_in_block() * kEnvs),
                near_rows, block.scratch[warp_in_block()]);
  bool playing = player.playing();
  int end = 0;  // of the steps this warp has played
  for (int from = part.begin() / kTableRing * kTableRing; from < part.end; from += kTableRing) {
    const int begin = from < part.begin() ? part.begin() : from;
    int t = begin;
    for (; t < part.end && t < from + kTableRing && playing; ++t) {
      player.step(t, bits);
      if (args.episodic) playing = player.playing();
    }
    if (t > begin) end = t;
    if (!recording) {
      if (!playing) break;
      continue;
    }
    if (t < from + kTableRing) bits.pad(t);
    const bool goes_on = __syncthreads_or(playing ? 1 : 0) != 0;
    bits.write(args.record, first, groups, from, part);
    if (!goes_on) break;
  }

  if constexpr (kParts) player.save(end > part.first);
  if (!recording) return;
  if (lane_index() == 0) atomicMax(block.ends + warp_in_block() / kWarpsPerGroup, end);
  __syncthreads();
  if (static_cast<int>(threadIdx.x) < groups) {
    args.record.steps.steps[first + threadIdx.x] = block.ends[threadIdx.x];
  }
}

/// Launches with a warp for kEnvs environments, one block on a multiprocessor as long as that holds
/// them. Stream: asynchronous on `stream`.
template <class E, int kUnits, bool kWhole, bool kNear, int kEnvs>
cudaError_t launch_kernel(const TablePlay& play, int multiprocessors, int bytes,
                          cudaStream_t stream) {
  constexpr int kWarpsPerGroup = kGroup / kEnvs;
  constexpr std::int64_t kMostGroups = kWarps<kUnits, kEnvs> / kWarpsPerGroup;
  const TableView& policy = play.rollout.policy;
  const bool leaky = policy.leak != 0;
  auto kernel = leaky ? table_rollout_kernel<E, (kUnits > 0), kUnits, kWhole, kNear, kEnvs, false>
                      : table_rollout_kernel<E, false, kUnits, kWhole, kNear, kEnvs, false>;
  if (!play.part.whole()) {
    kernel = leaky ? table_rollout_kernel<E, (kUnits > 0), kUnits, kWhole, kNear, kEnvs, true>
                   : table_rollout_kernel<E, false, kUnits, kWhole, kNear, kEnvs, true>;
  }
  const cudaError_t status =
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
  if (status != cudaSuccess) return status;
  const std::int64_t groups = (play.rollout.num_envs + kGroup - 1) / kGroup;
  if (groups == 0) return cudaSuccess;
  const std::int64_t share = (groups + multiprocessors - 1) / multiprocessors;
  const std::int64_t per_block = share < kMostGroups ? share : kMostGroups;
  const auto blocks = static_cast<unsigned>((groups + per_block - 1) / per_block);
  return launch("table_rollout", kernel, dim3(blocks),
                dim3(static_cast<unsigned>(per_block * kWarpsPerGroup * kWarp)),
                static_cast<std::size_t>(bytes), stream, play);
}

/// Bytes of the near rows of a policy of Hp = `padded` units.
template <class E>
constexpr int near_bytes(int padded) {
  return static_cast<int>(sizeof(float)) * E::kNearRows * padded;
}
/// Bytes of shared memory of a block with near rows.
template <class E, int kUnits, int kEnvs>
constexpr int block_bytes(int padded) {
  using Player = WarpPlayer<E, false, kUnits, false, true, kEnvs>;
  return near_bytes<E>(padded) +
         static_cast<int>(sizeof(BlockScratch<Player, kWarps<kUnits, kEnvs>, kEnvs>));
}

/// The widest network whose near rows every device has room for, and its environments a warp.
inline constexpr int kSmallUnits = 2, kSmallEnvs = 8;

/// Launches with the near rows in shared memory, or without where the device has no room for them:
/// then for four environments a warp at most, whose rows have registers to be loaded ahead to.
template <class E, int kUnits, bool kWhole, int kEnvs>
cudaError_t launch_rollout(const TablePlay& play, const TableLaunchShape& shape,
                           cudaStream_t stream) {
  constexpr int kFloats = kUnits * kWarp * E::kNearRows;
  constexpr bool kNear = kFloats > 0 && kFloats <= kMostNear;
  const int places = shape.multiprocessors > 0 ? shape.multiprocessors : 1;
  if constexpr (kNear) {
    const int padded = play.rollout.policy.shape.padded();
    if (block_bytes<E, kUnits, kEnvs>(padded) <= shape.shared_bytes) {
      return launch_kernel<E, kUnits, kWhole, true, kEnvs>(play, places, near_bytes<E>(padded),
                                                           stream);
    }
  }
  if constexpr (kNear && kUnits <= kSmallUnits) {
    return cudaErrorInvalidValue;
  } else if constexpr (kNear) {
    // seven words of units are Pong's usual network; others share a kernel
    return launch_kernel < E, kUnits, kWhole && kUnits == 7, false, 4 > (play, places, 0, stream);
  } else {
    return launch_kernel<E, kUnits, kWhole, false, kEnvs>(play, places, 0, stream);
  }
}

}  // namespace table

/// Bytes of shared memory that a block needs at least.
template <class E>
constexpr int least_rollout_bytes() {
  using namespace table;
  return block_bytes<E, kSmallUnits, kSmallEnvs>(kSmallUnits * kWarp);
}

/// Launches the steps of play.part; asynchronous on `stream`.
template <class E>
cudaError_t play_table_part(const TablePlay& play, const TableLaunchShape& shape,
                            cudaStream_t stream) {
  using namespace table;
  const int units = play.rollout.policy.shape.words();  // of a lane
  const int places = shape.multiprocessors > 0 ? shape.multiprocessors : 1;
  constexpr int kFew = 4 * kWarps<7, 4>;  // environments of a block
  const bool many = shape.envs_per_warp == 8 || play.rollout.num_envs > std::int64_t{kFew} * places;
  if (play.rollout.random_policy) return launch_rollout<E, 0, false, 8>(play, shape, stream);
  if (units == 7) {
    return many ? launch_rollout<E, 7, true, 8>(play, shape, stream)
                : launch_rollout<E, 7, true, 4>(play, shape, stream);
  }
  if (units == 8) {
    return many ? launch_rollout<E, 8, true, 8>(play, shape, stream)
                : launch_rollout<E, 8, true, 4>(play, shape, stream);
  }
  if (units == 16) return launch_rollout<E, 16, true, 4>(play, shape, stream);
  if (units <= kSmallUnits) {
    return launch_rollout<E, kSmallUnits, false, kSmallEnvs>(play, shape, stream);
  }
  if (units < 8) return launch_rollout<E, 8, false, 4>(play, shape, stream);
  if (units < 16) return launch_rollout<E, 16, false, 4>(play, shape, stream);
  if (units <= 32) return launch_rollout<E, 32, false, 2>(play, shape, stream);
  return cudaErrorInvalidValue;
}

/// Plays. Stream: asynchronous on `stream`. Errors: of the launches, and cudaErrorInvalidValue for
/// a policy of more than kMaxTableHidden units, with less shared memory than
/// TableOperations::least_shared, or as play_in_parts().
///
/// shape: envs_per_warp 8, or fewer: then 4 as long as one block a multiprocessor can hold all;
/// wide networks have no room for as many. A block has as many threads as the multiprocessors leave
/// it to play, whatever shape.block says.
template <class E>
cudaError_t play_table(const TablePlay& play, const TableLaunchShape& shape, cudaStream_t stream) {
  return play_in_parts(play, shape.cut, [&](const TablePlay& part) {
    return play_table_part<E>(part, shape, stream);
  });
}

}  // namespace lockstep::cuda
