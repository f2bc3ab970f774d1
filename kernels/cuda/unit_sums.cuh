// A warp's share of the gradient's sums: steps in shared memory, hidden units in registers.
#pragma once

#include "kernels/cuda/shared_sums.cuh"
#include "kernels/pack_policy.h"
#include "kernels/policy.h"
#include "kernels/reinforce_grad.h"

namespace lockstep::cuda {

/// How the sums of a gradient of Z outputs are dealt out, all of them logits unless there is a
/// critic; sizes that keep a lane's share in registers.
template <class E, bool kKept, int kOutputs = logits_of(E::kNumActions)>
struct GradientShare {
  static constexpr int O = E::kObservationSize;
  static constexpr int Z = kOutputs;
  static constexpr int C = Z * (O + 1);
  static constexpr int kComponents = C <= 20 ? C : 16;  // of a block
  static constexpr int kComponentChunks = (C + kComponents - 1) / kComponents;
  static constexpr int kRegisters = kComponents * (kKept ? 2 : 1) + O + 1;  // of a unit
  static constexpr int kUnits = 4 * kRegisters <= 64 ? 4 : 2 * kRegisters <= 64 ? 2 : 1;
  static constexpr int kChunk = kUnits * kWarp;                         // units of a block
  static constexpr int kSums = kUnits * kComponents * (kKept ? 2 : 1);  // of a lane

  /// A valid step on its way to the units.
  struct alignas(16) Item {
    float obs[O];
    std::int32_t term[kComponents];
    std::uint32_t kept[kUnits];  // general form: dropout mask of the chunk's units
  };
  struct Scratch {  // of a warp, in shared memory
    Item item[kWarp];
    std::int64_t wide[kSums][kWarp];
  };
};

/// Words [first, first + kWords) of the dropout mask of step t; kWords divides 4 and `first`.
template <int kWords>
__device__ inline void draw_kept(const RandomStream& stream, const PolicyView<float>& policy,
                                 std::uint32_t env, int t, int first,
                                 std::uint32_t (&word)[kWords]) {
  const auto index = static_cast<std::uint32_t>(t);
  if (policy.drop_below == 0) {
    for (int i = 0; i < kWords; ++i) word[i] = ~0u;
  } else if (policy.drop_half) {
    const auto r = dropout_words<float>(stream, env, index, first / 4);
    for (int i = 0; i < kWords; ++i) word[i] = r.w[kWords == 4 ? i : first % 4 + i];
  } else {
    for (int i = 0; i < kWords; ++i) {
      word[i] = 0;
      for (int j = 32 * (first + i); j < 32 * (first + i + 1) && j < policy.hidden; j += 4) {
        const auto r = dropout_words<float>(stream, env, index, j / 4);
        for (int k = 0; k < 4; ++k) {
          word[i] |= is_dropped<float>(r.w[k], policy.drop_below) ? 0u : 1u << (j % 32 + k);
        }
      }
    }
  }
}

/// The sums of a warp over its chunk of hidden units.
template <class E, PolicyForm kForm, bool kKept, int kOutputs = logits_of(E::kNumActions)>
struct UnitSums {
  using Share = GradientShare<E, kKept, kOutputs>;
  static constexpr int O = Share::O;
  static constexpr int kUnits = Share::kUnits;
  static constexpr int kComponents = Share::kComponents;

  typename Share::Scratch& scratch;
  int filled = 0;  // items waiting
  int adds = 0;    // into a register since the last flush
  float weight[kUnits][O + 1];
  std::int32_t active[kUnits][kComponents] = {};
  std::int32_t kept[kUnits][kComponents] = {};

  __device__ UnitSums(typename Share::Scratch& shared, const PolicyView<float>& policy,
                      int first_unit)
      : scratch(shared) {
    for (int u = 0; u < kUnits; ++u) {
      const int j = first_unit + u * kWarp + lane_index();
      const float* unit =
          policy.units + walking_position(j, policy.chain) * unit_stride(O, Share::Z);
      for (int i = 0; i <= O; ++i) weight[u][i] = j < policy.hidden ? unit[i] : 0.0f;
    }
    for (int s = 0; s < Share::kSums; ++s) scratch.wide[s][lane_index()] = 0;
  }

  __device__ void add(const typename Share::Item& from) {
    const typename Share::Item item = from;  // read once, not under each unit's condition
    for (int u = 0; u < kUnits; ++u) {
      bool is_active = hidden_unit<float, O>(weight[u], item.obs) > 0.0f;
      if constexpr (kForm == PolicyForm::kGeneral) {
        const bool is_kept = ((item.kept[u] >> lane_index()) & 1u) != 0;
        is_active = is_active & is_kept;
        if (kKept && is_kept) {
          for (int c = 0; c < kComponents; ++c) kept[u][c] += item.term[c];
        }
      }
      // a branch, not selects: nvcc makes predicated additions of it, one instruction each
      if (is_active) {
        for (int c = 0; c < kComponents; ++c) active[u][c] += item.term[c];
      }
    }
  }

  /// Adds the items waiting.
  __device__ void sweep() {
    if (adds + filled > kFlushSteps) flush();
    __syncwarp(kAllLanes);
    int i = 0;
    for (; i + 4 <= filled; i += 4) {
      for (int k = 0; k < 4; ++k) add(scratch.item[i + k]);
    }
    for (; i < filled; ++i) add(scratch.item[i]);
    __syncwarp(kAllLanes);
    adds += filled;
    filled = 0;
  }

  /// The place of the lane's item, if it has one; makes room first.
  __device__ int reserve(bool valid) {
    const unsigned have = __ballot_sync(kAllLanes, valid);
    const int count = __popc(have);
    if (filled + count > kWarp) sweep();
    const int slot = filled + __popc(have & ((1u << lane_index()) - 1u));
    filled += count;
    return slot;
  }

  __device__ void flush() {
    for (int u = 0; u < kUnits; ++u) {
      for (int c = 0; c < kComponents; ++c) {
        const int s = u * kComponents + c;
        scratch.wide[s][lane_index()] += active[u][c];
        active[u][c] = 0;
        if constexpr (kKept) {
          scratch.wide[kUnits * kComponents + s][lane_index()] += kept[u][c];
          kept[u][c] = 0;
        }
      }
    }
    adds = 0;
  }

  /// Adds everything to the batch's sums.
  __device__ void finish(const PolicyView<float>& policy, int first_unit, int first_component,
                         unsigned long long* sums) {
    sweep();
    flush();
    const GradientLayout layout = gradient_layout(policy, O, Share::Z);
    for (int u = 0; u < kUnits; ++u) {
      const int j = first_unit + u * kWarp + lane_index();
      if (j >= policy.hidden) continue;
      const std::int64_t position = walking_position(j, policy.chain);
      for (int c = 0; c < kComponents && first_component + c < Share::C; ++c) {
        const int s = u * kComponents + c;
        const int to = first_component + c;
        add_signed(sums + layout.active(position) + to, scratch.wide[s][lane_index()]);
        if constexpr (kKept) {
          add_signed(sums + layout.kept(position) + to,
                     scratch.wide[kUnits * kComponents + s][lane_index()]);
        }
      }
    }
  }
};

}  // namespace lockstep::cuda
