// The rollout of a table policy (kernels/object_tables.h): a warp plays up to eight environments.
//
// Fused: game, rows of the picture, network, action, automatic reset and the record of a step; a
// launch plays the whole rollout. phi of the step before stays in registers, w2 too.
// Mapping: lane i plays the game of environment i mod kEnvs; all lanes share the network of each of
// them in turn, lane r the units r, r + 32, ...: its fma chain is partial r of the logit, a load of
// a row is one line, and a vote of the lanes is a word of activity bits. A butterfly with strides
// 1, 2, 4, 8, 16, which halves the environments while there are several, is the logit's tree and
// leaves each logit in the lanes that play with it. The rows of the bats are in shared memory where
// they fit, those of the ball are read from L2. A block plays whole groups of the record and is
// alone on its multiprocessor.
// Read per step and environment: a row of 4 Hp bytes from L2. Written: 11.5 bytes and 4 for each
// 32 units; bits leave through rings in shared memory, 16 steps at a time.
// Limiter: issue. Instructions of a warp for a step of all its environments, sampled and recorded:
//   environments, units        8, 200   8, 256   4, 200   4, 512
//   network and butterfly         734      804      384      828
//   phi back to its registers      56       64       28       64
//   game, four frames             456      456      456      456
//   everything else               312      312      312      308
// The game is played by all lanes alike, four times as often as need be with eight environments.
//
// budget: table::table_rollout_kernel<.*, 0, false, false, 8> registers<=80 spills<=0 stack<=64
// budget: table::table_rollout_kernel<.*, 2, .*> registers<=168 spills<=0 stack<=64 around<=1460
// budget: table::table_rollout_kernel<.*, 7, .*, 4> registers<=168 spills<=0 stack<=64 around<=1580
// budget: table::table_rollout_kernel<.*, 7, .*, 8> registers<=224 spills<=0 stack<=64 around<=2140
// budget: table::table_rollout_kernel<.*, 8, .*, 4> registers<=168 spills<=0 stack<=64 around<=1840
// budget: table::table_rollout_kernel<.*, 8, .*, 8> registers<=224 spills<=0 stack<=64 around<=2270
// budget: table::table_rollout_kernel<.*, 16, .*> registers<=255 spills<=0 stack<=64 around<=2940
// budget: table::table_rollout_kernel<.*, 32, .*> registers<=255 spills<=0 stack<=64 around<=2920
#pragma once

#include "kernels/cuda/table_play.cuh"

namespace lockstep::cuda {
namespace table {

/// How many rows from the first on a block keeps in shared memory, and how many of an environment's
/// objects are always among them: rows that many steps show.
template <class E>
inline constexpr int kNearRows = 0;
template <class E>
inline constexpr int kNearObjects = 0;
template <class E>
requires requires { E::kPairRow; }
inline constexpr int kNearRows<E> = E::kPairRow;
template <class E>
requires requires { E::kPairRow; }
inline constexpr int kNearObjects<E> = 2;

/// Most floats of near rows: 175 KiB, which leave a multiprocessor room for little else.
inline constexpr int kMostNear = 256 * 175;

/// Most warps of a block, which has a multiprocessor's registers for itself.
template <int kUnits, int kEnvs>
inline constexpr int kWarps = kEnvs == 1                         ? 16
                              : kEnvs == 2 || kUnits* kEnvs > 48 ? 8
                                                                 : 12;

/// What a warp keeps in shared memory.
template <int kUnits, int kEnvs>
struct Scratch {
  struct alignas(16) Place {
    std::uint32_t of[kMaxObjects];
  };
  struct alignas(16) Words {
    std::uint32_t of[4];
  };
  Place place[kEnvs];                   // of the rows of a step, in bytes
  Words active[kEnvs][kUnits / 4 + 1];  // activity bits of a step
  // Number of the warp's first environment. Read again wherever it is needed: the compiler would
  // move what follows from it out of the loop over steps, into registers that are wanted elsewhere.
  volatile std::uint32_t first;
};

/// A lane's share of the network: units lane, lane + 32, ... With kWhole only the last of them may
/// be missing.
template <int kUnits, bool kWhole>
struct LaneUnits {
  int count;  // Hp - lane: units u with 32 u < count are there

  __device__ bool has(int u) const { return (kWhole && u + 1 < kUnits) || u * kWarp < count; }
  __device__ float load(const float* row, int u) const { return has(u) ? row[u * kWarp] : 0.0f; }
};

/// Sums of all lanes of `sum`, in the order of the logit: environment (lane mod kEnvs)'s. Destroys
/// them.
template <int kEnvs, int kStride = 1>
__device__ inline float warp_tree(float (&sum)[kEnvs]) {
  if constexpr (kStride == kWarp) {
    return sum[0];
  } else if constexpr (kEnvs == 1) {
    sum[0] = sum[0] + __shfl_xor_sync(kAllLanes, sum[0], kStride);
    return warp_tree<1, 2 * kStride>(sum);
  } else {
    const bool upper = (lane_index() & kStride) != 0;
    float half[kEnvs / 2];  // a lane goes on with half of the environments
    LS_UNROLL
    for (int i = 0; i < kEnvs / 2; ++i) {
      const float kept = upper ? sum[2 * i + 1] : sum[2 * i];
      const float given = upper ? sum[2 * i] : sum[2 * i + 1];
      half[i] = kept + __shfl_xor_sync(kAllLanes, given, kStride);
    }
    return warp_tree<kEnvs / 2, 2 * kStride>(half);
  }
}
static_assert(kTableParts == kWarp, "a lane is a partial sum");

/// Plays the environments of a warp. Without units: at random.
template <class E, bool kLeaky, int kUnits, bool kWhole, bool kNear, int kEnvs>
class WarpPlayer {
 public:
  static constexpr int k = E::kObjects;
  static constexpr int kRoom = kUnits > 0 ? kUnits : 1;
  static constexpr int kRowsNear = kNear ? kNearObjects<E> : 0;
  using I = std::int32_t;

  __device__ WarpPlayer(const TablePlay& play, std::uint32_t first, const float* near_rows,
                        Scratch<kUnits, kEnvs>& scratch)
      : play_(play), args_(play.rollout), stream_(stream_of(play)), scratch_(scratch) {
    if (lane_index() == 0) scratch.first = first;
    __syncwarp(kAllLanes);
    const std::uint32_t mine = env();
    step_ = mine / kGroup * static_cast<std::uint32_t>(args_.record.steps.T);
    alive_ = mine < args_.num_envs;
    game_.episode = 0;
    game_.restart(args_.game, stream_, mine);
    episode_ = {0, 0};
    const std::int64_t lanes = (args_.num_envs + kGroup - 1) / kGroup * kGroup;
    if (lane_index() < kEnvs && mine < lanes) clear_results(play, mine);
    if constexpr (kUnits > 0) {
      const TableView& policy = args_.policy;
      units_.count = policy.shape.padded() - lane_index();
      near_ = near_rows + lane_index();
      far_ = policy.rows + lane_index();
      LS_UNROLL
      for (int u = 0; u < kUnits; ++u) output_[u] = units_.load(policy.output + lane_index(), u);
    }
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
    if constexpr (kUnits > 0) logit = network(row, recording);
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

  /// phi of unit u from the places of the rows.
  __device__ float phi_of(const typename Scratch<kUnits, kEnvs>::Place& place, int u) const {
    float phi = 0;
    LS_UNROLL
    for (int i = 0; i < k; ++i) {
      const auto* row = reinterpret_cast<const char*>(i < kRowsNear ? near_ : far_) + place.of[i];
      const float part = units_.load(reinterpret_cast<const float*>(row), u);
      phi = i == 0 ? part : phi + part;
    }
    return phi;
  }

  /// The logit of the lane's environment; activity bits to the record.
  __device__ float network(const I (&row)[k], bool recording) {
    const std::uint32_t stride = sizeof(float) * static_cast<unsigned>(args_.policy.shape.padded());
    if (lane_index() < kEnvs) {
      LS_UNROLL
      for (int i = 0; i < k; ++i) {
        scratch_.place[lane_index()].of[i] = static_cast<std::uint32_t>(row[i]) * stride;
      }
    }
    const unsigned starting = __ballot_sync(kAllLanes, episode_.steps == 0);
    __syncwarp(kAllLanes);
    if (starting != 0) {  // nothing has changed yet
      LS_UNROLL
      for (int e = 0; e < kEnvs; ++e) {
        if (((starting >> e) & 1u) == 0) continue;
        const auto place = scratch_.place[e];
        LS_UNROLL
        for (int u = 0; u < kUnits; ++u) phi_[e][u] = phi_of(place, u);
      }
    }

    float sum[kEnvs];
    LS_UNROLL
    for (int e = 0; e < kEnvs; ++e) {
      const auto place = scratch_.place[e];
      float now[kUnits];
      LS_UNROLL
      for (int u = 0; u < kUnits; ++u) now[u] = phi_of(place, u);
      sum[e] = 0;
      typename Scratch<kUnits, kEnvs>::Words active[(kUnits + 3) / 4] = {};
      LS_UNROLL
      for (int u = 0; u < kUnits; ++u) {
        const float h = now[u] - phi_[e][u];
        phi_[e][u] = now[u];
        const float part = fma(output_[u], table_activation<kLeaky>(h, args_.policy.leak), sum[e]);
        sum[e] = units_.has(u) ? part : sum[e];
        active[u / 4].of[u % 4] = __ballot_sync(kAllLanes, h > 0.0f);
      }
      if (recording && lane_index() == 0) {
        LS_UNROLL
        for (int i = 0; i < (kUnits + 3) / 4; ++i) scratch_.active[e][i] = active[i];
      }
      // loads of all environments at once would need more registers than there are
      if constexpr (kUnits > 8) __syncwarp(kAllLanes);
    }
    __syncwarp(kAllLanes);
    if (recording) write_active();
    return warp_tree(sum);
  }

  __device__ void write_active() const {
    const int words = args_.policy.shape.words();
    const int e = lane_index() % kEnvs;
    LS_UNROLL
    for (int from = 0; from < kUnits; from += kWarp / kEnvs) {
      const int word = from + lane_index() / kEnvs;
      if (word < words) {
        at(args_.record.active, words, word) = scratch_.active[e][word / 4].of[word % 4];
      }
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
  Scratch<kUnits, kEnvs>& scratch_;
  const float *near_, *far_;  // unit `lane` of row 0 of the table
  LaneUnits<kUnits, kWhole> units_;
  std::uint32_t step_;  // in arrays [G][T]
  bool alive_;
  LaneGame<E> game_;
  LaneWords<kUnits == 0> words_;
  LaneEpisode episode_;
  float phi_[kEnvs][kRoom], output_[kRoom];
};

template <class E, bool kLeaky, int kUnits, bool kWhole, bool kNear, int kEnvs>
LS_KERNEL((kWarps<kUnits, kEnvs> * kWarp))
table_rollout_kernel(const __grid_constant__ TablePlay play) {
  constexpr int kWarpsPerGroup = kGroup / kEnvs;
  LS_DYNAMIC_SHARED(float, near_rows);
  LS_SHARED(scratch, Scratch<kUnits, kEnvs>[kWarps<kUnits, kEnvs>]);
  LS_SHARED(bits, TableBits<kEnvs>);
  LS_SHARED(ends, std::int32_t[kWarps<kUnits, kEnvs>]);
  if (play.state != nullptr && play.state->stop != Stop::kRunning) return;  // the whole grid
  const TableRolloutArgs& args = play.rollout;
  const bool recording = args.record.steps.groups > 0;
  if constexpr (kNear) {
    const int count = kNearRows<E> * args.policy.shape.padded();
    for (int i = static_cast<int>(threadIdx.x); i < count; i += static_cast<int>(blockDim.x)) {
      near_rows[i] = args.policy.rows[i];
    }
  }
  const int per_block = static_cast<int>(blockDim.x) / kWarp / kWarpsPerGroup;
  const std::int64_t all = (args.num_envs + kGroup - 1) / kGroup;
  const std::int64_t first = std::int64_t{blockIdx.x} * per_block;
  const int groups = static_cast<int>(all - first < per_block ? all - first : per_block);
  if (static_cast<int>(threadIdx.x) < per_block) ends[threadIdx.x] = 0;
  __syncthreads();

  WarpPlayer<E, kLeaky, kUnits, kWhole, kNear, kEnvs> player(
      play, static_cast<std::uint32_t>(first * kGroup + warp_in_block() * kEnvs), near_rows,
      scratch[warp_in_block()]);
  bool playing = player.playing();
  int end = 0;  // of the steps this warp has played
  for (int from = 0; from < args.T; from += kTableRing) {
    int t = from;
    for (; t < args.T && t < from + kTableRing && playing; ++t) {
      player.step(t, bits);
      if (args.episodic) playing = player.playing();
    }
    if (t > from) end = t;
    if (!recording) {
      if (!playing) break;
      continue;
    }
    if (t < from + kTableRing) bits.pad(t);
    const bool goes_on = __syncthreads_or(playing ? 1 : 0) != 0;
    bits.write(args.record, first, groups, from, args.T);
    if (!goes_on) break;
  }

  if (!recording) return;
  if (lane_index() == 0) atomicMax(ends + warp_in_block() / kWarpsPerGroup, end);
  __syncthreads();
  if (static_cast<int>(threadIdx.x) < groups) {
    args.record.steps.steps[first + threadIdx.x] = ends[threadIdx.x];
  }
}

/// Launches with a warp for kEnvs environments, one block on a multiprocessor as long as that holds
/// them. Stream: asynchronous on `stream`.
template <class E, int kUnits, bool kWhole, int kEnvs>
cudaError_t launch_rollout(const TablePlay& play, int multiprocessors, cudaStream_t stream) {
  constexpr int kWarpsPerGroup = kGroup / kEnvs;
  constexpr std::int64_t kMostGroups = kWarps<kUnits, kEnvs> / kWarpsPerGroup;
  constexpr int kFloats = kUnits * kWarp * kNearRows<E>;
  constexpr bool kNear = kFloats > 0 && kFloats <= kMostNear;
  const TableView& policy = play.rollout.policy;
  const auto kernel = policy.leak == 0
                          ? table_rollout_kernel<E, false, kUnits, kWhole, kNear, kEnvs>
                          : table_rollout_kernel<E, (kUnits > 0), kUnits, kWhole, kNear, kEnvs>;
  const int bytes =
      kNear ? static_cast<int>(sizeof(float)) * kNearRows<E> * policy.shape.padded() : 0;
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

}  // namespace table

inline constexpr int kMaxTableHidden = 1024;

/// Plays. Stream: asynchronous on `stream`. Errors: of the launch, and cudaErrorInvalidValue for a
/// policy of more than kMaxTableHidden units.
///
/// shape: envs_per_warp 8, or 4 for fewer; wide networks have no room for as many. A block has as
/// many threads as multiprocessors leave it to play, whatever shape.block says.
template <class E>
cudaError_t play_table(const TablePlay& play, const TableLaunchShape& shape, cudaStream_t stream) {
  using namespace table;
  const int units = play.rollout.policy.shape.words();  // of a lane
  const int places = shape.multiprocessors > 0 ? shape.multiprocessors : 1;
  const bool many = shape.envs_per_warp == 8;
  if (play.rollout.random_policy) return launch_rollout<E, 0, false, 8>(play, places, stream);
  if (units == 7) {
    return many ? launch_rollout<E, 7, true, 8>(play, places, stream)
                : launch_rollout<E, 7, true, 4>(play, places, stream);
  }
  if (units == 8) {
    return many ? launch_rollout<E, 8, true, 8>(play, places, stream)
                : launch_rollout<E, 8, true, 4>(play, places, stream);
  }
  if (units == 16) return launch_rollout<E, 16, true, 4>(play, places, stream);
  if (units <= 2) return launch_rollout<E, 2, false, 8>(play, places, stream);
  if (units < 8) return launch_rollout<E, 8, false, 4>(play, places, stream);
  if (units < 16) return launch_rollout<E, 16, false, 4>(play, places, stream);
  if (units <= 32) return launch_rollout<E, 32, false, 2>(play, places, stream);
  return cudaErrorInvalidValue;
}

}  // namespace lockstep::cuda
