// The network of a table policy (kernels/object_tables.h), evaluated by a warp for up to eight
// environments at once: how the units, the rows of the table and the tree of the logit are laid
// over the lanes. table_rollout.cuh says why.
#pragma once

#include "envs/object_env.h"
#include "kernels/cuda/warp.cuh"
#include "kernels/object_tables.h"

namespace lockstep::cuda {
namespace table {

/// Most floats of near rows of any device: 175 KiB, which leave a multiprocessor room for little
/// else.
inline constexpr int kMostNear = 256 * 175;

/// What the network of a warp keeps in shared memory.
template <int kUnits, int kEnvs>
struct NetworkScratch {
  struct alignas(16) Place {
    std::uint32_t of[kMaxObjects];
  };
  struct alignas(16) Words {
    std::uint32_t of[4];
  };
  Place place[kEnvs];                   // of the rows of a step, in bytes
  Words active[kEnvs][kUnits / 4 + 1];  // activity bits of a step
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

/// phi of the step before, and the weights of a lane's units, in registers.
template <class E, bool kLeaky, int kUnits, bool kWhole, bool kNear, int kEnvs>
class WarpNetwork {
 public:
  static constexpr int k = E::kObjects;
  using Scratch = NetworkScratch<kUnits, kEnvs>;

  /// near_rows: the first E::kNearRows rows of the table, in shared memory.
  __device__ WarpNetwork(const TableView& policy, const float* near_rows, Scratch& scratch)
      : policy_(policy),
        scratch_(scratch),
        near_(near_rows + lane_index()),
        far_(policy.rows + lane_index()),
        units_{policy.shape.padded() - lane_index()} {
    LS_UNROLL
    for (int u = 0; u < kUnits; ++u) output_[u] = units_.load(policy.output + lane_index(), u);
  }

  /// One step of all environments; the logit of environment (lane mod kEnvs). All lanes call it.
  ///
  /// row: of the lane's environment; starts: whether it is the first step of an episode. Where
  /// `recording`, write_active() is called in the middle: active() is there from then on.
  /// Result: bitwise.
  template <class WriteActive>
  __device__ float step(const std::int32_t (&row)[k], bool starts, bool recording,
                        const WriteActive& write_active) {
    const std::uint32_t stride = sizeof(float) * static_cast<unsigned>(policy_.shape.padded());
    if (lane_index() < kEnvs) {
      LS_UNROLL
      for (int i = 0; i < k; ++i) {
        scratch_.place[lane_index()].of[i] = static_cast<std::uint32_t>(row[i]) * stride;
      }
    }
    const unsigned starting = __ballot_sync(kAllLanes, starts);
    __syncwarp(kAllLanes);
    if (starting != 0) {  // nothing has changed yet
      LS_UNROLL
      for (int e = 0; e < kEnvs; ++e) {
        if (((starting >> e) & 1u) == 0) continue;
        LS_UNROLL
        for (int u = 0; u < kUnits; ++u) phi_[e][u] = phi_of(e, u);
      }
    }
    float sum[kEnvs];
    LS_UNROLL
    for (int first = 0; first < kEnvs; first += kAtOnce) {
      float now[kAtOnce][kUnits];
      phi_of_all(first, now);
      LS_UNROLL
      for (int i = 0; i < kAtOnce; ++i) add_units(first + i, now[i], sum[first + i], recording);
      if constexpr (kAtOnce < kEnvs) __syncwarp(kAllLanes);  // nothing more is loaded ahead
    }
    __syncwarp(kAllLanes);
    // before the tree: without a branch here the compiler would put the votes off until after it,
    // and keep what they are about bit by bit
    if (recording) write_active();
    return warp_tree(sum);
  }

  /// Where the rows of the lane's environment were in the last step, in bytes: for resume().
  __device__ void place(std::uint32_t (&to)[kMaxObjects]) const {
    LS_UNROLL
    for (int i = 0; i < k; ++i) to[i] = scratch_.place[lane_index() % kEnvs].of[i];
  }
  /// Goes on behind that step. All lanes call it.
  __device__ void resume(const std::uint32_t (&place)[kMaxObjects]) {
    if (lane_index() < kEnvs) {
      LS_UNROLL
      for (int i = 0; i < k; ++i) scratch_.place[lane_index()].of[i] = place[i];
    }
    __syncwarp(kAllLanes);
    LS_UNROLL
    for (int e = 0; e < kEnvs; ++e) {
      LS_UNROLL
      for (int u = 0; u < kUnits; ++u) phi_[e][u] = phi_of(e, u);
      __syncwarp(kAllLanes);  // nothing more is loaded ahead: there are no registers for it
    }
  }

  /// Word `word` of the activity bits of the lane's environment in the step.
  __device__ std::uint32_t active(int word) const {
    return scratch_.active[lane_index() % kEnvs][word / 4].of[word % 4];
  }

 private:
  static constexpr int kRowsNear = kNear ? E::kNearObjects : 0;
  /// Environments whose rows are loaded at once: as many as there are registers for.
  static constexpr int kAtOnce = kUnits > 8 ? 1 : kEnvs;

  __device__ const float* row_of(int e, int object) const {
    const float* rows = object < kRowsNear ? near_ : far_;
    const auto* bytes = reinterpret_cast<const char*>(rows) + scratch_.place[e].of[object];
    return reinterpret_cast<const float*>(bytes);
  }
  /// phi of unit u of environment e.
  __device__ float phi_of(int e, int u) const {
    float phi = 0;
    LS_UNROLL
    for (int i = 0; i < k; ++i) {
      const float part = units_.load(row_of(e, i), u);
      phi = i == 0 ? part : phi + part;
    }
    return phi;
  }
  /// phi of kAtOnce environments from `first` on; the slow loads of all of them come first.
  __device__ void phi_of_all(int first, float (&phi)[kAtOnce][kUnits]) const {
    float far[kAtOnce][k - kRowsNear][kUnits];
    LS_UNROLL
    for (int i = 0; i < kAtOnce; ++i) {
      LS_UNROLL
      for (int object = kRowsNear; object < k; ++object) {
        const float* row = row_of(first + i, object);
        LS_UNROLL
        for (int u = 0; u < kUnits; ++u) far[i][object - kRowsNear][u] = units_.load(row, u);
      }
    }
    LS_UNROLL
    for (int i = 0; i < kAtOnce; ++i) {
      LS_UNROLL
      for (int object = 0; object < k; ++object) {
        const float* row = row_of(first + i, object);
        LS_UNROLL
        for (int u = 0; u < kUnits; ++u) {
          const float part =
              object < kRowsNear ? units_.load(row, u) : far[i][object - kRowsNear][u];
          phi[i][u] = object == 0 ? part : phi[i][u] + part;
        }
      }
    }
  }
  /// The lane's partial of the logit of environment e, and the activity bits of its step.
  __device__ void add_units(int e, const float (&now)[kUnits], float& sum, bool recording) {
    sum = 0;
    typename Scratch::Words active[(kUnits + 3) / 4] = {};
    LS_UNROLL
    for (int u = 0; u < kUnits; ++u) {
      const float h = now[u] - phi_[e][u];
      phi_[e][u] = now[u];
      const float part = fma(output_[u], table_activation<kLeaky>(h, policy_.leak), sum);
      sum = units_.has(u) ? part : sum;
      active[u / 4].of[u % 4] = __ballot_sync(kAllLanes, h > 0.0f);
    }
    if (!recording || lane_index() != 0) return;
    LS_UNROLL
    for (int i = 0; i < (kUnits + 3) / 4; ++i) scratch_.active[e][i] = active[i];
  }

  const TableView& policy_;
  Scratch& scratch_;
  const float *near_, *far_;  // unit `lane` of row 0 of the table
  LaneUnits<kUnits, kWhole> units_;
  float phi_[kEnvs][kUnits], output_[kUnits];
};

/// In place of a network for uniformly random actions.
template <class E, bool kLeaky, bool kWhole, bool kNear, int kEnvs>
class WarpNetwork<E, kLeaky, 0, kWhole, kNear, kEnvs> {
 public:
  struct Scratch {};
  __device__ WarpNetwork(const TableView&, const float*, Scratch&) {}
  __device__ void place(std::uint32_t (&)[kMaxObjects]) const {}
  __device__ void resume(const std::uint32_t (&)[kMaxObjects]) {}
};

}  // namespace table
}  // namespace lockstep::cuda
